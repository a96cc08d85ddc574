"""Decoding of image files to uint8 RGB, with a list of the conversions that were needed.

Pillow decodes everything, as it does in the tools that published numbers come from; colour JPEGs are decoded by
simplejpeg if it is installed and equal to Pillow (jpeg.py). torchvision's decoders are 1.2 (PNG) and 1.8 (JPEG) times
faster, but deprecated since 0.29, and a corrupt PNG can crash the process.
"""

import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile
from torch import Tensor

from ganeval.errors import DecodeError
from ganeval.sources.budget import claim
from ganeval.sources.jpeg import fast_decoder
from ganeval.sources.pixels import Unreadable, orientation, to_rgb8, working_bytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """pixels: uint8 [3, H, W]; conversions: the names of those applied ("greyscale", "16-bit", ...)."""

    pixels: Tensor
    conversions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """A file format: its extensions, the bytes it starts with, its reader, and the bytes it ends with."""

    suffixes: tuple[str, ...]
    starts: tuple[bytes, ...]
    reader: Callable[[BytesIO], ImageFile]
    ends: bytes = b""


def _avif(data: BytesIO) -> ImageFile:
    """Pillow reads AVIF from 11.3 on, if it was built with AVIF support."""
    try:
        from PIL.AvifImagePlugin import SUPPORTED, AvifImageFile
    except ImportError:
        SUPPORTED = False
    if not SUPPORTED:
        raise Unreadable("this Pillow cannot read AVIF; install Pillow 11.3 or newer, or convert the image to PNG.")
    return AvifImageFile(data)


FORMATS: Mapping[str, ImageFormat] = MappingProxyType(
    {
        "PNG": ImageFormat((".png", ".apng"), (b"\x89PNG\r\n\x1a\n",), PngImageFile, ends=b"IEND"),
        "JPEG": ImageFormat((".jpg", ".jpeg", ".jpe", ".jfif"), (b"\xff\xd8\xff",), JpegImageFile, ends=b"\xff\xd9"),
        "WebP": ImageFormat((".webp",), (b"RIFF",), WebPImageFile),
        "BMP": ImageFormat((".bmp", ".dib"), (b"BM",), BmpImageFile),
        "TIFF": ImageFormat((".tif", ".tiff"), (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImageFile),
        "GIF": ImageFormat((".gif",), (b"GIF87a", b"GIF89a"), GifImageFile),
        "PPM": ImageFormat((".ppm", ".pgm", ".pbm", ".pnm"), (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"), PpmImageFile),
        # Four bytes of length, followed by the type.
        "AVIF": ImageFormat((".avif",), (b"\0\0\0",), _avif),
    }
)
SUFFIXES: tuple[str, ...] = tuple(suffix for known in FORMATS.values() for suffix in known.suffixes)

# Other files that are often named like images, identified by their first bytes.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"<!doctype html", "an HTML page, perhaps a failed download"),
    (b"<html", "an HTML page, perhaps a failed download"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the real file with `git lfs pull`"),
    (b"pk\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"%pdf", "a PDF document"),
    (b"<svg", "an SVG drawing"),
)
# As `warnings.filters` holds it: action, message, category, module, line.
_REMARKS = ("ignore", None, UserWarning, re.compile(r"PIL\.TiffImagePlugin"), 0)


def decode(data: bytes, name: str) -> Decoded:
    """Decode the bytes of an image file.

    name: the image's name in messages; its extension says which format is expected.
    Raises DecodeError for anything but a whole, correctly named image of a supported format and a safe size.
    """
    try:
        return _decode(data, name)
    except Unreadable as error:
        raise DecodeError(name, str(error)) from error
    except MemoryError as error:
        raise DecodeError(name, "there is not enough memory to decode it.") from error
    # Corrupt bytes make Pillow raise OSError, SyntaxError, ValueError, struct.error, zlib.error, KeyError and more.
    except Exception as error:
        raise DecodeError(name, f"it cannot be decoded ({_one_line(error)}).") from error


def _decode(data: bytes, name: str) -> Decoded:
    _silence_pillow()
    found = sniff(data)
    if found is None:
        raise Unreadable(_what_it_is(data))
    _check_label(found, name)
    known = FORMATS[found]
    if known.ends and data.rfind(known.ends) < 0:
        raise Unreadable(f"the {found} data is truncated after {len(data)} bytes.")

    def open_image() -> ImageFile:
        return known.reader(BytesIO(data))

    image = open_image()
    _check_size(image.size)
    claim(image.size[0] * image.size[1] * working_bytes(image))
    conversions = []
    if getattr(image, "is_animated", False):
        conversions.append("first frame of several")
    if orientation(image.info.get("exif")) != 1:
        conversions.append("EXIF orientation ignored")
    fast = fast_decoder() if found == "JPEG" and image.mode == "RGB" else None
    if fast is not None:
        # Pillow decodes, or refuses, every file that simplejpeg warns about.
        with suppress(ValueError):
            planes = np.ascontiguousarray(fast(data).transpose(2, 0, 1))
            return Decoded(torch.from_numpy(planes), tuple(conversions))
    pixels, converted = to_rgb8(image, open_image)
    return Decoded(torch.from_numpy(pixels).permute(2, 0, 1), (*converted, *conversions))


def _silence_pillow() -> None:
    """Ignore Pillow's warnings about broken EXIF and TIFF tags: they change no pixel.

    The filter holds for the process and that one module, because `warnings.catch_warnings` is not thread-safe.
    """
    if _REMARKS not in warnings.filters:
        warnings.filterwarnings("ignore", category=UserWarning, module=_REMARKS[3].pattern)


def sniff(data: bytes) -> str | None:
    """The format of an image by its first bytes; None for an unsupported one."""
    for name, known in FORMATS.items():
        if data.startswith(known.starts):
            if name == "WebP" and data[8:12] != b"WEBP":
                return None
            if name == "AVIF" and data[4:12] not in (b"ftypavif", b"ftypavis"):
                return None
            if name == "PPM" and not data[2:3].isspace():
                return None
            return name
    return None


def _check_label(found: str, name: str) -> None:
    suffix = "." + name.rpartition(".")[2].lower()
    if suffix in SUFFIXES and suffix not in FORMATS[found].suffixes:
        right = FORMATS[found].suffixes[0]
        raise Unreadable(f"it is named {suffix} but holds {found} data; rename it to {right}, or leave it out.")


def _check_size(size: tuple[int, int]) -> None:
    """Refuse a decompression bomb before it is unpacked, by Pillow's own limit, which users can raise."""
    pixels = size[0] * size[1]
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and pixels > limit:
        raise Unreadable(
            f"it declares {size[0]} x {size[1]} = {pixels:,} pixels, over the limit of {limit:,} "
            "(PIL.Image.MAX_IMAGE_PIXELS); such a file may be a decompression bomb."
        )


def _what_it_is(data: bytes) -> str:
    if not data:
        return "the file is empty (0 bytes)."
    start = data[:64].lstrip().lower()
    for prefix, what in _OTHERS:
        if start.startswith(prefix):
            return f"it is not an image but {what}."
    if data[4:8] == b"ftyp":
        return "it is a HEIC or video file, which is not supported; convert it to PNG."
    return f"it is not an image of a supported format; it starts with the bytes {data[:8].hex(' ')}."


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
