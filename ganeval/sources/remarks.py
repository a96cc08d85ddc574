"""Remarks about how images were read: skipped images, mixed sizes, unused bits, doubtful ranges, repeats."""

from collections.abc import Iterator

from ganeval.images import range_doubt
from ganeval.sources.base import ReadReport, Source
from ganeval.sources.items import Remarkable
from ganeval.sources.pixels import FEW_BITS, bits_used
from ganeval.sources.repeats import repeats_doubt

# A set with a few sizes is probably a mixture; one with many, photographs of any size.
FEW_SIZES, IMAGES_PER_SIZE = 4, 4


def skips(name: str, report: ReadReport) -> Iterator[str]:
    """A remark on images that could not be read; report: of the reading of the source `name`."""
    if report.skipped:
        first = "; ".join(f"{image}: {reason}" for image, reason in report.skipped[:3])
        more = f"; and {len(report.skipped) - 3} more" if len(report.skipped) > 3 else ""
        count = len(report.skipped)
        counted = "1 image could not be read and was" if count == 1 else f"{count} images could not be read and were"
        yield f"{name}: {counted} left out ({first}{more})."


def reading_remarks(source: Source, report: ReadReport) -> Iterator[str]:
    """Remarks on the images of a source, whether read now or from the cache."""
    yield from source.remarks if isinstance(source, Remarkable) else ()
    yield from _mixed_sizes(source.name, report)
    yield from _unused_bits(source.name, report)


def value_remarks(name: str, report: ReadReport, *, count: int, declared: str) -> Iterator[str]:
    """Remarks on values that seem to have another range than the declared one, and on repeated draws."""
    for doubt in (range_doubt(report.range_use, declared), repeats_doubt(report.repeats, count)):
        if doubt is not None:
            yield f"{name} {doubt}"


def _mixed_sizes(name: str, report: ReadReport) -> Iterator[str]:
    """A remark on a set of a few sizes: samples in two resolutions, or with a grid of samples among them."""
    # Portrait and landscape of one camera count as one size.
    shapes = {tuple(sorted(size)) for size in report.sizes}
    if 1 < len(shapes) <= FEW_SIZES and report.sizes.total() >= IMAGES_PER_SIZE * len(shapes):
        counted = ", ".join(f"{count} of {width} x {height}" for (width, height), count in report.sizes.most_common())
        yield (
            f"{name}: images of several sizes: {counted}. If some do not belong to the set, leave them out with "
            "--include or --exclude."
        )


def _unused_bits(name: str, report: ReadReport) -> Iterator[str]:
    """A remark on 16-bit images whose values were never scaled to 16 bits, as cameras of 10, 12 or 14 write them."""
    images = {bits: report.conversions[bits_used(bits)] for bits in range(FEW_BITS + 1)}
    most = max((bits for bits, count in images.items() if count), default=0)
    if most and sum(images.values()) == report.conversions["16-bit"]:
        depth = next(bits for bits in (8, 10, 12, 14) if bits >= most)
        brightest = ((1 << most) + 127) // 257
        yield (
            f"{name}: 100% of the values of its {report.conversions['16-bit']} 16-bit images are below "
            f"{1 << most:,}, of 65,535: as 8 bits they are at most {brightest} of 255, nearly black. If they are "
            f"{depth}-bit data, scale them to 16 bits once (value * 65535 / {(1 << depth) - 1}), as those they are "
            "compared with must be, too."
        )
