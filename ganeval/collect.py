"""Features of a source: from the cache where they are, by reading the source where not, and kept afterwards."""

from collections.abc import Callable, Mapping, Sequence

from ganeval.cache import Cache
from ganeval.errors import CacheError, DecodeError
from ganeval.extractors.base import Extractor, Output, identity
from ganeval.features import FeatureSet, Progress, extract
from ganeval.metrics.moments import Moments
from ganeval.sources.base import Reading, Source, Stamp
from ganeval.sources.items import ItemSource
from ganeval.sources.pixels import FEW_BITS, bits_used

Key = tuple[str, ...]
# A set of a few sizes is a mixture; one of many, photographs as they come.
FEW_SIZES, IMAGES_PER_SIZE = 4, 4


class Collector:
    """Reads sources for a fixed list of extractors.

    warnings: what a user should know of the reading that did not stop it.
    """

    def __init__(
        self, extractors: Sequence[Extractor], reading: Reading, cache: Cache | None, progress: Progress
    ) -> None:
        self._keys = [identity(extractor) for extractor in extractors]
        self._extractors = dict(zip(self._keys, extractors, strict=True))
        self._reading, self._cache, self._progress = reading, cache, progress
        self.warnings: list[str] = []

    def features(self, source: Source, outputs: frozenset[Output]) -> list[FeatureSet]:
        """One FeatureSet an extractor, in their order; extractors that see images alike share one."""
        stamp = self._stamp(source)
        content = None if stamp is None else self._content(source, stamp)
        found = {} if content is None else self._load(content, outputs)
        missing = {key: extractor for key, extractor in self._extractors.items() if key not in found}
        if missing:
            read = extract(source, list(missing.values()), outputs, self._reading, progress=self._progress)
            fresh = dict(zip(missing, read, strict=True))
            self._report_skips(source, read[0])
            self._keep(source, stamp, fresh)
            found |= fresh
        elif stamp is not None and content is not None:
            self._remember(stamp, content)
        self._remark(source, found[self._keys[0]])
        return [found[key] for key in self._keys]

    def moments(self, features: FeatureSet, extractor: Extractor, output: Output = "features") -> Moments:
        """Mean and scatter of one output, kept beside it."""
        array, digest = features.arrays[output], features.digest
        if self._cache is None or digest is None:
            return Moments.of(array)
        stored = self._cache.load_moments(digest, extractor, output)
        if stored is not None:
            return stored
        moments = Moments.of(array)
        self._try(lambda cache: cache.store_moments(digest, extractor, moments, output))
        return moments

    def _stamp(self, source: Source) -> Stamp | None:
        """None for what is not to be cached, now or ever."""
        if self._cache is None:
            return None
        try:
            return source.stamp()
        except DecodeError:
            # The reading comes to this image too, and stops there or leaves it out, as it was told to.
            return None

    def _content(self, source: Source, stamp: Stamp) -> str | None:
        assert self._cache is not None
        try:
            return self._cache.content(stamp, source)
        except DecodeError:
            # As above.
            return None

    def _load(self, content: str, outputs: frozenset[Output]) -> dict[Key, FeatureSet]:
        assert self._cache is not None
        loaded = {key: self._cache.load(content, extractor, outputs) for key, extractor in self._extractors.items()}
        return {key: features for key, features in loaded.items() if features is not None}

    def _keep(self, source: Source, stamp: Stamp | None, fresh: Mapping[Key, FeatureSet]) -> None:
        if stamp is None:
            return
        if self._stamp(source) != stamp:
            self.warnings.append(f"{source.name} changed while it was read; its features were not kept.")
            return
        for key, features in fresh.items():
            if features.digest is not None and not features.report.skipped:
                self._store(self._extractors[key], features)
                self._remember(stamp, features.digest)

    def _store(self, extractor: Extractor, features: FeatureSet) -> None:
        self._try(lambda cache: cache.store(features, extractor))

    def _remember(self, stamp: Stamp, content: str) -> None:
        self._try(lambda cache: cache.remember(stamp, content))

    def _try(self, write: Callable[[Cache], None]) -> None:
        """A cache that cannot be written costs the next run time; it must not cost this one its result."""
        assert self._cache is not None
        try:
            write(self._cache)
        except CacheError as error:
            if str(error) not in self.warnings:
                self.warnings.append(str(error))

    def _remark(self, source: Source, features: FeatureSet) -> None:
        """What is odd about the images, though each of them could be read."""
        remarks = [*(source.remarks if isinstance(source, ItemSource) else ()), *_mixed_sizes(source, features)]
        remarks += _unused_bits(source, features)
        self.warnings.extend(remark for remark in remarks if remark not in self.warnings)

    def _report_skips(self, source: Source, features: FeatureSet) -> None:
        skipped = features.report.skipped
        if skipped:
            first = "; ".join(f"{name}: {reason}" for name, reason in skipped[:3])
            more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
            self.warnings.append(
                f"{source.name}: {len(skipped)} images could not be read and were left out ({first}{more})."
            )


def _mixed_sizes(source: Source, features: FeatureSet) -> list[str]:
    """A remark on a set of a few sizes: samples in two resolutions, or with a grid of samples among them."""
    sizes = features.report.sizes
    # A portrait and a landscape of one camera are alike.
    shapes = {tuple(sorted(size)) for size in sizes}
    if not 1 < len(shapes) <= FEW_SIZES or sizes.total() < IMAGES_PER_SIZE * len(shapes):
        return []
    counted = ", ".join(f"{count} of {width} x {height}" for (width, height), count in sizes.most_common())
    return [
        f"{source.name}: images of several sizes: {counted}. If some do not belong to the set, leave them out with "
        "--include or --exclude."
    ]


def _unused_bits(source: Source, features: FeatureSet) -> list[str]:
    """A remark on 16-bit images whose values were never scaled to 16 bits, as cameras of 10, 12 or 14 write them."""
    counted = features.report.conversions
    images = {bits: counted[bits_used(bits)] for bits in range(FEW_BITS + 1)}
    most = max((bits for bits, count in images.items() if count), default=0)
    if most == 0 or sum(images.values()) != counted["16-bit"]:
        return []
    depth = next(bits for bits in (8, 10, 12, 14) if bits >= most)
    brightest = ((1 << most) + 127) // 257
    return [
        f"{source.name}: 100% of the values of its {counted['16-bit']} 16-bit images are below {1 << most:,}, of "
        f"65,535: as 8 bits they are at most {brightest} of 255, nearly black. If they are {depth}-bit data, scale "
        f"them to 16 bits once (value * 65535 / {(1 << depth) - 1}), as those they are compared with must be, too."
    ]
