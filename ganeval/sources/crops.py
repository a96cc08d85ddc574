"""Data sets that need no network: square crops of the photographs that scikit-learn and scikit-image ship.

An image is split by rows: the lowest 30%, rounded down, are for "test", and all others for "train", so no pixel is in
both. Crops for training overlap: their stride is a quarter of their side. Crops for testing, and of a whole image, do
not overlap; they start at the top left corner, and a remainder on the right and below is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganeval.errors import SourceError, UsageError, did_you_mean
from ganeval.sources.arrays import ArrayItems
from ganeval.sources.labels import Labelling

SIDE = 64
# Smaller crops would be very many and show little.
SMALLEST = 8
TEST_PERCENT = 30
SPLITS = ("train", "test")
PHOTOGRAPHS = ("china", "flower")
# Of scikit-image: four photographs in colour, three textures in grey, and faces.
SKIMAGE = ("astronaut", "chelsea", "coffee", "rocket", "brick", "grass", "gravel", "faces")
# The first images of lfw_subset; every fourth of them, from the first on, is for testing.
FACES, TEST_EVERY = 100, 4
MAX_DIGITS = 6


@dataclass(frozen=True, slots=True)
class _CropSpec:
    """Which crops: their part (None for the whole image) and their side (None for the default)."""

    spec: str
    split: str | None
    side: int | None

    def crops(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [H, W, C] to [N, side, side, C]; UsageError for a side that does not fit into the part."""
        side = SIDE if self.side is None else self.side
        border = len(image) - len(image) * TEST_PERCENT // 100
        part = {"train": image[:border], "test": image[border:], None: image}[self.split]
        largest = min(part.shape[:2])
        if not SMALLEST <= side <= largest:
            raise UsageError(f"'{self.spec}': crops have {SMALLEST} to {largest} pixels a side here, not {side}.")
        step = max(1, side // 4) if self.split == "train" else side
        windows = np.lib.stride_tricks.sliding_window_view(part, (side, side), axis=(0, 1))[::step, ::step]
        return np.ascontiguousarray(windows.transpose(0, 1, 3, 4, 2)).reshape(-1, side, side, image.shape[2])


def photographs(rest: str) -> ArrayItems:
    """Crops of scikit-learn's photographs china and flower (427 x 640), the classes 0 and 1: `train|test[:SIDE]`."""
    form = "photos:train or photos:test, and :SIDE after it for crops of another side than 64"
    wanted = _wanted(f"photos:{rest}", rest.split(":"), form)
    if wanted.split is None:
        raise _not_understood(wanted.spec, form)
    from sklearn.datasets import load_sample_image

    crops = [wanted.crops(load_sample_image(f"{name}.jpg")) for name in PHOTOGRAPHS]
    labels = [label for label, some in enumerate(crops) for _ in some]
    return ArrayItems(
        np.concatenate(crops), name=wanted.spec, kind="photos", labels=Labelling(labels, PHOTOGRAPHS, "the photograph")
    )


def skimage_set(rest: str) -> ArrayItems:
    """Crops of an image of scikit-image, or its faces, 25 x 25: `NAME[:train|test][:SIDE]`."""
    name, *words = rest.split(":")
    if name not in SKIMAGE:
        raise UsageError(f"'skimage:{rest}' names no image of scikit-image; {did_you_mean(name, SKIMAGE)}")
    form = "skimage:NAME, and after it :train or :test for a part, and :SIDE for crops of another side than 64"
    wanted = _wanted(f"skimage:{rest}", words, form)
    images = _faces(wanted) if name == "faces" else wanted.crops(_shipped(name))
    return ArrayItems(images, name=wanted.spec, kind="skimage")


def _faces(wanted: _CropSpec) -> NDArray[np.uint8]:
    """uint8 [N, 25, 25, 1]."""
    if wanted.side is not None:
        raise UsageError(f"'{wanted.spec}': the faces are whole images of 25 x 25 pixels; they have no crops.")
    faces = np.rint(_shipped("lfw_subset")[:FACES, :, :, 0] * 255).astype(np.uint8)[..., None]
    test = np.arange(len(faces)) % TEST_EVERY == 0
    chosen: NDArray[np.uint8] = faces[{"train": ~test, "test": test, None: np.ones_like(test)}[wanted.split]]
    return chosen


def _shipped(name: str) -> NDArray[Any]:
    """An array of scikit-image's data, with an axis for the channels."""
    try:
        from skimage import data

        found = np.asarray(getattr(data, name)())
    except ImportError as error:
        raise SourceError(
            f"skimage: needs the package scikit-image, which cannot be imported ({error}); install it with "
            f"`pip install scikit-image`. It has: {', '.join(SKIMAGE)}. photos:train and photos:test need no other "
            "package."
        ) from error
    except Exception as error:
        # Images that the installed version does not ship are downloaded.
        raise SourceError(f"scikit-image cannot load its image {name} ({type(error).__name__}: {error}).") from error
    return found if found.shape[-1] == 3 else found[..., None]


def _wanted(spec: str, words: Sequence[str], form: str) -> _CropSpec:
    """The request after the name: a part, a side, both in this order, or nothing."""
    rest = list(words)
    split = rest.pop(0) if rest and rest[0] in SPLITS else None
    side = rest.pop(0) if rest and rest[0].isascii() and rest[0].isdigit() and len(rest[0]) < MAX_DIGITS else None
    if rest:
        raise _not_understood(spec, form)
    return _CropSpec(spec, split, None if side is None else int(side))


def _not_understood(spec: str, form: str) -> UsageError:
    return UsageError(f"'{spec}' is not understood; write {form}.")
