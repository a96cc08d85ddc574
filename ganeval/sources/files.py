"""Code shared by folders and archives: which names are images, their order, class numbers, and content digests."""

import lzma
import os
import stat
import struct
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import IO

from natsort import natsorted

from ganeval.errors import DecodeError, SourceError
from ganeval.places import FileFingerprint, Place, RemotePath, file_fingerprints, size_of
from ganeval.printable import printable
from ganeval.sources.budget import claim
from ganeval.sources.decode import SUFFIXES, decode
from ganeval.sources.items import Item
from ganeval.sources.known_layouts import layout_hint

DIGEST_SIZE = 16
# The maximum length of a file name.
MAX_DIGITS = 255
# Pillow's limit of pixels in four channels of 16 bits. A larger file is not an image, or is a decompression bomb.
ENCODED_LIMIT = 8 * 89_478_485
# Exceptions of Python's archive readers for corrupt archives.
CORRUPT = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError, OverflowError),
    # For an unknown compression method, and for endlessly nested headers.
    RuntimeError,
)
# Compressed bytes of bzip2 and LZMA that are inflated at a time: 40 bytes of bzip2 can inflate to 45 MB.
STEP = 64
# Maximum length of another library's error message within ours.
MAX_REASON = 200
# The coarsest resolution of file times in use: that of FAT.
FINENESS_NS = 2_000_000_000


def digest_of(*parts: bytes | memoryview) -> bytes:
    """16 bytes of BLAKE2b over the parts, each preceded by its length."""
    state = blake2b(digest_size=DIGEST_SIZE)
    for part in parts:
        state.update(memoryview(part).nbytes.to_bytes(8, "little"))
        state.update(part)
    return state.digest()


def load_encoded(data: bytes, name: str, label: int | None) -> Item:
    """Decode the bytes of an image file; the item's digest is that of the encoded bytes."""
    decoded = decode(data, name)
    return Item(decoded.pixels, digest_of(data), decoded.conversions, label)


def read_image_file(path: Place) -> bytes:
    """The bytes of an image file; DecodeError if it cannot be read, is too large, or is not a regular file."""
    try:
        if isinstance(path, RemotePath):
            count = size_of(path)
        else:
            seen = path.stat()
            if not stat.S_ISREG(seen.st_mode):
                raise DecodeError(str(path), "it is a pipe, a device or a folder, not a file.")
            count = seen.st_size
        if count > ENCODED_LIMIT:
            size = f"{count:,} bytes"
            raise DecodeError(str(path), f"it has {size}; no image has over {ENCODED_LIMIT:,}, even uncompressed.")
        claim(count)
        return path.read_bytes()
    except OSError as error:
        raise DecodeError(str(path), f"it cannot be read ({error.strerror or error}).") from error


def is_image(name: str) -> bool:
    """Whether a file is an image by its extension, in any letter case."""
    return name.lower().endswith(SUFFIXES)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or made by the operating system, by the last part of its name."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db")


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names with 2 before 10; names that differ only in leading zeros keep their plain order."""
    return natsorted(sorted(names))


def class_numbers(names: Sequence[str]) -> list[int] | None:
    """Convert class names to whole numbers.

    Args:
        names: The names.

    Returns:
        Their numbers; None unless all are numbers, and all are different.
    """
    if not all(name.isascii() and name.isdigit() for name in names):
        return None
    # Python refuses to convert numbers of thousands of digits.
    if any(len(name) > MAX_DIGITS for name in names):
        return None
    numbers = [int(name) for name in names]
    # Labels are int64.
    fit = len(set(numbers)) == len(numbers) and max(numbers, default=0) < 1 << 63
    return numbers if fit else None


def no_images(where: str, others: Iterable[str]) -> SourceError:
    """The error for a folder or archive without images: what was expected, and what was found."""
    others = sorted(others)
    found = Counter(PurePosixPath(name).suffix.lower() or "no extension" for name in others)
    seen = ", ".join(f"{count} x {printable(suffix)}" for suffix, count in found.most_common(8)) or "nothing at all"
    return SourceError(
        f"{where} holds no images. Looked for {' '.join(SUFFIXES)}; found {seen}.{layout_hint(where, others)}"
    )


def is_settled(seen: Iterable[FileFingerprint]) -> bool:
    """Whether a file written from now on gets a later time than these files; call it before reading them."""
    return time.time_ns() - max(file.changed_ns for file in seen) > FINENESS_NS


class Opened:
    """The identity of files just before they are opened, to detect changes while they are read.

    Create it before the files are opened. Raises SourceError when one of them does not exist.
    """

    def __init__(self, paths: Sequence[Place]) -> None:
        self.paths = paths
        self._before = file_fingerprints(paths)
        for path, seen in zip(paths, self._before, strict=True):
            if seen is None:
                raise SourceError(f"{path} cannot be read (No such file or directory).")

    def identity(self) -> tuple[bytes, bool] | None:
        """A digest that changes when one of them is touched, and whether they are settled.

        None if they changed, or if a remote file has no property that changes with it.
        """
        seen = [file for file in file_fingerprints(self.paths) if file is not None and file.identity is not None]
        if seen != self._before:
            return None
        return digest_of(*(file.identity or b"" for file in seen)), is_settled(seen)


def told(error: Exception) -> str:
    """The message of an exception, on one line and of a bounded length."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    text = printable(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= MAX_REASON else f"{text[:MAX_REASON]}..."


