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

from ganeval.errors import SourceError
from ganeval.ranges import ValueRange
from ganeval.sources.arrays import AnyArray, ArrayItems
from ganeval.sources.files import Opened, from_pickle, spool
from ganeval.sources.labels import Labelling, from_array

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


def open_npy(path: Path, *, value_range: ValueRange | None = None) -> ArrayItems:
    """The images in a .npy file: uint8, or of a declared range, NHWC or NCHW."""
    try:
        file = Opened([path])
        with path.open("rb") as stream:
            header = _read_header(stream, str(path), path)
        if path.stat().st_size < header.size + header.data_bytes:
            raise SourceError(f"{path} is truncated: {path.stat().st_size:,} bytes, but it declares {header.shape}.")
        array = _map(path, header, header.size)
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error}).") from error
    return ArrayItems(array, name=str(path), kind="npy", file=file, value_range=value_range)


def open_npz(path: Path, *, value_range: ValueRange | None = None) -> ArrayItems:
    """The images in a .npz (`arr_0`, `images`, `samples`, or its only array of four axes), and labels beside them.

    Statistics that lie in the same file, as in ADM's reference batches, are left for the reference that it may be.
    """
    try:
        file = Opened([path])
        with zipfile.ZipFile(path) as archive:
            headers = {name.removesuffix(".npy"): _member_header(archive, name, path) for name in archive.namelist()}
            has_statistics = {"mu", "sigma"} <= set(headers)
            if has_statistics and not _holds_images(headers):
                raise SourceError(
                    f"{path} holds statistics (mu, sigma), not images; use it as the real reference only."
                )
            name = _image_name(headers, path)
            images = _map_member(archive, name, headers[name], path)
            labels = _labels(archive, headers, headers[name].shape[0], path)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise SourceError(f"{path} cannot be read as an .npz file; it may be truncated ({error}).") from error
    beside = "statistics (mu, sigma)" if has_statistics else None
    return ArrayItems(
        images, name=str(path), kind="npz", labels=labels, file=file, value_range=value_range, beside=beside
    )


def mapped_arrays(path: Path) -> dict[str, AnyArray]:
    """Every array of a .npy (called "arr_0") or .npz file by name, mapped; SourceError for one that cannot be read."""
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as stream:
                header = _read_header(stream, str(path), path)
            if path.stat().st_size < header.size + header.data_bytes:
                raise SourceError(f"{path} is truncated: it declares {header.shape}.")
            return {"arr_0": _map(path, header, header.size)}
        with zipfile.ZipFile(path) as archive:
            headers = {name.removesuffix(".npy"): _member_header(archive, name, path) for name in archive.namelist()}
            return {name: _map_member(archive, name, header, path) for name, header in headers.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise SourceError(f"{path} cannot be read as a file of arrays ({error}).") from error


def holds_images(path: Path) -> bool:
    """Whether a .npz file holds images, beside statistics for example, by its headers; SourceError if it is broken."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return _holds_images({name.removesuffix(".npy"): _member_header(archive, name, path) for name in names})
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise SourceError(f"{path} cannot be read as an .npz file; it may be truncated ({error}).") from error


def _holds_images(headers: dict[str, _Header]) -> bool:
    return any(len(header.shape) == 4 for header in headers.values())


def _image_name(headers: dict[str, _Header], path: Path) -> str:
    for name in _IMAGES:
        if name in headers:
            return name
    like_images = [name for name, header in headers.items() if len(header.shape) == 4]
    if len(like_images) == 1:
        return like_images[0]
    found = ", ".join(f"{name} {list(header.shape)}" for name, header in headers.items()) or "nothing"
    moments = _moments(headers)
    if moments is not None:
        raise SourceError(
            f"{path} seems to hold statistics under other names than mu and sigma. Found: {found}. Write them once as "
            f"d = numpy.load('{path}'); numpy.savez('{path.stem}-statistics.npz', mu=d['{moments[0]}'], "
            f"sigma=d['{moments[1]}'])"
        )
    if any(len(header.shape) == 2 for header in headers.values()):
        found += ". Features [N, D] are given as features:FILE"
    raise SourceError(
        f"{path} holds no array that is clearly the images; name it one of {', '.join(_IMAGES)}. Found: {found}."
    )


def _moments(headers: dict[str, _Header]) -> tuple[str, str] | None:
    """The names of a mean [D] and a covariance [D, D] of floats, where there is one pair of them."""
    floats = {name: header.shape for name, header in headers.items() if header.dtype.kind == "f"}
    squares = [name for name, shape in floats.items() if len(shape) == 2 and shape[0] == shape[1]]
    pairs = [(mean, square) for square in squares for mean, shape in floats.items() if shape == floats[square][:1]]
    return pairs[0] if len(pairs) == 1 else None


def _labels(archive: zipfile.ZipFile, headers: dict[str, _Header], count: int, path: Path) -> Labelling:
    """The first array of labels' names that holds a class per image; without one, what is wrong with the first."""
    found = [
        from_array(np.asarray(_map_member(archive, name, headers[name], path)), count, f"'{name}'")
        for name in _LABELS
        if name in headers
    ]
    right = (one for one in found if one.labels is not None)
    return next(right, found[0] if found else Labelling())


def _member_header(archive: zipfile.ZipFile, name: str, path: Path) -> _Header:
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise SourceError(f"{path}: '{name}' is encrypted.")
    with archive.open(info) as stream:
        header = _read_header(stream, f"{path}: '{name}'", path)
    if info.file_size < header.size + header.data_bytes:
        raise SourceError(f"{path}: '{name}' is truncated: {info.file_size:,} bytes, but it declares {header.shape}.")
    return header


def _read_header(stream: IO[bytes], where: str, path: Path) -> _Header:
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
            f"save a plain uint8 array instead. {from_pickle(path)}"
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
