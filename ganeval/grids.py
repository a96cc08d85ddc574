"""Grids of images in one PNG, enlarged without blurring, with captions below images or headings above columns."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ganeval.atomic import atomic_write
from ganeval.errors import UsageError
from ganeval.images import check_images

__all__ = ["BACKGROUND", "check_path", "write_grid"]

# Pixels between two images, and around all of them.
GAP = 2
BACKGROUND, INK = 255, "black"
FONT_SIZE = 11
CAPTION = FONT_SIZE + 4


def write_grid(
    images: Tensor,
    path: str | Path,
    *,
    columns: int,
    captions: Sequence[str] | None = None,
    headings: Sequence[str] | None = None,
    scale: int = 1,
) -> None:
    """Write a grid of images as a PNG; an older file is replaced, and a failed write leaves it as it was.

    Args:
        images: uint8 [N, 3, H, W], on any device.
        path: Must end in .png.
        columns: Images per row.
        captions: A text below each image, cut at the image's width; line breaks become spaces.
        headings: A text above each column.
        scale: Factor by which images are enlarged, without interpolation.

    Raises:
        SourceError: The images have another shape or dtype.
        UsageError: There are no images, a number is below 1, there is not one caption per image or one heading per
            column, or `path` does not end in .png.
        ResultError: The file cannot be written.
    """
    path = Path(path)
    check_path(path)
    picture = grid(images, columns=columns, captions=captions, headings=headings, scale=scale)
    with atomic_write(path) as file:
        picture.save(file, "PNG")


def check_path(path: Path) -> None:
    """Check that a grid can be written to a path, before its images are made.

    Args:
        path: The path.

    Raises:
        UsageError: It does not end in ".png", or is a folder.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path} must end in .png: a grid is a PNG.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; a grid is one file.")


def grid(
    images: Tensor,
    *,
    columns: int,
    captions: Sequence[str] | None = None,
    headings: Sequence[str] | None = None,
    scale: int = 1,
) -> Image.Image:
    """The picture that `write_grid` writes; arguments and errors are the same."""
    check_images(images, where="grid")
    _check(len(images), columns, captions, scale)
    if headings is not None and len(headings) != min(columns, len(images)):
        raise UsageError(
            f"{min(columns, len(images))} columns have {len(headings)} headings; give one to each, or none."
        )
    large = images.cpu().repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    height, width = large.shape[2:]
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    above, below = CAPTION if headings else 0, CAPTION if captions else 0
    step_y, step_x = height + below + GAP, width + GAP
    canvas = torch.full((3, above + rows * step_y + GAP, columns * step_x + GAP), BACKGROUND, dtype=torch.uint8)
    corners = [
        (GAP + above + index // columns * step_y, GAP + index % columns * step_x) for index in range(len(images))
    ]
    for image, (top, left) in zip(large, corners, strict=True):
        canvas[:, top : top + height, left : left + width] = image
    picture = Image.fromarray(canvas.permute(1, 2, 0).contiguous().numpy())
    for text, (top, left) in zip(captions or (), corners, strict=False):
        picture.paste(_caption(text, width), (left, top + height))
    for text, (_, left) in zip(headings or (), corners, strict=False):
        picture.paste(_caption(text, width), (left, GAP))
    return picture


def _check(count: int, columns: int, captions: Sequence[str] | None, scale: int) -> None:
    """UsageError for numbers that do not fit together."""
    if count == 0:
        raise UsageError("A grid needs at least one image, and there are none.")
    if columns < 1 or scale < 1:
        raise UsageError(f"columns ({columns}) and scale ({scale}) of a grid must be 1 or more.")
    if captions is not None and len(captions) != count:
        raise UsageError(f"{count} images have {len(captions)} captions; give one to each, or none.")


def _caption(text: str, width: int) -> Image.Image:
    """A strip as wide as an image, with the text cut to fit."""
    strip = Image.new("RGB", (width, CAPTION), (BACKGROUND,) * 3)
    # Pillow's default font has few characters; others appear as boxes.
    font = ImageFont.load_default(FONT_SIZE)
    ImageDraw.Draw(strip).text((0, 1), " ".join(text.split()), fill=INK, font=font)
    return strip
