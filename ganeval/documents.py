"""Read JSON and TOML of unknown origin within bounds, or refuse them with a reason.

A document that a parser accepts may still break later code: numbers beyond the range of floats, duplicate names, or
values nested so deep that recursion overflows the stack. All of these raise `DocumentError` here.
"""

import json
import math
import os
import re
import stat
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["DocumentError", "parse_json", "parse_toml", "read_text"]

# Bytes of a file, and levels of nested lists and tables; ganeval's own documents have at most 9 levels.
MAX_BYTES = 1 << 28
MAX_TOML_BYTES = 1 << 20
MAX_DEPTH = 64
# Digits of a whole number; one with more may be larger than any float.
MAX_DIGITS = 308
# Seconds to wait for a writer of a named pipe.
PATIENCE = 5.0
_CHUNK = 1 << 20
# Characters of a name or number to show in a message.
_SHOWN = 40
# A dotted name of more than MAX_DEPTH parts, for which tomllib takes quadratic time.
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_DOTTED = re.compile(rf"(?<![\w-])(?:{_PART}\.[ \t]*+){{{MAX_DEPTH}}}", re.ASCII)

_TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels."
_TOO_LONG = f"holds a whole number of more than {MAX_DIGITS} digits."


class DocumentError(ValueError):
    """Why a document is refused; the message continues a sentence that begins with the document's name."""


def read_text(path: Path, *, most: int = MAX_BYTES) -> str:
    """Read the text of a regular file or a pipe.

    Args:
        path: The file.
        most: The largest number of bytes.

    Returns:
        The text, decoded as UTF-8.

    Raises:
        OSError: It cannot be opened or read.
        DocumentError: It is a device, has more than `most` bytes, is not UTF-8, or is a named pipe to which nothing is
            written within PATIENCE seconds.
    """
    # Without O_NONBLOCK a named pipe without a writer would block here.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise DocumentError("is a device; give a file.")
        data = b"".join(_chunks(descriptor, most))
    finally:
        os.close(descriptor)
    try:
        # Windows editors put a byte order mark at the beginning, which is not part of the text.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError("is not UTF-8 text.") from error


def _chunks(descriptor: int, most: int) -> Iterator[bytes]:
    """The bytes of an open file in pieces; DocumentError for more than `most` bytes."""
    size, chunk = 0, _first_of_pipe(descriptor) if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else b""
    while chunk := chunk or os.read(descriptor, _CHUNK):
        size += len(chunk)
        if size > most:
            raise DocumentError(f"has more than {most} bytes.")
        yield chunk
        chunk = b""


def _first_of_pipe(descriptor: int) -> bytes:
    """The first bytes of a pipe, b"" if its writer has written none yet; later reads block."""
    deadline = time.monotonic() + PATIENCE
    found = b""
    # Reading an empty pipe gives b"" while no writer has it open, and raises BlockingIOError while one has.
    with suppress(BlockingIOError):
        while not (found := os.read(descriptor, _CHUNK)):
            if time.monotonic() > deadline:
                raise DocumentError(f"is a pipe that nothing was written to for {PATIENCE:g} s; give a file.")
            time.sleep(0.02)
    os.set_blocking(descriptor, True)
    return found


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """Parse JSON.

    Args:
        text: The document.
        finite: Whether NaN and infinity are refused.

    Returns:
        The value of the document.

    Raises:
        DocumentError: The text is not JSON, has a name twice in one object, a number beyond the range of floats, or
            more than MAX_DEPTH levels.

    >>> parse_json('{"fid": 12.5}')
    {'fid': 12.5}
    """
    constant: Callable[[str], float] = _no_number if finite else float
    real: Callable[[str], float] = _float if finite else float
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=constant, parse_float=real, parse_int=_whole)
    except DocumentError:
        raise
    except RecursionError as error:
        raise DocumentError(_TOO_DEEP) from error
    except ValueError as error:
        raise DocumentError(f"is not JSON: {error}.") from error
    return _bounded(value)


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Args:
        text: The document.

    Returns:
        Its table.

    Raises:
        DocumentError: The text is not TOML, has a number beyond the range of floats, or more than MAX_DEPTH levels.

    >>> parse_toml("[fid]\\nmax = 12.0")
    {'fid': {'max': 12.0}}
    """
    if _DOTTED.search(text):
        raise DocumentError(_TOO_DEEP)
    try:
        table = tomllib.loads(text, parse_float=_toml_float)
    except DocumentError:
        raise
    except RecursionError as error:
        raise DocumentError(_TOO_DEEP) from error
    except tomllib.TOMLDecodeError as error:
        raise DocumentError(f"is not TOML: {error}.") from error
    # Python's int() refuses thousands of digits with a ValueError, which tomllib does not convert.
    except ValueError as error:
        raise DocumentError(_TOO_LONG) from error
    bounded: dict[str, Any] = _bounded(table)
    return bounded


def finite(value: object) -> float:
    """A number as a float; ValueError for other values and for numbers beyond the range of floats."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{str(value)[:_SHOWN]!r} is not a finite number")
    return float(value)


def _bounded(value: Any) -> Any:
    """The value; DocumentError if it is nested too deep or has a whole number beyond the range of floats."""
    level, depth = [value], 0
    while level:
        for one in level:
            if isinstance(one, int) and not -(10**MAX_DIGITS) < one < 10**MAX_DIGITS:
                raise DocumentError(_TOO_LONG)
        if depth >= MAX_DEPTH and any(isinstance(one, dict | list) for one in level):
            raise DocumentError(_TOO_DEEP)
        level = [inner for one in level for inner in _inside(one)]
        depth += 1
    return value


def _inside(value: Any) -> Any:
    """The members of a list or table; nothing for other values."""
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table; DocumentError for a name that occurs twice."""
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise DocumentError(f"holds {name[:_SHOWN]!r} twice; remove one of them.")
        table[name] = value
    return table


def _no_number(constant: str) -> NoReturn:
    """DocumentError for NaN and infinity."""
    raise DocumentError(f"holds {constant}, which is not a JSON number.")


def _whole(text: str) -> int:
    """A whole number; DocumentError for more than MAX_DIGITS digits."""
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise DocumentError(_TOO_LONG)
    return int(text)


def _float(text: str) -> float:
    """A number; DocumentError for one beyond the range of floats."""
    number = float(text)
    if math.isinf(number):
        raise DocumentError(f"holds {text[:_SHOWN]}, which is beyond the range of floats.")
    return number


def _toml_float(text: str) -> float:
    """A number, also NaN or infinity, which TOML allows and the checks of individual keys refuse."""
    return float(text) if text.lstrip("+-") in ("inf", "nan") else _float(text)
