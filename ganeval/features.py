"""Features of a set of images: the cache first, one decode for every extractor that is missing there."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from ganeval.autocast import autocast
from ganeval.errors import ExtractorError, SourceError, UsageError
from ganeval.extractors.base import Extractor, Output, identity
from ganeval.metrics.moments import Moments
from ganeval.precision import full_precision
from ganeval.sources.base import Batch, Reading, ReadReport, Source
from ganeval.sources.items import ItemSource
from ganeval.sources.pixels import FEW_BITS, bits_used
from ganeval.sources.precomputed import Features
from ganeval.sources.statistics import Statistics

if TYPE_CHECKING:
    from ganeval.cache import Cache

# Rows beyond this many bytes wait on disk instead of in memory.
SPOOL_BYTES = 1 << 29
# A set of a few sizes is a mixture; one of many, photographs as they come.
FEW_SIZES, IMAGES_PER_SIZE = 4, 4


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """One set of images as one extractor sees it: rows of features, stored statistics of them, or both.

    arrays: float32 [N, D] per output, on the CPU; equal images have equal rows; empty where there are statistics alone.
    digest: of the images' content, in order; None for live generators. report: what was converted and skipped.
    cached: whether no image had to be decoded. pixels: int64 [N], each image's by `pixel_digests`; None where unknown.
    about: what the provenance says of the source, name and kind first.
    labels: int64 [N], the class of every image, where known; class_names: of classes 0, 1, ..., where they have names.
    source: where the images can be read again; None for streams and statistics. moments: of arrays, where they were
    computed or kept already. stored: statistics from a file, which metrics of moments take in place of the rows.
    warnings: what a user should know of the reading.
    """

    arrays: Mapping[Output, Tensor]
    digest: str | None = None
    report: ReadReport = field(default_factory=ReadReport)
    cached: bool = False
    pixels: Tensor | None = None
    about: Mapping[str, object] = field(default_factory=dict)
    labels: Tensor | None = None
    class_names: Sequence[str] | None = None
    source: Source | None = None
    moments: Mapping[Output, Moments] = field(default_factory=dict)
    stored: Statistics | None = None
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Rows; 0 where there are statistics alone."""
        return len(next(iter(self.arrays.values()))) if self.arrays else 0

    @property
    def name(self) -> str:
        """As the user wrote it."""
        return str(self.about.get("name", "" if self.stored is None else self.stored.name))

    @property
    def count(self) -> int | None:
        """Images; None where a file of statistics does not say it."""
        return len(self) if self.arrays or self.stored is None else self.stored.count

    @property
    def provenance(self) -> dict[str, object]:
        """The set and what happened to its images on the way in, as plain data."""
        if not self.arrays and self.stored is not None:
            return self.stored.describe()
        found = {
            **self.about,
            "count": len(self),
            "digest": self.digest,
            "cached": self.cached,
            "conversions": dict(self.report.conversions),
            "skipped": [list(skip) for skip in self.report.skipped],
        }
        return found if self.stored is None else {**found, "beside": None, "statistics": self.stored.describe()}

    def rows(self, output: Output = "features") -> Tensor:
        """One output, float32 [N, D]; UsageError where it was not extracted, or there are only stored statistics."""
        if not self.arrays:
            raise UsageError(f"The images of {self.name} themselves are needed; there are only statistics of them.")
        if output not in self.arrays:
            found = ", ".join(sorted(self.arrays))
            raise UsageError(f"No {output} were extracted of {self.name}, only {found}; name them in also=.")
        return self.arrays[output]

    def index(self, row: int) -> int:
        """The index in the source of the image that a row belongs to."""
        # Each image that was left out before it moves it up by one.
        for skipped in self.report.skipped_indices:
            row += skipped <= row
        return row

    def image_name(self, row: int) -> str:
        """The image of a row, as a person would look for it; UsageError where there are no images."""
        if self.source is None:
            raise UsageError(f"The images of {self.name} themselves are needed; there are only statistics of them.")
        return self.source.item_name(self.index(row))

    def part(self, chosen: Tensor) -> "FeatureSet":
        """Some of the rows, int64 [n]; what was known of the whole set's content and moments is not kept."""
        arrays = {output: array[chosen] for output, array in self.arrays.items()}
        labels, pixels = (None if one is None else one[chosen] for one in (self.labels, self.pixels))
        return replace(self, arrays=arrays, labels=labels, pixels=pixels, digest=None, moments={}, stored=None)


