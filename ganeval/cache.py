"""Features and moments on disk, keyed by content: what was measured once is never measured again, and never stale.

An entry's key is a digest of the images' content (of every image's encoded bytes, in order) and of everything that
turns it into numbers: extractor, weights, preprocessing, precision. Names of files and folders take no part.

Sizes and modification times only find the content digest fast: a fingerprint seen before stands for the content it had
then, and only a fingerprint that no later writing can leave in place is remembered. A fingerprint that is new, of a set
whose sizes were seen, is settled by hashing the files.

Entries are written under a temporary name and renamed, so processes may share a cache, and a killed one leaves at
most a temporary file, which `clear` removes. An entry that is damaged counts as missing, and is replaced.
"""

import json
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
from ganeval.extractors.base import Extractor, Output, identity
from ganeval.features import FeatureSet
from ganeval.metrics.moments import Moments
from ganeval.paths import cache_root
from ganeval.sources.base import Fingerprint, ReadReport, Source

__all__ = ["CacheInfo", "cache_info", "clear_cache"]

# Part of every key: raise it when the meaning of stored numbers changes.
FORMAT = 1
# As they are called on disk: "stamps" holds the content digest of every fingerprint that was seen.
FOLDERS = ("features", "stamps", "sizes")
# What reading a missing, truncated or overwritten entry raises.
DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile)
# Sizes of images that are worth keeping: sets with more are photographs as they come.
MOST_SIZES = 100


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What a cache holds.

    Attributes:
        root: Its folder.
        entries: The number of stored arrays.
        bytes: Their size on disk, with everything else in the cache.
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
    """A cache in one folder, made when first written to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fingerprint_of(self, source: Source) -> Fingerprint | None:
        """A source's fingerprint; None for what is not to be cached now or ever."""
        try:
            return source.fingerprint()
        except DecodeError:
            # The reading comes to this image too, and stops there or leaves it out, as it was told to.
            return None

    def identify(self, source: Source) -> tuple[Fingerprint | None, str | None]:
        """A source's fingerprint, and its content digest where that is known."""
        fingerprint = self.fingerprint_of(source)
        try:
            return fingerprint, None if fingerprint is None else self.content(fingerprint, source)
        except DecodeError:
            # As above.
            return fingerprint, None

    def keep(self, source: Source, fingerprint: Fingerprint, read: Sequence[tuple[Extractor, FeatureSet]]) -> list[str]:
        """Store what was just read of a source with this fingerprint; warnings where that was not possible."""
        if self.fingerprint_of(source) != fingerprint:
            return [f"{source.name} changed while it was read; its features were not kept."]
        warnings = []
        for extractor, features in read:
            if not extractor.weights.complete:
                warnings.append(
                    f"The features of {source.name} were not kept: what {extractor.name} computes is code that may "
                    "change unseen. Give a module defined in a file, or an Extractor with a digest, to have them kept."
                )
                continue
            if features.digest is not None and not features.report.skipped:
                warnings += self.attempt(partial(self.store, features, extractor))
                warnings += self.attempt(partial(self.remember, fingerprint, features.digest))
        return warnings

    def attempt(self, write: Callable[[], object]) -> list[str]:
        """Write to the cache; a warning where it cannot be written, which costs the next run time, and no result."""
        try:
            write()
        except CacheError as error:
            return [str(error)]
        return []

    def content(self, fingerprint: Fingerprint, source: Source) -> str | None:
        """A source's content digest; files are hashed if its fingerprint is new and a set of its sizes was stored."""
        if fingerprint.fast is not None:
            known = self._read_text("stamps", fingerprint.fast)
            if known is not None:
                return known
        if self._read_text("sizes", fingerprint.sizes) is None:
            return None
        digest = blake2b(digest_size=32)
        for one in source.digests():
            digest.update(one)
        return digest.hexdigest()

    def remember(self, fingerprint: Fingerprint, content: str) -> None:
        """From now on a fingerprint stands for this content; one that is not settled says only what sizes were seen.

        Nothing is written that is there already. Raises CacheError when it cannot be.
        """
        if fingerprint.fast is not None and fingerprint.settled:
            self._write_text("stamps", fingerprint.fast, content)
        self._write_text("sizes", fingerprint.sizes, content)

    def load(self, content: str, extractor: Extractor, outputs: frozenset[Output]) -> FeatureSet | None:
        """The features of this content, mapped from disk rather than read; None unless every output is there whole."""
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
        # Entries of 0.1.0 have none.
        if pixels is None:
            return None
        return FeatureSet(with_equal_rows(arrays, pixels), content, report, cached=True, pixels=pixels)

    def store(self, features: FeatureSet, extractor: Extractor) -> None:
        """Keep every array of a FeatureSet that has a content digest and left no image out; CacheError if it cannot."""
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
        """The moments of one output of this content, where they are kept."""
        if not extractor.weights.complete:
            return None
        try:
            # Opened here, because numpy does not close what it finds damaged.
            with (
                self._moments(content, extractor, output).open("rb") as file,
                np.load(file, allow_pickle=False) as kept,
            ):
                return Moments(int(kept["count"]), torch.from_numpy(kept["mean"]), torch.from_numpy(kept["scatter"]))
        except DAMAGED:
            return None

    def store_moments(self, content: str, extractor: Extractor, moments: Moments, output: Output = "features") -> None:
        """Keep the moments of one output of this content; CacheError if it cannot."""
        if not extractor.weights.complete:
            return
        mean, scatter = moments.mean.cpu().numpy(), moments.scatter.cpu().numpy()
        with self._writing(self._moments(content, extractor, output)) as file:
            np.savez(file, count=moments.count, mean=mean, scatter=scatter)

    def info(self) -> CacheInfo:
        """What is there; CacheError when that cannot be seen."""
        sizes = {}
        try:
            for path in (path for folder in FOLDERS for path in (self.root / folder).rglob("*")):
                if path.is_file():
                    sizes[path] = path.stat().st_size
        except OSError as error:
            raise CacheError(f"The cache at {self.root} cannot be looked at: {error.strerror}.") from error
        return CacheInfo(self.root, sum(path.suffix == ".npy" for path in sizes), sum(sizes.values()))

    def clear(self) -> CacheInfo:
        """Remove everything; says what was there. CacheError when it cannot be removed."""
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
        try:
            with self._pixels(content).open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return torch.from_numpy(kept["pixels"])
        except DAMAGED:
            return None

    def _pixels(self, content: str) -> Path:
        return self._path("pixels", content).with_suffix(".pixels.npz")

    def _entry(self, content: str, extractor: Extractor, output: Output) -> Path:
        return self._path(content, *identity(extractor), output)

    def _path(self, *words: str) -> Path:
        key = json.dumps([FORMAT, *words])
        name = blake2b(key.encode(), digest_size=20).hexdigest()
        return self.root / "features" / name[:2] / name

    def _moments(self, content: str, extractor: Extractor, output: Output) -> Path:
        return self._entry(content, extractor, output).with_suffix(".moments.npz")

    def _read_text(self, folder: str, name: str) -> str | None:
        try:
            return (self.root / folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def _write_text(self, folder: str, name: str, text: str) -> None:
        if self._read_text(folder, name) != text:
            with self._writing(self.root / folder / name) as file:
                file.write(text.encode())

    @contextmanager
    def _writing(self, path: Path) -> Iterator[BinaryIO]:
        """A file that takes its place in the cache when the block ends without an error."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary, temporary.open("xb") as file:
                yield file
        except OSError as error:
            raise CacheError(
                f"The cache at {self.root} cannot be written: {error.strerror or error}. The result is not affected; "
                "free some space, set GANEVAL_CACHE to another folder, or switch the cache off (--no-cache)."
            ) from error


def moments_of(
    found: FeatureSet, extractor: Extractor, outputs: frozenset[Output], cache: Cache | None
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


def _about(report: ReadReport) -> dict[str, object]:
    """What is kept of a reading: conversions, and sizes as [width, height, images], unless there are very many."""
    sizes = [[*size, count] for size, count in report.sizes.items()] if len(report.sizes) <= MOST_SIZES else []
    return {"conversions": dict(report.conversions), "sizes": sizes}


def _read_entry(path: Path) -> tuple[NDArray[np.float32], ReadReport]:
    """A stored array, mapped copy-on-write (nothing that is done with it can reach the file), and how it was read."""
    about = parse_json(path.with_suffix(".json").read_text(encoding="utf-8"))
    array: NDArray[np.float32] = np.load(path.with_suffix(".npy"), mmap_mode="c", allow_pickle=False)
    if array.shape[0] != about["count"] or _crc32(array) != about["crc32"]:
        raise ValueError(f"{path} is damaged.")
    conversions = Counter({str(name): int(count) for name, count in about["conversions"].items()})
    # Entries of 0.1.0 have no sizes.
    sizes = Counter({(int(width), int(height)): int(count) for width, height, count in about.get("sizes", ())})
    return array, ReadReport(conversions, sizes=sizes)


def _crc32(array: NDArray[np.float32]) -> int:
    return zlib.crc32(array.data)
