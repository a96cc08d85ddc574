"""Samples of a trained model in files: a folder, a grid or an .npz. They are the same images that metrics use."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganeval.atomic import atomic_folder, atomic_write
from ganeval.errors import UsageError
from ganeval.grids import check_path
from ganeval.processes import processes
from ganeval.progress import Progress, silent
from ganeval.sources import CHUNK, GeneratorSource, Reading, ReadReport, class_numbers
from reference_models.engine.class_grid import write_labelled
from reference_models.sampling.sampler import Sampler

# Suffixes of other file types; a folder with such a name is probably a mistake.
OTHER_FILES = frozenset(
    (
        *(".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".npy", ".pt", ".zip", ".tar"),
        *(".txt", ".csv", ".json", ".html", ".parquet"),
    )
)
# Characters that cannot be part of a folder's name.
_UNFIT = frozenset("/\\\0")


def check_class_folders(names: Sequence[str]) -> None:
    """UsageError for a class name that cannot be a folder name, or would make the folder hidden."""
    wrong = next((name for name in names if name.startswith(".") or not name or not _UNFIT.isdisjoint(name)), None)
    if wrong is not None or len(set(names)) < len(names):
        found = "two classes have the same name" if wrong is None else f"{wrong!r} cannot be the name of one"
        raise UsageError(f"Samples go to a folder for each class, but {found}; write an .npz or a .png instead.")


def check_output(path: Path) -> None:
    """UsageError for an output that cannot be written: a folder that is not empty, a file that is not .png or .npz."""
    if path.suffix.lower() in OTHER_FILES:
        raise UsageError(
            f"{path} is a kind of file that samples cannot be written to; choose a .png, an .npz or a folder."
        )
    if path.suffix.lower() == ".png":
        check_path(path)
    elif path.suffix.lower() == ".npz":
        if path.is_dir():
            raise UsageError(f"{path} is a folder; an .npz is one file.")
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} exists and is not an empty folder; choose another one, or a .png or .npz.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"The folder {path.absolute().parent} does not exist; create it first.")


def sample(
    sampler: Sampler,
    output: str | Path,
    *,
    num_samples: int = 64,
    classes: Sequence[str | int] | None = None,
    seed: int = 0,
    columns: int | None = None,
    scale: int | None = None,
    name: str = "samples",
    progress: Progress = silent,
) -> GeneratorSource:
    """Draw images of a trained model into a file or a folder.

    Args:
        sampler: The model, as `open_sampler` returns it.
        output: A .png for a grid, an .npz, or a new folder for one PNG per image.
        num_samples: Images to draw.
        classes: Classes of a conditional model, by name or number, drawn in turn; None for all.
        seed: Seed of the latents; image i of a seed is always the same.
        columns: Columns of a grid; None for 8, or one per class.
        scale: Magnification in a grid; None for 2, or for images wide enough for the names of their classes.
        name: Name of the samples in messages.
        progress: Shows how they are drawn.

    Returns:
        The samples as a source.

    Raises:
        UsageError: A class that the model does not have, or an output that cannot be written.
        ResultError: The file cannot be written.
    """
    asked = None if classes is None else sampler.find_classes(classes)
    source = GeneratorSource(sampler, name=name, num_samples=num_samples, seed=seed, classes=asked)
    if source.labels is None:
        columns, scale = 8 if columns is None else columns, 2 if scale is None else scale
    write_samples(source, Path(output), columns=columns, scale=scale, progress=progress)
    return source


def write_samples(
    source: GeneratorSource,
    path: Path,
    *,
    columns: int | None = None,
    scale: int | None = None,
    progress: Progress = silent,
) -> None:
    """Write all images of a source, atomically.

    path: .png for a grid with `columns` columns, or one per class (`write_labelled`). .npz for `arr_0`, uint8
    [N, H, W, 3], and the classes as `arr_1`: numbers if the classes are named by numbers, else indices into
    `class_names`, the names of the classes that were drawn. Otherwise a folder of PNGs, with a subfolder per class if
    there are classes.
    Raises UsageError as `check_output` and `check_class_folders` do, ResultError for a failed write.
    """
    with processes().together():
        check_output(path)
    chunks = _drawn(source, progress)
    if path.suffix.lower() == ".png":
        write_labelled(
            torch.cat(list(chunks)), source.labels, path, names=source.class_names, columns=columns, scale=scale
        )
    elif path.suffix.lower() == ".npz":
        with atomic_write(path) as file:
            pixels = torch.cat(list(chunks)).permute(0, 2, 3, 1).contiguous().numpy()
            np.savez(file, arr_0=pixels, **_label_arrays(source))
    else:
        with atomic_folder(path) as folder:
            _write_folder(source, chunks, folder)


def _label_arrays(source: GeneratorSource) -> dict[str, Any]:
    """The classes of samples as members of an .npz; empty if there are none."""
    labels, names = source.labels, source.class_names
    if labels is None:
        return {}
    numbers = None if names is None else class_numbers(names)
    if numbers is not None:
        return {"arr_1": np.array([numbers[label] for label in labels])}
    if names is None:
        return {"arr_1": np.array(labels)}
    drawn, places = np.unique(labels, return_inverse=True)
    return {"arr_1": places, "class_names": np.array([names[label] for label in drawn])}


def _drawn(source: GeneratorSource, progress: Progress) -> Iterator[Tensor]:
    """Chunks of the images, uint8 [n, 3, H, W] on the CPU."""
    with (
        closing(source.batches(Reading(batch_size=CHUNK), ReadReport())) as batches,
        progress(source.name, len(source)) as advance,
    ):
        for batch in batches:
            yield batch.groups[0].images.cpu()
            advance(len(batch))


def _write_folder(source: GeneratorSource, chunks: Iterator[Tensor], folder: Path) -> None:
    names, number = _folders(source), 0
    digits = len(str(len(source) - 1))
    for chunk in chunks:
        for image in chunk:
            inside = folder if names is None else folder / names[number]
            inside.mkdir(exist_ok=True)
            # A grey image is saved as grey, with a third of the bytes.
            grey = bool((image == image[:1]).all())
            pixels = image[0] if grey else image.permute(1, 2, 0).contiguous()
            Image.fromarray(pixels.numpy()).save(inside / f"{number:0{digits}}.png")
            number += 1


def _folders(source: GeneratorSource) -> Sequence[str] | None:
    """The class folder of each image."""
    labels, names = source.labels, source.class_names
    if labels is None or names is None:
        return None if labels is None else [str(label) for label in labels]
    check_class_folders([names[label] for label in set(labels)])
    return [names[label] for label in labels]
