"""Sources that wrap another source: the same images in the same order, checked or changed as they are read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

from torch import Tensor

from ganeval.errors import SourceError
from ganeval.sources.base import Fingerprint, Group, ImageBatch, Reading, ReadReport, Source
from ganeval.sources.files import digest_of
from ganeval.sources.items import Item, ItemSource, Remarkable


@runtime_checkable
class Named(Protocol):
    """A source of images with file names, which can be taken in any order."""

    @property
    def file_names(self) -> Sequence[str] | None: ...

    def take(self, places: Sequence[int], subset: Mapping[str, object] | None = None) -> Source: ...


class WrappedSource(ABC):
    """A source that forwards everything to another source."""

    def __init__(self, source: Source, *, name: str | None = None) -> None:
        self.source = source
        self.name = source.name if name is None else name
        self.kind = source.kind

    def __len__(self) -> int:
        return len(self.source)

    @property
    def labels(self) -> Sequence[int] | None:
        """The other source's."""
        return self.source.labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The other source's."""
        names: tuple[str, ...] | None = getattr(self.source, "class_names", None)
        return names

    @property
    def remarks(self) -> Sequence[str]:
        """What the user should know about the images."""
        return self.source.remarks if isinstance(self.source, Remarkable) else ()

    @property
    def file_names(self) -> Sequence[str] | None:
        """The file of each image, relative to the set, if images are files."""
        return self.source.file_names if isinstance(self.source, Named) else None

    def take(self, places: Sequence[int], subset: Mapping[str, object] | None = None) -> Self:
        """The images at these indices; only if there are file names."""
        assert isinstance(self.source, Named)
        return self._around(self.source.take(places, subset))

    def item_name(self, index: int) -> str:
        """The name of the image in the other source, by which a user finds it."""
        return self.source.item_name(index)

    def batches(self, reading: Reading, report: ReadReport) -> Generator[ImageBatch]:
        """The other source's batches."""
        with closing(self.source.batches(reading, report)) as batches:
            for batch, indices in numbered(batches, report):
                yield self._passed(batch, indices)

    @abstractmethod
    def one(self, image: Tensor, index: int) -> Tensor:
        """The image of the other source at an index, as this source gives it; SourceError if that is not possible."""

    def part(self, number: int, of: int, batch_size: int) -> Self | None:
        """The same wrapper around a part of the other source."""
        part = self.source.part(number, of, batch_size)
        return None if part is None else self._around(part)

    def fingerprint(self) -> Fingerprint | None:
        """The other source's."""
        return self.source.fingerprint()

    def digests(self) -> Iterator[bytes]:
        """The other source's."""
        return self.source.digests()

    def describe(self) -> dict[str, object]:
        """The description of the other source."""
        return self.source.describe()

    @abstractmethod
    def _passed(self, batch: ImageBatch, indices: Sequence[int]) -> ImageBatch:
        """A batch of the other source, as this source gives it. indices: of its images."""

    @abstractmethod
    def _around(self, source: Source) -> Self:
        """The same wrapper around another source."""


class WatchedSource(WrappedSource):
    """A source that reports the size of each image as it is read.

    see: called with the index, the width and the height of every image, in their order; may raise SourceError.
    """

    def __init__(self, source: Source, see: Callable[[int, int, int], None]) -> None:
        super().__init__(source)
        self._see = see

    def one(self, image: Tensor, index: int) -> Tensor:  # noqa: ARG002, an image by itself
        """The unchanged image."""
        return image

    def _passed(self, batch: ImageBatch, indices: Sequence[int]) -> ImageBatch:
        sizes = {row: group.images.shape[:1:-1] for group in batch.groups for row in group.rows}
        for row, index in enumerate(indices):
            self._see(index, *sizes[row])
        return batch

    def _around(self, source: Source) -> Self:
        return type(self)(source, self._see)


class UnfitError(Exception):
    """An image cannot be changed; the message is a sentence without the image's name."""


@dataclass(frozen=True, slots=True)
class Transform:
    """A transform of every image of a source.

    name: distinguishes features of changed images from those of the originals. apply: uint8 [N, 3, H, W] to uint8 [N,
    3, H', W'], or UnfitError.
    """

    name: str
    apply: Callable[[Tensor], Tensor]


class TransformedSource(WrappedSource):
    """A source with every image changed. The names of its images are those of the originals."""

    def __init__(self, source: Source, transform: Transform, *, name: str) -> None:
        super().__init__(source, name=name)
        self._transform = transform

    def one(self, image: Tensor, index: int) -> Tensor:
        """An image of the original source, changed."""
        return self._applied(image[None], index)[0]

    @property
    def parallel(self) -> bool:
        """Whether images may be loaded from several threads at once; False if they have no indices."""
        return isinstance(self.source, ItemSource | TransformedSource) and self.source.parallel

    def item_at(self, index: int) -> Item:
        """The changed image at `index`; only for indexed images. DecodeError if it cannot be read."""
        assert isinstance(self.source, ItemSource | TransformedSource)
        item = self.source.item_at(index)
        return replace(item, pixels=self.one(item.pixels, index), digest=self._digest(item.digest))

    def fingerprint(self) -> Fingerprint | None:
        """The fingerprint of the original, and the transform."""
        found = self.source.fingerprint()
        if found is None:
            return None
        fast = None if found.fast is None else self._digest(found.fast.encode()).hex()
        return Fingerprint(fast, self._digest(found.sizes.encode()).hex(), found.settled)

    def digests(self) -> Iterator[bytes]:
        """The digest of every original, combined with the transform."""
        return map(self._digest, self.source.digests())

    def describe(self) -> dict[str, object]:
        """The description of the original source, and the changes in order."""
        described = self.source.describe()
        before = described.get("changed", ())
        return {**described, "changed": [*(before if isinstance(before, list) else ()), self._transform.name]}

    def _passed(self, batch: ImageBatch, indices: Sequence[int]) -> ImageBatch:
        groups = [Group(group.rows, self._applied(group.images, indices[group.rows[0]])) for group in batch.groups]
        return ImageBatch(tuple(groups), tuple(map(self._digest, batch.digests)), batch.labels)

    def _applied(self, images: Tensor, index: int) -> Tensor:
        """Transform images of one size; the first is at this index."""
        try:
            return self._transform.apply(images)
        except UnfitError as error:
            raise SourceError(f"{self.item_name(index)}: {error}") from error

    def _around(self, source: Source) -> Self:
        return type(self)(source, self._transform, name=self.name)

    def _digest(self, original: bytes) -> bytes:
        return digest_of(self._transform.name.encode(), original)


def numbered(batches: Iterable[ImageBatch], report: ReadReport) -> Iterator[tuple[ImageBatch, Sequence[int]]]:
    """Batches with the index of each image in the source; skipped images are in no batch."""
    index, passed = 0, 0
    for batch in batches:
        indices: list[int] = []
        while len(indices) < len(batch):
            if passed < len(report.skipped_indices) and report.skipped_indices[passed] == index:
                passed += 1
            else:
                indices.append(index)
            index += 1
        yield batch, indices
