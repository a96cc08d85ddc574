"""A result on disk: whole or not at all, and found impossible before anything is computed rather than after."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ganeval.atomic import atomic_write, temporary_path
from ganeval.errors import ResultError, UsageError


def to_json(document: Mapping[str, object]) -> str:
    """Indented JSON in ASCII, which every pipe, terminal and file name survives; NaN and infinity are refused."""
    return json.dumps(document, indent=2, allow_nan=False)


def check_writable(path: Path) -> None:
    """UsageError for a path that no file can have, ResultError for a folder that takes no files."""
    if str(path) == "-":
        raise UsageError("--output takes a file; for standard output use --format json.")
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; --output takes a file.")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no regular file; for standard output use --format json.")
        if not path.absolute().parent.is_dir():
            raise UsageError(f"The folder {path.absolute().parent} does not exist; make it first.")
        temporary = temporary_path(path)
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise ResultError(f"{path} cannot be written: {error.strerror or error}.") from error


def check_apart(writes: Iterable[Path | None], reads: Iterable[Path | None]) -> None:
    """UsageError where a file would be written over one that is read, or over another one that is written."""
    taken = {_real(path) for path in reads if path is not None}
    for path in writes:
        if path is None:
            continue
        if _real(path) in taken:
            raise UsageError(f"{path} would be written over a file that this command uses; name another one.")
        taken.add(_real(path))


def same_file(first: Path, second: Path) -> bool:
    """Whether two paths lead to one file."""
    return _real(first) == _real(second)


def _real(path: Path) -> str:
    return os.path.realpath(path)


def write_text(path: Path, text: str) -> None:
    """Replace a file by a text, in one step."""
    with atomic_write(path) as file:
        file.write(text.encode())
