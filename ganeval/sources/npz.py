"""Arrays of images in .npy and .npz files, mapped instead of loaded, so that memory stays flat.

`numpy.savez` (and ADM's tool) stores members uncompressed: those are mapped where they lie. Compressed ones are
inflated once into a nameless temporary file. Headers are read by numpy; pickled objects are refused before loading.
"""

import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ganeval.errors import SourceError
from ganeval.sources.arrays import AnyArray, ArrayItems
from ganeval.sources.files import Opened, spool

_IMAGES = ("arr_0", "images", "samples")
_LABELS = ("arr_1", "labels")
# A local file header in a zip: its fixed part, and where the lengths of the two variable fields stand in it.
_LOCAL_HEADER, _LENGTHS = 30, slice(26, 30)


@dataclass(frozen=True, slots=True)
class _Header:
    """What an .npy header says. size: bytes of the header itself."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]
    size: int

    @property
    def data_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def open_npy(path: Path) -> ArrayItems:
    """The images in a .npy file: uint8, NHWC or NCHW."""
    try:
        file = Opened([path])
        with path.open("rb") as stream:
            header = _read_header(stream, str(path))
        if path.stat().st_size < header.size + header.data_bytes:
            raise SourceError(f"{path} is truncated: {path.stat().st_size:,} bytes, but it declares {header.shape}.")
        array = _map(path, header, header.size)
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error}).") from error
    return ArrayItems(array, name=str(path), kind="npy", file=file)


def open_npz(path: Path) -> ArrayItems:
    """The images in a .npz (`arr_0`, `images`, `samples`, or its only array of four axes), and labels beside them.

    `class_names` is what labels 0, 1, ... are called, where there is an image of each.
    """
    try:
        file = Opened([path])
        with zipfile.ZipFile(path) as archive:
            headers = {name.removesuffix(".npy"): _member_header(archive, name, path) for name in archive.namelist()}
            if {"mu", "sigma"} <= set(headers):
                raise SourceError(
                    f"{path} holds statistics (mu, sigma), not images; use it as the real reference only."
                )
            name = _image_name(headers, path)
            images = _map_member(archive, name, headers[name], path)
            labels = _labels(archive, headers, headers[name].shape[0], path)
            class_names = _class_names(archive, headers, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise SourceError(f"{path} cannot be read as an .npz file; it may be truncated ({error}).") from error
    items = ArrayItems(images, name=str(path), kind="npz", labels=labels, file=file)
    if items.labels is not None and len(class_names) == len(set(items.labels)):
        items.class_names = class_names
    return items


def _image_name(headers: dict[str, _Header], path: Path) -> str:
    for name in _IMAGES:
        if name in headers:
            return name
    like_images = [name for name, header in headers.items() if len(header.shape) == 4]
    if len(like_images) == 1:
        return like_images[0]
    found = ", ".join(f"{name} {list(header.shape)}" for name, header in headers.items()) or "nothing"
    raise SourceError(
        f"{path} holds no array that is clearly the images; name it one of {', '.join(_IMAGES)}. Found: {found}."
    )


def _labels(archive: zipfile.ZipFile, headers: dict[str, _Header], count: int, path: Path) -> list[int] | None:
    """One whole number an image, [N] or [N, 1], of any type of number; other arrays are no labels."""
    for name in _LABELS:
        header = headers.get(name)
        if header is None or header.shape not in ((count,), (count, 1)):
            continue
        if np.issubdtype(header.dtype, np.integer) or np.issubdtype(header.dtype, np.floating):
            numbers = np.asarray(_map_member(archive, name, header, path)).reshape(-1)
            if np.issubdtype(header.dtype, np.integer) or _whole(numbers.astype(np.float64)):
                labels: list[int] = numbers.astype(np.int64).tolist()
                return labels
    return None


def _whole(numbers: NDArray[np.float64]) -> bool:
    """Whether floats are whole numbers, small enough to be exact."""
    return bool(((numbers == np.rint(numbers)) & (np.abs(numbers) <= 1 << 53)).all())


def _class_names(archive: zipfile.ZipFile, headers: dict[str, _Header], path: Path) -> tuple[str, ...]:
    """What the classes are called, in their order, where the file says so; else nothing."""
    header = headers.get("class_names")
    if header is None or header.dtype.kind != "U" or len(header.shape) != 1:
        return ()
    return tuple(np.asarray(_map_member(archive, "class_names", header, path)).tolist())


def _member_header(archive: zipfile.ZipFile, name: str, path: Path) -> _Header:
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise SourceError(f"{path}: '{name}' is encrypted.")
    with archive.open(info) as stream:
        header = _read_header(stream, f"{path}: '{name}'")
    if info.file_size < header.size + header.data_bytes:
        raise SourceError(f"{path}: '{name}' is truncated: {info.file_size:,} bytes, but it declares {header.shape}.")
    return header


def _read_header(stream: IO[bytes], where: str) -> _Header:
    """The header of an .npy stream; SourceError for pickled objects and for anything that is no .npy."""
    try:
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise SourceError(f"{where}: .npy version {version} is not one of images.")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except ValueError as error:
        raise SourceError(f"{where} is no .npy array, or is truncated ({error}).") from error
    if dtype.hasobject:
        raise SourceError(
            f"{where} holds pickled Python objects, which are never loaded, because loading them runs code; "
            "save a plain uint8 array instead."
        )
    return _Header(shape, fortran, dtype, stream.tell())


def _map_member(archive: zipfile.ZipFile, name: str, header: _Header, path: Path) -> AnyArray:
    try:
        info = archive.getinfo(name + ".npy")
    except KeyError:
        info = archive.getinfo(name)
    if info.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            file.seek(info.header_offset)
            lengths = file.read(_LOCAL_HEADER)[_LENGTHS]
        variable = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        return _map(path, header, info.header_offset + _LOCAL_HEADER + variable + header.size)
    with archive.open(info) as stream, spool(stream) as inflated:
        return _map(inflated, header, header.size)


def _map(file: Path | IO[bytes], header: _Header, offset: int) -> AnyArray:
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    if header.data_bytes == 0:
        return np.empty(header.shape, header.dtype)
    # An open temporary file has what memmap needs of it; its stub asks for the path alone.
    mapped: AnyArray = np.memmap(cast(Path, file), header.dtype, "r", offset, header.shape, order)
    return mapped
