"""Files of extracted features: of a whole set of images, or of some of its parts, which can be merged.

A file is an .npz that is not compressed. For every output of the extractor it has the rows, float32 [n, D], by the name
of the output, and also

    pixels       int64 [n], from `duplicates.pixel_digests`; images of equal pixels have equal rows
    contents     uint8 [n, 16], the content digests of the images; absent for live generators
    labels       int64, the class of every image, also of unreadable ones; if classes are known
    class_names  of classes 0, 1, ..., if they have names
    extractor    its name
    part         JSON: a description of the set and of its part

A file of all images of a set has also the statistics of the features: `mu`, `sigma` and `ganeval`, as in the files of
`sources.statistics`, for programs that read these.
"""

import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import IO, Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from ganeval.array_types import FeatureArray
from ganeval.atomic import atomic_write
from ganeval.documents import parse_json
from ganeval.errors import SourceError, UsageError
from ganeval.linalg import CHUNK
from ganeval.metrics.moments import Moments
from ganeval.places import Place
from ganeval.sources.base import ReadReport, part_of
from ganeval.sources.files import CORRUPT, open_zip_file, told
from ganeval.sources.items import choose
from ganeval.sources.npz import mapped_arrays, write_array, write_rows
from ganeval.sources.precomputed import WithoutImages
from ganeval.sources.statistics import statistics_entry

SCHEMA = 1
SUFFIX = ".npz"
# The member that identifies these files.
MEMBER = "part"
# Exceptions of reading a damaged file.
DAMAGED = (*CORRUPT, KeyError, TypeError, AttributeError, zlib.error)
# Number of shards listed in a message.
NAMED = 12
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PartHeader:
    """The description of a file's rows.

    Attributes:
        shared: What all parts of one set have in common, as JSON: `measured` (the extractor, the protocol and how the
            images were prepared), `outputs`, `ddof`, `source` (its kind and description), `class_names`, `remarks`,
            `labelled`, `live`, `identity` (what identifies the set), `batch_size`, `total` and `shards`.
        name: Of the set, as the user wrote it.
        ranges: The places of the images, as ascending pairs of the first and the one after the last.
        report: How they were read; indices are places.
        fingerprint: Changes when the files of the set are touched (`Fingerprint.fast`); None if there are no files, and
            for merged parts. Its key in the file is "stamp".
    """

    shared: Mapping[str, Any]
    name: str
    ranges: tuple[Range, ...]
    report: ReadReport
    fingerprint: str | None = None

    @property
    def images(self) -> int:
        """The number of images, with those that could not be read."""
        return sum(stop - start for start, stop in self.ranges)

    @property
    def count(self) -> int:
        """The number of rows."""
        return self.images - len(self.report.skipped)

    @property
    def complete(self) -> bool:
        """Whether all images of the set are in the file."""
        return self.images == int(self.shared["total"])

    def places(self, shard: int) -> range:
        """The places of a shard; numbers begin with 1."""
        return part_of(self.shared["total"], shard - 1, self.shared["shards"], self.shared["batch_size"])

    def missing(self) -> tuple[int, ...]:
        """The shards with missing images, numbered from 1."""
        found = []
        for shard in range(1, self.shared["shards"] + 1):
            places = self.places(shard)
            here = sum(len(range(max(a, places.start), min(b, places.stop))) for a, b in self.ranges)
            if here < len(places):
                found.append(shard)
        return tuple(found)

    def to_text(self) -> str:
        """The header as JSON, the same text for equal headers."""
        kept = {
            "schema": SCHEMA,
            "shared": self.shared,
            "name": self.name,
            "ranges": self.ranges,
            "report": self.report.to_dict(),
            "stamp": self.fingerprint,
        }
        return json.dumps(kept, sort_keys=True)

    @classmethod
    def of(cls, text: str, path: Place) -> "PartHeader":
        """The header from a text; SourceError for a newer schema; damage raises other errors."""
        kept = parse_json(text)
        if int(kept["schema"]) > SCHEMA:
            raise SourceError(f"{path} has schema {kept['schema']}, and this ganeval reads up to {SCHEMA}; update it.")
        ranges = tuple((int(start), int(stop)) for start, stop in kept["ranges"])
        return cls(dict(kept["shared"]), kept["name"], ranges, ReadReport.from_dict(kept["report"]), kept["stamp"])