def inflated(stream: IO[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of an open member of a zip, in pieces of a bounded size."""
    size = 1 << 20
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and isinstance(stream, zipfile.ZipExtFile):
        # For these methods, `read` inflates everything it has read, even if fewer bytes are requested.
        size = stream.MIN_READ_SIZE = STEP
    while piece := stream.read(size):
        yield piece


def spool(stream: IO[bytes]) -> IO[bytes]:
    """Copy the rest of a stream to an unnamed temporary file, which is deleted when it is closed."""
    return spool_pieces(iter(lambda: stream.read(1 << 20), b""))


def spool_pieces(pieces: Iterable[bytes]) -> IO[bytes]:
    """Copy pieces of bytes to an unnamed temporary file, as `spool` does."""
    spooled = tempfile.TemporaryFile()  # noqa: SIM115 - the caller keeps it
    try:
        spooled.writelines(pieces)
        spooled.seek(0)
    except BaseException:
        spooled.close()
        raise
    return spooled


def open_zip_file(path: Place) -> zipfile.ZipFile:
    """A .zip or .npz, local or remote, to read from."""
    return zipfile.ZipFile(path if isinstance(path, Path) else path.open())


def refuse_pickle(path: Place) -> None:
    """Raise SourceError for a Python pickle, detected by name or content: loading one runs code."""
    if path.suffix.lower() in (".pkl", ".pickle") or _is_pickle(path):
        raise SourceError(
            f"{path} is a pickle, and pickles of images are never loaded, because loading one runs code. "
            f"{from_pickle(path)}"
        )


def from_pickle(path: Place) -> str:
    """Advice on how to convert a pickle of images or of statistics."""
    pickled = f"numpy.load('{path}', allow_pickle=True)" if path.suffix.lower() in (".npy", ".npz") else None
    load = f"pickle.load(open('{path}', 'rb'))" if pickled is None else pickled
    item = ".item()" if path.suffix.lower() == ".npy" else ""
    return (
        "If it holds images, convert it once, if you trust it, to numpy.savez('images.npz', arr_0=images) of uint8 "
        f"[N, height, width, 3]. As REAL, statistics in a .pkl of a known layout are read without running code. "
        f"If it holds statistics: d = {load}{item}; "
        f"numpy.savez('{path.stem}-statistics.npz', mu=d['mu'], sigma=d['sigma'])"
    )


def _is_pickle(path: Place) -> bool:
    """Whether a file is a pickle, by its first bytes, and for protocol 0, which is text, its last byte."""
    try:
        with path.open("rb") as file:
            start = file.read(3)
            file.seek(-min(1, file.seek(0, os.SEEK_END)), os.SEEK_END)
            last = file.read(1)
    except OSError:
        return False
    if start[:1] == b"\x80":
        return start[1:2] in (b"\2", b"\3", b"\4", b"\5")
    return last == b"." and start in (b"(dp", b"(lp", b"cnu", b"cco", b"ccl")
