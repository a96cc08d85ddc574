"""From a source of images to arrays: one reading, one decode, however many extractors look at it."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import ExtractorError, SourceError
from ganeval.extractors.autocast import autocast
from ganeval.extractors.base import Extractor, Output
from ganeval.precision import full_precision
from ganeval.sources.base import Batch, Reading, ReadReport, Source

# Rows beyond this many bytes wait on disk instead of in memory.
SPOOL_BYTES = 1 << 29


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """What one extractor made of one source.

    arrays: float32 [N, D] each, on the CPU; equal images have equal rows. digest: of the images' content, in order;
    None for live generators. report: what was converted and skipped. cached: whether no image had to be decoded.
    pixels: int64 [N], each image's by `pixel_digests`; None where there are only features.
    """

    arrays: Mapping[Output, Tensor]
    digest: str | None
    report: ReadReport
    cached: bool = False
    pixels: Tensor | None = None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))


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
    progress: Progress = silent,
) -> list[FeatureSet]:
    """Read the source once and run every extractor on it; one FeatureSet an extractor, in their order.

    Raises SourceError when there is nothing to read, ExtractorError when an extractor breaks its contract.
    """
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
