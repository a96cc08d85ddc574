"""A folder of images, read recursively in natural order."""

import os
from collections import deque
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple

from ganeval.errors import DecodeError, SourceError
from ganeval.places import Place, RemotePath, file_fingerprints_in, size_of
from ganeval.printable import printable
from ganeval.sources.base import Fingerprint
from ganeval.sources.file_filter import EVERYTHING, FileFilter
from ganeval.sources.files import (
    DIGEST_SIZE,
    digest_of,
    is_hidden,
    is_image,
    is_settled,
    load_encoded,
    natural_order,
    no_images,
    read_image_file,
)
from ganeval.sources.image_files import ImageFiles, Listed
from ganeval.sources.items import Item
from ganeval.sources.label_files import LABEL_FILES, MAX_BYTES, folders_above

# Maximum length of a path in a message.
MAX_SHOWN = 1000


class FolderItems:
    """The images under a folder; `labelling.label_images` says where their classes come from."""

    kind = "folder"
    parallel = True

    def __init__(
        self,
        root: Place,
        names: Sequence[str] | None = None,
        *,
        labels: Sequence[object] | None = None,
        where: str | None = None,
        select: FileFilter = EVERYTHING,
    ) -> None:
        """names: posix paths relative to `root`, if a list gives them; otherwise the folder is searched.

        labels: one per name, as the list has them. where: the name of this place in messages.
        """
        self.root = root
        called = where or f"The folder {root}"
        files, self._repeated, _ = walk(root) if names is None else (_label_files(root, names), [], [])
        self._files = ImageFiles(
            files,
            self._read,
            where=called,
            select=select,
            listed=None if names is None else Listed(names, labels, called),
            is_there=None if names is None else lambda name: is_file(root / name),
        )
        self._names = self._files.names
        self.is_remote = isinstance(root, RemotePath)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def labels(self) -> Sequence[int] | None:
        """The class of each image, where it is known."""
        return self._files.labelling.labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, unless these are just numbers."""
        return self._files.labelling.class_names

    @property
    def remarks(self) -> Sequence[str]:
        """What the user should know about the images."""
        found = list(self._files.remarks)
        if self._repeated:
            shown = ", ".join(map(printable, self._repeated[:3])) + (", ..." if len(self._repeated) > 3 else "")
            found.append(
                f"{self.root}: links to folders that are read by another name already: {len(self._repeated)} "
                f"({shown}). Their images count once."
            )
        return found

    @property
    def file_names(self) -> Sequence[str]:
        """The images' names in the set."""
        return self._files.file_names

    def item_name(self, index: int) -> str:
        """The image's path."""
        return str(self.root / self._names[index])

    def load(self, index: int) -> Item:
        """Read and decode the file."""
        label = None if self.labels is None else self.labels[index]
        return load_encoded(self._bytes(index), self.item_name(index), label)

    def digest(self, index: int) -> bytes:
        """Of the file's bytes."""
        return digest_of(self._bytes(index))

    def fingerprint(self, indices: Sequence[int]) -> Fingerprint | None:
        """A digest of the files' relative paths and identities; None if a server has nothing that tells of changes."""
        fast = blake2b(digest_size=DIGEST_SIZE)
        sizes = blake2b(f"{len(indices)} ".encode(), digest_size=DIGEST_SIZE)
        files = []
        for index, seen in zip(
            indices, file_fingerprints_in(self.root, [self._names[index] for index in indices]), strict=True
        ):
            if seen is None:
                raise DecodeError(self.item_name(index), "there is no such file.")
            if seen.identity is None:
                return None
            files.append(seen)
            fast.update(repr(self._names[index]).encode() + seen.identity)
            sizes.update(b"%d " % (seen.size or 0))
        return Fingerprint(fast.hexdigest(), sizes.hexdigest(), is_settled(files))

    def describe(self) -> dict[str, object]:
        """What was selected and left out, and where the classes were read from."""
        return self._files.describe()

    def _read(self, name: str) -> bytes:
        path = self.root / name
        try:
            if not path.is_file():
                raise SourceError(f"{path} is not a regular file.")
            if size_of(path) > MAX_BYTES:
                raise SourceError(f"{path} has over {MAX_BYTES:,} bytes, too many for labels.")
            return path.read_bytes()
        except OSError as error:
            raise SourceError(f"{path} cannot be read ({error.strerror or error}).") from error

    def _bytes(self, index: int) -> bytes:
        return read_image_file(self.root / self._names[index])


