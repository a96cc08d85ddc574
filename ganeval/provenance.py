"""How a number was obtained, and its caveats: plain data and sentences for the result."""

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

# Cached, because reading one takes a millisecond.
version = cache(read_version)
LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "pillow")
# Packages of encoders, by their modules; listed only if used.
OPTIONAL: Mapping[str, str] = MappingProxyType(
    {"timm": "timm", "open_clip": "open_clip_torch", "transformers": "transformers"}
)


def provenance(
    extractor: Extractor, protocol: Protocol, *, seed: int, real: FeatureSet | None, fake: FeatureSet
) -> dict[str, Any]:
    """The provenance of an Evaluation, as JSON values.

    Args:
        extractor: What extracted the features.
        protocol: The protocol of the extraction.
        seed: Of subsets and generators.
        real: The reals; None if no metric used them.
        fake: The fakes.

    Returns:
        The entries listed in docs/results.md; "dimensions" is the width of the features, None if no metric used
        features.
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
    """Versions of this package and of the libraries used, from any process, and the time of the result."""
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
        # A replacement with another name (Pillow-SIMD) is installed.
        return "unknown"


def about_extractor(extractor: Extractor, protocol: Protocol) -> dict[str, object]:
    """What determines the numbers for given images, by the names in the signature and in stored statistics."""
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
    """Why numbers must not be compared with published ones; empty if they may be."""
    found = []
    # If all features were given, no extractor ran.
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
            f"The features of {' and '.join(names)} were given, not extracted here. Their weights and preprocessing "
            "are unknown, so these numbers may not be comparable with published ones."
        )
    return tuple(found)


def statistics_caveats(real: FeatureSet | None, selection: Selection, extractor: Extractor) -> Iterator[str]:
    """Caveats about a file of statistics: what it does not state and, if it also holds images, which part was used."""
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
