"""The only orchestrator: sources -> features -> metrics -> Evaluation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ganeval.cache import Cache
from ganeval.collect import Collector
from ganeval.errors import SourceError, UsageError, did_you_mean
from ganeval.extractors import open_extractor
from ganeval.extractors.base import Extractor, Output, Precision
from ganeval.features import FeatureSet, Progress, silent
from ganeval.metrics import METRICS, Metric
from ganeval.metrics.moments import Gaussian
from ganeval.paths import cache_root
from ganeval.protocols import PROTOCOLS, Protocol, find_protocol
from ganeval.provenance import about_extractor, about_source, about_statistics, doubts, provenance
from ganeval.results import Evaluation, MetricResult
from ganeval.settings import Settings
from ganeval.sources import open_source
from ganeval.sources.base import Reading, Source
from ganeval.sources.statistics import Statistics, is_statistics, read_statistics, write_statistics

CPU_BATCH, GPU_BATCH = 8, 64
Schemes = Mapping[str, Callable[[str], object]]
Rows = Mapping[str, Metric]


def evaluate(
    real: object,
    fake: object,
    *,
    metrics: Sequence[str] = ("fid",),
    progress: Progress = silent,
    schemes: Schemes | None = None,
    **settings: object,
) -> Evaluation:
    """Measure `fake` against `real`.

    real, fake: anything `open_source` takes: a path, a spec, a tensor, an array, a Dataset, a DataLoader, a generator. real may be a
    statistics file, or None when no metric looks at it.
    metrics: names of the METRICS table. settings: the fields of `ganeval.Settings` (extractor=..., protocol=..., ...).
    progress: shows the reading. schemes: further schemes for `open_source`.
    """
    chosen = Settings.of(settings)
    protocol = find_protocol(chosen.protocol)
    return _evaluate(real, fake, metrics, [protocol], chosen, progress, schemes)[protocol.name]


def evaluate_protocols(
    real: object,
    fake: object,
    *,
    metrics: Sequence[str] = ("fid",),
    progress: Progress = silent,
    schemes: Schemes | None = None,
    **settings: object,
) -> dict[str, Evaluation]:
    """The same measurement under every protocol, decoding every image once: how far the choice alone moves the number."""
    chosen = Settings.of(settings)
    if chosen.extractor.partition(":")[0] != "inception":
        raise UsageError(
            f"Protocols differ in how images reach the inception network; the extractor '{chosen.extractor}' has a "
            "preprocessing of its own. Choose one protocol, or the extractor inception."
        )
    return _evaluate(real, fake, metrics, list(PROTOCOLS.values()), chosen, progress, schemes)


def write_reference(
    real: object, path: Path, *, progress: Progress = silent, schemes: Schemes | None = None, **settings: object
) -> Statistics:
    """Write mean and covariance of `real` to a file that `evaluate` takes as real, and pytorch-fid reads."""
    chosen = Settings.of(settings)
    protocol = find_protocol(chosen.protocol)
    source = open_source(real, num_samples=chosen.num_samples, seed=chosen.seed, schemes=schemes)
    lanes = _open_lanes(chosen, [protocol])
    collector = _collector(chosen, lanes, progress)
    (features,) = collector.features(source, frozenset(("features",)))
    extractor = lanes[0].extractor
    gaussian = collector.moments(features, extractor).gaussian(ddof=protocol.ddof)
    return write_statistics(
        path,
        mean=gaussian.mean.numpy(),
        covariance=gaussian.covariance.numpy(),
        count=len(features),
        ddof=protocol.ddof,
        measured={**about_extractor(extractor, protocol), "source": about_source(source, features)},
    )


@dataclass(frozen=True, slots=True)
class _Lane:
    """One protocol and its extractor; a measurement runs one or several side by side over the same images."""

    protocol: Protocol
    extractor: Extractor


@dataclass(frozen=True, slots=True)
class _Set:
    """One side of a measurement in one lane: features, or stored statistics in their place."""

    known: FeatureSet | Statistics
    about: Mapping[str, object]
    count: int | None


def _evaluate(
    real: object,
    fake: object,
    names: Sequence[str],
    protocols: Sequence[Protocol],
    settings: Settings,
    progress: Progress,
    schemes: Schemes | None,
) -> dict[str, Evaluation]:
    rows = _rows(names)
    # Whatever can be wrong cheaply is found before the first image is decoded.
    reals = _open_reference(real, settings, schemes) if any(row.real for row in rows.values()) else None
    fakes = open_source(fake, num_samples=settings.num_samples, seed=settings.seed, schemes=schemes)
    lanes = _open_lanes(settings, protocols)
    for lane in lanes:
        _check_lane(lane, rows, reals)
    collector = _collector(settings, lanes, progress)
    real_sets = _read(collector, reals, lanes, (row.real for row in rows.values()))
    fake_sets = _read(collector, fakes, lanes, (row.fake for row in rows.values()))
    evaluations = {}
    for lane, real_set, fake_set in zip(lanes, real_sets, fake_sets, strict=True):
        assert fake_set is not None
        about_real = None if real_set is None else real_set.about
        evaluations[lane.protocol.name] = Evaluation(
            metrics={name: _measure(name, row, lane, collector, real_set, fake_set) for name, row in rows.items()},
            provenance=provenance(lane.extractor, lane.protocol, settings.seed, about_real, fake_set.about),
            comparable=not doubts(lane.extractor),
            warnings=(*doubts(lane.extractor), *collector.warnings),
        )
    return evaluations


def _rows(names: Sequence[str]) -> Rows:
    if not names:
        raise UsageError(f"No metric was asked for; choose from: {', '.join(METRICS)}.")
    for name in names:
        if name not in METRICS:
            raise UsageError(f"Unknown metric '{name}'; {did_you_mean(name, list(METRICS))}")
    return {name: METRICS[name] for name in names}


def _open_reference(real: object, settings: Settings, schemes: Schemes | None) -> Source | Statistics:
    if real is None:
        raise UsageError("A metric that was asked for compares with real images, and there are none; give REAL.")
    if isinstance(real, str | Path) and is_statistics(Path(real)):
        if settings.num_samples is not None and settings.num_samples < 1:
            raise UsageError("num_samples must be at least 1.")
        return read_statistics(Path(real))
    return open_source(real, num_samples=settings.num_samples, seed=settings.seed, schemes=schemes)


def _open_lanes(settings: Settings, protocols: Sequence[Protocol]) -> list[_Lane]:
    device, precision = _device(settings.device), cast(Precision, settings.precision)
    return [
        _Lane(
            protocol,
            open_extractor(
                settings.extractor, protocol=protocol, weights=settings.weights, device=device, precision=precision
            ),
        )
        for protocol in protocols
    ]


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"The device '{name}' cannot be used here: {str(error).splitlines()[0]}") from error
    return name


def _collector(settings: Settings, lanes: Sequence[_Lane], progress: Progress) -> Collector:
    on_cpu = lanes[0].extractor.device == "cpu"
    reading = Reading(
        batch_size=settings.batch_size or (CPU_BATCH if on_cpu else GPU_BATCH),
        workers=settings.decoding_threads,
        on_error=settings.on_error,
    )
    cache = Cache(settings.cache_dir or cache_root()) if settings.cache else None
    return Collector([lane.extractor for lane in lanes], reading, cache, progress)


def _check_lane(lane: _Lane, rows: Rows, reals: Source | Statistics | None) -> None:
    extractor = lane.extractor
    for name, row in rows.items():
        for output in {row.real, row.fake} - {None}:
            if output not in extractor.outputs:
                raise UsageError(
                    f"The metric '{name}' needs {output}, and the extractor '{extractor.name}' gives only "
                    f"{', '.join(sorted(extractor.outputs))}; choose one that has them (inception, digits)."
                )
        if isinstance(reals, Statistics) and row.real and not row.takes_moments:
            raise UsageError(f"The metric '{name}' needs the real images themselves; {reals.name} holds only statistics.")
    if isinstance(reals, Statistics):
        _check_statistics(reals, lane)


def _check_statistics(statistics: Statistics, lane: _Lane) -> None:
    """Stored statistics must have been measured as the fakes will be, as far as the file says."""
    if len(statistics.mean) != lane.extractor.dimensions:
        raise SourceError(
            f"{statistics.name} holds statistics of {len(statistics.mean)} dimensions; the extractor "
            f"'{lane.extractor.name}' gives {lane.extractor.dimensions}. Choose the extractor they were made with."
        )
    asked = about_extractor(lane.extractor, lane.protocol)
    for key in ("extractor", "weights_sha256", "preprocessing"):
        stored = (statistics.measured or {}).get(key, asked[key])
        if stored != asked[key]:
            raise UsageError(
                f"{statistics.name} was measured with {key} '{stored}', and this measurement has '{asked[key]}': the numbers "
                "would not be comparable. Measure the reference again, or choose the extractor, weights and protocol it has."
            )


def _read(
    collector: Collector, side: Source | Statistics | None, lanes: Sequence[_Lane], needed: Iterable[Output | None]
) -> Sequence[_Set | None]:
    if side is None:
        return [None] * len(lanes)
    if isinstance(side, Statistics):
        return [_Set(side, about_statistics(side), side.count)] * len(lanes)
    outputs = frozenset(output for output in needed if output is not None)
    return [_Set(features, about_source(side, features), len(features)) for features in collector.features(side, outputs)]


def _measure(name: str, row: Metric, lane: _Lane, collector: Collector, real: _Set | None, fake: _Set) -> MetricResult:
    options = dict(lane.protocol.options.get(name, {}))
    if row.takes_moments:
        options["ddof"] = lane.protocol.ddof
    wanted = [(side, output) for side, output in ((real, row.real), (fake, row.fake)) if side is not None and output]
    estimate = row.compute(*(_array(side, output, row, lane, collector) for side, output in wanted), **options)
    return MetricResult(
        value=estimate.value,
        standard_error=estimate.standard_error,
        interval=estimate.interval,
        direction=row.direction,
        n_real=real.count if real is not None and row.real else None,
        n_fake=cast(int, fake.count),
        method=estimate.method,
        options=options,
        details=estimate.details,
        notes=estimate.notes,
    )


def _array(side: _Set, output: Output, row: Metric, lane: _Lane, collector: Collector) -> Tensor | Gaussian:
    """What a metric is handed: an array on the extractor's device, or its moments where these are smaller and will do."""
    device, ddof = lane.extractor.device, lane.protocol.ddof
    if isinstance(side.known, Statistics):
        return side.known.gaussian(ddof=ddof, device=device)
    array = side.known.arrays[output].to(device)
    if row.takes_moments and len(array) > array.shape[1]:
        return collector.moments(side.known, lane.extractor).to(device).gaussian(ddof=ddof, features=array)
    return array
