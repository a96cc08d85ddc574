"""The source of indexed images: all items or a subset, decoded ahead by threads, in order.

Files, archive members, arrays and data sets differ only in how one item is loaded, which is `Items`.
"""

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event
from typing import Protocol, SupportsIndex, runtime_checkable

import numpy as np
from torch import Tensor

from ganeval.errors import DecodeError, SourceError, UsageError
from ganeval.sources.ahead import WINDOW, in_order
from ganeval.sources.base import Fingerprint, ImageBatch, Reading, ReadReport, batch_of, check_skips, part_of
from ganeval.sources.budget import Budget

# Maximum bytes of the images read ahead, and of those in one batch; a single image may be larger.
AHEAD_BYTES, BATCH_BYTES = 512 << 20, 96 << 20
# Threads that read remote files: requests run in parallel.
REMOTE_READERS = 16


@dataclass(frozen=True, slots=True)
class Item:
    """One loaded image.

    Attributes:
        pixels: uint8 ``[3, H, W]``.
        digest: 16 bytes that change when the content does.
        conversions: How the image was converted ("greyscale", "palette", ...).
        label: Its class, where the source has classes.
        range_use: How the values use the declared range, as `images.range_use` counts it.
    """

    pixels: Tensor
    digest: bytes
    conversions: tuple[str, ...] = ()
    label: int | None = None
    range_use: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class LoadedTogether:
    """Images that were loaded in one piece.

    Attributes:
        batch: The images, of one size, with their digests and labels.
        conversions: How each of them was converted.
        range_use: How their values use the declared range, as `images.range_use` counts it.
    """

    batch: ImageBatch
    conversions: tuple[str, ...] = ()
    range_use: Counter[str] = field(default_factory=Counter)


@runtime_checkable
class Batchable(Protocol):
    """Items that can be loaded together, by several threads at once, which is faster if they are small.

    None of them is unreadable.
    """

    @abstractmethod
    def bytes_to_load(self, count: int) -> int:
        """About how much memory `load_together` takes.

        Args:
            count: The number of images.

        Returns:
            Bytes.
        """
        ...

    @abstractmethod
    def load_together(self, indices: Sequence[int]) -> LoadedTogether:
        """Load several images.

        Args:
            indices: Their positions.

        Returns:
            What `load` gives for each of them, as one batch.
        """
        ...


@runtime_checkable
class Remarkable(Protocol):
    """Items with remarks for the user, in sentences."""

    @property
    def remarks(self) -> Sequence[str]: ...


@runtime_checkable
class Files(Protocol):
    """Items that are files: their names relative to the set, with "/" between folders."""

    @property
    def file_names(self) -> Sequence[str]: ...


@runtime_checkable
class Distant(Protocol):
    """Items that may be remote; these are read by more threads than there are cores."""

    @property
    def is_remote(self) -> bool: ...


@runtime_checkable
class Items(Protocol):
    """Images by index: the interface of each kind of source.

    Attributes:
        kind: "folder", "zip", ...
        parallel: Whether `load` may be called from several threads at once.
        labels: One class per image, None where unknown.
        class_names: The names of classes 0, 1, ..., where they have names.
    """

    @property
    @abstractmethod
    def kind(self) -> str: ...

    @property
    @abstractmethod
    def parallel(self) -> bool: ...

    @property
    @abstractmethod
    def labels(self) -> Sequence[int] | None: ...

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...] | None: ...

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def item_name(self, index: int) -> str:
        """The name of the image, by which a user finds it.

        Args:
            index: The position of the image.

        Returns:
            The name.
        """
        ...

    @abstractmethod
    def load(self, index: int) -> Item:
        """Decode an image.

        Args:
            index: The position of the image.

        Returns:
            The image.

        Raises:
            DecodeError: It cannot be read.
        """
        ...

    @abstractmethod
    def digest(self, index: int) -> bytes:
        """`load(index).digest`, without decoding where that is possible.

        Args:
            index: The position of the image.

        Returns:
            16 bytes.
        """
        ...

    @abstractmethod
    def fingerprint(self, indices: Sequence[int]) -> Fingerprint | None:
        """The identity of these items in this order, cheaply; None when they must not be cached.

        Args:
            indices: The images that are read, in this order.

        Returns:
            The identity; None when they must not be cached.
        """
        ...

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """What the provenance records besides name, kind and count."""
        ...


