"""Conversion of Pillow images of any mode to 8-bit RGB: greyscale repeated, alpha composited on white, 16-bit scaled.

16 bits become 8 by rounding v / 257, not by dropping the low byte. Images are converted in bands of rows, so that
little memory is used beyond Pillow's copy and the result.
"""

import struct
from collections.abc import Callable
from sys import byteorder

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from ganeval.array_types import PixelArray

Open = Callable[[], ImageFile.ImageFile]
# Rows from `top` to `bottom` of an image, [bottom - top, W, C].
ReadRows = Callable[[int, int], NDArray[np.generic]]
# Number of pixels that are converted at a time.
BAND_PIXELS = 1 << 18
# 16-bit samples that use at most this many bits are probably unscaled 10-, 12- or 14-bit camera samples.
FEW_BITS = 14

_NAMES = {"1": "1-bit", "L": "greyscale", "LA": "greyscale", "P": "palette", "PA": "palette", "CMYK": "CMYK"}
_OTHER_COLOURS = ("YCbCr", "HSV")


class Unreadable(Exception):  # noqa: N818 - it is caught one level up, where the image's name is known
    """An image cannot be read; the message is a sentence without the image's name."""


def to_rgb8(image: ImageFile.ImageFile, reopen: Open) -> tuple[PixelArray, tuple[str, ...]]:
    """Convert an opened, not yet loaded image to a new array, uint8 [H, W, 3]; also the names of the conversions.

    reopen: opens the same image again, for formats that Pillow can only read in two passes.
    """
    if ";16" in _rawmode(image) or (image.mode == "I" and image.format == "PPM"):
        return _from_16_bit(image, reopen)
    return loaded_to_rgb8(image)


def working_bytes(image: ImageFile.ImageFile) -> int:
    """Bytes per pixel while decoding: four in Pillow's copy (eight for 16 bits), and three in ours."""
    return (8 if ";16" in _rawmode(image) else 4) + 3


def loaded_to_rgb8(image: Image.Image) -> tuple[PixelArray, tuple[str, ...]]:
    """Convert a Pillow image to a new array, uint8 [H, W, 3]; also the names of the conversions."""
    image.load()
    mode = image.mode
    if mode.startswith("I;16"):
        return _scaled(image.size, lambda top, bottom: _rows(image, top, bottom), image.info.get("transparency"))
    if mode == "RGB" and not image.has_transparency_data:
        return _banded(image.size, lambda top, bottom: _rows(image, top, bottom)), ()
    conversions = [_NAMES[mode]] if mode in _NAMES else []
    if image.has_transparency_data:
        pixels = _banded(image.size, lambda top, bottom: _composited(image, top, bottom))
        return pixels, (*conversions, "alpha on white")
    if mode in _NAMES or mode in _OTHER_COLOURS:
        pixels = _banded(image.size, lambda top, bottom: np.asarray(_band(image, top, bottom).convert("RGB")))
        return pixels, tuple(conversions) or (mode,)
    raise Unreadable(f"its pixels are of the kind '{mode}', which has no agreed range; convert it to 8-bit PNG.")


