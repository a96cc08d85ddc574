"""From a source of images to arrays: one reading, one decode, however many extractors look at it."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import ExtractorError, SourceError
from ganeval.extractors.base import Extractor, Output
from ganeval.extractors.precision import full_precision
from ganeval.sources.base import Batch, Reading, ReadReport, Source

# Rows beyond this many bytes wait on disk instead of in memory.
SPOOL_BYTES = 1 << 29


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """What one extractor made of one source.

    arrays: float32 [N, D] each, on the CPU. digest: of the images' content, in order; None for live generators.
    report: what was converted and skipped. cached: whether no image had to be decoded.
    """

    arrays: Mapping[Output, Tensor]
    digest: str | None
    report: ReadReport
    labels: tuple[int, ...] | None = None
    cached: bool = False

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
    labels: list[int] = []
    has_digests = True
    batches = source.batches(reading, report)
    with torch.inference_mode(), full_precision(), progress(source.name, _length(source)) as advance, closing(batches):
        for batch in batches:
            for extractor, kept in zip(extractors, rows, strict=True):
                kept.add(run(extractor, batch, outputs))
            for digest in batch.digests:
                digests.update(digest)
            has_digests &= len(batch.digests) == len(batch)
            labels.extend(batch.labels or ())
            advance(len(batch))
    if not rows[0].count:
        raise SourceError(f"{source.name}: no images to measure.")
    return [
        FeatureSet(
            arrays=kept.arrays(),
            digest=digests.hexdigest() if has_digests else None,
            report=report,
            labels=tuple(labels) if len(labels) == kept.count else None,
        )
        for kept in rows
    ]


def run(extractor: Extractor, batch: Batch, outputs: frozenset[Output]) -> dict[Output, Tensor]:
    """One extractor on one batch of any mixture of sizes: float32 [len(batch), D] on the CPU, in the batch's order."""
    prepared = [extractor.prepare(group.images) for group in batch.groups]
    inputs = prepared[0] if len(prepared) == 1 else torch.cat(prepared)
    given = extractor.forward(inputs, outputs)
    order = torch.tensor([row for group in batch.groups for row in group.rows])
    checked: dict[Output, Tensor] = {}
    for output in sorted(outputs):
        array = given[output].float().cpu()
        if array.ndim != 2 or len(array) != len(batch):
            raise ExtractorError(
                f"{extractor.name} returned {list(array.shape)} as {output} of {len(batch)} images; "
                "expected one row an image."
            )
        checked[output] = array if len(batch.groups) == 1 else torch.empty_like(array).index_copy_(0, order, array)
    return checked


def _length(source: Source) -> int | None:
    try:
        return len(source)
    except TypeError:
        return None


@dataclass(slots=True)
class _Rows:
    """Arrays that grow by rows: in memory while small, in a temporary file that vanishes with them when not."""

    count: int = 0
    parts: dict[Output, list[Tensor]] = field(default_factory=dict)
    files: "dict[Output, tempfile._TemporaryFileWrapper[bytes]]" = field(default_factory=dict)
    bytes: int = 0

    def add(self, arrays: Mapping[Output, Tensor]) -> None:
        for output, array in arrays.items():
            self.parts.setdefault(output, []).append(array)
            self.bytes += array.numel() * 4
            self.count += len(array) if output == min(arrays) else 0
        if self.bytes > SPOOL_BYTES:
            self._spool()

    def _spool(self) -> None:
        for output, parts in self.parts.items():
            if output not in self.files:
                self.files[output] = tempfile.NamedTemporaryFile(prefix="ganeval-")  # noqa: SIM115
            for part in parts:
                self.files[output].write(part.numpy().tobytes())
            parts[:] = [parts[-1][:0]]
        self.bytes = 0

    def arrays(self) -> dict[Output, Tensor]:
        """Every row, by output."""
        if not self.files:
            return {output: torch.cat(parts) for output, parts in self.parts.items()}
        self._spool()
        mapped: dict[Output, Tensor] = {}
        for output, file in self.files.items():
            file.flush()
            width = self.parts[output][0].shape[1]
            # The mapping keeps the bytes alive after the file's name is gone.
            mapped[output] = torch.from_numpy(
                np.memmap(Path(file.name), dtype=np.float32, mode="r+", shape=(self.count, width))
            )
        return mapped
