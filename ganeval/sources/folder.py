"""A folder of images, read recursively in natural order."""

import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from ganeval.errors import DecodeError, SourceError
from ganeval.sources.base import Stamp
from ganeval.sources.files import (
    DIGEST_SIZE,
    digest_of,
    file_identity,
    is_hidden,
    is_image,
    is_settled,
    load_encoded,
    natural_order,
    no_images,
)
from ganeval.sources.image_files import ImageFiles, Listed
from ganeval.sources.items import Item
from ganeval.sources.label_files import LABEL_FILES, MAX_BYTES, folders_above
from ganeval.sources.selection import EVERYTHING, Selection


class FolderItems:
    """The images under a folder; `labelling.label_images` says where their classes come from."""

    kind = "folder"
    parallel = True

    def __init__(
        self,
        root: Path,
        names: Sequence[str] | None = None,
        *,
        labels: Sequence[object] | None = None,
        where: str | None = None,
        select: Selection = EVERYTHING,
    ) -> None:
        """names: posix paths from `root`, where somebody listed them; otherwise the folder is searched.

        labels: one per name, as written. where: how to name this place in messages.
        """
        self.root = root
        called = where or f"The folder {root}"
        self._files = ImageFiles(
            find_files(root) if names is None else _label_files(root, names),
            self._read,
            where=called,
            select=select,
            listed=None if names is None else Listed(names, labels, called),
            is_there=None if names is None else lambda name: is_file(root / name),
        )
        self._names = self._files.names

    def __len__(self) -> int:
        return len(self._names)

    @property
    def labels(self) -> Sequence[int] | None:
        """The class of each image, where it is known."""
        return self._files.labelling.labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What the classes are called, where that is not just their number."""
        return self._files.labelling.class_names

    @property
    def remarks(self) -> Sequence[str]:
        """What a user should know of the images."""
        return self._files.remarks

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

    def stamp(self, indices: Sequence[int]) -> Stamp:
        """Of the files' relative paths, sizes, times and inodes."""
        fast = blake2b(digest_size=DIGEST_SIZE)
        sizes = blake2b(f"{len(indices)} ".encode(), digest_size=DIGEST_SIZE)
        files = [_stat(self.item_name(index)) for index in indices]
        for index, seen in zip(indices, files, strict=True):
            fast.update(repr(self._names[index]).encode() + file_identity(seen))
            sizes.update(b"%d " % seen.st_size)
        return Stamp(fast.hexdigest(), sizes.hexdigest(), is_settled(files))

    def describe(self) -> dict[str, object]:
        """What was selected and left out, and where the classes were read."""
        return self._files.describe()

    def _read(self, name: str) -> bytes:
        path = self.root / name
        try:
            if path.stat().st_size > MAX_BYTES:
                raise SourceError(f"{path} has over {MAX_BYTES:,} bytes, too many for labels.")
            return path.read_bytes()
        except OSError as error:
            raise SourceError(f"{path} cannot be read ({error.strerror or error}).") from error

    def _bytes(self, index: int) -> bytes:
        path = self.item_name(index)
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise DecodeError(path, f"it cannot be read ({error.strerror or error}).") from error


def find_images(root: Path) -> list[str]:
    """The relative posix paths of every image under `root`, in natural order; SourceError when there is none.

    Symbolic links are followed, except into a folder that is being searched already.
    """
    files = find_files(root)
    images = [name for name in files if is_image(name)]
    if not images:
        raise no_images(f"The folder {root}", files)
    return natural_order(images)


def find_files(root: Path) -> list[str]:
    """The relative posix paths of every file under `root` that is not hidden, in no order."""
    return list(_walk(root, "", frozenset()))


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that no file system takes names none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _label_files(root: Path, names: Sequence[str]) -> list[str]:
    """Files of labels in the folders above listed images, up to `root`."""
    folders = dict.fromkeys(folder for name in names for folder in folders_above(name) if not Path(name).is_absolute())
    return [folder + kind for folder in folders for kind in LABEL_FILES if is_file(root / folder / kind)]


def _walk(root: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    folder = root / prefix
    try:
        here = folder.stat()
        with os.scandir(folder) as scan:
            entries = [entry for entry in scan if not is_hidden(entry.name)]
    except OSError as error:
        raise SourceError(f"The folder {folder} cannot be read ({error.strerror or error}).") from error
    identity = (here.st_dev, here.st_ino)
    if identity in above:
        return
    for entry in entries:
        name = prefix + entry.name
        if entry.is_dir():
            yield from _walk(root, name + "/", above | {identity})
        # A broken link with an image's name is an image that cannot be read; a pipe or a device is nothing to open.
        elif entry.is_file() or entry.is_symlink():
            yield name


def _stat(path: str) -> os.stat_result:
    try:
        return Path(path).stat()
    except OSError as error:
        raise DecodeError(path, f"it cannot be read ({error.strerror or error}).") from error
