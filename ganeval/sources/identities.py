"""A data set of identities that needs no network: coloured handwritten digits, two renderings of each.

An identity is a digit, a slant and a colour; its renderings are two handwritten digits of scikit-learn with that slant.
The colour is visible only in a middle square of half the side: an image with a hole there shows the digit and the
slant, and the other rendering shows the colour.
"""

import colorsys

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganeval.errors import UsageError, did_you_mean
from ganeval.sources.arrays import ArrayItems
from ganeval.sources.datasets import digits
from ganeval.sources.labels import Labelling

SIDE = 16
# Number of identities in each part, and the seed of their digits, slants and colours.
PARTS = {"train": (1000, 0), "test": (200, 1)}
RENDERINGS = 2
# The largest shift of a row by the slant, as a share of its distance from the middle.
STEEPEST = 0.4


def identities(part: str) -> ArrayItems:
    """Both renderings of 1,000 identities ("train") or of 200 others of other handwriting ("test"), 16 x 16, in colour.

    Images 2i and 2i + 1 are the renderings of identity i, which is their class.
    """
    if part not in PARTS:
        raise UsageError(f"'identities:{part}' names no part of identities; {did_you_mean(part, list(PARTS))}")
    count, seed = PARTS[part]
    rng = np.random.default_rng(seed)
    written = digits(part)
    assert written.labels is not None
    classes = np.asarray(written.labels)
    inks = written.load_together(range(len(classes))).batch.groups[0].images[:, 0].numpy()
    images = np.empty((count * RENDERINGS, SIDE, SIDE, 3), np.uint8)
    for identity in range(count):
        rows = np.flatnonzero(classes == rng.integers(10))
        slant, colour = rng.uniform(-STEEPEST, STEEPEST), colorsys.hsv_to_rgb(rng.uniform(), 1.0, 1.0)
        for number, row in enumerate(rng.choice(rows, RENDERINGS, replace=False)):
            images[identity * RENDERINGS + number] = _rendered(inks[row], slant, colour)
    labels = [identity for identity in range(count) for _ in range(RENDERINGS)]
    return ArrayItems(
        images, name=f"identities:{part}", kind="identities", labels=Labelling(labels, origin="the identities")
    )


def _rendered(ink: NDArray[np.uint8], slant: float, colour: tuple[float, float, float]) -> NDArray[np.uint8]:
    """uint8 [8, 8] => uint8 [SIDE, SIDE, 3]: larger, slanted, and coloured in the middle."""
    large = Image.fromarray(ink).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    shear = (1, slant, -slant * SIDE / 2, 0, 1, 0)
    slanted = np.asarray(large.transform((SIDE, SIDE), Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR))
    image = np.repeat(slanted[..., None], 3, axis=2)
    middle = slice(SIDE // 4, SIDE // 4 + SIDE // 2)
    image[middle, middle] = np.rint(image[middle, middle] * np.array(colour)).astype(np.uint8)
    return image
