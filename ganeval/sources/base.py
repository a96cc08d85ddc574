"""The source protocol: batches of images, the settings of a reading, and its report."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import SourceError, UsageError


@dataclass(frozen=True, slots=True)
class Group:
    """Images of one size inside a batch.

    Attributes:
        rows: Their positions in the batch.
        images: uint8 ``[len(rows), 3, H, W]``.
    """

    rows: tuple[int, ...]
    images: Tensor


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Consecutive images of a source, grouped by size so that mixed sizes need no special case.

    Attributes:
        groups: Images by size.
        digests: One content digest per image, empty for live generators.
        labels: One class per image, None where the source has no labels.
    """

    groups: tuple[Group, ...]
    digests: tuple[bytes, ...] = ()
    labels: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return sum(len(group.rows) for group in self.groups)


def batch_of(
    images: Sequence[Tensor], *, digests: Sequence[bytes] = (), labels: Sequence[int] | None = None
) -> ImageBatch:
    """Make a batch of images of any sizes.

    Args:
        images: uint8 ``[3, H, W]`` each.
        digests: One content digest per image, or none.
        labels: One class per image; None where there are no classes.

    Returns:
        The batch.
    """
    by_size: dict[torch.Size, list[int]] = {}
    for row, image in enumerate(images):
        by_size.setdefault(image.shape, []).append(row)
    groups = tuple(Group(tuple(rows), _stacked([images[row] for row in rows])) for rows in by_size.values())
    return ImageBatch(groups, tuple(digests), None if labels is None else tuple(labels))


def _stacked(images: Sequence[Tensor]) -> Tensor:
    # A single image is not copied, because it may be very large.
    if len(images) == 1:
        return images[0].contiguous()[None]
    if images[0].device.type != "cpu":
        return torch.stack(tuple(images))
    # torch copies with all its threads, which then spin for milliseconds on the cores that decode the next images.
    return torch.from_numpy(np.stack([image.numpy() for image in images]))


