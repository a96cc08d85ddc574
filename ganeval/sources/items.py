"""The one source for everything indexable: a choice of items, decoded ahead in threads, in order.

Files, archive members, arrays and data sets differ only in how one item is loaded: that is `Items`.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from ganeval.errors import DecodeError, SourceError, UsageError
from ganeval.sources.ahead import in_order
from ganeval.sources.base import Batch, Reading, ReadReport, Stamp, batch_of, check_skips


@dataclass(frozen=True, slots=True)
class Item:
    """One loaded image. pixels: uint8 [3, H, W]; digest: 16 bytes that change when its content does.

    range_use: of the range it was declared to be in, where one was, as `images.range_use` counts it.
    """

    pixels: Tensor
    digest: bytes
    conversions: tuple[str, ...] = ()
    label: int | None = None
    range_use: Counter[str] = field(default_factory=Counter)


@runtime_checkable
class Remarkable(Protocol):
    """Items of which there is something to say, in sentences, beside their features."""

    @property
    def remarks(self) -> Sequence[str]: ...


@runtime_checkable
class Items(Protocol):
    """Images by index.

    kind: "folder", "zip", ...; parallel: whether `load` may be called from several threads at once.
    labels: one class an image, None where unknown; class_names: the names of classes 0, 1, ..., where they have names.
    """

    @property
    def kind(self) -> str: ...

    @property
    def parallel(self) -> bool: ...

    @property
    def labels(self) -> Sequence[int] | None: ...

    @property
    def class_names(self) -> tuple[str, ...] | None: ...

    def __len__(self) -> int: ...

    def item_name(self, index: int) -> str:
        """The image as a person would look for it."""
        ...

    def load(self, index: int) -> Item:
        """The decoded image; DecodeError when it cannot be read."""
        ...

    def digest(self, index: int) -> bytes:
        """The same 16 bytes as `load(index).digest`, without decoding where that is possible."""
        ...

    def stamp(self, indices: Sequence[int]) -> Stamp | None:
        """The identity of these items in this order, cheaply; None when they must not be cached."""
        ...

    def describe(self) -> dict[str, object]:
        """What the provenance says of these items besides name, kind and count."""
        ...


def choose(total: int, num_samples: int | None, seed: int, *, name: str) -> Sequence[int]:
    """The indices that are read: all, or a seeded random subset in ascending order, the same on every machine.

    The subset is the first `num_samples` of `numpy.random.RandomState(seed).permutation(total)`, a frozen stream.
    """
    if num_samples is None:
        return range(total)
    if num_samples < 1:
        raise UsageError(f"num_samples is {num_samples}; it must be 1 or more.")
    if num_samples > total:
        raise SourceError(f"{name}: {num_samples} images were asked for, but there are only {total}.")
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
        self._subset = None if num_samples is None else {"num_samples": num_samples, "of": len(items), "seed": seed}
        self._indices = choose(len(items), num_samples, seed, name=name)

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def labels(self) -> Sequence[int] | None:
        """One class an image, where the items know them."""
        labels = self._items.labels
        if labels is None or isinstance(self._indices, range):
            return labels
        return [labels[index] for index in self._indices]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of classes 0, 1, ..., where they have names."""
        return self._items.class_names

    @property
    def remarks(self) -> Sequence[str]:
        """What a user should know of these images before they are read."""
        return self._items.remarks if isinstance(self._items, Remarkable) else ()

    def item_name(self, index: int) -> str:
        """The image at `index` of this source, as a person would look for it."""
        return self._items.item_name(self._indices[index])

    def image_at(self, index: int) -> Tensor:
        """The image at `index` of this source, uint8 [3, H, W]; DecodeError when it cannot be read."""
        return self._items.load(self._indices[index]).pixels

    def batches(self, reading: Reading, report: ReadReport) -> Generator[Batch]:
        """Every chosen image once, in order; batches that lost all their images are left out."""
        stop = Event()
        starts = range(0, len(self), reading.batch_size)
        tasks = (partial(self._read, start, start + reading.batch_size, reading, stop) for start in starts)
        workers = reading.workers if self._items.parallel else 1
        rows = 0
        with closing(in_order(tasks, workers=workers, stop=stop)) as reads:
            for batch, read in reads:
                report.conversions.update(read.conversions)
                report.range_use.update(read.range_use)
                report.skipped.extend(read.skipped)
                report.skipped_indices.extend(read.skipped_indices)
                if read.skipped:
                    check_skips(report, len(self), reading)
                rows += len(batch)
                if len(batch):
                    yield batch
        if rows == 0:
            name, reason = report.skipped[0]
            raise SourceError(f"{self.name}: not one image could be read; the first: {name}: {reason}")

    def stamp(self) -> Stamp | None:
        """What the cache finds these images by; a subset has a stamp of its own."""
        return self._items.stamp(self._indices)

    def digests(self) -> Iterator[bytes]:
        """Every chosen image's digest, in order, without decoding."""
        return (self._items.digest(index) for index in self._indices)

    def describe(self) -> dict[str, object]:
        """The items' own description, the subset and the classes, where there are any."""
        described = dict(self._items.describe())
        if self._subset is not None:
            described["subset"] = dict(self._subset)
        if self._items.labels is not None:
            described["classes"] = len(set(self._items.labels))
        return described

    def _read(self, start: int, stop_at: int, reading: Reading, stop: Event) -> tuple[Batch, ReadReport]:
        """Load and stack the images of one batch; runs in a worker thread."""
        loaded: list[Item] = []
        report = ReadReport()
        for position in range(start, min(stop_at, len(self))):
            if stop.is_set():
                break
            index = self._indices[position]
            try:
                item = self._items.load(index)
            except DecodeError as error:
                if reading.on_error == "fail":
                    raise
                report.skipped.append((error.name, error.reason))
                report.skipped_indices.append(position)
            else:
                loaded.append(item)
        report.conversions = Counter(name for item in loaded for name in item.conversions)
        for item in loaded:
            report.range_use.update(item.range_use)
        return _batch(loaded), report


def _batch(loaded: Sequence[Item]) -> Batch:
    labels = [item.label for item in loaded if item.label is not None]
    return batch_of(
        [item.pixels for item in loaded],
        digests=[item.digest for item in loaded],
        labels=labels if loaded and len(labels) == len(loaded) else None,
    )
