"""Samples of a conditional model in one picture: a column per class, with the class above it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganeval.grids import BACKGROUND, write_grid

# Maximum number of classes with a column each; with more, images are drawn in order, with the class below each.
MAX_COLUMNS = 20
COLUMNS = 10
# Width in pixels that is enough for most names.
LEGIBLE = 64


def write_labelled(
    images: Tensor,
    labels: Sequence[int] | None,
    path: Path,
    *,
    names: Sequence[str] | None = None,
    columns: int | None = None,
    scale: int | None = None,
) -> None:
    """Write a PNG of samples, grouped by class; other arguments and errors are those of `write_grid`.

    labels: the class of each image; None for images without classes, which keep their order. names: names of classes 0,
    1, ...; None for their numbers. columns: None for one per class, or ten.
    scale: None for 1, or with classes, for images wide enough for their names.
    """
    wide = COLUMNS if columns is None else columns
    if labels is None:
        write_grid(images, path, columns=wide, scale=1 if scale is None else scale)
        return
    scale = max(1, LEGIBLE // images.shape[3]) if scale is None else scale
    classes = sorted(set(labels))
    called = {label: str(label) if names is None else names[label] for label in classes}
    if columns is None and len(classes) <= MAX_COLUMNS:
        headings = [called[label] for label in classes]
        write_grid(_by_column(images, labels, classes), path, columns=len(classes), headings=headings, scale=scale)
        return
    order = sorted(range(len(labels)), key=lambda index: labels[index])
    captions = [called[labels[index]] for index in order]
    write_grid(images[order], path, columns=wide, captions=captions, scale=scale)


def _by_column(images: Tensor, labels: Sequence[int], classes: Sequence[int]) -> Tensor:
    """Tiles in rows with one image of each class, in order; blank where a class has no more."""
    rows = [[index for index, label in enumerate(labels) if label == one] for one in classes]
    height = max(map(len, rows))
    tiles = torch.full((height, len(classes), *images.shape[1:]), BACKGROUND, dtype=torch.uint8)
    for column, indices in enumerate(rows):
        tiles[: len(indices), column] = images[indices].cpu()
    return tiles.flatten(0, 1)
