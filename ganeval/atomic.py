"""Files that appear whole or not at all.

A file is written under a temporary name in the folder of its target and then renamed. An interrupted or failed write
leaves what was there before. A symbolic link keeps pointing at its target, which is what gets replaced.
"""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ganeval.errors import ResultError
from ganeval.places import Place, RemotePath, uploading
from ganeval.processes import processes
from ganeval.temporaries import temporary

__all__ = ["atomic_folder", "atomic_path", "atomic_write", "temporary_path"]


@contextmanager
def atomic_write(path: Place) -> Iterator[BinaryIO]:
    """A binary file that replaces `path` when the block ends without an error.

    Of several processes that share their work, the first one writes, and the others go on when it has.

    Args:
        path: The file to write. Its folder must exist. To a `RemotePath` it is uploaded at the end.

    Yields:
        The file, open for writing.

    Raises:
        ResultError: The file cannot be written. What was at `path` before is still there.

    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "scores.txt"
    >>> with atomic_write(path) as file:
    ...     _ = file.write(b"12.3")
    >>> path.read_bytes()
    b'12.3'
    """
    team = processes()
    try:
        if not team.first:
            with tempfile.TemporaryFile() as file:
                yield file
        elif isinstance(path, RemotePath):
            with uploading(path) as file:
                yield file
        else:
            with atomic_path(path) as unfinished, unfinished.open("xb") as file:
                yield file
    except OSError as error:
        raise ResultError(f"{path} cannot be written: {error.strerror or error}.") from error
    team.exchange(None)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Write a folder of files that is at its path only when it is whole.

    Of several processes that share their work, the first one writes, and the others go on when it has.

    Args:
        path: The folder to write. If it exists, it must be empty; the folder that it is in must exist.

    Yields:
        An empty folder, which takes the path when the block ends without an error.

    Raises:
        ResultError: The folder cannot be written. What was at `path` before is still there.

    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "scores"
    >>> with atomic_folder(path) as folder:
    ...     _ = (folder / "fid.txt").write_text("12.3")
    >>> (path / "fid.txt").read_text()
    '12.3'
    """
    team = processes()
    try:
        if team.first:
            with atomic_path(path) as unfinished:
                unfinished.mkdir()
                yield unfinished
        else:
            with tempfile.TemporaryDirectory() as elsewhere:
                yield Path(elsewhere)
    except OSError as error:
        raise ResultError(f"{path} cannot be written: {error.strerror or error}.") from error
    team.exchange(None)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path for a file or a folder that replaces `path` when the block ends without an error.

    For callers that word their own errors; others use `atomic_write` and `atomic_folder`.

    Args:
        path: The file or folder to write. The folder that it is in must exist.

    Yields:
        A path in the same folder at which nothing exists yet.

    Raises:
        OSError: The file cannot be written. What was at `path` before is still there.
    """
    with temporary(temporary_path(path)) as unfinished:
        yield unfinished
        unfinished.replace(os.path.realpath(path))


def temporary_path(path: Path) -> Path:
    """A new hidden name for a temporary file that will replace `path`.

    Args:
        path: The file to write. Links are followed.

    Returns:
        A path in the same folder that ends in ".tmp" and at which nothing exists.
    """
    folder = Path(os.path.realpath(path)).parent
    return folder / f".ganeval-{os.getpid()}-{secrets.token_hex(4)}.tmp"