def _banded(size: tuple[int, int], read: ReadRows) -> PixelArray:
    """All rows of an image, [H, W, 3], from bands uint8 [h, W, 3] or [h, W, 1]; stored plane by plane."""
    width, height = size
    planes = np.empty((3, height, width), np.uint8)
    step = max(1, BAND_PIXELS // width)
    for top in range(0, height, step):
        planes[:, top : top + step] = read(top, min(top + step, height)).transpose(2, 0, 1)
    return planes.transpose(1, 2, 0)


def _band(image: Image.Image, top: int, bottom: int) -> Image.Image:
    return image if bottom - top == image.height else image.crop((0, top, image.width, bottom))


def _rows(image: Image.Image, top: int, bottom: int) -> NDArray[np.generic]:
    """Unchanged rows, [h, W, C]."""
    rows = np.asarray(_band(image, top, bottom))
    return rows[..., None] if rows.ndim == 2 else rows


def _composited(image: Image.Image, top: int, bottom: int) -> PixelArray:
    rgba = np.asarray(_band(image, top, bottom).convert("RGBA"))
    return on_white(rgba[..., :3], rgba[..., 3:], 255).astype(np.uint8)


def on_white(colour: NDArray[np.integer], alpha: NDArray[np.integer], top: int) -> NDArray[np.int64]:
    """Composite colour [H, W, C] with alpha [H, W, 1], both on 0..top, on white; rounded to nearest."""
    wide = colour.astype(np.int64)
    opacity = alpha.astype(np.int64)
    return (wide * opacity + top * (top - opacity) + top // 2) // top


def orientation(exif: object) -> int:
    """The orientation (1..8) an EXIF block declares; 1 where there is none or it cannot be parsed."""
    if not isinstance(exif, bytes):
        return 1
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, first)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", block, first + 2 + 12 * entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


# Pillow keeps the high byte of each 16-bit sample; reading in the other byte order gives the low byte.
_SWAPPED = {"B": "L", "L": "B", "N": "B" if byteorder == "little" else "L"}


def _from_16_bit(image: ImageFile.ImageFile, reopen: Open) -> tuple[PixelArray, tuple[str, ...]]:
    """Convert a file of 16-bit samples to uint8 [H, W, 3]; alpha is composited before rounding."""
    transparent = image.info.get("transparency")
    return _scaled(image.size, _samples_16_bit(image, reopen), transparent)


def _scaled(size: tuple[int, int], read: ReadRows, transparent: object) -> tuple[PixelArray, tuple[str, ...]]:
    """Scale 16-bit samples, read as bands [h, W, 1 to 4], to uint8 [H, W, 3]. transparent: that colour, or None."""
    largest, channels, has_alpha = 0, 0, False

    def rounded(top: int, bottom: int) -> PixelArray:
        nonlocal largest, channels, has_alpha
        colour, alpha = read(top, bottom).astype(np.int64), None
        if colour.shape[2] in (2, 4):
            colour, alpha = colour[..., :-1], colour[..., -1:]
        elif transparent is not None:
            alpha = 65535 * (colour != np.array(transparent)).any(2, keepdims=True).astype(np.int64)
        largest, channels, has_alpha = max(largest, int(colour.max())), colour.shape[2], alpha is not None
        if alpha is not None:
            colour = on_white(colour, alpha, 65535)
        return ((colour + 128) // 257).astype(np.uint8)

    pixels = _banded(size, rounded)
    conversions = ["16-bit"]
    if largest.bit_length() <= FEW_BITS:
        conversions.append(bits_used(largest.bit_length()))
    if channels == 1:
        conversions.append("greyscale")
    if has_alpha:
        conversions.append("alpha on white")
    return pixels, tuple(conversions)


def bits_used(bits: int) -> str:
    """The conversion of a 16-bit image whose samples are all below 2^bits."""
    return f"{bits} of 16 bits used"


def _samples_16_bit(image: ImageFile.ImageFile, reopen: Open) -> ReadRows:
    """All 16 bits of every sample, by rows, [h, W, 1 to 4]."""
    rawmode = _rawmode(image)
    if image.mode.startswith("I"):
        image.load()
        return lambda top, bottom: _rows(image, top, bottom)
    if rawmode == "LA;16B":
        # Four bytes per pixel, which can be read as RGBA.
        high_low = _load_as(image, "RGBA")
        return lambda top, bottom: high_low(top, bottom) @ np.array([[256, 0], [1, 0], [0, 256], [0, 1]])
    colours, _, order = rawmode.partition(";16")
    if colours not in ("RGB", "RGBA") or order not in _SWAPPED:
        raise Unreadable(f"its 16-bit samples are laid out as '{rawmode}', which is not supported; convert it to PNG.")
    high, low = _load_as(image, rawmode), _load_as(reopen(), f"{colours};16{_SWAPPED[order]}")
    return lambda top, bottom: high(top, bottom) * 256 + low(top, bottom)


def _rawmode(image: ImageFile.ImageFile) -> str:
    """Pillow's name for the layout of the file's samples; empty where the format has a decoder of its own."""
    if not image.tile:
        return ""
    arguments = image.tile[0].args
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _load_as(image: ImageFile.ImageFile, rawmode: str) -> Callable[[int, int], NDArray[np.int64]]:
    """The rows of an image, with its bytes read as another layout."""
    image.tile = [
        tile._replace(args=rawmode if isinstance(tile.args, str) else (rawmode, *(tile.args or ())[1:]))
        for tile in image.tile
    ]
    image.load()
    return lambda top, bottom: _rows(image, top, bottom).astype(np.int64)