class Progress(Protocol):
    """Shows that a source is being read: enter with its name and length, call with images done."""

    def __call__(self, name: str, total: int | None) -> AbstractContextManager[Callable[[int], object]]: ...


def silent(name: str, total: int | None) -> AbstractContextManager[Callable[[int], object]]:  # noqa: ARG001
    """The Progress that shows nothing."""
    return nullcontext(lambda count: None)  # noqa: ARG005


def extract(
    source: Source,
    extractors: Sequence[Extractor],
    outputs: frozenset[Output],
    reading: Reading,
    *,
    moments: frozenset[Output] = frozenset(),
    cache: "Cache | None" = None,
    progress: Progress = silent,
) -> list[FeatureSet]:
    """One FeatureSet per extractor, in their order; the source is read once, or not at all where all is cached.

    outputs: of the extractors, to keep. moments: outputs whose mean and scatter are wanted where rows outnumber
    dimensions. SourceError when there is nothing to read, ExtractorError when an extractor breaks its contract.
    """
    if isinstance(source, Features):
        given = FeatureSet({"features": source.rows}, source.digest())
        return [_finished(given, source, ())] * len(extractors)
    by_identity = {identity(extractor): extractor for extractor in extractors}
    stamp, content = (None, None) if cache is None else cache.identify(source)
    found: dict[tuple[str, ...], FeatureSet] = {}
    if cache is not None and content is not None:
        loaded = {key: cache.load(content, extractor, outputs) for key, extractor in by_identity.items()}
        found = {key: kept for key, kept in loaded.items() if kept is not None}
    missing = {key: extractor for key, extractor in by_identity.items() if key not in found}
    warnings: list[str] = []
    if missing:
        read = _read(source, list(missing.values()), outputs, reading, progress)
        found |= dict(zip(missing, read, strict=True))
        warnings += _skips(source, read[0].report)
        if cache is not None and stamp is not None:
            warnings += cache.keep(source, stamp, list(zip(missing.values(), read, strict=True)))
    elif cache is not None and stamp is not None and content is not None:
        warnings += cache.attempt(lambda: cache.remember(stamp, content))
    one = next(iter(found.values()))
    warnings += source.remarks if isinstance(source, ItemSource) else ()
    warnings += [*_mixed_sizes(source, one.report), *_unused_bits(source, one.report)]
    sets = {}
    for key, extractor in by_identity.items():
        known, failed = _moments(found[key], extractor, moments, cache)
        sets[key] = replace(_finished(found[key], source, (*warnings, *failed)), moments=known)
    return [sets[identity(extractor)] for extractor in extractors]


