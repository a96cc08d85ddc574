"""Every pixel of a grid is in its place, and a file is complete or absent."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from ganeval.errors import ResultError, SourceError, UsageError
from ganeval.grids import CAPTION, GAP, grid, write_grid


def noise(count: int, height: int, width: int) -> Tensor:
    """Seeded uint8 noise [count, 3, height, width]."""
    rng = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=rng)


@given(
    count=st.integers(1, 7),
    columns=st.integers(1, 9),
    scale=st.integers(1, 3),
    captioned=st.booleans(),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
@settings(max_examples=25)
def test_every_image_is_in_its_place(
    count: int, columns: int, scale: int, captioned: bool, size: tuple[int, int]
) -> None:
    """Image i is in row i // columns and column i % columns, with pixels as squares on a background."""
    images, (height, width) = noise(count, *size), size
    captions = [""] * count if captioned else None
    picture = np.array(grid(images, columns=columns, captions=captions, scale=scale))
    for index, image in enumerate(images):
        row, column = divmod(index, min(columns, count))
        top = GAP + row * (height * scale + GAP + CAPTION * captioned)
        left = GAP + column * (width * scale + GAP)
        tile = picture[top : top + height * scale, left : left + width * scale]
        assert (tile[::scale, ::scale] == image.permute(1, 2, 0).numpy()).all()
        assert (tile == tile[::scale, ::scale].repeat(scale, 0).repeat(scale, 1)).all()
        picture[top : top + height * scale, left : left + width * scale] = 255
    assert (picture == 255).all()


def test_captions_are_ink_below_their_image_only() -> None:
    """A caption is drawn below its own image, and cut off at its edge."""
    images = torch.full((2, 3, 8, 20), 255, dtype=torch.uint8)
    picture = np.array(grid(images, columns=2, captions=["", "0.1234 a long one"]))
    ink = np.argwhere((picture < 128).any(2))
    assert len(ink) > 0
    assert ink[:, 0].min() >= GAP + 8
    assert ink[:, 1].min() >= GAP + 20 + GAP
    assert ink[:, 1].max() < GAP + 20 + GAP + 20


def test_headings_are_ink_above_their_column_only() -> None:
    """All images move down by a strip."""
    images = torch.full((4, 3, 8, 20), 255, dtype=torch.uint8)
    picture = np.array(grid(images, columns=2, headings=["", "a long heading"]))
    ink = np.argwhere((picture < 128).any(2))
    assert len(ink) > 0
    assert ink[:, 0].max() < GAP + CAPTION
    assert ink[:, 1].min() >= GAP + 20 + GAP
    assert picture.shape[0] == CAPTION + 2 * (8 + GAP) + GAP
    with pytest.raises(UsageError, match="2 columns have 1 headings"):
        grid(images, columns=2, headings=["one"])


def test_a_file_holds_the_grid_and_replaces_an_older_one(tmp_path: Path) -> None:
    """What is read back is what was drawn, and nothing else is left in the folder."""
    path = tmp_path / "grid.png"
    for count in (1, 4):
        write_grid(noise(count, 5, 5), path, columns=2)
    with Image.open(path) as read:
        assert (np.array(read) == np.array(grid(noise(4, 5, 5), columns=2))).all()
    assert [one.name for one in tmp_path.iterdir()] == ["grid.png"]


def test_a_file_that_cannot_be_written_is_an_error_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing folder is named, and a failed write leaves the older file and no partial file."""
    with pytest.raises(ResultError, match="missing"):
        write_grid(noise(1, 4, 4), tmp_path / "missing" / "grid.png", columns=1)
    path = tmp_path / "grid.png"
    write_grid(noise(1, 4, 4), path, columns=1)
    before = path.read_bytes()
    monkeypatch.setattr(Image.Image, "save", _full)
    with pytest.raises(ResultError, match="No space left"):
        write_grid(noise(2, 4, 4), path, columns=1)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["grid.png"]


def _full(picture: Image.Image, file: BinaryIO, kind: str) -> None:
    file.write(b"half of a picture")
    raise OSError(28, "No space left on device")


def test_grids_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """No images, invalid images, no columns, too few captions, and other file types have messages."""
    images = noise(2, 4, 4)
    with pytest.raises(UsageError, match="at least one image"):
        grid(images[:0], columns=1)
    with pytest.raises(SourceError, match="uint8"):
        grid(images.float(), columns=1)
    with pytest.raises(UsageError, match="must be 1 or more"):
        grid(images, columns=0)
    with pytest.raises(UsageError, match="must be 1 or more"):
        grid(images, columns=1, scale=0)
    with pytest.raises(UsageError, match="2 images have 1 captions"):
        grid(images, columns=1, captions=["one"])
    with pytest.raises(UsageError, match=r"must end in \.png"):
        write_grid(images, tmp_path / "grid.jpg", columns=1)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        write_grid(images, tmp_path / "folder.png", columns=1)