def choose(total: int, num_samples: int | None, seed: int, *, name: str) -> Sequence[int]:
    """The indices that are read: all, or a seeded random subset in ascending order, the same on every machine.

    The subset is the first `num_samples` of `numpy.random.RandomState(seed).permutation(total)`, a frozen stream.
    """
    if num_samples is None:
        return range(total)
    if not isinstance(num_samples, SupportsIndex) or num_samples < 1:
        raise UsageError(f"num_samples is {num_samples!r}; it must be 1 or more, a whole number.")
    if num_samples > total:
        raise SourceError(f"{name}: {num_samples} images were requested, but there are only {total}.")
    chosen: list[int] = np.sort(np.random.RandomState(seed).permutation(total)[:num_samples]).tolist()
    return chosen


class ItemSource:
    """Images of an `Items`, all or a seeded subset: a `Source`."""

    def __init__(self, items: Items, *, name: str, num_samples: int | None = None, seed: int = 0) -> None:
        if len(items) == 0:
            raise SourceError(f"{name} holds no images.")
        self.name = name
        self.kind = items.kind
        self._items = items
        self._subset: dict[str, object] | None = None
        if num_samples is not None:
            self._subset = {"num_samples": num_samples, "of": len(items), "seed": seed}
        self._indices = choose(len(items), num_samples, seed, name=name)
        # Of the whole source, if this is a part of one.
        self._whole: int | None = None

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def labels(self) -> Sequence[int] | None:
        """One class per image, None where the items have no labels."""
        labels = self._items.labels
        if labels is None or self._indices == range(len(labels)):
            return labels
        return [labels[index] for index in self._indices]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of classes 0, 1, ..., where they have names."""
        return self._items.class_names

    @property
    def remarks(self) -> Sequence[str]:
        """What the user should know about these images before they are read."""
        return self._items.remarks if isinstance(self._items, Remarkable) else ()

    @property
    def file_names(self) -> Sequence[str] | None:
        """The file of each image, relative to the set, if images are files."""
        if not isinstance(self._items, Files):
            return None
        names = self._items.file_names
        return [names[index] for index in self._indices]

    def take(self, places: Sequence[int], subset: Mapping[str, object] | None = None) -> "ItemSource":
        """The images at these indices, in this order. subset: how they were chosen, for the provenance."""
        taken = copy(self)
        taken._indices = [self._indices[place] for place in places]
        taken._subset = self._subset if subset is None else dict(subset)
        return taken

    def part(self, number: int, of: int, batch_size: int) -> "ItemSource":
        """One of several parts; the limit on skipped images still applies to the whole."""
        places = part_of(len(self), number, of, batch_size)
        taken = copy(self)
        taken._indices, taken._whole = self._indices[places.start : places.stop], self._whole or len(self)
        return taken

    def item_name(self, index: int) -> str:
        """The name of the image at `index` of this source, by which a user finds it."""
        return self._items.item_name(self._indices[index])

    @property
    def parallel(self) -> bool:
        """Whether images may be loaded from several threads at once."""
        return self._items.parallel

    def item_at(self, index: int) -> Item:
        """The image at `index` of this source, as it was loaded; DecodeError when it cannot be read."""
        return self._items.load(self._indices[index])

    def image_at(self, index: int) -> Tensor:
        """The image at `index` of this source, uint8 [3, H, W]; DecodeError when it cannot be read."""
        return self.item_at(index).pixels

    def batches(self, reading: Reading, report: ReadReport) -> Generator[ImageBatch]:
        """Every chosen image once, in order; a batch whose images were all skipped is left out.

        A batch ends early if it would hold more than BATCH_BYTES, so large images come in small batches.
        """
        if isinstance(self._items, Batchable) and self._batches_fit(self._items, reading):
            yield from _load_together(self._items, self._indices, reading, report)
            return
        loads = (partial(self._items.load, index) for index in self._indices)
        workers = reading.workers if self._items.parallel else 1
        if isinstance(self._items, Distant) and self._items.is_remote:
            workers = max(workers, REMOTE_READERS)
        reading = replace(reading, workers=workers)
        yield from load_batches(loads, reading, report, total=self._whole or len(self))
        if len(report.skipped) == len(self) and self._whole is None:
            raise nothing_read(self.name, report)

    def _batches_fit(self, items: Batchable, reading: Reading) -> bool:
        """Whether whole batches can be read ahead within the limits on memory."""
        each = items.bytes_to_load(min(reading.batch_size, len(self)))
        return each <= BATCH_BYTES and each * (reading.workers + WINDOW + 1) <= AHEAD_BYTES

    def fingerprint(self) -> Fingerprint | None:
        """The key by which the cache finds these images; a subset has its own fingerprint."""
        return self._items.fingerprint(self._indices)

    def digests(self) -> Iterator[bytes]:
        """Every chosen image's digest, in order, without decoding."""
        return (self._items.digest(index) for index in self._indices)

    def describe(self) -> dict[str, object]:
        """The items' own description, the subset, and the classes, if any."""
        described = dict(self._items.describe())
        if self._subset is not None:
            described["subset"] = dict(self._subset)
        if self._items.labels is not None:
            described["classes"] = len(set(self._items.labels))
        return described


