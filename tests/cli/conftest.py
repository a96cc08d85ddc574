"""Running commands in this process, on small sets of real digits."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from ganeval import open_source
from ganeval.sources.base import Reading, ReadReport
from ganeval_cli.main import cli

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def run() -> Run:
    """run("fid", real, fake) returns the output of the command and its exit code."""

    def command(*arguments: str | Path) -> Result:
        return CliRunner().invoke(cli, [str(one) for one in arguments], prog_name="ganeval")

    return command


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two folders of 40 greyscale PNGs each: real digits, and other real digits."""
    return write_digits(tmp_path_factory.mktemp("real"), "train"), write_digits(tmp_path_factory.mktemp("fake"), "test")


def write_digits(folder: Path, split: str) -> str:
    """40 digits of a split as PNGs."""
    (batch,) = open_source(f"digits:{split}", num_samples=40).batches(Reading(batch_size=40), ReadReport())
    for number, image in enumerate(batch.groups[0].images):
        Image.fromarray(image[0].numpy()).save(folder / f"{number}.png")
    return str(folder)


def lines(result: Result) -> Sequence[str]:
    """Standard output, line by line."""
    return result.stdout.splitlines()
