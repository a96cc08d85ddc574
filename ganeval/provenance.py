"""How a number came about, as plain data for the result: extractor, protocol, sources, versions."""

import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ganeval.extractors.base import Extractor
from ganeval.extractors.precomputed import PrecomputedExtractor
from ganeval.features import FeatureSet
from ganeval.protocols import Protocol
from ganeval.sources.base import Source
from ganeval.sources.precomputed import Features
from ganeval.sources.statistics import Statistics
from ganeval.version import __version__

LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "pillow")


def provenance(
    extractor: Extractor,
    protocol: Protocol,
    *,
    dimensions: int | None,
    seed: int,
    real: Mapping[str, object] | None,
    fake: Mapping[str, object] | None,
) -> dict[str, Any]:
    """The provenance of an Evaluation. dimensions: the width of the features, None where no metric looked at any."""
    return {
        **about_extractor(extractor, protocol),
        "dimensions": dimensions,
        "device": extractor.device,
        "seed": seed,
        "real": real,
        "fake": fake,
        "versions": {"ganeval": __version__, "python": platform.python_version()}
        | {name: _version(name) for name in LIBRARIES},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        # A drop-in of another name (Pillow-SIMD) stands in its place.
        return "unknown"


def about_extractor(extractor: Extractor, protocol: Protocol) -> dict[str, object]:
    """What decides the numbers of given images."""
    return {
        "extractor": extractor.name,
        "weights": extractor.weights.name,
        "weights_sha256": extractor.weights.sha256,
        "published_weights": extractor.weights.published,
        "preprocessing": extractor.preprocessing,
        "protocol": protocol.name,
        "precision": extractor.precision,
    }


def about_source(source: Source, features: FeatureSet) -> dict[str, object]:
    """One set of images, and what happened to them on the way in."""
    return {"name": source.name, "kind": source.kind, **about_features(features), **source.describe()}


def about_features(features: FeatureSet) -> dict[str, object]:
    """What a set of features itself says of the images behind it."""
    return {
        "count": len(features),
        "digest": features.digest,
        "cached": features.cached,
        "conversions": dict(features.report.conversions),
        "skipped": [list(skip) for skip in features.report.skipped],
    }


def about_statistics(statistics: Statistics) -> dict[str, object]:
    """A file of stored mean and covariance."""
    return {
        "name": statistics.name,
        "kind": "statistics",
        "count": statistics.count,
        "digest": statistics.sha256,
        "measured": statistics.measured,
    }


def doubts_of_features(sides: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Why numbers of features that were given may not stand beside published ones; empty where none were."""
    names = [f"{side['name']}" for side in sides if side.get("kind") == Features.kind]
    if not names:
        return ()
    return (
        f"The features of {' and '.join(dict.fromkeys(names))} were given, not measured here: what weights and "
        "preprocessing are behind them is not known, and so not whether these numbers compare with published ones.",
    )


def doubts(extractor: Extractor) -> tuple[str, ...]:
    """Why numbers from this extractor may not stand beside published ones; empty when they may."""
    if isinstance(extractor, PrecomputedExtractor):
        # There is no extractor to doubt: what is said is said of the sets.
        return ()
    found = []
    if not extractor.weights.published:
        found.append(
            f"The weights {extractor.weights.name} are not the published ones: "
            "these numbers must not be compared with published numbers."
        )
    if extractor.precision != "fp32":
        found.append(f"Precision {extractor.precision} rounds features; published numbers are fp32.")
    return tuple(found)