@dataclass(slots=True)
class ReadReport:
    """What happened while a source was read: filled by `Source.batches`, kept in the provenance.

    Attributes:
        conversions: How many images were converted and how ("greyscale", "palette", "alpha on white", "16-bit", ...).
        skipped: Name and reason of every image left out under `on_error="skip"`.
        skipped_indices: Their indices in the source, ascending, which map rows of features back to images.
        sizes: The number of images of each width and height.
        range_use: How the values use the declared range, as `images.range_use` counts it; empty without a declared
            range.
        repeats: Of drawn images that are equal to an earlier one: its index, and that of the earlier one.
    """

    conversions: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    skipped_indices: list[int] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    range_use: Counter[str] = field(default_factory=Counter)
    repeats: list[tuple[int, int]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON holds it.

        Returns:
            Plain data, without repeats, which follow from the pixels.
        """
        return {
            "conversions": dict(sorted(self.conversions.items())),
            "sizes": [[*size, count] for size, count in sorted(self.sizes.items())],
            "range_use": dict(sorted(self.range_use.items())),
            "skipped": [[at, *skip] for at, skip in zip(self.skipped_indices, self.skipped, strict=True)],
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> "ReadReport":
        """A report from plain data.

        Args:
            kept: What `to_dict` gave.

        Returns:
            An equal report, without repeats.

        Raises:
            KeyError: Something is missing.
            TypeError: A value is of another type.
            ValueError: A value cannot be read.
        """
        return cls(
            Counter({str(name): int(count) for name, count in kept["conversions"].items()}),
            [(str(name), str(reason)) for _, name, reason in kept["skipped"]],
            [int(at) for at, _, _ in kept["skipped"]],
            Counter({(int(width), int(height)): int(count) for width, height, count in kept["sizes"]}),
            Counter({str(name): int(count) for name, count in kept["range_use"].items()}),
        )


def joined_reports(parts: Sequence[tuple[int, ReadReport]]) -> ReadReport:
    """The reports of consecutive parts as one.

    Args:
        parts: For every part, the offset of its indices, and its report.

    Returns:
        The report of the whole, without repeats, which are known only for the whole set.
    """
    whole = ReadReport()
    for start, report in parts:
        whole.conversions.update(report.conversions)
        whole.sizes.update(report.sizes)
        whole.range_use.update(report.range_use)
        whole.skipped += report.skipped
        whole.skipped_indices += [start + index for index in report.skipped_indices]
    return whole


@dataclass(frozen=True, slots=True)
class Reading:
    """How a source is read.

    Attributes:
        batch_size: Images per batch.
        workers: Decoding threads.
        on_error: "fail" stops at the first image that cannot be read, "skip" leaves it out and reports it.
        skip_limit: The largest share of images that may be skipped; above it, reading fails.
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

    Attributes:
        fast: A digest of sizes and modification times (None when there are no files to ask): cheap, and changes when a
            file is touched.
        sizes: A digest of the items' count and sizes: if `fast` changed, it tells whether hashing may pay.
        settled: Whether any later change is certain to change `fast`. It is not for a file written a moment ago: times
            have a limited resolution, so another write may not change them.
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
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def kind(self) -> str: ...

    @abstractmethod
    def __len__(self) -> int:
        """The number of images; a source of unknown length (a plain iterable) raises TypeError."""
        ...

    @property
    @abstractmethod
    def labels(self) -> Sequence[int] | None:
        """One class per image, None where the source has no labels."""
        ...

    @abstractmethod
    def item_name(self, index: int) -> str:
        """The name of an image, by which a user finds it.

        Args:
            index: The position of the image.

        Returns:
            The name.
        """
        ...

    @abstractmethod
    def batches(self, reading: Reading, report: ReadReport) -> Generator[ImageBatch]:
        """Every image once, in order. Threads decode ahead; closing the iterator stops them.

        Args:
            reading: Batch size, threads, and what to do about damaged images.
            report: Takes what happened on the way.

        Yields:
            Batches of uint8 RGB images.

        Raises:
            SourceError: An image cannot be read, or too many.
        """
        ...

    @abstractmethod
    def part(self, number: int, of: int, batch_size: int) -> "Source | None":
        """One of several parts, read by several processes, or by one process one after another.

        Args:
            number: Which part, from 0.
            of: The number of parts.
            batch_size: Parts start at multiples of it, so that batches are those of the whole source.

        Returns:
            The images at `part_of(len(self), number, of, batch_size)`; there may be none. None where only the whole
            can be read (an iterable).
        """
        ...

    @abstractmethod
    def fingerprint(self) -> Fingerprint | None:
        """The identity by which the cache finds this source; None if it must not be cached (a live generator)."""
        ...

    @abstractmethod
    def digests(self) -> Iterator[bytes]:
        """Every image's content digest, in order, without decoding; only where `fingerprint` is not None."""
        ...

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """What the provenance records besides name, kind and count (seed, subset, declared range, ...)."""
        ...


def part_of(total: int, number: int, of: int, batch_size: int) -> range:
    """The indices of one part: whole batches in contiguous parts that differ by at most one batch.

    Args:
        total: The number of images.
        number: Which part, from 0.
        of: The number of parts.
        batch_size: Images per batch; only the last batch of all may have fewer.

    Returns:
        The indices; empty for some parts if there are fewer batches than parts.

    >>> [part_of(21, number, 3, 4) for number in range(3)]
    [range(0, 8), range(8, 16), range(16, 21)]
    """
    batches = -(-total // batch_size)
    start, stop = (min(batches * place // of * batch_size, total) for place in (number, number + 1))
    return range(start, stop)


def length(source: Source) -> int | None:
    """The number of images, if the source knows it.

    Args:
        source: Any source.

    Returns:
        Its length; None for a stream, whose length is known only at the end.

    >>> length(ganeval.open_source("digits:test"))
    450
    """
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
