"""Samples of a conditional model: a column per class, in order and named, and nothing lost."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganeval.grids import CAPTION, GAP, grid
from reference_models.engine.class_grid import MAX_COLUMNS, write_labelled

NAMES = ("cat", "dog", "eel")


def shades(labels: list[int]) -> Tensor:
    """An image of 64 x 64 for each label, of a shade of its class and its place."""
    values = torch.tensor([10 + 60 * label + place for place, label in enumerate(labels)], dtype=torch.uint8)
    return values.view(-1, 1, 1, 1).expand(-1, 3, 64, 64).contiguous()


def drawn(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture)


def test_classes_are_columns_with_their_names_above(tmp_path: Path) -> None:
    """Columns are in the order of classes, images in their own order, with blanks where a class has fewer."""
    labels = [2, 0, 2, 1, 0, 2]
    images = shades(labels)
    write_labelled(images, labels, tmp_path / "grid.png", names=NAMES)
    blank = torch.full((1, 3, 64, 64), 255, dtype=torch.uint8)
    tiles = torch.cat([images[[1, 3, 0, 4]], blank, images[[2]], blank, blank, images[[5]]])
    assert (drawn(tmp_path / "grid.png") == np.array(grid(tiles, columns=3, headings=NAMES))).all()
    write_labelled(images, labels, tmp_path / "numbered.png")
    assert (drawn(tmp_path / "numbered.png") == np.array(grid(tiles, columns=3, headings=("0", "1", "2")))).all()


def test_small_images_are_enlarged_until_their_names_can_be_read(tmp_path: Path) -> None:
    """Images are enlarged to 64 pixels by default, and images without classes are not."""
    images = shades([0, 1])[:, :, :16, :16]
    for labels, wide in (([0, 1], 2 * (64 + GAP) + GAP), (None, 2 * (16 + GAP) + GAP)):
        write_labelled(images, labels, tmp_path / "grid.png")
        assert drawn(tmp_path / "grid.png").shape[1] == wide


@pytest.mark.parametrize("columns", [None, 2])
def test_many_classes_are_named_below_each_image(tmp_path: Path, columns: int | None) -> None:
    """Many classes, and a requested number of columns, have the class name below each image, sorted by class."""
    labels = list(reversed(range(MAX_COLUMNS + 1))) if columns is None else [1, 0, 1]
    images = shades([0] * len(labels))
    write_labelled(images, labels, tmp_path / "grid.png", columns=columns)
    order = sorted(range(len(labels)), key=labels.__getitem__)
    captions = [str(labels[index]) for index in order]
    expected = grid(images[order], columns=columns or 10, captions=captions)
    assert (drawn(tmp_path / "grid.png") == np.array(expected)).all()
    assert expected.height % (64 + GAP + CAPTION) == GAP
