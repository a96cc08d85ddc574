"""Features of consecutive images: parts of a source, which are joined in their order.

A part is extracted from a source (`extracted`), joined from parts that one process read one after the other (`joined`),
or gathered from all processes (`gathered`).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from ganeval.duplicates import pixel_digests, with_equal_rows
from ganeval.errors import ExtractorError
from ganeval.extractors.base import Extractor, Identity
from ganeval.extractors.running import run_all
from ganeval.features import FeatureSet
from ganeval.outputs import Output
from ganeval.processes import processes
from ganeval.row_store import RowStore
from ganeval.sources.base import Reading, ReadReport, Source, joined_reports

# Bytes of an image's content digest.
DIGEST = 16


@dataclass(frozen=True, slots=True)
class FeaturePart:
    """Features of consecutive images of a source, from one or more extractors.

    Attributes:
        arrays: float32 [n, D], by extractor and output; empty if no image was read.
        pixels: int64 [n], from `duplicates.pixel_digests`.
        contents: uint8 [n, 16], the content digest of every image; None for live generators.
        report: What was converted and skipped; indices are relative to the part's first image.
    """

    arrays: Mapping[tuple[Identity, Output], Tensor]
    pixels: Tensor
    contents: Tensor | None
    report: ReadReport

    def features(self, extractor: Identity) -> FeatureSet:
        """The rows of one extractor as a set; equal images get equal rows."""
        arrays = {output: array for (of, output), array in self.arrays.items() if of == extractor}
        digest = None
        if self.contents is not None:
            digest = hashlib.blake2b(self.contents.contiguous().numpy().data, digest_size=32).hexdigest()
        return FeatureSet(with_equal_rows(arrays, self.pixels), digest, self.report, pixels=self.pixels)


def extracted(
    source: Source | None,
    *,
    extractors: Mapping[Identity, Extractor],
    outputs: frozenset[Output],
    reading: Reading,
    advance: Callable[[int], object],
) -> FeaturePart:
    """Decode the images of a source, and run every extractor on each batch.

    Args:
        source: A part of a source, or all of it; None for no images.
        extractors: By identity.
        outputs: To keep, of each extractor those that it has.
        reading: How images are read.
        advance: Called with the number of images of each batch.

    Returns:
        The part; if it has many rows, they are in a file.

    Raises:
        SourceError: An image cannot be read.
        ExtractorError: An extractor breaks its contract.
    """
    report, rows, pixels, contents = ReadReport(), {key: RowStore() for key in extractors}, list[Tensor](), bytearray()
    has_contents = True
    with ExitStack() as stack:
        for kept in rows.values():
            stack.callback(kept.close)
        if source is not None:
            batches = stack.enter_context(closing(source.batches(reading, report)))
            for batch, given in stack.enter_context(closing(run_all(batches, extractors, outputs))):
                for key, found in given.items():
                    rows[key].add(found)
                pixels.append(pixel_digests(batch))
                for group in batch.groups:
                    height, width = group.images.shape[2:]
                    report.sizes[width, height] += len(group.rows)
                contents += b"".join(batch.digests)
                has_contents &= len(batch.digests) == len(batch)
                processes().check()
                advance(len(batch))
        arrays = {(key, output): array for key, kept in rows.items() for output, array in kept.arrays().items()}
        known = torch.cat(pixels) if pixels else torch.empty(0, dtype=torch.int64, device="cpu")
        digests = torch.from_numpy(np.frombuffer(contents, np.uint8).reshape(-1, DIGEST)) if has_contents else None
        return FeaturePart(arrays, known, digests, report)


def joined(parts: Iterable[FeaturePart], keys: Sequence[tuple[Identity, Output]]) -> FeaturePart:
    """Join parts that are read one after the other.

    Args:
        parts: In the order of their images.
        keys: The extractors and outputs that they hold.

    Returns:
        The joined part; if it has many rows, they are in a file.
    """
    rows = {key: RowStore() for key in keys}
    pixels, contents, reports = list[Tensor](), list[Tensor](), list[tuple[int, ReadReport]]()
    start = 0
    with ExitStack() as stack:
        for store in rows.values():
            stack.callback(store.close)
        for part in parts:
            for key, array in part.arrays.items():
                rows[key].add({key[1]: array})
            pixels.append(part.pixels)
            contents += [] if part.contents is None else [part.contents]
            reports.append((start, part.report))
            start += len(part.pixels) + len(part.report.skipped)
        arrays = {key: store.arrays()[key[1]] for key, store in rows.items() if store.count}
        known = torch.cat(contents) if len(contents) == len(pixels) else None
        return FeaturePart(arrays, torch.cat(pixels), known, joined_reports(reports))


def gathered(part: FeaturePart, keys: Sequence[tuple[Identity, Output]]) -> FeaturePart:
    """Join the parts of all processes, in every process.

    Args:
        part: This process's part; without arrays if it read no image.
        keys: The extractors and outputs, in one order in all processes.

    Returns:
        The joined part; without arrays if no process read an image.

    Raises:
        ExtractorError: An extractor gave features of different widths in different processes.
    """
    team = processes()
    if team.size == 1:
        return part
    parts = team.exchange(([part.arrays[key].shape[1] for key in keys if key in part.arrays], part.contents is None))
    read = [widths for widths, _ in parts if widths]
    if any(widths != read[0] for widths in read):
        raise ExtractorError(f"Every image must have features of one width; processes found {read[0]} and {read[1]}.")
    reports = team.exchange((len(part.pixels) + len(part.report.skipped), part.report))
    starts = accumulate((count for count, _ in reports), initial=0)
    rows = part.arrays
    if read and not rows:
        empty = [torch.empty(0, width, dtype=torch.float32, device="cpu") for width in read[0]]
        rows = dict(zip(keys, empty, strict=True))
    contents = part.contents if part.contents is not None else torch.empty(0, DIGEST, dtype=torch.uint8, device="cpu")
    live = any(live for _, live in parts)
    return FeaturePart(
        {key: team.gather(rows[key]) for key in keys if read},
        team.gather(part.pixels),
        None if live else team.gather(contents),
        joined_reports([(start, report) for start, (_, report) in zip(starts, reports, strict=False)]),
    )
