"""Images inside .zip and .tar archives (also .tar.gz, and WebDataset shards), read in natural order without unpacking.

Members are indexed once; a worker then reads the bytes of one member at a time. A .tar.gz has no random access, so it
is decompressed once into a nameless temporary file.
"""

import gzip
import re
import tarfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import IO

from ganeval.errors import DecodeError, SourceError
from ganeval.sources.base import Stamp
from ganeval.sources.files import (
    Opened,
    digest_of,
    is_hidden,
    load_encoded,
    spool,
)
from ganeval.sources.image_files import ImageFiles
from ganeval.sources.items import Item
from ganeval.sources.selection import EVERYTHING, Selection

# No encoded image is larger; a member that declares to be is a mistake or a bomb.
MEMBER_LIMIT = 256 * 1024 * 1024
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside an archive. size: declared, in bytes; read: its bytes."""

    size: int
    read: Callable[[], bytes]


class ArchiveItems:
    """The images among an archive's members; `labelling.label_images` says where their classes come from."""

    parallel = True

    def __init__(
        self, members: Mapping[str, Member], *, kind: str, where: str, files: Opened, select: Selection = EVERYTHING
    ) -> None:
        """where: how to name the place in messages. files: the archives themselves, for the stamp."""
        self.kind = kind
        self._members = members
        self._where = where
        self._files = files
        self._images = ImageFiles(members, self._read, where=where, select=select, shards=len(files.paths) > 1)
        self._names = self._images.names

    def __len__(self) -> int:
        return len(self._names)

    @property
    def labels(self) -> Sequence[int] | None:
        """The class of each image, where it is known."""
        return self._images.labelling.labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What the classes are called, where that is not just their number."""
        return self._images.labelling.class_names

    @property
    def remarks(self) -> Sequence[str]:
        """What a user should know of the images."""
        return self._images.remarks

    def item_name(self, index: int) -> str:
        """The archive and the member."""
        return f"{self._where}/{self._names[index]}"

    def load(self, index: int) -> Item:
        """Read and decode the member."""
        label = None if self.labels is None else self.labels[index]
        return load_encoded(self._bytes(index), self.item_name(index), label)

    def digest(self, index: int) -> bytes:
        """Of the member's bytes."""
        return digest_of(self._bytes(index))

    def stamp(self, indices: Sequence[int]) -> Stamp | None:
        """Of the archive files' sizes, times and inodes, and of which members are read; None when a file changed."""
        found = self._files.identity()
        if found is None:
            return None
        identity, settled = found
        chosen = [(self._names[index], self._members[self._names[index]].size) for index in indices]
        fast = digest_of(identity, repr(chosen).encode())
        return Stamp(fast.hex(), digest_of(repr([size for _, size in chosen]).encode()).hex(), settled)

    def describe(self) -> dict[str, object]:
        """How many archives there are, where there are several, what was selected, and where the classes were read."""
        shards = {"shards": len(self._files.paths)} if len(self._files.paths) > 1 else {}
        return {**shards, **self._images.describe()}

    def _bytes(self, index: int) -> bytes:
        return self._read(self._names[index])

    def _read(self, name: str) -> bytes:
        member, called = self._members[name], f"{self._where}/{name}"
        if member.size > MEMBER_LIMIT:
            raise DecodeError(called, f"it declares {member.size:,} bytes, over {MEMBER_LIMIT:,}.")
        try:
            return member.read()
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise DecodeError(called, f"the archive is corrupt here ({error}).") from error


def open_zip(path: Path, select: Selection = EVERYTHING) -> ArchiveItems:
    """The images in a .zip; SourceError for one that is corrupt, encrypted, or names files outside itself."""
    try:
        files = Opened([path])
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{path} cannot be read as a zip archive ({error}).") from error
    lock = Lock()
    members = {}
    for info in archive.infolist():
        name = _safe_name(info.filename, path)
        if info.is_dir() or name is None:
            continue
        if info.flag_bits & 1:
            raise SourceError(f"{path}: '{name}' is encrypted; unpack the archive with its password first.")
        members[name] = Member(info.file_size, partial(_read_zip, archive, info, lock))
    return ArchiveItems(members, kind="zip", where=str(path), files=files, select=select)


def _read_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, lock: Lock) -> bytes:
    # ZipFile counts its open members without a lock of its own; reading and inflating are safe beside each other.
    with lock:
        member = archive.open(info)
    try:
        return member.read()
    finally:
        with lock:
            member.close()


def open_tar(paths: Sequence[Path], *, where: str, select: Selection = EVERYTHING) -> ArchiveItems:
    """The images in one or several .tar or .tar.gz files; members of several are named `shard/member`."""
    members: dict[str, Member] = {}
    files = Opened(paths)
    for path in paths:
        prefix = f"{path.name}/" if len(paths) > 1 else ""
        try:
            blob = _Blob(_plain(path))
            with tarfile.open(fileobj=blob.file, mode="r:") as archive:
                for info in archive:
                    name = _safe_name(info.name, path)
                    if name is not None and info.isreg() and not info.issparse():
                        members[prefix + name] = Member(info.size, partial(blob.read, info.offset_data, info.size))
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise SourceError(f"{path} cannot be read as a tar archive ({error}).") from error
    return ArchiveItems(members, kind="tar", where=where, files=files, select=select)


class _Blob:
    """Ranges of an open file, read from any thread; the file is closed when nothing refers to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self._lock = Lock()
        weakref.finalize(self, file.close)

    def read(self, offset: int, size: int) -> bytes:
        with self._lock:
            self.file.seek(offset)
            data = self.file.read(size)
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


def expand_shards(pattern: str) -> list[Path] | None:
    """`data-{000..009}.tar` => its ten paths; None where there is no range; SourceError names the missing ones."""
    if not _RANGE.search(pattern):
        return None
    paths = [Path(name) for name in _expand(pattern)]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise SourceError(
            f"{pattern}: {len(missing)} of {len(paths)} shards are missing: {', '.join(missing[:5])}{more}."
        )
    return paths


def _expand(pattern: str) -> Iterable[str]:
    found = _RANGE.search(pattern)
    if found is None:
        return [pattern]
    first, last = found.groups()
    head, tail = pattern[: found.start()], pattern[found.end() :]
    numbers = (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
    return (head + number + rest for number in numbers for rest in _expand(tail))


def _safe_name(name: str, archive: Path) -> str | None:
    """A member's normalised name; None for hidden ones; SourceError for names that lead out of the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise SourceError(f"{archive} is refused: its member '{name}' names a place outside the archive.")
    if any(is_hidden(part) for part in path.parts):
        return None
    return path.as_posix()