def find_images(root: Place) -> list[str]:
    """The relative posix paths of all images under `root`, in natural order; SourceError when there are none.

    Symbolic links are followed, except into a folder that has been searched already.
    """
    files = find_files(root)
    images = [name for name in files if is_image(name)]
    if not images:
        raise no_images(f"The folder {root}", files)
    return natural_order(images)


def find_files(root: Place) -> list[str]:
    """The relative posix paths of all files under `root` that are not hidden, in any order."""
    return walk(root).files


def is_file(path: Place) -> bool:
    """Whether a file exists; False for a name that the file system does not allow."""
    try:
        return path.is_file()
    except OSError:
        return False


def distinct(root: Path, folders: Sequence[str]) -> list[str]:
    """The folders of `root`, without links to earlier ones."""
    return list({_identity(root / name): name for name in reversed(folders)}.values())[::-1]


def visible(folder: Path) -> list[str]:
    """The names in a folder that are not hidden, in a fixed order; SourceError if it cannot be searched."""
    return [entry.name for entry in _scan(folder)[1]]


def _label_files(root: Place, names: Sequence[str]) -> list[str]:
    """Label files in the folders above listed images, up to `root`."""
    folders = dict.fromkeys(folder for name in names for folder in folders_above(name) if not Path(name).is_absolute())
    return [folder + kind for folder in folders for kind in LABEL_FILES if is_file(root / folder / kind)]


class Found(NamedTuple):
    """What `walk` finds, as relative posix paths.

    files and folders ("" or with a slash at the end): those that are not hidden. repeated: links to folders that were
    searched under another name.
    """

    files: list[str]
    repeated: list[str]
    folders: list[str]


def walk(root: Place, starts: Sequence[str] = ("",)) -> Found:
    """Everything in and under the folders `starts` of `root`, each "" or a relative posix path with a slash at the end.

    A folder is searched once, under its real name rather than that of a link. Raises SourceError for a folder
    that cannot be searched.
    """
    if isinstance(root, RemotePath):
        return _listed(root, starts)
    files: list[str] = []
    seen: dict[object, str] = {}
    repeated: list[str] = []
    folders, links = list(reversed(starts)), deque[str]()
    while folders or links:
        name = folders.pop() if folders else links.popleft()
        identity, entries = _scan(root / name)
        if identity in seen:
            if not name.startswith(seen[identity]):
                repeated.append(name.rstrip("/"))
            continue
        seen[identity] = name
        kinds = {entry: _kind(entry) for entry in entries}
        files += [name + entry.name for entry in entries if kinds[entry] == "file"]
        inner = [entry for entry in entries if kinds[entry] == "folder"]
        folders += [f"{name}{entry.name}/" for entry in reversed(inner) if not entry.is_symlink()]
        links += [f"{name}{entry.name}/" for entry in inner if entry.is_symlink()]
    return Found(files, repeated, list(seen.values()))


def _listed(root: RemotePath, starts: Sequence[str]) -> Found:
    """`walk` of a remote folder, by its listing."""
    try:
        listing = root.listing()
    except FileNotFoundError as error:
        raise SourceError(f"The folder {root} cannot be read ({error.strerror}).") from error
    names = sorted(name for name in listing if not any(map(is_hidden, name.split("/"))))
    files = [name for name in names if name.startswith(tuple(starts))]
    folders = {folder: None for name in files for folder in folders_above(name) if folder.startswith(tuple(starts))}
    return Found(files, [], list(folders))


def _scan(folder: Path) -> tuple[object, list[os.DirEntry[str]]]:
    """The identity of a folder, and its entries that are not hidden, in a fixed order."""
    try:
        identity = _identity(folder)
        with os.scandir(folder) as scan:
            entries = sorted((entry for entry in scan if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        # The end of a very long path is enough to recognise it.
        name = printable(str(folder))
        shown = name if len(name) <= MAX_SHOWN else f"...{name[-MAX_SHOWN:]}"
        raise SourceError(f"The folder {shown} cannot be read ({error.strerror or error}).") from error
    return identity, entries


def _identity(folder: Path) -> object:
    """What identifies a folder: two names of one folder have the same identity."""
    here = folder.stat()
    # Some network file systems have no inode numbers.
    return (here.st_dev, here.st_ino) if here.st_ino else folder.resolve()


def _kind(entry: os.DirEntry[str]) -> Literal["file", "folder"] | None:
    """The kind of an entry; None for a pipe, a socket or a device, and links to them, which are not opened."""
    try:
        if entry.is_dir():
            return "folder"
        if not entry.is_file():
            entry.stat()
            return None
    except OSError:
        # A broken link, or one to itself: if it is named like an image, it counts as an unreadable image.
        return "file"
    return "file"
