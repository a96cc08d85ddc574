"""The members of .tar and .tar.gz files, indexed once and then read by any thread.

A .tar.gz has no random access, so it is decompressed once into an unnamed temporary file.
"""

import gzip
import os
import tarfile
import weakref
from collections.abc import Iterator, Sequence
from functools import partial
from threading import Lock
from typing import IO

from ganeval.errors import SourceError
from ganeval.places import Place
from ganeval.sources.archive import ArchiveItems
from ganeval.sources.file_filter import EVERYTHING, FileFilter
from ganeval.sources.files import CORRUPT, Opened, spool, told
from ganeval.sources.members import Member, Members

# Bytes searched after the end mark: tar pads archives to 10 KiB, and `cat a.tar b.tar` continues after that.
BEHIND = 1 << 16
# Number of reads at the end of the file after which tarfile is in an endless loop.
READS_AT_END = 100


def open_tar(paths: Sequence[Place], *, where: str, select: FileFilter = EVERYTHING) -> ArchiveItems:
    """The images in one or more .tar or .tar.gz files; with several, members are named `shard/member`.

    Raises SourceError for an archive that is corrupt, or names files outside itself.
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


def _prefixes(paths: Sequence[Place]) -> list[str]:
    """Distinct prefixes for several archives: file names, or whole paths where those repeat; empty for one."""
    if len(paths) == 1:
        return [""]
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = [path.as_posix().strip("/").replace("/", ":") for path in paths]
    return [f"{name}/" for name in names]


def _index(blob: "_Blob", members: Members, path: Place) -> Iterator[str]:
    """Add every file to `members`; yields remarks about the end of the archive."""
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
    """The members of an archive of `size` bytes; EOFError where a header's position or size is impossible."""
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
    """An open file: tarfile indexes it, then any thread reads ranges of it; closed when it is garbage-collected."""

    def __init__(self, file: IO[bytes]) -> None:
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self.tell, self.seek = file.tell, file.seek
        self._file = file
        self._lock = Lock()
        self._at_end = 0
        weakref.finalize(self, file.close)

    def read(self, size: int) -> bytes:
        """A bounded `read` for tarfile, which trusts sizes in headers, and may read at the end of the file for ever."""
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


def _plain(path: Place) -> IO[bytes]:
    """An uncompressed, seekable tar; compression is detected by content, not by name."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if not compressed:
        return path.open("rb")
    with path.open("rb") as file, gzip.open(file) as stream:
        return spool(stream)  # type: ignore[arg-type]  # GzipFile reads bytes, but is no IO[bytes] to the checker
