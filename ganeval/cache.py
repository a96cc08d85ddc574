"""Features and moments on disk, keyed by content: what was measured once is never measured again, and never stale.

An entry's key is a digest of the images' content (of every image's encoded bytes, in order) and of everything that
turns it into numbers: extractor, weights, preprocessing, precision. Names of files and folders take no part.

Sizes and modification times only find the content digest fast: a stamp seen before stands for the content it had
then. A stamp that is new, of a set whose sizes were seen, is settled by hashing the files. A source that changes
while it is read is not stored.

Entries are written under a temporary name and renamed, so processes may share a cache, and a killed one leaves at
most a temporary file, which `clear` removes.
"""

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from ganeval.errors import CacheError
from ganeval.extractors.base import Extractor, Output
from ganeval.features import FeatureSet
from ganeval.metrics.moments import Moments
from ganeval.sources.base import ReadReport, Source, Stamp

# Part of every key: raise it when the meaning of stored numbers changes.
FORMAT = 1


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """root: the folder. entries: stored arrays. bytes: on disk, in all."""

    root: Path
    entries: int
    bytes: int


class Cache:
    """A cache in one folder, made when first written to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def content(self, stamp: Stamp, source: Source) -> str | None:
        """A source's content digest by its stamp; files are hashed only if a set of these sizes was stored before."""
        if stamp.fast is not None:
            known = self._read_text("stamps", stamp.fast)
            if known is not None:
                return known
        if self._read_text("sizes", stamp.sizes) is None:
            return None
        digest = hashlib.blake2b(digest_size=32)
        for one in source.digests():
            digest.update(one)
        content = digest.hexdigest()
        self.remember(stamp, content)
        return content

    def remember(self, stamp: Stamp, content: str) -> None:
        """From now on this stamp stands for this content."""
        if stamp.fast is not None:
            self._write_text("stamps", stamp.fast, content)
        self._write_text("sizes", stamp.sizes, content)

    def load(self, content: str, extractor: Extractor, outputs: frozenset[Output]) -> FeatureSet | None:
        """The features of this content, mapped from disk rather than read; None unless every output is there."""
        arrays, report, labels = {}, ReadReport(), None
        for output in sorted(outputs):
            path = self._entry(content, extractor, output)
            try:
                # Copy on write: nothing that is done with the array can reach the file.
                array = np.load(path.with_suffix(".npy"), mmap_mode="c", allow_pickle=False)
                about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                # Not there, or damaged, which is as good as not there: the next store replaces it.
                return None
            arrays[output] = torch.from_numpy(array)
            report = ReadReport(Counter(about["conversions"]))
            labels = None if about["labels"] is None else tuple(about["labels"])
        return FeatureSet(arrays, content, report, labels, cached=True)

    def store(self, features: FeatureSet, extractor: Extractor) -> None:
        """Keep every array of a FeatureSet that has a content digest and left no image out."""
        if features.digest is None or features.report.skipped:
            return
        about = {"conversions": dict(features.report.conversions), "labels": features.labels, "count": len(features)}
        for output, array in features.arrays.items():
            path = self._entry(features.digest, extractor, output)
            self._write(path.with_suffix(".npy"), partial(_save, array=array.numpy()))
            self._write(path.with_suffix(".json"), lambda file: file.write(json.dumps(about).encode()))

    def load_moments(self, content: str, extractor: Extractor) -> Moments | None:
        """The moments of this content's features, where they are kept."""
        try:
            with np.load(self._moments(content, extractor), allow_pickle=False) as kept:
                return Moments(int(kept["count"]), torch.from_numpy(kept["mean"]), torch.from_numpy(kept["scatter"]))
        except (OSError, ValueError, KeyError, BadZipFile):
            return None

    def store_moments(self, content: str, extractor: Extractor, moments: Moments) -> None:
        """Keep the moments of this content's features."""
        mean, scatter = moments.mean.cpu().numpy(), moments.scatter.cpu().numpy()
        self._write(
            self._moments(content, extractor),
            lambda file: np.savez(file, count=moments.count, mean=mean, scatter=scatter),
        )

    def info(self) -> CacheInfo:
        """What is there."""
        files = [path for path in self._root_files() if path.is_file()]
        return CacheInfo(self.root, sum(path.suffix == ".npy" for path in files), sum(p.stat().st_size for p in files))

    def clear(self) -> CacheInfo:
        """Remove everything; says what was there."""
        before = self.info()
        for folder in ("features", "stamps", "sizes"):
            path = self.root / folder
            try:
                if path.exists():
                    shutil.rmtree(path)
            except OSError as error:
                raise CacheError(f"The cache at {self.root} cannot be cleared: {error.strerror}.") from error
        return before

    def _root_files(self) -> list[Path]:
        return [path for folder in ("features", "stamps", "sizes") for path in (self.root / folder).rglob("*")]

    def _entry(self, content: str, extractor: Extractor, output: Output) -> Path:
        about = (FORMAT, content, extractor.name, extractor.weights.sha256, extractor.preprocessing)
        key = json.dumps([*about, extractor.precision, output])
        name = hashlib.blake2b(key.encode(), digest_size=20).hexdigest()
        return self.root / "features" / name[:2] / name

    def _moments(self, content: str, extractor: Extractor) -> Path:
        return self._entry(content, extractor, "features").with_suffix(".moments.npz")

    def _read_text(self, folder: str, name: str) -> str | None:
        try:
            return (self.root / folder / name).read_text(encoding="utf-8")
        except OSError:
            return None

    def _write_text(self, folder: str, name: str, text: str) -> None:
        self._write(self.root / folder / name, lambda file: file.write(text.encode()))

    def _write(self, path: Path, fill: Callable[[IO[bytes]], object]) -> None:
        temporary: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False) as file:
                temporary = file.name
                fill(file)
            Path(temporary).replace(path)
        except OSError as error:
            raise CacheError(
                f"The cache at {self.root} cannot be written: {error.strerror or error}. The result is not affected; "
                "free some space, set GANEVAL_CACHE to another folder, or switch the cache off (--no-cache)."
            ) from error
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)


def _save(file: IO[bytes], array: NDArray[np.float32]) -> None:
    np.save(file, array)
