"""A faster JPEG decoder, used if the package simplejpeg is installed and gives the same pixels as Pillow."""

import io
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np
from PIL import Image

from ganeval.array_types import PixelArray

# A file to uint8 [H, W, 3]; ValueError for a file with any warning.
Decoder = Callable[[bytes], PixelArray]
# Sizes that are whole blocks and not, qualities, and chroma subsampling: none, horizontal, both directions.
SIZES, QUALITIES, SUBSAMPLINGS = ((32, 48), (37, 53)), (30, 90, 100), (0, 1, 2)


@cache
def fast_decoder() -> Decoder | None:
    """simplejpeg's decoder of colour pictures; None if it is not installed, or not equal to this Pillow's.

    Each package has its own libjpeg-turbo, and versions may round differently: so both decode test images of each kind,
    once per process.
    """
    try:
        package: Any = import_module("simplejpeg")
    except ImportError:
        return None

    def decode(data: bytes) -> PixelArray:
        pixels: PixelArray = package.decode_jpeg(data, colorspace="RGB")
        return pixels

    same = all(np.array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data)))) for data in pictures())
    return decode if same else None


def pictures() -> Iterator[bytes]:
    """Small colour JPEGs of each kind: smooth, with edges and noise."""
    rng = np.random.RandomState(0)
    for (height, width), quality, subsampling in product(SIZES, QUALITIES, SUBSAMPLINGS):
        rows, columns = np.mgrid[:height, :width]
        waves = np.stack([np.sin(rows / 5), np.cos(columns / 7), np.sin((rows + columns) / 3)], 2)
        picture = 127 + 90 * waves + 40 * (columns[..., None] > width // 2) + rng.normal(0, 10, waves.shape)
        image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
        for progressive in (False, True):
            into = io.BytesIO()
            image.save(into, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive)
            yield into.getvalue()
