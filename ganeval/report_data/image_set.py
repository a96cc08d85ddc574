"""One set of images with its features and thumbnails."""

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganeval.errors import UsageError
from ganeval.report.data import Picture
from ganeval.results import Evaluation
from ganeval.sources.base import Source
from ganeval.sources.chosen import images_at

# The longest side of a thumbnail. Smaller images are kept as they are, larger ones are reduced and kept as JPEG.
LARGEST, QUALITY = 96, 88


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The features of one set. name: "real" or "fake"; rows of arrays are its images without skipped ones.

    features: float32 [N, D]. logits: float32 [N, classes], None where there are none. labels: int64 [N] or None.
    """

    name: str
    source: Source
    features: Tensor
    logits: Tensor | None = None
    labels: Tensor | None = None
    class_names: Sequence[str] | None = None
    skipped: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.features)

    def key(self, row: int) -> str:
        """The key of the picture of a row in the report data."""
        return f"{self.name}-{row}"

    def sample(self, count: int, seed: int) -> Tensor:
        """At most this many random rows, in ascending order, int64."""
        order = np.random.RandomState(seed).permutation(len(self))[:count]
        return torch.from_numpy(np.sort(order))

    def indices(self, rows: Collection[int]) -> dict[int, int]:
        """The index in the source of each of these rows."""
        if not self.skipped:
            return {row: row for row in rows}
        places = np.delete(np.arange(len(self) + len(self.skipped)), list(self.skipped))
        return {row: int(places[row]) for row in rows}

    def images(self, rows: Collection[int]) -> Mapping[int, Tensor]:
        """The images of these rows, uint8 [3, H, W] each; SourceError if they are gone."""
        indices = self.indices(rows)
        images = images_at(self.source, indices.values())
        return {row: images[index] for row, index in indices.items()}

    def pictures(self, rows: Collection[int]) -> tuple[dict[str, Picture], dict[str, bytes]]:
        """Pictures and thumbnails of these rows, by key."""
        pictures, thumbnails = {}, {}
        indices = self.indices(rows)
        for row, image in self.images(rows).items():
            height, width = image.shape[1:]
            name = self.source.item_name(indices[row])
            # Bytes of a file name that are not text cannot be written as text.
            readable = name.encode("utf-8", "backslashreplace").decode("utf-8")
            pictures[self.key(row)] = Picture(readable, indices[row], width, height)
            thumbnails[self.key(row)] = thumbnail(image)
        return pictures, thumbnails


def image_set_of(evaluation: Evaluation, name: Literal["real", "fake"]) -> ImageSet:
    """One side of an evaluation; UsageError if it has only stored statistics, or nothing."""
    found = evaluation.real if name == "real" else evaluation.fake
    if found is None or not found.arrays or found.source is None:
        raise UsageError(f"The {name} images themselves are needed; there are only statistics of them.")
    return ImageSet(
        name,
        found.source,
        # An inception score uses only logits; images are then chosen by these.
        found.arrays["features"] if "features" in found.arrays else next(iter(found.arrays.values())),
        logits=found.arrays.get("logits"),
        labels=found.labels,
        class_names=found.class_names,
        skipped=found.report.skipped_indices,
    )


def thumbnail(image: Tensor) -> bytes:
    """uint8 [3, H, W] => PNG as it is, or JPEG no larger than LARGEST."""
    picture, buffer = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()), io.BytesIO()
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    else:
        picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
