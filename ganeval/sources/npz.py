"""Arrays of images in .npy and .npz files, mapped instead of loaded, so that memory stays flat.

`numpy.savez` (and ADM's tool) stores members uncompressed: those are mapped where they lie. Compressed members are
inflated once into an unnamed temporary file. Headers are read by numpy; pickled objects are refused before loading.
"""

import math
import os
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Literal, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ganeval.errors import SourceError
from ganeval.places import Place, RemotePath, size_of
from ganeval.printable import printable
from ganeval.ranges import ValueRange
from ganeval.sources.arrays import AnyArray, ArrayItems
from ganeval.sources.files import (
    CORRUPT,
    Opened,
    from_pickle,
    inflated,
    open_zip_file,
    refuse_pickle,
    spool_pieces,
    told,
)
from ganeval.sources.labels import Labelling, from_array, with_names

_IMAGES = ("arr_0", "images", "samples")
_LABELS = ("arr_1", "labels")
# numpy's own limit, which numpy checks only after reading the header.
_MAX_HEADER = 10_000
_MAX_AXES = 32
# A local file header in a zip: its fixed part, and the position of the lengths of the two variable fields.
_LOCAL_HEADER, _LENGTHS = 30, slice(26, 30)


@dataclass(frozen=True, slots=True)
class _Header:
    """The contents of an .npy header. size: bytes of the header itself."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]
    size: int

    @property
    def data_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def open_npy(path: Place, *, value_range: ValueRange | None = None) -> ArrayItems:
    """The images in a .npy file: uint8, or of a declared range, NHWC or NCHW."""
    refuse_pickle(path)
    try:
        file = Opened([path])
        with path.open("rb") as stream:
            header = _read_header(stream, str(path), path)
        if size_of(path) < header.size + header.data_bytes:
            raise SourceError(f"{path} is truncated: {size_of(path):,} bytes, but it declares {header.shape}.")
        array = _map(path, header, header.size)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read ({error}).") from error
    return ArrayItems(array, name=str(path), kind="npy", file=file, value_range=value_range)


def open_npz(path: Place, *, value_range: ValueRange | None = None) -> ArrayItems:
    """The images in a .npz (`arr_0`, `images`, `samples`, or its only array of four axes), and their labels.

    `class_names` has the names of labels 0, 1, ..., and is used if it names all of them. Statistics in the same file,
    as in ADM's reference batches, are ignored here; `statistics.py` reads them.
    """
    try:
        file = Opened([path])
        with open_zip_file(path) as archive:
            headers = _headers(archive, path)
            has_statistics = {"mu", "sigma"} <= set(headers)
            if has_statistics and not _are_images(header.shape for header in headers.values()):
                raise SourceError(
                    f"{path} holds statistics (mu, sigma), not images; use it as the real reference only."
                )
            name = _image_name(headers, path)
            images = _map_member(archive, name, headers[name], path)
            labels = _labels(archive, headers, len(images) if images.ndim else 0, path)
            class_names = _class_names(archive, headers, path)
    except CORRUPT as error:
        raise _unreadable(path, error) from error
    beside = "statistics (mu, sigma)" if has_statistics else None
    labels = with_names(labels, class_names)
    return ArrayItems(
        images, name=str(path), kind="npz", labels=labels, file=file, value_range=value_range, beside=beside
    )


def mapped_arrays(path: Place, *, only: Collection[str] | None = None, writable: bool = False) -> dict[str, AnyArray]:
    """The arrays of a .npy (called "arr_0") or .npz file by name, mapped; SourceError for one that cannot be read.

    only: the names to take, None for all; the other arrays are not read. writable: whether the arrays can be changed;
    the file does not change.
    """
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as stream:
                header = _read_header(stream, str(path), path)
            if size_of(path) < header.size + header.data_bytes:
                raise SourceError(f"{path} is truncated: it declares {header.shape}.")
            return {"arr_0": _map(path, header, header.size, writable=writable)}
        with open_zip_file(path) as archive:
            headers = _headers(archive, path, only)
            return {
                name: _map_member(archive, name, header, path, writable=writable) for name, header in headers.items()
            }
    except CORRUPT as error:
        raise _unreadable(path, error) from error


def write_array(archive: zipfile.ZipFile, name: str, array: NDArray[np.generic]) -> None:
    """Add an array to an .npz that is being written; the bytes depend on its content alone."""
    with archive.open(_entry(name), "w", force_zip64=True) as stream:
        npy.write_array(stream, array, allow_pickle=False)


def write_rows(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, int], pieces: Iterable[NDArray[np.float32]]
) -> None:
    """Add an array of float32 to an .npz that is being written, in pieces."""
    header = {"descr": npy.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    with archive.open(_entry(name), "w", force_zip64=True) as stream:
        npy.write_array_header_1_0(stream, header)
        for piece in pieces:
            stream.write(np.ascontiguousarray(piece).data.cast("B"))


def _entry(name: str) -> zipfile.ZipInfo:
    # A fixed time stamp.
    return zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))


def array_shapes(path: Place) -> dict[str, tuple[int, ...]]:
    """The shape of every array of a .npz file, from its header; SourceError for a broken file."""
    try:
        with open_zip_file(path) as archive:
            return {name: header.shape for name, header in _headers(archive, path).items()}
    except CORRUPT as error:
        raise _unreadable(path, error) from error


def holds_images(path: Place) -> bool:
    """Whether a .npz file holds images, possibly next to statistics; SourceError for a broken file."""
    return _are_images(array_shapes(path).values())


def _are_images(shapes: Iterable[tuple[int, ...]]) -> bool:
    return any(len(shape) == 4 for shape in shapes)


def _unreadable(path: Place, error: Exception) -> SourceError:
    """The error for a file that cannot be read as .npz; raises SourceError for a pickle."""
    if isinstance(error, PermissionError):
        return SourceError(f"{path} cannot be read ({error.strerror}).")
    refuse_pickle(path)
    if isinstance(error, NotImplementedError):
        return SourceError(f"{path} is compressed by an unsupported method ({told(error)}); write it by numpy.savez.")
    if _starts_as_npy(path):
        return SourceError(f"{path} is a single array, as numpy.save writes it; name it .npy.")
    return SourceError(f"{path} cannot be read as an .npz file; it may be truncated ({told(error)}).")


def _starts_as_npy(path: Place) -> bool:
    with path.open("rb") as file:
        return file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX


def _image_name(headers: dict[str, _Header], path: Place) -> str:
    for name in _IMAGES:
        if name in headers:
            return name
    like_images = [name for name, header in headers.items() if len(header.shape) == 4]
    if len(like_images) == 1:
        return like_images[0]
    found = ", ".join(f"{printable(name)} {list(header.shape)}" for name, header in headers.items()) or "nothing"
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
    """The names of a mean [D] and a covariance [D, D] of floats, if there is exactly one such pair."""
    floats = {name: header.shape for name, header in headers.items() if header.dtype.kind == "f"}
    squares = [name for name, shape in floats.items() if len(shape) == 2 and shape[0] == shape[1]]
    pairs = [(mean, square) for square in squares for mean, shape in floats.items() if shape == floats[square][:1]]
    return pairs[0] if len(pairs) == 1 else None


def _labels(archive: zipfile.ZipFile, headers: dict[str, _Header], count: int, path: Place) -> Labelling:
    """Labels from the first array with a class per image; if there is none, the error of the first candidate."""
    found = [
        from_array(np.asarray(_map_member(archive, name, headers[name], path)), count, f"'{name}'")
        for name in _LABELS
        if name in headers
    ]
    right = (one for one in found if one.labels is not None)
    return next(right, found[0] if found else Labelling())


def _class_names(archive: zipfile.ZipFile, headers: dict[str, _Header], path: Place) -> tuple[str, ...]:
    """The names of the classes, in order; empty if the file has none."""
    header = headers.get("class_names")
    if header is None or header.dtype.kind != "U" or len(header.shape) != 1:
        return ()
    return tuple(np.asarray(_map_member(archive, "class_names", header, path)).tolist())


def _headers(archive: zipfile.ZipFile, path: Place, only: Collection[str] | None = None) -> dict[str, _Header]:
    """The header of every array (or only of these), by its name; SourceError for two of one name."""
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    twice = [name for name, count in Counter(name.removesuffix(".npy") for name in names).items() if count > 1]
    if twice:
        raise SourceError(f"{path} holds several arrays named '{printable(twice[0])}'; give each a name of its own.")
    wanted = [name for name in names if only is None or name.removesuffix(".npy") in only]
    return {name.removesuffix(".npy"): _member_header(archive, name, path) for name in wanted}


def _member_header(archive: zipfile.ZipFile, name: str, path: Place) -> _Header:
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise SourceError(f"{path}: '{printable(name)}' is encrypted.")
    with archive.open(info) as stream:
        header = _read_header(stream, f"{path}: '{printable(name)}'", path)
    if info.file_size < header.size + header.data_bytes:
        raise SourceError(
            f"{path}: '{printable(name)}' is truncated: {info.file_size:,} bytes, but it declares {header.shape}."
        )
    return header


def _read_header(stream: IO[bytes], where: str, path: Place) -> _Header:
    """The header of an .npy stream; SourceError for pickled objects and anything that is not .npy."""
    try:
        version = npy.read_magic(stream)
    except ValueError as error:
        raise SourceError(f"{where} is not an .npy array, or is truncated ({told(error)}).") from error
    if version not in ((1, 0), (2, 0)):
        raise SourceError(f"{where}: .npy version {version} is not supported for images.")
    length = stream.read(2 if version == (1, 0) else 4)
    size = int.from_bytes(length, "little")
    if size > _MAX_HEADER:
        raise SourceError(f"{where} declares a header of {size:,} bytes; at most {_MAX_HEADER:,} are read.")
    text = BytesIO(length + stream.read(size))
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, fortran, dtype = read(text)
    # numpy evaluates the text, and may raise ValueError, RecursionError, MemoryError, TypeError and more.
    except Exception as error:
        raise SourceError(f"{where} is not an .npy array, or is truncated ({told(error)}).") from error
    _check_shape(shape, dtype, where)
    if dtype.hasobject:
        raise SourceError(
            f"{where} holds pickled Python objects, which are never loaded, because loading them runs code; "
            f"save plain arrays of numbers instead. {from_pickle(path)}"
        )
    return _Header(shape, fortran, dtype, npy.MAGIC_LEN + len(length) + size)


def _check_shape(shape: tuple[int, ...], dtype: np.dtype[np.generic], where: str) -> None:
    """Raise SourceError for an impossible shape: negative, boolean, or of more bytes than int64 can count."""
    # numpy counts bytes in int64, with empty axes counted as 1.
    most = math.prod(max(number, 1) for number in shape) * max(dtype.itemsize, 1)
    if len(shape) > _MAX_AXES or any(type(number) is not int or number < 0 for number in shape) or most >= 1 << 63:
        told = str(shape) if len(str(shape)) <= 60 else f"{str(shape)[:57]}..."
        raise SourceError(f"{where} declares the shape {told}, which no array has.")


def _map_member(
    archive: zipfile.ZipFile, name: str, header: _Header, path: Place, *, writable: bool = False
) -> AnyArray:
    try:
        info = archive.getinfo(name + ".npy")
    except KeyError:
        info = archive.getinfo(name)
    if info.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            file.seek(info.header_offset)
            lengths = file.read(_LOCAL_HEADER)[_LENGTHS]
        variable = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        start = info.header_offset + _LOCAL_HEADER + variable + header.size
        _check_end(start, header, size_of(path))
        return _map(path, header, start, writable=writable)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if header.data_bytes > free:
        raise SourceError(
            f"{path}: '{name}' is compressed, and takes {header.data_bytes:,} bytes of {tempfile.gettempdir()}, which "
            f"has {free:,}; set TMPDIR to a larger place, or write the file with numpy.savez, which compresses nothing."
        )
    with archive.open(info) as stream, spool_pieces(inflated(stream, info)) as whole:
        _check_end(header.size, header, whole.seek(0, os.SEEK_END))
        return _map(whole, header, header.size, writable=writable)


def _check_end(start: int, header: _Header, size: int) -> None:
    """Raise EOFError for an array that extends beyond the end of its file."""
    if start + header.data_bytes > size:
        raise EOFError(f"{header.data_bytes:,} bytes expected, {max(0, size - start):,} found")


def _map(file: Place | IO[bytes], header: _Header, offset: int, *, writable: bool = False) -> AnyArray:
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    if header.data_bytes == 0:
        return np.empty(header.shape, header.dtype)
    if isinstance(file, RemotePath):
        with spool_pieces(file.pieces(offset, header.data_bytes)) as fetched:
            return _map(fetched, header, 0, writable=writable)
    # memmap also takes an open file; its stub only allows a path.
    mapped: AnyArray = np.memmap(cast(Path, file), header.dtype, "c" if writable else "r", offset, header.shape, order)
    return mapped
