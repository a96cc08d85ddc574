"""An opened image of any mode => 8-bit RGB pixels: greyscale repeated, alpha composited on white, 16-bit scaled.

16 bits become 8 by rounding v / 257, never by dropping the low byte.
"""

import struct
from collections.abc import Callable
from sys import byteorder

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

Pixels = NDArray[np.uint8]
Open = Callable[[], ImageFile.ImageFile]

_NAMES = {"1": "1-bit", "L": "greyscale", "LA": "greyscale", "P": "palette", "PA": "palette", "CMYK": "CMYK"}
_OTHER_COLOURS = ("YCbCr", "HSV")


class Unreadable(Exception):  # noqa: N818 - it is caught one level up, where the image's name is known
    """Why an image cannot be read, in a sentence without its name."""


def to_rgb8(image: ImageFile.ImageFile, reopen: Open) -> tuple[Pixels, tuple[str, ...]]:
    """An opened, not yet loaded image => uint8 [H, W, 3] of its own memory, and the conversions in words.

    reopen: opens the same image once more, for what Pillow can only read in two passes.
    """
    if ";16" in _rawmode(image) or (image.mode == "I" and image.format == "PPM"):
        return _from_16_bit(image, reopen)
    return loaded_to_rgb8(image)


def loaded_to_rgb8(image: Image.Image) -> tuple[Pixels, tuple[str, ...]]:
    """An image that Pillow can hold whole => uint8 [H, W, 3] of its own memory, and the conversions in words."""
    image.load()
    mode = image.mode
    if mode.startswith("I;16"):
        return _scaled(np.array(image).astype(np.int64)[..., None], image.info.get("transparency"))
    if mode == "RGB" and not image.has_transparency_data:
        return np.array(image), ()
    conversions = [_NAMES[mode]] if mode in _NAMES else []
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return on_white(rgba[..., :3], rgba[..., 3:], 255).astype(np.uint8), (*conversions, "alpha on white")
    if mode in _NAMES:
        return np.array(image.convert("RGB")), tuple(conversions)
    if mode in _OTHER_COLOURS:
        return np.array(image.convert("RGB")), (mode,)
    raise Unreadable(f"its pixels are of the kind '{mode}', which has no agreed range; convert it to 8-bit PNG.")


def on_white(colour: NDArray[np.integer], alpha: NDArray[np.integer], top: int) -> NDArray[np.int64]:
    """colour [H, W, C] and alpha [H, W, 1] on 0..top => the colour composited on white, rounded to nearest."""
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


# Pillow keeps one byte of each 16-bit sample: the high one. Read in the other byte order, it keeps the low one.
_SWAPPED = {"B": "L", "L": "B", "N": "B" if byteorder == "little" else "L"}


def _from_16_bit(image: ImageFile.ImageFile, reopen: Open) -> tuple[Pixels, tuple[str, ...]]:
    """A file of 16 bits a sample => uint8 [H, W, 3]; alpha is composited before anything is rounded."""
    transparent = image.info.get("transparency")
    return _scaled(_samples_16_bit(image, reopen), transparent)


def _scaled(samples: NDArray[np.int64], transparent: object) -> tuple[Pixels, tuple[str, ...]]:
    """16-bit samples [H, W, 1 to 4], and the colour that is transparent, if one is => uint8 [H, W, 3]."""
    colour, alpha = samples, None
    if samples.shape[2] in (2, 4):
        colour, alpha = samples[..., :-1], samples[..., -1:]
    elif transparent is not None:
        alpha = 65535 * (samples != np.array(transparent)).any(2, keepdims=True).astype(np.int64)
    conversions = ["16-bit"]
    if colour.shape[2] == 1:
        conversions.append("greyscale")
    if alpha is not None:
        colour = on_white(colour, alpha, 65535)
        conversions.append("alpha on white")
    rounded = ((colour + 128) // 257).astype(np.uint8)
    return np.array(np.broadcast_to(rounded, (*rounded.shape[:2], 3)), order="C"), tuple(conversions)


def _samples_16_bit(image: ImageFile.ImageFile, reopen: Open) -> NDArray[np.int64]:
    """All 16 bits of every sample, int64 [H, W, 1 to 4]."""
    rawmode = _rawmode(image)
    if image.mode.startswith("I"):
        image.load()
        return np.array(image).astype(np.int64)[..., None]
    if rawmode == "LA;16B":
        # Four bytes a pixel, which is what RGBA takes as they come.
        grey_high, grey_low, alpha_high, alpha_low = np.moveaxis(_load_as(image, "RGBA"), 2, 0)
        return np.stack([grey_high * 256 + grey_low, alpha_high * 256 + alpha_low], 2)
    colours, _, order = rawmode.partition(";16")
    if colours not in ("RGB", "RGBA") or order not in _SWAPPED:
        raise Unreadable(f"its 16-bit samples are laid out as '{rawmode}', which is not supported; convert it to PNG.")
    return _load_as(image, rawmode) * 256 + _load_as(reopen(), f"{colours};16{_SWAPPED[order]}")


def _rawmode(image: ImageFile.ImageFile) -> str:
    """How the file lays its samples out, in Pillow's words; empty where a decoder of its own knows."""
    if not image.tile:
        return ""
    arguments = image.tile[0].args
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _load_as(image: ImageFile.ImageFile, rawmode: str) -> NDArray[np.int64]:
    image.tile = [
        tile._replace(args=rawmode if isinstance(tile.args, str) else (rawmode, *(tile.args or ())[1:]))
        for tile in image.tile
    ]
    image.load()
    return np.array(image).astype(np.int64)
