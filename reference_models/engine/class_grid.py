"""Samples of a conditional model in one picture: a column per class, with the class above it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganeval.grids import BACKGROUND, write_grid

# Classes that have a column each; more are drawn one after the other, with the class below each image.
MOST_COLUMNS = 20
COLUMNS = 10
# Pixels across that hold most names.
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
    """Write a PNG of samples, those of one class together; arguments and errors otherwise as for `write_grid`.

    labels: the class of each image; None where there are none, and images stay in their order. names: of classes 0, 1,
    ..., None for their numbers. columns: instead of one per class; None for that, or for ten.
    scale: None for 1, or where there are classes, for images as wide as their names.
    """
    if labels is None:
        write_grid(images, path, columns=columns or COLUMNS, scale=scale or 1)
        return
    scale = scale or max(1, LEGIBLE // images.shape[3])
    classes = sorted(set(labels))
    called = {label: str(label) if names is None else names[label] for label in classes}
    if columns is None and len(classes) <= MOST_COLUMNS:
        headings = [called[label] for label in classes]
        write_grid(_by_column(images, labels, classes), path, columns=len(classes), headings=headings, scale=scale)
        return
    order = sorted(range(len(labels)), key=lambda index: labels[index])
    captions = [called[labels[index]] for index in order]
    write_grid(images[order], path, columns=columns or COLUMNS, captions=captions, scale=scale)


def _by_column(images: Tensor, labels: Sequence[int], classes: Sequence[int]) -> Tensor:
    """Rows of an image of each class, in their order; blank where a class has no more."""
    rows = [[index for index, label in enumerate(labels) if label == one] for one in classes]
    height = max(map(len, rows))
    tiles = torch.full((height, len(classes), *images.shape[1:]), BACKGROUND, dtype=torch.uint8)
    for column, indices in enumerate(rows):
        tiles[: len(indices), column] = images[indices].cpu()
    return tiles.flatten(0, 1)
