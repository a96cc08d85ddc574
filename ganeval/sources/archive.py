"""Images inside archives, read in natural order without unpacking: code shared by .zip and .tar, and .zip.

Members are indexed once; each worker then reads one member at a time.
"""

import stat
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from threading import Lock

from ganeval.errors import DecodeError, SourceError
from ganeval.places import Place
from ganeval.printable import printable
from ganeval.sources.base import Fingerprint
from ganeval.sources.budget import claim
from ganeval.sources.file_filter import EVERYTHING, FileFilter
from ganeval.sources.files import (
    CORRUPT,
    ENCODED_LIMIT,
    Opened,
    digest_of,
    inflated,
    load_encoded,
    open_zip_file,
    told,
)
from ganeval.sources.image_files import ImageFiles
from ganeval.sources.items import Item
from ganeval.sources.members import Member, Members

MEMBER_LIMIT = ENCODED_LIMIT
# Maximum length in bytes of the target of a link.
MAX_TARGET = 1 << 12


class ArchiveItems:
    """The images among an archive's members; `labelling.label_images` says where their classes come from."""

    parallel = True

    def __init__(
        self,
        members: Mapping[str, Member],
        *,
        kind: str,
        where: str,
        files: Opened,
        select: FileFilter = EVERYTHING,
        remarks: Sequence[str] = (),
    ) -> None:
        """where: the name of the archive in messages. files: the archive files, to detect changes.

        remarks: what the user should know about the archives.
        """
        self.kind = kind
        self._members = members
        self._where = where
        self._files = files
        self._remarks = remarks
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
        """The names of the classes, unless these are just numbers."""
        return self._images.labelling.class_names

    @property
    def remarks(self) -> Sequence[str]:
        """What the user should know about the images."""
        return [*self._remarks, *self._images.remarks]

    @property
    def file_names(self) -> Sequence[str]:
        """The images' names in the set."""
        return self._images.file_names

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

    def fingerprint(self, indices: Sequence[int]) -> Fingerprint | None:
        """A digest of the archive files' sizes, times and inodes, and of the members read; None if a file changed."""
        found = self._files.identity()
        if found is None:
            return None
        identity, settled = found
        chosen = [(self._names[index], self._members[self._names[index]].size) for index in indices]
        fast = digest_of(identity, repr(chosen).encode())
        return Fingerprint(fast.hex(), digest_of(repr([size for _, size in chosen]).encode()).hex(), settled)

    def describe(self) -> dict[str, object]:
        """The number of archives, if several, what was selected, and where the classes were read from."""
        shards = {"shards": len(self._files.paths)} if len(self._files.paths) > 1 else {}
        return {**shards, **self._images.describe()}

    def _bytes(self, index: int) -> bytes:
        return self._read(self._names[index])

    def _read(self, name: str) -> bytes:
        member, called = self._members[name], f"{self._where}/{name}"
        if member.size > MEMBER_LIMIT:
            raise DecodeError(called, f"it declares {member.size:,} bytes, over {MEMBER_LIMIT:,}.")
        claim(member.size)
        try:
            return member.read()
        except CORRUPT as error:
            raise DecodeError(called, f"the archive is corrupt here ({told(error)}).") from error


def open_zip(path: Place, select: FileFilter = EVERYTHING) -> ArchiveItems:
    """The images in a .zip; SourceError for one that is corrupt, encrypted, or names files outside itself."""
    try:
        files = Opened([path])
        archive = open_zip_file(path)
        members = _members(archive, path)
    except CORRUPT as error:
        raise SourceError(f"{path} cannot be read as a zip archive ({told(error)}).") from error
    found = members.files()
    return ArchiveItems(found, kind="zip", where=str(path), files=files, select=select, remarks=[*members.remarks()])


def _members(archive: zipfile.ZipFile, path: Place) -> Members:
    lock, members = Lock(), Members(path)
    for info in archive.infolist():
        if info.is_dir():
            continue
        if info.flag_bits & 1:
            name = printable(info.filename)
            raise SourceError(f"{path}: '{name}' is encrypted; unpack the archive with its password first.")
        if stat.S_ISLNK(info.external_attr >> 16) and info.file_size < MAX_TARGET:
            members.add_symbolic(info.filename, _read_zip(archive, info, lock).decode("utf-8", "surrogateescape"))
        else:
            members.add(info.filename, Member(info.file_size, partial(_read_zip, archive, info, lock)))
    return members


def _read_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, lock: Lock) -> bytes:
    # ZipFile counts its open members without a lock; reading and inflating members in parallel is safe.
    with lock:
        member = archive.open(info)
    try:
        return b"".join(inflated(member, info))
    finally:
        with lock:
            member.close()
