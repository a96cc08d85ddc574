"""Temporary files and folders: each is deleted at the end of a block, or when the process must end inside it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["delete_temporaries", "temporary"]

_paths: set[Path] = set()


@contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """A path at which there may be a temporary file or folder; at the end of the block, what is there is deleted.

    Args:
        path: The path.

    Yields:
        The path.

    Raises:
        OSError: What is there cannot be deleted.
    """
    _paths.add(path)
    try:
        yield path
    finally:
        _delete(path)
        _paths.discard(path)


def delete_temporaries() -> None:
    """Delete what is in the blocks that the process is in, which it is about to end without leaving them."""
    for path in tuple(_paths):
        try:
            _delete(path)
        except OSError:
            # Continue, to delete the others.
            continue


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
