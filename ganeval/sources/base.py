"""The source protocol: batches of images, how they are read, and the report of a reading."""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from ganeval.errors import SourceError, UsageError


@dataclass(frozen=True, slots=True)
class Group:
    """Images of one size inside a batch.

    rows: their positions in the batch; images: uint8 [len(rows), 3, H, W].
    """

    rows: tuple[int, ...]
    images: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive images of a source, grouped by size so that mixed sizes need no special case.

    digests: one content digest per image, empty for live generators.
    labels: one class per image, None where the source has no labels.
    """

    groups: tuple[Group, ...]
    digests: tuple[bytes, ...] = ()
    labels: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return sum(len(group.rows) for group in self.groups)


def batch_of(images: Sequence[Tensor], *, digests: Sequence[bytes] = (), labels: Sequence[int] | None = None) -> Batch:
    """Make one Batch of uint8 [3, H, W] images of any sizes."""
    by_size: dict[torch.Size, list[int]] = {}
    for row, image in enumerate(images):
        by_size.setdefault(image.shape, []).append(row)
    groups = tuple(Group(tuple(rows), _stacked([images[row] for row in rows])) for rows in by_size.values())
    return Batch(groups, tuple(digests), None if labels is None else tuple(labels))


def _stacked(images: Sequence[Tensor]) -> Tensor:
    # A single image may be very large, and is not copied.
    return images[0].contiguous()[None] if len(images) == 1 else torch.stack(tuple(images))


@dataclass(slots=True)
class ReadReport:
    """What happened while a source was read: filled by `Source.batches`, kept in the provenance.

    conversions: how many images were converted and how ("greyscale", "palette", "alpha on white", "16-bit", ...).
    skipped: (name, reason) of every image left out under `on_error="skip"`.
    skipped_indices: their indices in the source, ascending: what maps rows of features back to images.
    sizes: the number of images of each (width, height).
    range_use: how the values use the declared range, as `images.range_use` counts it; empty without a declared range.
    repeats: (index, index of an earlier equal image) of drawn images.
    """

    conversions: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    skipped_indices: list[int] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    range_use: Counter[str] = field(default_factory=Counter)
    repeats: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a source is read.

    batch_size: images per batch. workers: decoding threads.
    on_error: "fail" stops at the first image that cannot be read, "skip" leaves it out and reports it.
    skip_limit: the largest share of images that may be skipped; above it, reading fails.
    """

    batch_size: int = 8
    workers: int = 2
    on_error: Literal["fail", "skip"] = "fail"
    skip_limit: float = 0.01

    def __post_init__(self) -> None:
        """Raise UsageError for invalid values."""
        if self.batch_size < 1 or self.workers < 1:
            raise UsageError(f"batch_size ({self.batch_size}) and workers ({self.workers}) must be 1 or more.")
        if self.on_error not in ("fail", "skip"):
            raise UsageError(f"on_error is '{self.on_error}'; choose from: fail, skip.")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The identity of a source that has not been read: enough to find its features in the cache.

    fast: a digest of sizes and modification times (None when there are no files to ask): cheap, and changes when a
          file is touched.
    sizes: a digest of the items' count and sizes: what a changed `fast` falls back on to know whether hashing may pay.
    settled: whether any later change must show in `fast`. Not so for a file written a moment ago: written once more, it
          may keep its times, which are only so fine.
    """

    fast: str | None
    sizes: str
    settled: bool = field(default=True, compare=False)


@runtime_checkable
class Source(Protocol):
    """Images in a fixed order, given as batches of uint8 RGB.

    Attributes:
        name: As the user wrote it.
        kind: "folder", "zip", "generator", ...
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    def __len__(self) -> int:
        """The number of images; a source of unknown length (a plain iterable) raises TypeError."""
        ...

    @property
    def labels(self) -> Sequence[int] | None:
        """One class per image, None where the source has no labels."""
        ...

    def item_name(self, index: int) -> str:
        """The name of the image at `index`, by which a user finds it."""
        ...

    def batches(self, reading: Reading, report: ReadReport) -> Generator[Batch]:
        """Every image once, in order. Threads decode ahead; closing the iterator stops them."""
        ...

    def fingerprint(self) -> Fingerprint | None:
        """What the cache finds this source by before reading it; None when it must not be cached (a live generator)."""
        ...

    def digests(self) -> Iterator[bytes]:
        """Every image's content digest, in order, without decoding; only where `fingerprint` is not None."""
        ...

    def describe(self) -> dict[str, object]:
        """What the provenance records besides name, kind and count (seed, subset, declared range, ...)."""
        ...


def length(source: Source) -> int | None:
    """The number of images, where the source knows it."""
    try:
        return len(source)
    except TypeError:
        return None


def check_skips(report: ReadReport, total: int, reading: Reading) -> None:
    """Raise SourceError when more images were skipped than `reading.skip_limit` allows."""
    if len(report.skipped) > max(1.0, reading.skip_limit * total):
        name, reason = report.skipped[0]
        raise SourceError(
            f"{len(report.skipped)} of {total} images could not be read, over the limit of "
            f"{reading.skip_limit:.0%}; the first: {name}: {reason}"
        )
