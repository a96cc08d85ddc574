"""Arrays and numbers in Python pickles, read without running any function that the pickle names.

A pickle is a program: loading it may call any function of any module. Here the few names that pickled numpy arrays use
are replaced by functions of this module, which keep bytes, shape and element type until they have been checked; any
other name, and every operation that such files do not need, is refused before anything is read.

What is read: dicts, lists, tuples, texts, numbers, and arrays of floats, whole numbers and truth values, as numpy wrote
them with pickle's protocols 2 to 5. `torch.save` puts such a pickle into a zip file.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import SourceError
from ganeval.places import Place, size_of
from ganeval.printable import printable
from ganeval.sources.files import CORRUPT, open_zip_file

# The largest file: statistics of 8192 dimensions in float64 are half of it.
LIMIT = 1 << 30
# The first bytes of a zip file.
ZIP = b"PK\x03\x04"
# The first bytes of torch.save's files before they were zip files: a magic number, as a pickle.
BEFORE_ZIP = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
# Nested dicts: edm2's files have two levels.
DEPTH = 4
ELEMENTS = frozenset("bifu")
# The operations that build the values listed above.
_OPERATIONS = (
    "PROTO FRAME STOP MARK POP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 "
    "EMPTY_LIST APPEND APPENDS LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS "
    "GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE BUILD"
)
ALLOWED = frozenset(_OPERATIONS.split())
_MEMO = ("PUT", "BINPUT", "LONG_BINPUT")


def pickled_arrays(path: Place) -> dict[str, NDArray[np.generic]]:
    """The arrays and numbers in the nested dicts of a pickle, or of a file of `torch.save`.

    Args:
        path: The file.

    Returns:
        Arrays by their keys with dots between ("fid.mu"); a number is an array of no axes. Other values are left out.

    Raises:
        SourceError: The file cannot be read, is damaged or too large, or would run code. None of it was run.
    """
    data = _bytes_of(path)
    tensors = _check_operations(data, path)
    try:
        root = load_tensors(path) if tensors else _Unpickler(data).load()
        found: dict[str, NDArray[np.generic]] = {}
        _collect(root, "", found, DEPTH)
    except SourceError:
        raise
    except _RefusedError as error:
        raise SourceError(f"{path} was refused, and nothing in it was run: {error}") from error
    except (MemoryError, RecursionError) as error:
        raise SourceError(f"{path} cannot be read; its content does not fit into memory.") from error
    except Exception as error:
        # Damaged pickles surface as nearly any exception of the parser.
        raise SourceError(f"{path} is damaged: {printable(str(error) or repr(error))}.") from error
    if "" in found:
        raise SourceError(
            f"{path} holds one array, and statistics are two, mu and sigma. Features [N, D] are given as "
            f"features:{path}; images as a .npy or .npz of uint8."
        )
    return found


def load_tensors(path: Place) -> object:
    """The content of a file of torch.save, read without running any function that it names.

    Args:
        path: The file.

    Returns:
        Tensors on the CPU, numbers and texts, in dicts and lists.

    Raises:
        SourceError: The file is cut off or damaged, or holds other objects.
    """
    try:
        check_whole(path)
        with path.open("rb") as stream:
            return torch.load(stream, map_location="cpu", weights_only=True)
    except SourceError:
        raise
    except pickle.UnpicklingError as error:
        # torch's own message advises loading it without restrictions.
        raise SourceError(f"{path} was not loaded: it is damaged, or holds other objects than tensors.") from error
    except Exception as error:
        # Damaged bytes surface as nearly any exception of the parser.
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise SourceError(f"{path} cannot be read as tensors of torch.save ({printable(reason)}).") from error


def check_whole(path: Place) -> None:
    """SourceError for an empty file, and for a zip file (of torch.save) that is cut off or declares too many bytes."""
    with path.open("rb") as file:
        start = file.read(len(ZIP))
    if not start:
        raise SourceError(f"{path} is empty; copy or save it again.")
    if start != ZIP:
        return
    if not _is_zip(path):
        raise SourceError(
            f"{path} is cut off or damaged: it begins as a file of torch.save (a zip file), and its end is missing. It "
            f"has {size_of(path):,} bytes; copy or save it again."
        )
    with open_zip_file(path) as archive:
        declared = sum(info.file_size for info in archive.infolist())
    if declared > max(LIMIT, size_of(path)):
        raise SourceError(f"{path} declares {declared:,} bytes; statistics have at most {LIMIT:,}.")


def _is_zip(path: Place) -> bool:
    """Whether a file is a zip file, with its end."""
    with path.open("rb") as file:
        return zipfile.is_zipfile(file)


class _RefusedError(Exception):
    """The pickle asks for something that arrays do not need."""


def _bytes_of(path: Place) -> bytes:
    """The pickle in a file; SourceError for one that is too large or cannot be read."""
    try:
        if size_of(path) > LIMIT:
            raise SourceError(f"{path} has {size_of(path):,} bytes; statistics have at most {LIMIT:,}.")
        check_whole(path)
        if not _is_zip(path):
            return path.read_bytes()
        with open_zip_file(path) as archive:
            member = next((info for info in archive.infolist() if info.filename.endswith("/data.pkl")), None)
            if member is None:
                raise SourceError(f"{path} is a zip file without data.pkl, which torch.save writes into its files.")
            if member.file_size > LIMIT:
                raise SourceError(f"{path} declares {member.file_size:,} bytes; statistics have at most {LIMIT:,}.")
            with archive.open(member) as stream:
                return stream.read(LIMIT)
    except CORRUPT as error:
        raise SourceError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from error


def _check_operations(data: bytes, path: Place) -> bool:
    """Whether the pickle refers to tensors; if not, SourceError unless arrays need every operation in it.

    Nothing is built yet.
    """
    operations = 0
    if data.startswith(BEFORE_ZIP):
        return True
    try:
        for operation, argument, position in pickletools.genops(data):
            operations += 1
            if operation.name in ("PERSID", "BINPERSID") and _is_zip(path):
                # Content elsewhere in the file.
                return True
            if operation.name not in ALLOWED:
                raise SourceError(
                    f"{path} was refused, and nothing in it was run: at byte {position} it has the operation "
                    f"{operation.name}, which arrays and numbers do not need."
                )
            # The parser allocates memory for the largest memo index in a pickle.
            if operation.name in _MEMO and isinstance(argument, int) and argument > operations:
                raise SourceError(f"{path} is damaged: it calls a value number {argument} after {operations} values.")
    except ValueError as error:
        raise SourceError(f"{path} is not a pickle, or is damaged: {printable(str(error))}.") from error
    return False


class _Name:
    """Replaces a name in a pickle; a new object per occurrence, so that no state remains after the reading."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., object]) -> None:
        self._call = call

    def __call__(self, *arguments: object) -> object:
        return self._call(*arguments)


