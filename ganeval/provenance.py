"""How a number came about, and what limits it: plain data and sentences for the result."""

import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as read_version
from types import MappingProxyType
from typing import Any

from ganeval.extractors.base import Extractor
from ganeval.extractors.precomputed import PrecomputedExtractor
from ganeval.features import FeatureSet
from ganeval.processes import processes
from ganeval.protocols import Protocol
from ganeval.selection import Selection
from ganeval.version import __version__

# Each reading takes a millisecond.
version = cache(read_version)
LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "pillow")
# Packages of encoders, by their modules: named where one of them was used.
OPTIONAL: Mapping[str, str] = MappingProxyType(
    {"timm": "timm", "open_clip": "open_clip_torch", "transformers": "transformers"}
)


def provenance(
    extractor: Extractor, protocol: Protocol, *, seed: int, real: FeatureSet | None, fake: FeatureSet
) -> dict[str, Any]:
    """The provenance of an Evaluation, as JSON can hold it.

    Args:
        extractor: What extracted the features.
        protocol: What they were measured by.
        seed: Of subsets and generators.
        real: The reals; None where no metric looked at them.
        fake: The fakes.

    Returns:
        What docs/results.md lists; "dimensions" is the width of the features, None where no metric looked at any.
    """
    licence = extractor.weights.licence
    return {
        **about_extractor(extractor, protocol),
        **({"weights_licence": licence} if licence else {}),
        "dimensions": fake.arrays["features"].shape[1] if "features" in fake.arrays else None,
        "device": extractor.device,
        "seed": seed,
        "real": None if real is None else real.provenance,
        "fake": fake.provenance,
        **versions_and_time(),
    }


def versions_and_time() -> dict[str, object]:
    """Versions of this package and of the libraries that compute, in whichever process, and the time of the result."""
    libraries = {name: _version(name) for name in LIBRARIES}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    used = processes().exchange((created, [module for module in OPTIONAL if module in sys.modules]))
    modules = {module for _, imported in used for module in imported}
    libraries |= {package: _version(package) for module, package in OPTIONAL.items() if module in modules}
    return {
        "versions": {"ganeval": __version__, "python": platform.python_version(), **libraries},
        "created": used[0][0],
    }


def _version(library: str) -> str:
    """The version of an installed library."""
    try:
        return version(library)
    except PackageNotFoundError:
        # A drop-in of another name (Pillow-SIMD) stands in its place.
        return "unknown"


def about_extractor(extractor: Extractor, protocol: Protocol) -> dict[str, object]:
    """What decides the numbers of given images, by the names that the signature and stored statistics use."""
    return {
        "extractor": extractor.name,
        "weights": extractor.weights.name,
        "weights_sha256": extractor.weights.sha256,
        "published_weights": extractor.weights.published,
        "preprocessing": extractor.preprocessing,
        "protocol": protocol.name,
        "precision": extractor.precision,
    }


def incomparable(extractor: Extractor, sides: Iterable[FeatureSet]) -> tuple[str, ...]:
    """Why numbers must not be compared with published ones; empty where they may be."""
    found = []
    # Where all features were given, there is no extractor to doubt.
    if not isinstance(extractor, PrecomputedExtractor):
        if not extractor.weights.published:
            found.append(
                f"The weights {extractor.weights.name} are not the published ones: "
                "these numbers must not be compared with published numbers."
            )
        elif extractor.weights.caveat is not None:
            found.append(extractor.weights.caveat)
        if extractor.precision != "fp32":
            found.append(f"Precision {extractor.precision} rounds features; published numbers are fp32.")
    names = dict.fromkeys(side.name for side in sides if side.given is not None)
    if names:
        found.append(
            f"The features of {' and '.join(names)} were given, not measured here: what weights and preprocessing are "
            "behind them is not known, and so not whether these numbers compare with published ones."
        )
    return tuple(found)


def statistics_caveats(real: FeatureSet | None, selection: Selection, extractor: Extractor) -> Iterator[str]:
    """What a file of statistics does not say, and which part of it was taken where it holds images, too."""
    if real is None or real.stored is None:
        return
    stored = real.stored
    if real.arrays:
        took: dict[bool, list[str]] = {True: [], False: []}
        for name, metric in selection.metrics.items():
            if metric.real is not None:
                took[real.takes_stored(metric, metric.real)].append(name)
        yield (
            f"{stored.name} holds {real.count} images and statistics: {', '.join(took[True])} took the statistics, "
            f"{', '.join(took[False])} the images."
        )
    if stored.measured is None:
        yield (
            f"{stored.name} does not say how its statistics were measured: the number is right only if that was with "
            f"{extractor.name} ({extractor.preprocessing}) and the same weights."
        )
