"""A cache of features and moments on disk, keyed by content, so that entries are never stale.

The key of an entry is a digest of the images' content (the encoded bytes of every image, in order) and of everything
that determines the features: extractor, weights, preprocessing and precision. File and folder names are not part of it.

The content digest of files is looked up by their fingerprint (sizes and modification times). A fingerprint is recorded
only if no later write could leave it unchanged. Files with an unknown fingerprint are hashed only if a set with the
same sizes was stored before; otherwise they cannot be in the cache.

Entries are written to a temporary file and renamed, so several processes can share a cache, and a killed process leaves
at most a temporary file, which `clear` removes. A damaged entry counts as missing and is replaced. Of a long reading
that was interrupted, finished segments are there, too (`segments`).
"""

import json
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from ganeval.atomic import atomic_path
from ganeval.documents import parse_json
from ganeval.duplicates import with_equal_rows
from ganeval.errors import CacheError, DecodeError
from ganeval.extractors.base import Extractor, Identity, identity
from ganeval.features import FeatureSet
from ganeval.metrics.moments import Moments
from ganeval.outputs import Output
from ganeval.paths import cache_root
from ganeval.processes import processes
from ganeval.segments import Segments, segment_count
from ganeval.sources.base import Fingerprint, Reading, ReadReport, Source, length

__all__ = ["CacheInfo", "cache_info", "clear_cache"]

