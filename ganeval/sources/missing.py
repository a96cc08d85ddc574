"""The error for a path that does not exist, with the nearest existing name. Imports no torch."""

import difflib
import os
import stat
from pathlib import Path

from ganeval.errors import SourceError
from ganeval.places import Place, RemotePath
from ganeval.printable import printable


def status(path: Path) -> os.stat_result | None:
    """The status of a path; None if it does not exist, or the file system does not allow its name."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def is_folder(path: Path) -> bool:
    """Whether a path leads to a folder."""
    seen = status(path)
    return seen is not None and stat.S_ISDIR(seen.st_mode)


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:
        return False


def missing(path: Place) -> SourceError:
    """The error for a path that does not exist, with the nearest name that does."""
    if isinstance(path, RemotePath):
        return SourceError(f"{path} does not exist. Check the address, and whether it is a folder or a file.")
    whole = path.absolute()
    if status(whole) is None and _is_link(whole):
        return SourceError(f"{whole} is a broken or circular link.")
    parent = next(folder for folder in whole.parents if is_folder(folder))
    wanted = whole.relative_to(parent).parts[0]
    try:
        near = difflib.get_close_matches(wanted, [entry.name for entry in parent.iterdir()], n=1)
    except OSError:
        near = []
    hint = f"Did you mean {parent / printable(near[0])}?" if near else f"{parent} exists, but holds no '{wanted}'."
    return SourceError(f"{whole} does not exist. {hint}")
