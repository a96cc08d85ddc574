"""What tests of the command line share beside their fixtures."""

from collections.abc import Callable
from pathlib import Path

from click.testing import Result
from PIL import Image

from ganeval import open_source
from ganeval.sources.base import Reading, ReadReport

Run = Callable[..., Result]


def write_digits(folder: Path, split: str) -> str:
    """40 digits of a split as PNGs."""
    (batch,) = open_source(f"digits:{split}", num_samples=40).batches(Reading(batch_size=40), ReadReport())
    for number, image in enumerate(batch.groups[0].images):
        Image.fromarray(image[0].numpy()).save(folder / f"{number}.png")
    return str(folder)
