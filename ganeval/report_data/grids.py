"""Grids of images as PNG: fakes next to their nearest reals, and most discriminable images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganeval.grids import write_grid
from ganeval.metrics.most_discriminable import MostDiscriminable
from ganeval.metrics.nearest import NearestPairs
from ganeval.report_data.image_set import ImageSet, image_set_of
from ganeval.results import Evaluation
from ganeval.wording import four_digits, probability_text, ratio_text

# Rows of neighbours; number of most discriminable images per set, and their columns.
ROWS, SUREST, COLUMNS = 16, 32, 8
# The longest side of an image in a grid: smaller images are enlarged by whole factors, larger ones reduced.
MIN_SIDE, MAX_SIDE = 72, 256


def neighbour_grid(evaluation: Evaluation, pairs: NearestPairs, path: Path, *, rows: int = ROWS) -> None:
    """Write a PNG of the fakes most suspected of being copies, each next to its nearest reals.

    A row holds a fake, with its ratio below it where there is one, and its nearest reals with their distances.

    Args:
        evaluation: Of these reals and fakes, with their images still at hand.
        pairs: What `nearest_pairs` found in their features, the most suspicious fakes first.
        path: The file; must end in .png.
        rows: Maximum number of fakes.

    Raises:
        UsageError: The images of one side are not known, only statistics of them.
        SourceError: Images can no longer be read.
        ResultError: The file cannot be written.
    """
    count = min(rows, len(pairs.fakes))
    fakes, reals = pairs.fakes[:count].tolist(), pairs.reals[:count].tolist()
    fake_images = image_set_of(evaluation, "fake").images(set(fakes))
    real_images = image_set_of(evaluation, "real").images({row for nearest in reals for row in nearest})
    ratios = [""] * count if pairs.ratios is None else [f" x{ratio_text(one)}" for one in pairs.ratios[:count].tolist()]
    images: list[Tensor] = []
    captions: list[str] = []
    for fake, nearest, ratio, distances in zip(fakes, reals, ratios, pairs.distances.tolist(), strict=False):
        images += [fake_images[fake], *(real_images[row] for row in nearest)]
        captions += [f"fake{ratio}", *map(four_digits, distances)]
    _write(images, path, columns=1 + pairs.reals.shape[1], captions=captions)


def most_discriminable_grid(evaluation: Evaluation, found: MostDiscriminable, path: Path) -> None:
    """Write a PNG of the most discriminable fakes, and below them the reals.

    Args:
        evaluation: Of these reals and fakes, with their images still at hand.
        found: What `most_discriminable` found: images, and the probability of each to be a fake.
        path: The file; must end in ".png".

    Raises:
        UsageError: The images of one side are not known, only statistics of them.
        SourceError: Images can no longer be read.
        ResultError: The file cannot be written.
    """
    images: list[Tensor] = []
    captions: list[str] = []
    sides = (
        (image_set_of(evaluation, "fake"), found.fake, found.fake_scores),
        (image_set_of(evaluation, "real"), found.real, found.real_scores),
    )
    # The same number of both, so that the reals begin a row.
    count = min(SUREST, len(found.fake), len(found.real))
    count -= count % COLUMNS if count > COLUMNS else 0
    for side, rows, scores in sides:
        images += _of(side, rows[:count].tolist())
        captions += [f"{side.name} {probability_text(score)}" for score in scores[:count].tolist()]
    _write(images, path, columns=min(COLUMNS, count), captions=captions)


def _of(side: ImageSet, rows: Sequence[int]) -> list[Tensor]:
    images = side.images(set(rows))
    return [images[row] for row in rows]


def _write(images: Sequence[Tensor], path: Path, *, columns: int, captions: Sequence[str]) -> None:
    """Images of any sizes as one grid, in tiles as large as the largest of them."""
    height = min(max(image.shape[1] for image in images), MAX_SIDE)
    width = min(max(image.shape[2] for image in images), MAX_SIDE)
    tiles = torch.stack([_fitted(image, height, width) for image in images])
    write_grid(tiles, path, columns=columns, captions=captions, scale=max(1, -(-MIN_SIDE // min(height, width))))


def _fitted(image: Tensor, height: int, width: int) -> Tensor:
    """uint8 [3, H, W] => [3, height, width]: in the middle, on white, and reduced if it is larger."""
    if image.shape[1:] == (height, width):
        return image
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    picture.thumbnail((width, height), Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (width, height), "white")
    tile.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    return torch.from_numpy(np.array(tile)).permute(2, 0, 1)
