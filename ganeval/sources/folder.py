"""A folder of images, read recursively in natural order."""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from ganeval.errors import DecodeError, SourceError
from ganeval.sources.base import Stamp
from ganeval.sources.files import (
    DIGEST_SIZE,
    class_folders,
    digest_of,
    file_identity,
    is_hidden,
    is_image,
    is_settled,
    load_encoded,
    natural_order,
    no_images,
)
from ganeval.sources.items import Item


class FolderItems:
    """The images under a folder; classes are its first-level subfolders, where every image lies in one."""

    kind = "folder"
    parallel = True

    def __init__(self, root: Path, names: Sequence[str] | None = None) -> None:
        """names: relative posix paths, where they are known; otherwise the folder is searched."""
        self.root = root
        self._names = find_images(root) if names is None else names

    def __len__(self) -> int:
        return len(self._names)

    @property
    def labels(self) -> Sequence[int] | None:
        """The index of each image's class folder."""
        return None if self._classes is None else self._classes[0]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The class folders."""
        return None if self._classes is None else self._classes[1]

    @cached_property
    def _classes(self) -> tuple[list[int], tuple[str, ...]] | None:
        return class_folders(self._names)

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
        """Nothing more: the name says where the folder is."""
        return {}

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
    images: list[str] = []
    others: list[str] = []
    for name in _walk(root, "", frozenset()):
        (images if is_image(name) else others).append(name)
    if not images:
        raise no_images(f"The folder {root}", others)
    return natural_order(images)


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
