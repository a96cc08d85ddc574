"""Read sets of images in lockstep: each real image with the fakes that belong to it, pair by pair."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from threading import Event

from torch import Tensor

from ganeval.errors import DecodeError, SourceError, UsageError
from ganeval.processes import processes
from ganeval.sources.ahead import in_order
from ganeval.sources.base import Reading, ReadReport, Source, check_skips, joined_reports
from ganeval.sources.budget import Budget
from ganeval.sources.items import AHEAD_BYTES, Item, ItemSource
from ganeval.sources.partners import partners_by_name
from ganeval.sources.wrapped import TransformedSource

# A set whose images can be read individually, in any order.
Indexed = ItemSource | TransformedSource


def check_indexed(source: Source) -> Indexed:
    """The source, if its images can be read individually; UsageError for a stream, a live generator and features."""
    origin = source
    while isinstance(origin, TransformedSource):
        origin = origin.source
    if isinstance(origin, ItemSource) and isinstance(source, Indexed):
        return source
    raise UsageError(
        f"{source.name} ({source.kind}) cannot be read in pairs, which needs images with names or numbers: a "
        "folder, an archive, a list, an array or a data set. Write its images to a folder first."
    )


def partners(real: Indexed, fake: Indexed) -> Sequence[int]:
    """For each real image, the index of its fake.

    Files are matched by name (`partners_by_name`), images that are not files by position.
    Raises SourceError where an image has no partner.
    """
    reals, fakes = real.file_names, fake.file_names
    if reals is None or fakes is None or len(real) == len(fake) == 1:
        if len(real) != len(fake):
            raise SourceError(
                f"{real.name} has {len(real)} images and {fake.name} has {len(fake)}: images without file names "
                "belong together by position, so there must be as many of each."
            )
        return range(len(real))
    return partners_by_name((real, reals), (fake, fakes))


@dataclass(slots=True)
class PairedSide:
    """One set of the pairs while it is read, with the report of the reading.

    Attributes:
        source: The images, in the order of the pairs.
        report: What was converted and skipped.
        contents: The digests of the images that were read, in the order of the pairs.
    """

    source: Indexed
    report: ReadReport = field(default_factory=ReadReport)
    contents: bytearray = field(default_factory=bytearray)


def read_lockstep(
    sides: Sequence[PairedSide], reading: Reading, places: range
) -> Generator[tuple[int, tuple[Tensor, ...]]]:
    """The images of each of these pairs, uint8 [3, H, W], one from each side, with the number of the pair.

    Threads decode ahead, within a bound of memory. If `reading` skips errors, a pair with an unreadable image is left
    out as a whole. Raises SourceError for an image that cannot be read, and for sizes that differ within a pair.
    """
    total, stop = len(sides[0].source), Event()
    budget = Budget(AHEAD_BYTES, stop)
    workers = reading.workers if all(side.source.parallel for side in sides) else 1
    tasks = (partial(_load, sides, pair, reading, budget) for pair in places)
    skipped = ReadReport()
    with closing(in_order(tasks, workers=workers, stop=stop)) as loading:
        for pair in places:
            budget.awaits(pair)
            loaded = next(loading)
            if isinstance(loaded, _UnreadableSide):
                side, error = sides[loaded.side], loaded.error
                for report in (side.report, skipped):
                    report.skipped.append((error.name, error.reason))
                side.report.skipped_indices.append(pair)
                check_skips(skipped, total, reading)
                continue
            for side, item in zip(sides, loaded, strict=True):
                side.report.conversions.update(item.conversions)
                side.report.range_use.update(item.range_use)
                side.contents += item.digest
            images = tuple(item.pixels for item in loaded)
            _check_sizes(sides, pair, images)
            yield pair, images
            del loaded, images
            budget.settle(pair, 0)


def joined_sides(sides: Sequence[PairedSide], reading: Reading) -> list[PairedSide]:
    """Join the sides read by all processes.

    Raises SourceError if no pair could be read, or too many could not.
    """
    team = processes()
    joined = []
    for side in sides:
        parts = team.exchange((side.report, bytes(side.contents)))
        report = joined_reports([(0, report) for report, _ in parts])
        joined.append(PairedSide(side.source, report, bytearray(b"".join(contents for _, contents in parts))))
    skipped, total = joined_reports([(0, side.report) for side in joined]), len(sides[0].source)
    check_skips(skipped, total, reading)
    if len(skipped.skipped) == total:
        name, reason = skipped.skipped[0]
        raise SourceError(f"No pair could be read; the first image: {name}: {reason}")
    return joined


@dataclass(frozen=True, slots=True)
class _UnreadableSide:
    """An unreadable image, and the number of its side."""

    side: int
    error: DecodeError


def _load(
    sides: Sequence[PairedSide], pair: int, reading: Reading, budget: Budget
) -> tuple[Item, ...] | _UnreadableSide:
    """The images of a pair, or, with `on_error="skip"`, the error; runs in a worker thread."""
    held = 0
    found: list[Item] = []
    try:
        with budget.loading(pair):
            for side in sides:
                found.append(side.source.item_at(pair))
        held = sum(item.pixels.nbytes for item in found)
    except DecodeError as error:
        if reading.on_error == "fail":
            raise
        return _UnreadableSide(len(found), error)
    finally:
        budget.settle(pair, held)
    return tuple(found)


def _check_sizes(sides: Sequence[PairedSide], pair: int, images: Sequence[Tensor]) -> None:
    """SourceError where the images of a pair differ in size."""
    (height, width), first = images[0].shape[1:], sides[0].source.item_name(pair)
    for side, image in zip(sides[1:], images[1:], strict=True):
        if image.shape != images[0].shape:
            name = side.source.item_name(pair)
            # A transformed image has the name of the original.
            other = f"{name} of {side.source.name}" if name == first else name
            raise SourceError(
                f"{first} has {width} x {height} pixels and {other} has {image.shape[2]} x {image.shape[1]}: the "
                "images of a pair must have one size. Give the reals that these fakes were made for, or bring both to "
                "one size (enlarged:SOURCE,FACTOR makes images larger)."
            )
