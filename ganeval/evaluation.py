"""The only orchestrator: sources -> features -> metrics -> Evaluation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ganeval.cache import Cache
from ganeval.collect import Collector
from ganeval.errors import SourceError, UsageError
from ganeval.extractors.base import Output
from ganeval.features import Progress, silent
from ganeval.measure import (
    USUAL,
    Lane,
    MeasuredSet,
    Rows,
    check_outputs,
    evaluation,
    find_metrics,
    open_lanes,
    possible,
)
from ganeval.paths import cache_root
from ganeval.protocols import PROTOCOLS, Protocol, find_protocol
from ganeval.provenance import about_extractor, about_source, about_statistics
from ganeval.results import Evaluation
from ganeval.settings import Settings
from ganeval.sources import open_source
from ganeval.sources.base import Reading, Source
from ganeval.sources.generator import GeneratorSource
from ganeval.sources.statistics import Gaussian, Statistics, is_statistics, read_statistics, write_statistics

CPU_BATCH, GPU_BATCH = 8, 64
Schemes = Mapping[str, Callable[[str], object]]


def evaluate(
    real: object,
    fake: object,
    *,
    metrics: Sequence[str] | None = ("fid",),
    progress: Progress = silent,
    schemes: Schemes | None = None,
    **settings: object,
) -> Evaluation:
    """Measure `fake` against `real`.

    real, fake: anything `open_source` takes: a path, a spec, a tensor, an array, a Dataset, a DataLoader, a
    generator. real may be a statistics file, or None when no metric looks at it.
    metrics: names of the METRICS table; None for the usual ones, as far as the extractor gives what they need.
    settings: the fields of `ganeval.Settings` (extractor=..., protocol=..., ...).
    progress: shows the reading. schemes: further schemes for `open_source`.
    """
    chosen = Settings.of(settings)
    protocol = find_protocol(chosen.protocol)
    return _evaluate(
        real, fake, names=metrics, protocols=[protocol], settings=chosen, progress=progress, schemes=schemes
    )[protocol.name]


def evaluate_protocols(
    real: object,
    fake: object,
    *,
    metrics: Sequence[str] | None = ("fid",),
    progress: Progress = silent,
    schemes: Schemes | None = None,
    **settings: object,
) -> dict[str, Evaluation]:
    """The same measurement under every protocol, decoding once: how far the choice alone moves the number."""
    chosen = Settings.of(settings)
    if chosen.extractor.partition(":")[0] != "inception":
        raise UsageError(
            f"Protocols differ in how images reach the inception network; the extractor '{chosen.extractor}' has a "
            "preprocessing of its own. Choose one protocol, or the extractor inception."
        )
    protocols = list(PROTOCOLS.values())
    return _evaluate(
        real, fake, names=metrics, protocols=protocols, settings=chosen, progress=progress, schemes=schemes
    )


def write_reference(
    real: object, path: str | Path, *, progress: Progress = silent, schemes: Schemes | None = None, **settings: object
) -> Statistics:
    """Write mean and covariance of `real` to a file that `evaluate` takes as real, and pytorch-fid reads.

    path: must end in .npz, which is how such a file is recognised.
    """
    path, chosen = Path(path), Settings.of(settings)
    if path.suffix.lower() != ".npz":
        raise UsageError(f"{path} must end in .npz: that is how it is recognised as a statistics file.")
    protocol = find_protocol(chosen.protocol)
    source = open_source(real, num_samples=chosen.num_samples, seed=chosen.seed, schemes=schemes)
    lanes = open_lanes(chosen, [protocol])
    collector = _collector(chosen, lanes, progress)
    (features,) = collector.features(source, frozenset(("features",)))
    extractor = lanes[0].extractor
    gaussian = collector.moments(features, extractor).gaussian(ddof=protocol.ddof)
    write_statistics(
        path,
        Gaussian(gaussian.mean.numpy(), gaussian.covariance.numpy()),
        count=len(features),
        ddof=protocol.ddof,
        measured={**about_extractor(extractor, protocol), "source": about_source(source, features)},
    )
    return read_statistics(path)


def _evaluate(
    real: object,
    fake: object,
    *,
    names: Sequence[str] | None,
    protocols: Sequence[Protocol],
    settings: Settings,
    progress: Progress,
    schemes: Schemes | None,
) -> dict[str, Evaluation]:
    rows = find_metrics(USUAL if names is None else names)
    # Whatever can be wrong cheaply is found before the first image is decoded.
    fakes = open_source(fake, num_samples=settings.num_samples, seed=settings.seed, schemes=schemes)
    # How many to draw from a generator says nothing of a folder of reals: that is used whole, as every paper does.
    whole = isinstance(fakes, GeneratorSource)
    reals = _open_reference(real, settings, schemes, whole=whole) if any(row.real for row in rows.values()) else None
    if isinstance(reals, Statistics) and len(protocols) > 1:
        raise UsageError(
            f"{reals.name} holds statistics, measured by one protocol; several can be compared on images alone."
        )
    lanes = open_lanes(settings, protocols)
    if names is None:
        rows = possible(rows, lanes[0].extractor)
    for lane in lanes:
        _check_lane(lane, rows, reals)
    collector = _collector(settings, lanes, progress)
    real_sets = _read(collector, reals, lanes, (row.real for row in rows.values()))
    fake_sets = _read(collector, fakes, lanes, (row.fake for row in rows.values()))
    return {
        lane.protocol.name: evaluation(rows, lane, collector, seed=settings.seed, real=real_set, fake=fake_set)
        for lane, real_set, fake_set in zip(lanes, real_sets, fake_sets, strict=True)
        if fake_set is not None
    }


def _open_reference(real: object, settings: Settings, schemes: Schemes | None, *, whole: bool) -> Source | Statistics:
    if real is None:
        raise UsageError("A metric that was asked for compares with real images, and there are none; give REAL.")
    if isinstance(real, str | Path) and is_statistics(Path(real)):
        return read_statistics(Path(real))
    return open_source(real, num_samples=settings.num_samples, seed=settings.seed, schemes=schemes, whole=whole)


def _collector(settings: Settings, lanes: Sequence[Lane], progress: Progress) -> Collector:
    on_cpu = lanes[0].extractor.device.startswith("cpu")
    reading = Reading(
        batch_size=settings.batch_size or (CPU_BATCH if on_cpu else GPU_BATCH),
        workers=settings.decoding_threads,
        on_error=settings.on_error,
    )
    cache = Cache(settings.cache_dir or cache_root()) if settings.cache else None
    return Collector([lane.extractor for lane in lanes], reading, cache, progress)


def _check_lane(lane: Lane, rows: Rows, reals: Source | Statistics | None) -> None:
    check_outputs(lane.extractor, rows)
    if not isinstance(reals, Statistics):
        return
    for name, row in rows.items():
        if row.real and not row.takes_moments:
            raise UsageError(
                f"The metric '{name}' needs the real images themselves; {reals.name} holds only statistics."
            )
    _check_statistics(reals, lane)


def _check_statistics(statistics: Statistics, lane: Lane) -> None:
    """Stored statistics must have been measured as the fakes will be, as far as the file says."""
    if lane.extractor.dimensions not in (None, len(statistics.features.mean)):
        raise SourceError(
            f"{statistics.name} holds statistics of {len(statistics.features.mean)} dimensions; the extractor "
            f"'{lane.extractor.name}' gives {lane.extractor.dimensions}. Choose the extractor they were made with."
        )
    asked = about_extractor(lane.extractor, lane.protocol)
    for key in ("extractor", "weights_sha256", "preprocessing", "precision"):
        stored = (statistics.measured or {}).get(key, asked[key])
        if stored != asked[key]:
            raise UsageError(
                f"{statistics.name} was measured with {key} '{stored}', and this measurement has '{asked[key]}': the "
                "numbers would not be comparable. Measure the reference again, or choose what it was measured with."
            )


def _read(
    collector: Collector, side: Source | Statistics | None, lanes: Sequence[Lane], needed: Iterable[Output | None]
) -> Sequence[MeasuredSet | None]:
    if side is None:
        return [None] * len(lanes)
    if isinstance(side, Statistics):
        return [MeasuredSet(side, about_statistics(side), side.count)] * len(lanes)
    outputs = frozenset(output for output in needed if output is not None)
    return [
        MeasuredSet(features, about_source(side, features), len(features))
        for features in collector.features(side, outputs)
    ]