class _Element:
    """A pickled element type of an array."""

    __slots__ = ("code", "order")

    def __init__(self, code: object, *_: object) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = "=" if state[1] == "|" else str(state[1])

    def dtype(self) -> np.dtype[np.generic]:
        """numpy's type; _RefusedError for one that is not a number."""
        if not (self.code[:1] in ELEMENTS and self.code[1:] in ("1", "2", "4", "8") and self.order in "<>="):
            raise _RefusedError(f"it has an array of '{printable(self.code)}', and only numbers are read.")
        return np.dtype(self.order + self.code)


class _Array:
    """A pickled array that is still being read."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._state = state

    def array(self) -> NDArray[np.generic]:
        """The array; _RefusedError if the parts are not those of an array of numbers."""
        if len(self._state) != len(("version", "shape", "element", "fortran", "content")):
            raise _RefusedError("an array in it has no content.")
        _, shape, element, fortran, content = self._state
        return _assembled(content, element, shape, "F" if fortran else "C")


def _assembled(content: object, element: object, shape: object, order: object) -> NDArray[np.generic]:
    """An array from its bytes; _RefusedError unless they are exactly those of an array of numbers of this shape."""
    if not isinstance(element, _Element) or not isinstance(content, bytes | bytearray) or order not in ("C", "F"):
        raise _RefusedError("an array in it is not made of numbers.")
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise _RefusedError("an array in it has no shape.")
    dtype = element.dtype()
    if math.prod(shape) * dtype.itemsize != len(content):
        raise _RefusedError(f"an array in it has {len(content)} bytes, and its shape is {list(shape)} of {dtype}.")
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _scalar(element: object, content: object) -> NDArray[np.generic]:
    return _assembled(content, element, (), "C")


def _encoded(text: object, encoding: object = "latin1") -> bytes:
    """The bytes that protocol 2 writes as a latin-1 text."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _RefusedError("bytes in it are not written as pickle writes them.")
    return text.encode("latin1")


# The names in pickled arrays of numpy 1 (core) and 2 (_core). Values are their replacements.
NAMES: Mapping[tuple[str, str], Callable[..., object]] = {
    ("numpy", "ndarray"): lambda *_: None,
    ("numpy", "dtype"): _Element,
    ("_codecs", "encode"): _encoded,
    # No bytes, in protocol 2.
    ("__builtin__", "bytes"): lambda: b"",
    **{(f"numpy.{core}.multiarray", "_reconstruct"): lambda *_: _Array() for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _assembled for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in NAMES:
            raise _RefusedError(f"it asks for {printable(module)}.{printable(name)}, which arrays do not need.")
        return _Name(NAMES[module, name])


def _collect(value: object, key: str, found: dict[str, NDArray[np.generic]], depth: int) -> None:
    """Add the arrays and numbers of a value to those found."""
    if isinstance(value, dict) and depth:
        for name, inner in value.items():
            if isinstance(name, str):
                _collect(inner, f"{key}.{name}" if key else name, found, depth - 1)
    elif isinstance(value, _Array):
        found[key] = value.array()
    elif isinstance(value, np.ndarray):
        found[key] = value
    elif isinstance(value, Tensor):
        # numpy has no bfloat16.
        if value.layout != torch.strided:
            raise _RefusedError(f"the tensor '{printable(key)}' is sparse, and only dense ones are read.")
        found[key] = (value.detach().float() if value.dtype == torch.bfloat16 else value.detach()).numpy()
    elif isinstance(value, float) or (type(value) is int and abs(value) < 1 << 63):
        found[key] = np.array(value)
