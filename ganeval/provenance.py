"""How a number came about, as plain data for the result: extractor, protocol, sources, versions."""

import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ganeval.extractors.base import Extractor
from ganeval.extractors.precomputed import PrecomputedExtractor
from ganeval.features import FeatureSet
from ganeval.protocols import Protocol
from ganeval.sources.precomputed import Features
from ganeval.version import __version__

LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "pillow")


def provenance(
    extractor: Extractor, protocol: Protocol, *, seed: int, real: FeatureSet | None, fake: FeatureSet
) -> dict[str, Any]:
    """The provenance of an Evaluation; dimensions: the width of the features, None where no metric looked at any."""
    return {
        **about_extractor(extractor, protocol),
        "dimensions": fake.arrays["features"].shape[1] if "features" in fake.arrays else None,
        "device": extractor.device,
        "seed": seed,
        "real": None if real is None else real.provenance,
        "fake": fake.provenance,
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


def doubts(extractor: Extractor, sides: Iterable[FeatureSet]) -> tuple[str, ...]:
    """Why numbers may not stand beside published ones; empty when they may."""
    found = []
    # Where all features were given, there is no extractor to doubt.
    if not isinstance(extractor, PrecomputedExtractor):
        if not extractor.weights.published:
            found.append(
                f"The weights {extractor.weights.name} are not the published ones: "
                "these numbers must not be compared with published numbers."
            )
        if extractor.precision != "fp32":
            found.append(f"Precision {extractor.precision} rounds features; published numbers are fp32.")
    names = dict.fromkeys(side.name for side in sides if isinstance(side.source, Features))
    if names:
        found.append(
            f"The features of {' and '.join(names)} were given, not measured here: what weights and preprocessing are "
            "behind them is not known, and so not whether these numbers compare with published ones."
        )
    return tuple(found)