def united(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Normalise ranges that do not overlap: ascending, adjacent ones joined, empty ones removed."""
    found: list[Range] = []
    for start, stop in sorted(ranges):
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], stop
        elif stop > start:
            found.append((start, stop))
    return tuple(found)


def shard_names(shards: Sequence[int]) -> str:
    """Shards in a message: the numbers of a few, and how many more."""
    listed = ", ".join(map(str, shards[:NAMED]))
    more = f" and {len(shards) - NAMED} more" if len(shards) > NAMED else ""
    return f"shard {listed}" if len(shards) == 1 else f"shards {listed}{more}"


def is_extracted(path: Place) -> bool:
    """Whether a path is a file of extracted features, by the names of its arrays; False for one that cannot be read."""
    if path.suffix.lower() != SUFFIX or not path.is_file():
        return False
    try:
        with open_zip_file(path) as archive:
            return f"{MEMBER}.npy" in archive.namelist()
    except CORRUPT:
        return False


class PartFile:
    """A file of extracted features whose header has been read.

    Raises:
        SourceError: It cannot be read, or is damaged.
        UsageError: It is another file.
    """

    def __init__(self, path: Place) -> None:
        self.path = path
        strange = UsageError(f"{path} holds no extracted features; give files of `ganeval extract`.")
        if path.suffix.lower() != SUFFIX:
            raise strange
        try:
            with open_zip_file(path) as archive:
                if f"{MEMBER}.npy" not in archive.namelist():
                    raise strange
                self._names = frozenset(name.removesuffix(".npy") for name in archive.namelist())
                self.header = PartHeader.of(str(_read(archive, MEMBER)), path)
        except FileNotFoundError as error:
            raise SourceError(f"{path} does not exist; run its shard, or leave it out.") from error
        except IsADirectoryError as error:
            raise strange from error
        except PermissionError as error:
            raise SourceError(f"{path} cannot be read ({error.strerror}).") from error
        except DAMAGED as error:
            raise self.damaged(error) from error

    def damaged(self, error: Exception) -> SourceError:
        """The error for a file that cannot be read to its end."""
        return SourceError(f"{self.path} is damaged ({told(error)}); remove it and extract that shard again.")

    def check(self) -> None:
        """Read every byte; SourceError if the file is damaged."""
        try:
            with open_zip_file(self.path) as archive:
                bad = archive.testzip()
        except DAMAGED as error:
            raise self.damaged(error) from error
        if bad is not None:
            raise self.damaged(zipfile.BadZipFile(f"the checksum of {bad.removesuffix('.npy')} is another"))

    def array(self, name: str) -> NDArray[Any] | None:
        """One of the small arrays; None if there is none. SourceError if it is damaged."""
        if name not in self._names:
            return None
        try:
            with open_zip_file(self.path) as archive:
                return _read(archive, name)
        except DAMAGED as error:
            raise self.damaged(error) from error

    def pixels(self) -> NDArray[np.int64]:
        """The pixel digests of the rows."""
        found = self.array("pixels")
        if found is None or found.shape != (self.header.count,) or found.dtype != np.int64:
            raise self.damaged(ValueError("its pixel digests are not those of its rows"))
        return found

    def width(self, output: str) -> int | None:
        """The width of an output; None if there are no rows."""
        try:
            with open_zip_file(self.path) as archive, archive.open(f"{output}.npy") as stream:
                return _shape(stream)[1]
        except KeyError:
            return None
        except DAMAGED as error:
            raise self.damaged(error) from error

    def blocks(self, output: str, start: int, stop: int) -> Iterator[FeatureArray]:
        """Rows of an output in bounded blocks; where all are read, SourceError at the end for damaged ones."""
        if stop == start:
            return
        if stop - start < self.header.count:
            mapped = self.mapped(output)
            for first in range(start, stop, CHUNK):
                yield np.array(mapped[first : min(first + CHUNK, stop)])
            return
        try:
            with open_zip_file(self.path) as archive, archive.open(f"{output}.npy") as stream:
                count, width = _shape(stream)
                if count != self.header.count:
                    raise ValueError(f"it has {count} rows for {self.header.count} images")
                for first in range(0, count, CHUNK):
                    number = min(CHUNK, count - first)
                    yield np.frombuffer(bytearray(stream.read(number * width * 4)), np.float32).reshape(number, width)
        except DAMAGED as error:
            raise self.damaged(error) from error

    def mapped(self, output: str) -> FeatureArray:
        """The rows of an output, mapped; writing to them does not change the file."""
        found: FeatureArray = np.asarray(mapped_arrays(self.path, only=(output,), writable=True)[output])
        return found


def _read(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as stream:
        found: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
        return found


def _shape(stream: IO[bytes]) -> tuple[int, int]:
    """Rows and columns of an array of rows, from its header."""
    version = npy.read_magic(stream)
    shape, fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(stream)
    if len(shape) != 2 or fortran or dtype != np.float32:
        raise ValueError(f"expected rows of float32, found {dtype} {list(shape)}")
    return shape[0], shape[1]


@dataclass(frozen=True, slots=True)
class PartRows:
    """The arrays of a file.

    Attributes:
        outputs: The width and the rows of every output, in pieces; none if there are no rows.
        pixels: int64 [n].
        contents: uint8 [n, 16]; None for live generators.
        labels: int64, one per image; None where they are not known.
    """

    outputs: Mapping[str, tuple[int, Iterable[FeatureArray]]]
    pixels: NDArray[np.int64]
    contents: NDArray[np.uint8] | None = None
    labels: NDArray[np.int64] | None = None


def write_part(path: Place, header: PartHeader, rows: PartRows) -> None:
    """Write a file atomically; equal rows give equal bytes. ResultError if the file cannot be written."""
    whole = header.complete and header.count > 1
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        write_array(archive, MEMBER, np.array(header.to_text()))
        write_array(archive, "extractor", np.array(str(header.shared["measured"]["extractor"])))
        if header.shared["class_names"] is not None:
            write_array(archive, "class_names", np.array(header.shared["class_names"], dtype=np.str_))
        write_array(archive, "pixels", rows.pixels)
        for name, array in (("contents", rows.contents), ("labels", rows.labels)):
            if array is not None:
                write_array(archive, name, array)
        for output, (width, pieces) in sorted(rows.outputs.items()):
            summed = _MomentsOfBlocks() if whole and output == "features" else None
            taken = _in_blocks(pieces) if summed is None else summed.over(_in_blocks(pieces))
            write_rows(archive, output, (header.count, width), taken)
            if summed is not None:
                _write_statistics(archive, header, summed)


class _MomentsOfBlocks:
    """The moments of blocks, accumulated as the blocks are passed on."""

    moments: Moments | None = None

    def over(self, blocks: Iterable[FeatureArray]) -> Iterator[FeatureArray]:
        for block in blocks:
            one = Moments.of(torch.from_numpy(block))
            self.moments = one if self.moments is None else self.moments.merge(one)
            yield block


def _in_blocks(pieces: Iterable[FeatureArray]) -> Iterator[FeatureArray]:
    """The same rows, CHUNK at a time: their moments equal those of all rows at once, to the last digit."""
    waiting: list[FeatureArray] = []
    count = 0
    for piece in pieces:
        rest = piece
        while count + len(rest) >= CHUNK:
            taken, rest = rest[: CHUNK - count], rest[CHUNK - count :]
            yield np.concatenate([*waiting, taken]) if waiting else np.ascontiguousarray(taken)
            waiting, count = [], 0
        if len(rest):
            waiting.append(rest)
            count += len(rest)
    if waiting:
        yield np.concatenate(waiting)


def _write_statistics(archive: zipfile.ZipFile, header: PartHeader, summed: _MomentsOfBlocks) -> None:
    assert summed.moments is not None
    ddof = header.shared["ddof"]
    gaussian = summed.moments.gaussian(ddof=ddof)
    write_array(archive, "mu", gaussian.mean.numpy())
    write_array(archive, "sigma", gaussian.covariance.numpy())
    measured = {**header.shared["measured"], "source": {"name": header.name, **header.shared["source"]}}
    write_array(archive, "ganeval", statistics_entry(count=header.count, ddof=ddof, measured=measured))


class Extracted(WithoutImages):
    """Previously extracted features of a whole set of images, used instead of the images.

    Args:
        file: Where they are.

    Raises:
        UsageError: Images of the set are missing.
        SourceError: The file is damaged.
    """

    kind = "extracted"

    def __init__(self, file: PartFile) -> None:
        header = file.header
        if not header.complete:
            raise UsageError(
                f"{file.path} holds {header.images} of {header.shared['total']} images; "
                f"missing: {shard_names(header.missing())} of {header.shared['shards']}. Extract what is missing, then "
                "`ganeval merge` all files."
            )
        super().__init__(str(file.path))
        self._file = file
        self._count = file.header.images
        self._rows: Tensor | slice = slice(None)
        self._subset: dict[str, object] | None = None
        self._labels = file.array("labels")
        self._pixels, self._contents = torch.from_numpy(file.pixels()), file.array("contents")
        self.report = header.report

    def __len__(self) -> int:
        """The number of images, with those that could not be read."""
        return self._count

    @property
    def measured(self) -> Mapping[str, object]:
        """How the features were extracted: the extractor, the protocol and the rest of the setup."""
        found: Mapping[str, object] = self._file.header.shared["measured"]
        return found

    @property
    def outputs(self) -> frozenset[str]:
        """The outputs of the extractor in the file."""
        return frozenset(self._file.header.shared["outputs"])

    @property
    def live(self) -> bool:
        """Whether the images were drawn by a live generator."""
        return bool(self._file.header.shared["live"])

    @property
    def labels(self) -> Sequence[int] | None:
        """One class per image, None where unknown."""
        return None if self._labels is None else self._labels.tolist()

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What the classes are called, where that is not just their number."""
        names = self._file.header.shared["class_names"]
        return None if names is None else tuple(names)

    @property
    def remarks(self) -> Sequence[str]:
        """What the user should know about the images."""
        remarks: Sequence[str] = self._file.header.shared["remarks"]
        return remarks

    @property
    def pixels(self) -> Tensor:
        """The pixel digests of the rows, int64 [N]."""
        return self._pixels

    def rows(self, output: str) -> Tensor:
        """The rows of one output, float32 [N, D], mapped from the file."""
        return torch.from_numpy(self._file.mapped(output))[self._rows]

    def subset(self, num_samples: int | None, *, seed: int) -> "Extracted":
        """A seeded random subset of the images, chosen as for a folder of images; errors as of `Features.subset`."""
        if num_samples is None:
            return self
        count, report = len(self), self.report
        places = np.asarray(choose(count, num_samples, seed, name=self.name), np.int64)
        skipped = np.isin(places, report.skipped_indices)
        reasons = dict(zip(report.skipped_indices, report.skipped, strict=True))
        read = places[~skipped]
        rows = read - np.searchsorted(np.asarray(report.skipped_indices, np.int64), read)
        part = Extracted(self._file)
        part._count, part._rows = num_samples, torch.from_numpy(rows)
        part._subset = {"num_samples": num_samples, "of": count, "seed": seed}
        part._labels = None if self._labels is None else self._labels[places]
        part._pixels = self._pixels[part._rows]
        part._contents = None if self._contents is None else self._contents[rows]
        part.report = replace(
            report,
            skipped=[reasons[int(place)] for place in places[skipped]],
            skipped_indices=np.flatnonzero(skipped).tolist(),
        )
        return part

    def digest(self) -> str | None:
        """The content digest of the images; None for live generators."""
        if self._contents is None:
            return None
        return blake2b(np.ascontiguousarray(self._contents).data, digest_size=32).hexdigest()

    def describe(self) -> dict[str, object]:
        """The description of the set from its extraction, its name and kind, and the subset."""
        header = self._file.header
        said = dict(header.shared["source"])
        described: dict[str, object] = {"extracted": {"name": header.name, "kind": said.pop("kind")}, **said}
        if self._subset is not None:
            described["subset"] = self._subset
        return described