# Part of every key; increase it when the meaning of stored numbers changes.
FORMAT = 1
# Folders on disk. "stamps" (the older word for fingerprints) has the content digest of each recorded fingerprint,
# "sizes" the file sizes of stored sets, "segments" what was extracted so far of readings that have not ended.
FOLDERS = ("features", "stamps", "sizes", "segments")
# Exceptions of reading a missing, truncated or overwritten entry.
DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile)
# Maximum number of image sizes to store; sets with more are photographs of many sizes, which need no remark.
MAX_SIZES = 100


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What a cache holds.

    Attributes:
        root: Its folder.
        entries: Stored arrays.
        bytes: Total size on disk.
    """

    root: Path
    entries: int
    bytes: int


def cache_info() -> CacheInfo:
    """What is in the user's cache, or in that of GANEVAL_CACHE.

    Raises:
        CacheError: It cannot be read.
    """
    return Cache(cache_root()).info()


def clear_cache() -> CacheInfo:
    """Remove all features from the user's cache, or from that of GANEVAL_CACHE; returns what was there.

    Downloaded weights and data sets stay.

    Raises:
        CacheError: Files cannot be removed.
    """
    return Cache(cache_root()).clear()


class Cache:
    """A cache in one folder, which is created at the first write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def features(
        self,
        source: Source,
        extractors: Mapping[Identity, Extractor],
        outputs: frozenset[Output],
        reading: Reading,
        read: Callable[[Mapping[Identity, Extractor], Segments | None], Mapping[Identity, FeatureSet]],
    ) -> tuple[dict[Identity, FeatureSet], list[str]]:
        """Load the features of a source, and extract and store those that are missing.

        Args:
            source: The images.
            extractors: By identity.
            outputs: Of each extractor those that it has.
            reading: How images are read.
            read: Extracts features with some of the extractors, and keeps finished segments.

        Returns:
            The features by extractor, extracted ones first; and warnings about what could not be stored.
        """
        # One process asks the cache and adds to it; features are loaded where every process can load them.
        team = processes()
        fingerprint = self._fingerprint(source) if team.first else None
        content = team.from_first(None if fingerprint is None else self._content(fingerprint, source))
        loaded: dict[Identity, FeatureSet] = {}
        if content is not None:
            found = {
                key: self.load(content, extractor, outputs & extractor.outputs) for key, extractor in extractors.items()
            }
            everywhere = team.exchange([features is not None for features in found.values()])
            loaded = {
                key: features
                for (key, features), *had in zip(found.items(), *everywhere, strict=True)
                if features is not None and all(had)
            }
        missing = {key: extractor for key, extractor in extractors.items() if key not in loaded}
        segments = None if fingerprint is None else self._segments(source, fingerprint, missing, outputs, reading)
        extracted = read(missing, segments) if missing else {}
        kept = []
        if fingerprint is not None and missing:
            kept = self._keep(source, fingerprint, missing, extracted)
        elif fingerprint is not None and content is not None:
            kept = _attempt(partial(self._remember, fingerprint, content))
        if segments is not None:
            kept += segments.failed
            segments.remove()
        return {**extracted, **loaded}, team.from_first(kept)

    def segments(self, *words: object) -> Segments:
        """Where the segments of a reading are kept.

        Args:
            words: What the reading depends on, as JSON holds it.
        """
        key = json.dumps([FORMAT, *words], sort_keys=True)
        return Segments(self.root / "segments" / blake2b(key.encode(), digest_size=20).hexdigest())

    def _segments(
        self,
        source: Source,
        fingerprint: Fingerprint,
        extractors: Mapping[Identity, Extractor],
        outputs: frozenset[Output],
        reading: Reading,
    ) -> Segments | None:
        """Where segments are kept; None if there are few images, or the segments could not be recognised later."""
        few = segment_count(length(source) or 0) < 2
        unsafe = fingerprint.fast is None or not fingerprint.settled
        if few or unsafe or not all(one.weights.complete for one in extractors.values()):
            return None
        kept = [[*key, *sorted(outputs & one.outputs)] for key, one in extractors.items()]
        return self.segments(fingerprint.fast, kept, reading.batch_size, reading.on_error)

    def _fingerprint(self, source: Source) -> Fingerprint | None:
        """A source's fingerprint; None if it cannot be cached."""
        try:
            return source.fingerprint()
        except DecodeError:
            # Reading the source reaches this image too, and fails or skips it as the settings say.
            return None

    def _content(self, fingerprint: Fingerprint, source: Source) -> str | None:
        """A source's content digest; hashes files only if the fingerprint is new and a set of these sizes is stored."""
        known = None if fingerprint.fast is None else self._read_text("stamps", fingerprint.fast)
        if known is not None or self._read_text("sizes", fingerprint.sizes) is None:
            return known
        digest = blake2b(digest_size=32)
        try:
            for one in source.digests():
                digest.update(one)
        except DecodeError:
            # As above.
            return None
        return digest.hexdigest()

    def _keep(
        self,
        source: Source,
        fingerprint: Fingerprint,
        extractors: Mapping[Identity, Extractor],
        extracted: Mapping[Identity, FeatureSet],
    ) -> list[str]:
        """Store what was extracted from a source that had this fingerprint before; warnings if that is not possible."""
        if self._fingerprint(source) != fingerprint:
            return [f"{source.name} changed while it was read; its features were not kept."]
        warnings = []
        for key, extractor in extractors.items():
            features = extracted[key]
            if not extractor.weights.complete:
                warnings.append(
                    f"The features of {source.name} were not kept: what {extractor.name} computes is code that may "
                    "change unseen. Give a module defined in a file, or an Extractor with a digest, to have them kept."
                )
                continue
            if features.digest is not None and not features.report.skipped:
                warnings += _attempt(partial(self.store, features, extractor))
                warnings += _attempt(partial(self._remember, fingerprint, features.digest))
        return warnings

    def _remember(self, fingerprint: Fingerprint, content: str) -> None:
        """Record the content digest of a fingerprint; only the sizes if it may outlive a change of the files.

        CacheError if it cannot be written; what is recorded already is not written again.
        """
        if fingerprint.fast is not None and fingerprint.settled:
            self._write_text("stamps", fingerprint.fast, content)
        self._write_text("sizes", fingerprint.sizes, content)

    def load(self, content: str, extractor: Extractor, outputs: frozenset[Output]) -> FeatureSet | None:
        """Memory-map the features of some content.

        Args:
            content: The content digest.
            extractor: Extracted the features.
            outputs: Of the extractor.

        Returns:
            The features; None if one of the outputs is missing or damaged.
        """
        if not extractor.weights.complete:
            return None
        arrays: dict[Output, torch.Tensor] = {}
        report = ReadReport()
        for output in sorted(outputs):
            try:
                array, report = _read_entry(self._entry(content, extractor, output))
            except DAMAGED:
                return None
            arrays[output] = torch.from_numpy(array)
        pixels = self._load_pixels(content)
        # Entries of version 0.1.0 have no pixel digests.
        if pixels is None:
            return None
        return FeatureSet(with_equal_rows(arrays, pixels), content, report, cached=True, pixels=pixels)

    def store(self, features: FeatureSet, extractor: Extractor) -> None:
        """Store features that have a content digest and skipped no image; others are ignored.

        Raises:
            CacheError: The cache cannot be written.
        """
        if features.digest is None or features.pixels is None or features.report.skipped:
            return
        for output, tensor in features.arrays.items():
            path, array = self._entry(features.digest, extractor, output), np.ascontiguousarray(tensor.numpy())
            about = {**_about(features.report), "count": len(array), "crc32": _crc32(array)}
            with self._writing(path.with_suffix(".npy")) as file:
                np.save(file, array)
            with self._writing(path.with_suffix(".json")) as file:
                file.write(json.dumps(about).encode())
        pixels = features.pixels.numpy()
        with self._writing(self._pixels(features.digest)) as file:
            np.savez(file, pixels=pixels)

    def load_moments(self, content: str, extractor: Extractor, output: Output = "features") -> Moments | None:
        """The moments of one output; None if they are missing or damaged."""
        if not extractor.weights.complete:
            return None
        try:
            # Opened here, because numpy does not close a damaged file.
            with (
                self._moments(content, extractor, output).open("rb") as file,
                np.load(file, allow_pickle=False) as kept,
            ):
                return Moments(int(kept["count"]), torch.from_numpy(kept["mean"]), torch.from_numpy(kept["scatter"]))
        except DAMAGED:
            return None

    def store_moments(self, content: str, extractor: Extractor, moments: Moments, output: Output = "features") -> None:
        """Store the moments of one output; CacheError if the cache cannot be written."""
        if not extractor.weights.complete:
            return
        mean, scatter = moments.mean.cpu().numpy(), moments.scatter.cpu().numpy()
        with self._writing(self._moments(content, extractor, output)) as file:
            np.savez(file, count=moments.count, mean=mean, scatter=scatter)

    def info(self) -> CacheInfo:
        """Count the entries; CacheError if the folder cannot be read."""
        sizes = {}
        try:
            for path in (path for folder in FOLDERS for path in (self.root / folder).rglob("*")):
                if path.is_file():
                    sizes[path] = path.stat().st_size
        except OSError as error:
            raise CacheError(f"The cache at {self.root} cannot be read: {error.strerror}.") from error
        return CacheInfo(self.root, sum(path.suffix == ".npy" for path in sizes), sum(sizes.values()))

    def clear(self) -> CacheInfo:
        """Remove all entries and return what there was; CacheError if they cannot be removed."""
        before = self.info()
        for folder in FOLDERS:
            path = self.root / folder
            try:
                if path.exists():
                    shutil.rmtree(path)
            except OSError as error:
                raise CacheError(f"The cache at {self.root} cannot be cleared: {error.strerror}.") from error
        return before

    def _load_pixels(self, content: str) -> torch.Tensor | None:
        """The pixel digests of some content; None if they are missing or damaged."""
        try:
            with self._pixels(content).open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return torch.from_numpy(kept["pixels"])
        except DAMAGED:
            return None

    def _pixels(self, content: str) -> Path:
        """The file of pixel digests."""
        return self._path("pixels", content).with_suffix(".pixels.npz")

    def _entry(self, content: str, extractor: Extractor, output: Output) -> Path:
        """The files of an array, without their endings."""
        return self._path(content, *identity(extractor), output)

    def _path(self, *words: str) -> Path:
        """Where the entry of a key lies."""
        key = json.dumps([FORMAT, *words])
        name = blake2b(key.encode(), digest_size=20).hexdigest()
        return self.root / "features" / name[:2] / name

    def _moments(self, content: str, extractor: Extractor, output: Output) -> Path:
        """The file of moments."""
        return self._entry(content, extractor, output).with_suffix(".moments.npz")

    def _read_text(self, folder: str, name: str) -> str | None:
        """The text of a small file; None if it is missing or damaged."""
        try:
            return (self.root / folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def _write_text(self, folder: str, name: str, text: str) -> None:
        """Write a small file, unless it has this text already."""
        if self._read_text(folder, name) != text:
            with self._writing(self.root / folder / name) as file:
                file.write(text.encode())

    @contextmanager
    def _writing(self, path: Path) -> Iterator[BinaryIO]:
        """A file that appears in the cache when the block ends without an error."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary, temporary.open("xb") as file:
                yield file
        except OSError as error:
            raise CacheError(
                # On a full disk, numpy's error says only how many values were written.
                f"The cache at {self.root} cannot be written: {error.strerror or f'disk full ({error})'}. The result "
                "is not affected; free some space, set GANEVAL_CACHE to another folder, or switch the cache off "
                "(--no-cache)."
            ) from error


def _attempt(write: Callable[[], object]) -> list[str]:
    """Write to the cache; a warning if that fails, because the result does not depend on it."""
    try:
        write()
    except CacheError as error:
        return [str(error)]
    return []


def moments_of(
    found: FeatureSet, extractor: Extractor, outputs: frozenset[Output], cache: Cache | None
) -> tuple[dict[Output, Moments], list[str]]:
    """Load or compute the moments of features, for arrays with more rows than columns.

    Args:
        found: The features.
        extractor: Extracted them.
        outputs: Of which moments are wanted.
        cache: Where moments are kept; None to keep none.

    Returns:
        The moments by output, and warnings about those that could not be stored.
    """
    known: dict[Output, Moments] = {}
    warnings: list[str] = []
    team = processes()
    for output in sorted(outputs & found.arrays.keys()):
        array = found.arrays[output]
        if len(array) <= array.shape[1]:
            continue
        # Their last digits depend on the order of the rows, so one process computes them for all.
        known[output], failed = team.by_first(partial(_moments_of, found, extractor, output, cache))
        warnings += failed
    return known, warnings


def _moments_of(
    found: FeatureSet, extractor: Extractor, output: Output, cache: Cache | None
) -> tuple[Moments, list[str]]:
    """`moments_of` of one output."""
    kept = None if cache is None or found.digest is None else cache.load_moments(found.digest, extractor, output)
    if kept is not None:
        return kept, []
    moments = Moments.of(found.arrays[output])
    if cache is None or found.digest is None:
        return moments, []
    return moments, _attempt(partial(cache.store_moments, found.digest, extractor, moments, output))


def _about(report: ReadReport) -> dict[str, object]:
    """What is stored about a reading: conversions, and sizes as [width, height, images] up to MAX_SIZES of them."""
    sizes = [[*size, count] for size, count in report.sizes.items()] if len(report.sizes) <= MAX_SIZES else []
    return {"conversions": dict(report.conversions), "sizes": sizes}


def _read_entry(path: Path) -> tuple[NDArray[np.float32], ReadReport]:
    """A stored array, memory-mapped copy-on-write so that the file cannot be changed, and the report of its reading."""
    about = parse_json(path.with_suffix(".json").read_text(encoding="utf-8"))
    array: NDArray[np.float32] = np.load(path.with_suffix(".npy"), mmap_mode="c", allow_pickle=False)
    if array.shape[0] != about["count"] or _crc32(array) != about["crc32"]:
        raise ValueError(f"{path} is damaged.")
    conversions = Counter({str(name): int(count) for name, count in about["conversions"].items()})
    # Entries of version 0.1.0 have no sizes.
    sizes = Counter({(int(width), int(height)): int(count) for width, height, count in about.get("sizes", ())})
    return array, ReadReport(conversions, sizes=sizes)


def _crc32(array: NDArray[np.float32]) -> int:
    """The checksum of an array's bytes."""
    return zlib.crc32(array.data)