def _finished(found: FeatureSet, source: Source, warnings: Sequence[str]) -> FeatureSet:
    """Rows and what the source says of them; labels are those of the images that were not skipped."""
    labels = None
    if source.labels is not None:
        labels = torch.from_numpy(np.delete(np.asarray(source.labels, np.int64), found.report.skipped_indices))
    return replace(
        found,
        about={"name": source.name, "kind": source.kind, **source.describe()},
        labels=labels,
        class_names=getattr(source, "class_names", None),
        source=source,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _moments(
    found: FeatureSet, extractor: Extractor, outputs: frozenset[Output], cache: "Cache | None"
) -> tuple[dict[Output, Moments], list[str]]:
    """Moments of arrays with more rows than columns, from the cache where they are kept; and why they were not kept."""
    known: dict[Output, Moments] = {}
    warnings: list[str] = []
    for output in sorted(outputs & found.arrays.keys()):
        array = found.arrays[output]
        if len(array) <= array.shape[1]:
            continue
        kept = None if cache is None or found.digest is None else cache.load_moments(found.digest, extractor, output)
        known[output] = Moments.of(array) if kept is None else kept
        if cache is not None and found.digest is not None and kept is None:
            warnings += cache.attempt(partial(cache.store_moments, found.digest, extractor, known[output], output))
    return known, warnings


def _read(
    source: Source,
    extractors: Sequence[Extractor],
    outputs: frozenset[Output],
    reading: Reading,
    progress: Progress,
) -> list[FeatureSet]:
    """Every batch of the source through every extractor."""
    report, rows, digests = ReadReport(), [_Rows() for _ in extractors], hashlib.blake2b(digest_size=32)
    has_digests, pixels = True, list[Tensor]()
    with ExitStack() as stack:
        batches = stack.enter_context(closing(source.batches(reading, report)))
        for kept in rows:
            stack.callback(kept.close)
        advance = stack.enter_context(progress(source.name, _length(source)))
        for batch in batches:
            for extractor, kept in zip(extractors, rows, strict=True):
                kept.add(run(extractor, batch, outputs))
            pixels.append(pixel_digests(batch))
            for group in batch.groups:
                height, width = group.images.shape[2:]
                report.sizes[width, height] += len(group.rows)
            for image in batch.digests:
                digests.update(image)
            has_digests &= len(batch.digests) == len(batch)
            advance(len(batch))
        if not rows[0].count:
            raise SourceError(f"{source.name}: no images to measure.")
        digest = digests.hexdigest() if has_digests else None
        known = torch.cat(pixels)
        return [FeatureSet(with_equal_rows(kept.arrays(), known), digest, report, pixels=known) for kept in rows]


def run(extractor: Extractor, batch: Batch, outputs: frozenset[Output]) -> dict[Output, Tensor]:
    """One extractor on one batch of any mixture of sizes: float32 [len(batch), D] on the CPU, in the batch's order.

    Whatever precision and autocasting the calling program has switched on, the extractor runs in its own. Raises
    ExtractorError when it gives anything but one row an image.
    """
    # Around the extractor alone: a live generator draws its images as it always does.
    with torch.inference_mode(), full_precision(), autocast(extractor.device, "fp32"):
        prepared = [extractor.prepare(group.images) for group in batch.groups]
        inputs = prepared[0] if len(prepared) == 1 else torch.cat(prepared)
        given = extractor.forward(inputs, outputs)
        arrays = {output: _checked(given, output, extractor, len(batch)) for output in sorted(outputs)}
        if len(batch.groups) == 1:
            return arrays
        order = torch.tensor([row for group in batch.groups for row in group.rows], device="cpu")
        return {output: torch.empty_like(array).index_copy_(0, order, array) for output, array in arrays.items()}


def pixel_digests(batch: Batch) -> Tensor:
    """int64 [len(batch)]: equal for images of equal pixels (uint8 RGB, in their own size), in whatever format they are.

    Others share theirs by an accident of 2^-64.
    """
    digests = torch.empty(len(batch), dtype=torch.int64, device="cpu")
    for group in batch.groups:
        size = str(tuple(group.images.shape[2:])).encode()
        for row, image in zip(group.rows, group.images.cpu().contiguous().numpy(), strict=True):
            digest = hashlib.sha256(size + image.tobytes()).digest()
            digests[row] = int.from_bytes(digest[:8], "little", signed=True)
    return digests


def with_equal_rows(arrays: dict[Output, Tensor], pixels: Tensor) -> dict[Output, Tensor]:
    """The same arrays, in which equal images have the row of the first of them.

    An extractor's rounding differs from batch to batch; that of images which are the same must not tell them apart.
    """
    _, firsts, group = np.unique(pixels.numpy(), return_index=True, return_inverse=True)
    first = firsts[group]
    later = np.flatnonzero(first != np.arange(len(first)))
    if len(later):
        for array in arrays.values():
            array[torch.from_numpy(later)] = array[torch.from_numpy(first[later])]
    return arrays


def with_rows_of(real: FeatureSet, fake: FeatureSet) -> FeatureSet:
    """The fakes, in which an image that is a real has that one's row, for the same reason."""
    places = copied(real, fake)
    if places is None or not (places >= 0).any():
        return fake
    rows = (places >= 0).nonzero()[:, 0]
    arrays = dict(fake.arrays)
    for output in arrays.keys() & real.arrays.keys():
        arrays[output] = arrays[output].index_copy(0, rows, real.arrays[output][places[rows]])
    return replace(fake, arrays=arrays)


def copied(real: FeatureSet, fake: FeatureSet) -> Tensor | None:
    """Which real every fake equals in its pixels, int64 [M], -1 for none; None where pixels are not known."""
    if real.pixels is None or fake.pixels is None:
        return None
    known, order = real.pixels.sort(stable=True)
    place = torch.searchsorted(known, fake.pixels).clamp_(max=len(known) - 1)
    return torch.where(known[place] == fake.pixels, order[place], -1)


def _checked(given: Mapping[Output, Tensor], output: Output, extractor: Extractor, count: int) -> Tensor:
    """One of an extractor's outputs, float32 [count, D] on the CPU."""
    if output not in given:
        raise ExtractorError(f"{extractor.name} returned no {output}, only {', '.join(sorted(given)) or 'nothing'}.")
    array = given[output]
    if array.ndim != 2 or len(array) != count:
        raise ExtractorError(
            f"{extractor.name} returned {list(array.shape)} as {output} of {count} images; expected one row an image."
        )
    return array.float().cpu()


def _skips(source: Source, report: ReadReport) -> Iterator[str]:
    if report.skipped:
        first = "; ".join(f"{name}: {reason}" for name, reason in report.skipped[:3])
        more = f"; and {len(report.skipped) - 3} more" if len(report.skipped) > 3 else ""
        yield f"{source.name}: {len(report.skipped)} images could not be read and were left out ({first}{more})."


def _mixed_sizes(source: Source, report: ReadReport) -> Iterator[str]:
    """A remark on a set of a few sizes: samples in two resolutions, or with a grid of samples among them."""
    # A portrait and a landscape of one camera are alike.
    shapes = {tuple(sorted(size)) for size in report.sizes}
    if 1 < len(shapes) <= FEW_SIZES and report.sizes.total() >= IMAGES_PER_SIZE * len(shapes):
        counted = ", ".join(f"{count} of {width} x {height}" for (width, height), count in report.sizes.most_common())
        yield (
            f"{source.name}: images of several sizes: {counted}. If some do not belong to the set, leave them out with "
            "--include or --exclude."
        )


def _unused_bits(source: Source, report: ReadReport) -> Iterator[str]:
    """A remark on 16-bit images whose values were never scaled to 16 bits, as cameras of 10, 12 or 14 write them."""
    images = {bits: report.conversions[bits_used(bits)] for bits in range(FEW_BITS + 1)}
    most = max((bits for bits, count in images.items() if count), default=0)
    if most and sum(images.values()) == report.conversions["16-bit"]:
        depth = next(bits for bits in (8, 10, 12, 14) if bits >= most)
        brightest = ((1 << most) + 127) // 257
        yield (
            f"{source.name}: 100% of the values of its {report.conversions['16-bit']} 16-bit images are below "
            f"{1 << most:,}, of 65,535: as 8 bits they are at most {brightest} of 255, nearly black. If they are "
            f"{depth}-bit data, scale them to 16 bits once (value * 65535 / {(1 << depth) - 1}), as those they are "
            "compared with must be, too."
        )


def _length(source: Source) -> int | None:
    try:
        return len(source)
    except TypeError:
        return None


@dataclass(slots=True)
class _Rows:
    """Arrays that grow by rows: in memory while small, in nameless temporary files when not."""

    count: int = 0
    parts: dict[Output, list[Tensor]] = field(default_factory=dict)
    files: dict[Output, IO[bytes]] = field(default_factory=dict)
    waiting: int = 0

    def add(self, arrays: Mapping[Output, Tensor]) -> None:
        for output, array in arrays.items():
            parts = self.parts.setdefault(output, [])
            if parts and parts[0].shape[1] != array.shape[1]:
                raise ExtractorError(
                    f"The {output} of an image were {parts[0].shape[1]} numbers, and now they are {array.shape[1]}; an "
                    "extractor must give as many for every image."
                )
            parts.append(array)
            self.waiting += array.numel() * 4
        self.count += len(next(iter(arrays.values())))
        if self.waiting > SPOOL_BYTES:
            self._spool()

    def _spool(self) -> None:
        for output, parts in self.parts.items():
            if output not in self.files:
                self.files[output] = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it
            for part in parts:
                self.files[output].write(part.numpy().tobytes())
            parts[:] = [parts[-1][:0]]
        self.waiting = 0

    def arrays(self) -> dict[Output, Tensor]:
        """Every row, by output."""
        if not self.files:
            return {output: torch.cat(parts) for output, parts in self.parts.items()}
        self._spool()
        return {output: self._mapped(file, self.parts[output][0].shape[1]) for output, file in self.files.items()}

    def close(self) -> None:
        """Close the files; arrays that are mapped from them keep their bytes."""
        for file in self.files.values():
            file.close()

    def _mapped(self, file: IO[bytes], width: int) -> Tensor:
        file.flush()
        # An open file has what memmap needs of it; its stub asks for the path alone.
        return torch.from_numpy(np.memmap(cast(Path, file), np.float32, "r+", shape=(self.count, width)))
