"""Finished segments of a long reading, so that an interrupted reading continues where it stopped.

A segment is a part of the source, of at most SEGMENT images. Its features are one file, written atomically; a damaged
file counts as missing.
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

# Images per segment. Sources with no more images have no segments. One process of Inception on a core reads a segment
# in minutes; writing one takes less than 1% of that.
SEGMENT = 2048
# An extractor and one of its outputs.
Key = tuple[Identity, Output]
# Exceptions of reading a missing, truncated or overwritten segment.
DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error)


def segment_count(total: int) -> int:
    """The number of segments of a source with this many images."""
    return -(-total // SEGMENT)


@dataclass
class Segments:
    """The segments of one reading.

    Attributes:
        folder: A folder with only these segments.
        failed: Why segments could not be kept; the reading continues without them.
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
        """All segments of a source in order; those that were not kept before are read, and kept.

        Args:
            source: The images.
            batch_size: Segments begin at whole batches.
            keys: The extractors and outputs, always in the same order.
            read: Extracts the features of a segment.
            advance: Called with the number of images of segments that were kept before.

        Yields:
            The features of a segment.
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
        """A kept segment; None if there is none, or it is damaged."""
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
        """Keep a segment; if that fails, `failed` says why, and no more are written."""
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
