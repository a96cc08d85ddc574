"""The members of .tar and .tar.gz files, indexed once, and read from there by any thread.

A .tar.gz has no random access, so it is decompressed once into a nameless temporary file.
"""

import gzip
import os
import tarfile
import weakref
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import IO

from ganeval.errors import SourceError
from ganeval.sources.archive import ArchiveItems
from ganeval.sources.files import CORRUPT, Opened, spool, told
from ganeval.sources.members import Member, Members
from ganeval.sources.selection import EVERYTHING, Selection

# What is looked at behind the end of an archive: tar fills it up to 10 KiB, and `cat a.tar b.tar` goes on after that.
BEHIND = 1 << 16
# Reads at the end of the file after which tarfile is in a loop.
READS_AT_END = 100


def open_tar(paths: Sequence[Path], *, where: str, select: Selection = EVERYTHING) -> ArchiveItems:
    """The images in one or several .tar or .tar.gz files; members of several are named `shard/member`.

    Raises SourceError for one that is corrupt, or names files outside itself.
    """
    members: dict[str, Member] = {}
    remarks: list[str] = []
    files = Opened(paths)
    for path, prefix in zip(paths, _prefixes(paths), strict=True):
        listed = Members(path)
        try:
            remarks += _index(_Blob(_plain(path)), listed, path)
        except (tarfile.TarError, *CORRUPT) as error:
            raise SourceError(f"{path} cannot be read as a tar archive ({told(error)}).") from error
        members |= {prefix + name: member for name, member in listed.files().items()}
        remarks += listed.remarks()
    return ArchiveItems(members, kind="tar", where=where, files=files, select=select, remarks=remarks)


def _prefixes(paths: Sequence[Path]) -> list[str]:
    """The names of several archives, which differ: whole paths where their last parts do not. One needs none."""
    if len(paths) == 1:
        return [""]
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = [path.as_posix().strip("/").replace("/", ":") for path in paths]
    return [f"{name}/" for name in names]


def _index(blob: "_Blob", members: Members, path: Path) -> Iterator[str]:
    """Add every file; what is remarkable about the archive's end."""
    with tarfile.open(fileobj=blob, mode="r:") as archive:  # type: ignore[call-overload]  # it reads, seeks and tells
        for info in _checked(archive, blob.size):
            if info.issparse():
                members.leave_out(info.name, "a sparse file")
            elif info.isreg():
                members.add(info.name, Member(info.size, partial(blob.read_at, info.offset_data, info.size)))
            elif info.islnk():
                members.add_hard(info.name, info.linkname)
            elif info.issym():
                members.add_symbolic(info.name, info.linkname)
        end = archive.offset
    mark = blob.read_at(end, min(tarfile.BLOCKSIZE, blob.size - end)) if end < blob.size else b""
    if mark.strip(b"\0"):
        raise EOFError(f"there is no header at byte {end:,}, where one must be")
    if not mark:
        yield f"{path} lacks the empty blocks that end an archive: it may be truncated, and images missing."
    elif blob.read_at(end, min(BEHIND, blob.size - end)).strip(b"\0"):
        yield (
            f"{path} goes on after its end, at byte {end:,}, and what follows is not read, as when it is unpacked; "
            "archives are joined with tar --concatenate, not with cat."
        )


def _checked(archive: tarfile.TarFile, size: int) -> Iterator[tarfile.TarInfo]:
    """The members of an archive of so many bytes; EOFError for one that cannot lie where its header says."""
    last = -1
    for info in archive:
        if info.offset <= last or info.size < 0:
            raise EOFError(f"the header at byte {info.offset:,} declares a size below 0")
        if info.isreg() and not info.issparse() and info.offset_data + info.size > size:
            raise EOFError(f"the header at byte {info.offset:,} declares {_count(info.size)} bytes, beyond its end")
        last = info.offset
        yield info


def _count(number: int) -> str:
    return f"{number:,}" if number < 1 << 64 else "over 2^64"


class _Blob:
    """An open file for tarfile to index, and then ranges of it for any thread; closed when nothing refers to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self.tell, self.seek = file.tell, file.seek
        self._file = file
        self._lock = Lock()
        self._at_end = 0
        weakref.finalize(self, file.close)

    def read(self, size: int) -> bytes:
        """For tarfile, which asks for as much as a header says, and again and again at the end of the file."""
        data = self._file.read(max(0, min(size, self.size - self._file.tell())))
        if size and not data:
            self._at_end += 1
            if self._at_end > READS_AT_END:
                raise EOFError("it ends inside a header")
        return data

    def read_at(self, offset: int, size: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            data = self._file.read(size)
        if len(data) < size:
            raise EOFError(f"{size} bytes expected, {len(data)} found")
        return data


def _plain(path: Path) -> IO[bytes]:
    """An uncompressed tar as a seekable file, whatever the archive is called."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if not compressed:
        return path.open("rb")
    with gzip.open(path) as stream:
        return spool(stream)  # type: ignore[arg-type]  # GzipFile reads bytes, but is no IO[bytes] to the checker
