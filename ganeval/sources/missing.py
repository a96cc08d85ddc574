"""A path with nothing at its end, and what was probably meant; apart from the rest so that saying so needs no torch."""

import difflib
from pathlib import Path

from ganeval.errors import SourceError


def missing(path: Path) -> SourceError:
    """The error for a path that is not there, with the nearest name that is."""
    whole = path.absolute()
    parent = next(folder for folder in whole.parents if folder.is_dir())
    wanted = whole.relative_to(parent).parts[0]
    try:
        near = difflib.get_close_matches(wanted, [entry.name for entry in parent.iterdir()], n=1)
    except OSError:
        near = []
    hint = f"Did you mean {parent / near[0]}?" if near else f"{parent} exists, but holds no '{wanted}'."
    return SourceError(f"{whole} does not exist. {hint}")
