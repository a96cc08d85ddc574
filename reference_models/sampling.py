"""Samples of a trained model, written down: a folder, a grid or an .npz. They are those that a metric is given."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganeval.errors import ResultError, UsageError
from ganeval.features import Progress, silent
from ganeval.grids import check_path
from ganeval.sources.base import Reading, ReadReport
from ganeval.sources.generator import CHUNK, GeneratorSource
from reference_models.class_grid import write_labelled

# Names that are meant for files of another kind, and would make puzzling folders.
OTHER_FILES = frozenset((".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".npy", ".pt", ".zip", ".tar"))


def check_output(path: Path) -> None:
    """UsageError for a place where no samples can go: a folder that is not empty, a file that is no .png or .npz."""
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
        raise UsageError(f"{path} is there and is not an empty folder; choose another one, or a .png or .npz.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"The folder {path.absolute().parent} does not exist; make it first.")


def write_samples(
    source: GeneratorSource,
    path: Path,
    *,
    columns: int | None = None,
    scale: int | None = None,
    progress: Progress = silent,
) -> None:
    """All images of a source, whole or not at all.

    path: .png for a grid with so many columns, or one per class (`write_labelled`); .npz for `arr_0`, uint8
    [N, H, W, 3], and the classes as `arr_1`; otherwise a folder of PNGs, with a subfolder per class where there are
    classes.
    Raises UsageError as `check_output` does, ResultError for what cannot be written.
    """
    check_output(path)
    chunks = _drawn(source, progress)
    if path.suffix.lower() == ".png":
        write_labelled(torch.cat(list(chunks)), source.labels, path, columns=columns, scale=scale)
    elif path.suffix.lower() == ".npz":
        with _replaced(path) as temporary, temporary.open("wb") as file:
            pixels = torch.cat(list(chunks)).permute(0, 2, 3, 1).contiguous().numpy()
            if source.labels is None:
                np.savez(file, arr_0=pixels)
            else:
                np.savez(file, arr_0=pixels, arr_1=np.array(source.labels))
    else:
        with _replaced(path) as temporary:
            temporary.mkdir()
            _write_folder(source, chunks, temporary)


def _drawn(source: GeneratorSource, progress: Progress) -> Iterator[Tensor]:
    """uint8 [n, 3, H, W] on the CPU, a few at a time."""
    with (
        closing(source.batches(Reading(batch_size=CHUNK), ReadReport())) as batches,
        progress(source.name, len(source)) as advance,
    ):
        for batch in batches:
            yield batch.groups[0].images.cpu()
            advance(len(batch))


def _write_folder(source: GeneratorSource, chunks: Iterator[Tensor], folder: Path) -> None:
    labels, number = source.labels, 0
    digits = len(str(len(source) - 1))
    for chunk in chunks:
        for image in chunk:
            inside = folder if labels is None else folder / str(labels[number])
            inside.mkdir(exist_ok=True)
            # A grey image as grey, a third of the bytes.
            grey = bool((image == image[:1]).all())
            pixels = image[0] if grey else image.permute(1, 2, 0).contiguous()
            Image.fromarray(pixels.numpy()).save(inside / f"{number:0{digits}}.png")
            number += 1


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A name beside a path that takes its place when all went well; ResultError when the place refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise ResultError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)
