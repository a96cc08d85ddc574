"""Opens the sets and the extractors that a user names, and refuses what does not fit together, before any decoding."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch.backends import mps

from ganeval.cache import Cache
from ganeval.errors import UsageError
from ganeval.extractors import open_extractor
from ganeval.extractors.base import Extractor, Precision
from ganeval.extractors.precomputed import PrecomputedExtractor
from ganeval.metrics import Metric
from ganeval.paths import cache_root
from ganeval.protocols import Protocol
from ganeval.selection import Selection
from ganeval.settings import Settings
from ganeval.sources import open_source
from ganeval.sources.base import Reading, Source
from ganeval.sources.generator import GeneratorSource
from ganeval.sources.npz import holds_images
from ganeval.sources.precomputed import Features
from ganeval.sources.statistics import Statistics, is_statistics, read_statistics

CPU_BATCH, GPU_BATCH = 8, 64


@dataclass(frozen=True, slots=True)
class Setup:
    """One protocol and its extractor; an evaluation uses one or several over the same images."""

    protocol: Protocol
    extractor: Extractor


@dataclass(frozen=True, slots=True)
class Input:
    """One set as it was opened: images (or features in their place), stored statistics, or both (ADM's batches).

    remark: what to know of how it is used.
    """

    images: Source | None = None
    stored: Statistics | None = None
    remark: str | None = None

    @property
    def name(self) -> str:
        """As the user wrote it."""
        return self.stored.name if self.images is None and self.stored is not None else cast(Source, self.images).name

    def takes_stored(self, metric: Metric) -> bool:
        """Whether a metric takes this set's stored statistics as the reals."""
        return self.stored is not None and self.stored.serves(metric, metric.real, alone=self.images is None)


def open_images(spec: object, settings: Settings, *, whole: bool = False) -> Source:
    """A source with the settings' choice of its images. whole: all of what has indices, whatever `num_samples` says."""
    return open_source(
        spec,
        num_samples=settings.num_samples,
        seed=settings.seed,
        whole=whole,
        include=settings.include,
        exclude=settings.exclude,
        value_range=settings.value_range,
    )


def open_inputs(
    real: object, fakes: Sequence[object], selection: Selection, settings: Settings
) -> tuple[Input | None, list[Input]]:
    """The reals, None where no metric looks at them, and the fakes; errors as `open_source` raises them."""
    opened = [Input(open_images(fake, settings)) for fake in fakes]
    reals = None
    if any(metric.real for metric in selection.metrics.values()):
        # How many to draw from a generator says nothing of a folder of reals: that is used whole, as every paper does.
        whole = any(isinstance(one.images, GeneratorSource) for one in opened)
        reals = open_reference(real, settings, whole=whole)
    return reals, opened


def open_reference(real: object, settings: Settings, *, whole: bool = False) -> Input:
    """The reals: images, stored statistics of them, or both. whole: whatever `num_samples` says."""
    if real is None:
        raise UsageError("A metric that was asked for compares with real images, and there are none; give REAL.")
    if isinstance(real, str | Path) and is_statistics(Path(real)):
        stored = read_statistics(Path(real))
        return Input(open_images(real, settings, whole=whole) if holds_images(Path(real)) else None, stored)
    return Input(open_images(real, settings, whole=whole))


def open_setups(settings: Settings, protocols: Sequence[Protocol], inputs: Iterable[Input] = ()) -> list[Setup]:
    """One setup per protocol, on the device that the settings name.

    Where all inputs are features and statistics, the extractor is what they say they are of, and never runs.
    """
    inputs = list(inputs)
    features = [one.images for one in inputs if isinstance(one.images, Features)]
    images = next((one.images for one in inputs if one.images and not isinstance(one.images, Features)), None)
    device, precision = find_device(settings.device), cast(Precision, settings.precision)
    if features and images is None:
        stated = next((one.extractor for one in features if one.extractor is not None), None)
        width = features[0].rows.shape[1]
        return [Setup(protocol, PrecomputedExtractor(stated, width, device=device)) for protocol in protocols]
    named = {"weights": settings.weights, "device": device, "precision": precision}
    return [
        Setup(protocol, open_extractor(settings.extractor, protocol=protocol, **named))  # type: ignore[arg-type]
        for protocol in protocols
    ]


def find_device(name: str) -> str:
    """ "auto" or a name of torch's => the name of a device that works here; UsageError otherwise."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # To and from it: "meta" takes numbers, but gives none back.
        torch.zeros(1, device=name).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # CUDA says what is amiss with it; others list everything that torch could have been built with.
        reason = f" ({str(error).splitlines()[0].rstrip('.')})" if name.startswith("cuda") else ""
        here = ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if mps.is_available() else [])]
        raise UsageError(
            f"The device '{name}' cannot be used here{reason}. This machine has {' and '.join(here)}; choose that, or "
            "auto."
        ) from error
    return name


def open_reading(settings: Settings, device: str) -> tuple[Reading, Cache | None]:
    """How sources are read, and the cache of features, None where it is switched off."""
    reading = Reading(
        batch_size=settings.batch_size or (CPU_BATCH if device.startswith("cpu") else GPU_BATCH),
        workers=settings.decoding_threads,
        on_error=settings.on_error,
    )
    return reading, Cache(settings.cache_dir or cache_root()) if settings.cache else None
