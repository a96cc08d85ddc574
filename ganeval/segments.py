"""Finished segments of a long reading, so that one that was interrupted goes on where it stopped.

A segment is a part of the source, of at most SEGMENT images. What was extracted of it is one file, which appears whole
or not at all; a damaged one counts as missing.
"""

import json
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy

from ganeval.atomic import atomic_path
from ganeval.documents import parse_json
from ganeval.extractors.base import Identity
from ganeval.outputs import Output
from ganeval.parts import FeaturePart
from ganeval.sources.base import ReadReport, Source
from ganeval.sources.npz import write_array

# Images per segment. Sources of no more are read at one go. One process of Inception on a core reads them in minutes;
# the time to write a segment is below a hundredth of that.
SEGMENT = 2048
# An extractor and one of its outputs.
Key = tuple[Identity, Output]
# Exceptions of reading a missing, truncated or overwritten segment.
DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error)


def segment_count(total: int) -> int:
    """How many segments a source of so many images has."""
    return -(-total // SEGMENT)


@dataclass
class Segments:
    """The segments of one reading.

    Attributes:
        folder: Of these segments alone.
        failed: Why segments could not be kept; the reading goes on without.
    """

    folder: Path
    failed: list[str] = field(default_factory=list)

    def parts(
        self,
        source: Source,
        batch_size: int,
        keys: Sequence[Key],
        read: Callable[[Source | None], FeaturePart],
        advance: Callable[[int], object],
    ) -> Iterator[FeaturePart]:
        """All segments of a source in their order: kept ones, and others once they are read and kept.

        Args:
            source: The images.
            batch_size: Segments begin at whole batches.
            keys: The extractors and outputs, always in the same order.
            read: Extracts what is wanted of a segment.
            advance: Called with the number of images of segments that were kept before.

        Yields:
            What was extracted of a segment.
        """
        of = segment_count(len(source))
        for number in range(of):
            path = self.folder / f"{number}-{of}.npz"
            part = self._kept(path, keys)
            if part is None:
                part = read(source.part(number, of, batch_size))
                self._keep(path, part, keys)
            else:
                advance(len(part.pixels))
            yield part

    def remove(self) -> None:
        """Remove all of them; one that cannot be removed stays until the cache is cleared."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kept(self, path: Path, keys: Sequence[Key]) -> FeaturePart | None:
        """A segment that was kept; None where there is none, or it is damaged."""
        try:
            with zipfile.ZipFile(path) as archive:
                arrays = {}
                for name in archive.namelist():
                    # Read to the end, where the checksum is compared.
                    with archive.open(name) as stream:
                        arrays[name.removesuffix(".npy")] = npy.read_array(stream, allow_pickle=False)
            report = ReadReport.from_dict(parse_json(str(arrays["report"])))
            rows = {key: torch.from_numpy(arrays[str(place)]) for place, key in enumerate(keys) if str(place) in arrays}
            contents = torch.from_numpy(arrays["contents"]) if "contents" in arrays else None
            return FeaturePart(rows, torch.from_numpy(arrays["pixels"]), contents, report)
        except DAMAGED:
            return None

    def _keep(self, path: Path, part: FeaturePart, keys: Sequence[Key]) -> None:
        """Keep a segment; where that is not possible, `failed` says why, and no others are tried."""
        if self.failed:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "x") as archive:
                write_array(archive, "report", np.array(json.dumps(part.report.to_dict())))
                write_array(archive, "pixels", part.pixels.numpy())
                if part.contents is not None:
                    write_array(archive, "contents", part.contents.numpy())
                for place, key in enumerate(keys):
                    if key in part.arrays:
                        write_array(archive, str(place), part.arrays[key].numpy())
        except OSError as error:
            self.failed.append(
                f"Segments of this reading cannot be kept in {self.folder} ({error.strerror or error}): if it is "
                "interrupted, it starts anew. The result is not affected."
            )
