"""Features of a source: from the cache where they are, by reading the source where not, and kept afterwards."""

from collections.abc import Callable, Sequence

from ganeval.cache import Cache
from ganeval.errors import CacheError
from ganeval.extractors.base import Extractor, Output
from ganeval.features import FeatureSet, Progress, extract
from ganeval.metrics.moments import Moments
from ganeval.sources.base import Reading, Source, Stamp


class Collector:
    """Reads sources for a fixed list of extractors.

    warnings: what a user should know of the reading that did not stop it.
    """

    def __init__(
        self, extractors: Sequence[Extractor], reading: Reading, cache: Cache | None, progress: Progress
    ) -> None:
        self._extractors, self._reading, self._cache, self._progress = extractors, reading, cache, progress
        self.warnings: list[str] = []

    def features(self, source: Source, outputs: frozenset[Output]) -> list[FeatureSet]:
        """One FeatureSet an extractor, in their order; extractors that see images alike share one."""
        stamp = None if self._cache is None else source.stamp()
        found: dict[str, FeatureSet] = {}
        content = None if stamp is None or self._cache is None else self._cache.content(stamp, source)
        missing: dict[str, Extractor] = {}
        for extractor in self._extractors:
            kept = None
            if content is not None and self._cache is not None:
                kept = self._cache.load(content, extractor, outputs)
            if kept is None:
                missing[_identity(extractor)] = extractor
            else:
                found[_identity(extractor)] = kept
        if missing:
            read = extract(source, list(missing.values()), outputs, self._reading, progress=self._progress)
            found |= dict(zip(missing, read, strict=True))
            self._report_skips(source, read[0])
            self._keep(source, stamp, list(zip(missing.values(), read, strict=True)))
        elif stamp is not None and content is not None and self._cache is not None:
            self._try(lambda cache: cache.remember(stamp, content))
        return [found[_identity(extractor)] for extractor in self._extractors]

    def moments(self, features: FeatureSet, extractor: Extractor) -> Moments:
        """Mean and scatter of "features", kept beside them."""
        array = features.arrays["features"]
        if self._cache is None or features.digest is None:
            return Moments.of(array)
        stored = self._cache.load_moments(features.digest, extractor)
        if stored is not None:
            return stored
        moments = Moments.of(array)
        digest = features.digest
        self._try(lambda cache: cache.store_moments(digest, extractor, moments))
        return moments

    def _keep(self, source: Source, stamp: Stamp | None, read: list[tuple[Extractor, FeatureSet]]) -> None:
        if stamp is None:
            return
        if source.stamp() != stamp:
            self.warnings.append(f"{source.name} changed while it was read; its features were not kept.")
            return
        self._try(lambda cache: self._store(cache, stamp, read))

    @staticmethod
    def _store(cache: Cache, stamp: Stamp, read: list[tuple[Extractor, FeatureSet]]) -> None:
        for extractor, features in read:
            if features.digest is not None and not features.report.skipped:
                cache.store(features, extractor)
                cache.remember(stamp, features.digest)

    def _try(self, write: Callable[[Cache], None]) -> None:
        """A cache that cannot be written costs the next run time; it must not cost this one its result."""
        assert self._cache is not None
        try:
            write(self._cache)
        except CacheError as error:
            if str(error) not in self.warnings:
                self.warnings.append(str(error))

    def _report_skips(self, source: Source, features: FeatureSet) -> None:
        skipped = features.report.skipped
        if skipped:
            first = "; ".join(f"{name}: {reason}" for name, reason in skipped[:3])
            more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
            self.warnings.append(
                f"{source.name}: {len(skipped)} images could not be read and were left out ({first}{more})."
            )


def _identity(extractor: Extractor) -> str:
    """Equal for extractors that make the same numbers of the same images."""
    return "\n".join((extractor.name, extractor.weights.sha256, extractor.preprocessing, extractor.precision))
