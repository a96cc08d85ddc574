"""What was extracted of consecutive images: parts of a source, which are joined to the whole in their order."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from ganeval.duplicates import with_equal_rows
from ganeval.errors import ExtractorError
from ganeval.extractors.base import Identity, Output
from ganeval.features import FeatureSet
from ganeval.processes import processes
from ganeval.sources.base import ReadReport, joined_reports

# Bytes of an image's content digest.
DIGEST = 16


@dataclass(frozen=True, slots=True)
class Part:
    """What was extracted of consecutive images of a source, with one or more extractors.

    Attributes:
        arrays: float32 [n, D], by extractor and output; empty where no image was read.
        pixels: int64 [n], from `duplicates.pixel_digests`.
        contents: uint8 [n, 16], the content digest of every image; None where images have none (live generators).
        report: What was converted and skipped; indices count from the part's first image.
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


def gathered(part: Part, keys: Sequence[tuple[Identity, Output]]) -> Part:
    """The parts of all processes as one, in every process.

    Args:
        part: This process's; without arrays where no image of it was read.
        keys: The extractors and outputs, in one order in all processes.

    Returns:
        The whole; without arrays where no process read an image.

    Raises:
        ExtractorError: An extractor gave as many numbers in one process, and another number in another.
    """
    team = processes()
    if team.size == 1:
        return part
    parts = team.exchange(([part.arrays[key].shape[1] for key in keys if key in part.arrays], part.contents is None))
    read = [widths for widths, _ in parts if widths]
    if any(widths != read[0] for widths in read):
        raise ExtractorError(
            f"An extractor must give as many numbers for every image; processes found {read[0]} and {read[1]}."
        )
    reports = team.exchange((len(part.pixels) + len(part.report.skipped), part.report))
    starts = accumulate((count for count, _ in reports), initial=0)
    rows = part.arrays
    if read and not rows:
        empty = [torch.empty(0, width, dtype=torch.float32, device="cpu") for width in read[0]]
        rows = dict(zip(keys, empty, strict=True))
    contents = part.contents if part.contents is not None else torch.empty(0, DIGEST, dtype=torch.uint8, device="cpu")
    live = any(live for _, live in parts)
    return Part(
        {key: team.gather(rows[key]) for key in keys if read},
        team.gather(part.pixels),
        None if live else team.gather(contents),
        joined_reports([(start, report) for start, (_, report) in zip(starts, reports, strict=False)]),
    )