def _load_together(
    items: Batchable, indices: Sequence[int], reading: Reading, report: ReadReport
) -> Generator[ImageBatch]:
    """Whole batches, loaded ahead by threads, in order."""
    starts = range(0, len(indices), reading.batch_size)
    tasks = (partial(items.load_together, indices[start : start + reading.batch_size]) for start in starts)
    with closing(in_order(tasks, workers=reading.workers, stop=Event())) as loading:
        for loaded in loading:
            report.conversions.update(dict.fromkeys(loaded.conversions, len(loaded.batch)))
            report.range_use.update(loaded.range_use)
            yield loaded.batch


def load_batches(
    loads: Iterable[Callable[[], Item]],
    reading: Reading,
    report: ReadReport,
    *,
    total: int | None,
    first: int = 0,
) -> Generator[ImageBatch]:
    """Images in batches, loaded ahead by threads, in order; a batch whose images were all skipped is left out.

    loads: each returns an image. total: the number of images of the source, for the limit on skipped images; None if it
    is known only at the end. first: the index of the first of these images in the source.
    """
    stop = Event()
    budget = Budget(AHEAD_BYTES, stop)
    tasks = (partial(_load, load, position, reading, budget) for position, load in enumerate(loads))
    taken = _Taken(budget)
    with closing(in_order(tasks, workers=reading.workers, stop=stop, tasks_per_batch=reading.batch_size)) as loading:
        for position, loaded in enumerate(loading, start=1):
            if isinstance(loaded, DecodeError):
                report.skipped.append((loaded.name, loaded.reason))
                report.skipped_indices.append(first + position - 1)
                if total is not None:
                    check_skips(report, total, reading)
            else:
                report.conversions.update(loaded.conversions)
                report.range_use.update(loaded.range_use)
                if taken.bytes + loaded.pixels.nbytes > BATCH_BYTES:
                    yield from taken.batch()
                taken.add(position - 1, loaded)
            del loaded
            if position % reading.batch_size == 0:
                yield from taken.batch()
            budget.awaits(position)
        yield from taken.batch()


def nothing_read(name: str, report: ReadReport) -> SourceError:
    """The error for a source if all images were skipped."""
    image, reason = report.skipped[0]
    return SourceError(f"{name}: no image could be read; the first: {image}: {reason}")


def _load(load: Callable[[], Item], position: int, reading: Reading, budget: Budget) -> Item | DecodeError:
    """An image, or, with `on_error="skip"`, the error; runs in a worker thread."""
    held = 0
    try:
        with budget.loading(position):
            item = load()
        held = item.pixels.nbytes
    except DecodeError as error:
        if reading.on_error == "fail":
            raise
        return error
    finally:
        budget.settle(position, held)
    return item


class _Taken:
    """The images of the batch being filled, and of the last batch handed over."""

    def __init__(self, budget: Budget) -> None:
        self.bytes = 0
        self._budget = budget
        self._items: list[Item] = []
        self._positions: list[int] = []

    def add(self, position: int, item: Item) -> None:
        self._items.append(item)
        self._positions.append(position)
        self.bytes += item.pixels.nbytes

    def batch(self) -> Generator[ImageBatch]:
        """The images so far as one batch, if any; they count as held until the consumer requests the next batch."""
        positions = self._positions
        if not positions:
            return
        batch = _batch(self._items)
        self._items, self._positions, self.bytes = [], [], 0
        yield batch
        del batch
        for position in positions:
            self._budget.settle(position, 0)


def _batch(loaded: Sequence[Item]) -> ImageBatch:
    labels = [item.label for item in loaded if item.label is not None]
    return batch_of(
        [item.pixels for item in loaded],
        digests=[item.digest for item in loaded],
        labels=labels if loaded and len(labels) == len(loaded) else None,
    )
