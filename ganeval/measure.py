"""Sets of features -> Evaluation: the step that folders, streams and every protocol share."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from ganeval.collect import Collector
from ganeval.errors import UsageError, did_you_mean
from ganeval.extractors import open_extractor
from ganeval.extractors.base import Extractor, Output, Precision
from ganeval.features import FeatureSet
from ganeval.metrics import METRICS, Metric
from ganeval.metrics.moments import Gaussian, check_count
from ganeval.protocols import Protocol
from ganeval.provenance import doubts, provenance
from ganeval.results import Evaluation, MetricResult
from ganeval.settings import Settings
from ganeval.sources.statistics import Statistics
from ganeval.uncertainty import Estimate

Rows = Mapping[str, Metric]
# What a question that names no metric is answered with, as far as the extractor can.
USUAL = ("fid", "is")


@dataclass(frozen=True, slots=True)
class Lane:
    """One protocol and its extractor; a measurement runs one or several side by side over the same images."""

    protocol: Protocol
    extractor: Extractor


@dataclass(frozen=True, slots=True)
class MeasuredSet:
    """One side of a measurement in one lane: features, or stored statistics in their place."""

    known: FeatureSet | Statistics
    about: Mapping[str, object]
    count: int | None


def find_metrics(names: Sequence[str]) -> Rows:
    """Rows of the METRICS table by name; UsageError for none, or an unknown one."""
    if isinstance(names, str):
        raise UsageError(f"metrics is a list of names, found the text '{names}'; write metrics=['{names}'].")
    if not names:
        raise UsageError(f"No metric was asked for; choose from: {', '.join(METRICS)}.")
    for name in names:
        if name not in METRICS:
            raise UsageError(f"Unknown metric '{name}'; {did_you_mean(name, list(METRICS))}")
    return {name: METRICS[name] for name in names}


def open_lanes(settings: Settings, protocols: Sequence[Protocol]) -> list[Lane]:
    """One lane a protocol, on the device the settings name."""
    device, precision = find_device(settings.device), cast(Precision, settings.precision)
    return [
        Lane(
            protocol,
            open_extractor(
                settings.extractor, protocol=protocol, weights=settings.weights, device=device, precision=precision
            ),
        )
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
        raise UsageError(f"The device '{name}' cannot be used here: {str(error).splitlines()[0]}") from error
    return name


def possible(rows: Rows, extractor: Extractor) -> Rows:
    """The rows whose needs this extractor meets."""
    return {name: row for name, row in rows.items() if {row.real, row.fake} - {None} <= extractor.outputs}


def check_outputs(extractor: Extractor, rows: Rows) -> None:
    """UsageError when a metric needs what the extractor cannot give."""
    for name, row in rows.items():
        for output in {row.real, row.fake} - {None}:
            if output not in extractor.outputs:
                raise UsageError(
                    f"The metric '{name}' needs {output}, and the extractor '{extractor.name}' gives only "
                    f"{', '.join(sorted(extractor.outputs))}; choose one that has them (inception, digits)."
                )


def evaluation(
    rows: Rows, lane: Lane, collector: Collector, *, seed: int, real: MeasuredSet | None, fake: MeasuredSet
) -> Evaluation:
    """Every metric in one lane, with its provenance."""
    found = doubts(lane.extractor)
    return Evaluation(
        metrics=_measure(rows, lane, collector, real=real, fake=fake),
        provenance=provenance(
            lane.extractor,
            lane.protocol,
            dimensions=_width(fake),
            seed=seed,
            real=None if real is None else real.about,
            fake=fake.about,
        ),
        comparable=not found,
        warnings=(*found, *_caveats(real, lane.extractor), *collector.warnings),
    )


def _caveats(real: MeasuredSet | None, extractor: Extractor) -> tuple[str, ...]:
    """What a reference leaves unsaid."""
    if real is None or not isinstance(real.known, Statistics) or real.known.measured is not None:
        return ()
    return (
        f"{real.known.name} does not say how it was measured: the number is right only if that was with "
        f"{extractor.name} ({extractor.preprocessing}) and the same weights.",
    )


def _width(side: MeasuredSet) -> int | None:
    features = None if isinstance(side.known, Statistics) else side.known.arrays.get("features")
    return None if features is None else features.shape[1]


def _measure(
    rows: Rows, lane: Lane, collector: Collector, *, real: MeasuredSet | None, fake: MeasuredSet
) -> dict[str, MetricResult]:
    """Every row's result; rows of one family share one computation."""
    families: dict[str, Mapping[str, Estimate]] = {}
    results = {}
    for name, row in rows.items():
        options = _options(name, row, lane.protocol)
        family = row.family or name
        if family not in families:
            sides = [
                (side, output) for side, output in ((real, row.real), (fake, row.fake)) if side is not None and output
            ]
            given = row.compute(*(_array(side, output, row, lane, collector) for side, output in sides), **options)
            families[family] = {name: given} if isinstance(given, Estimate) else given
        estimate = families[family][name]
        results[name] = MetricResult(
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
            ideal=row.ideal,
        )
    return results


def _options(name: str, row: Metric, protocol: Protocol) -> dict[str, object]:
    options = dict(protocol.options.get(row.family or name, {}))
    takes_ddof = "ddof" in inspect.signature(row.compute).parameters
    return options | {"ddof": protocol.ddof} if takes_ddof else options


def _array(side: MeasuredSet, output: Output, row: Metric, lane: Lane, collector: Collector) -> Tensor | Gaussian:
    """What a metric is handed: an array on the device that measures, or its moments where these are smaller."""
    # Float64 is for CPUs and CUDA alone; features are small beside what made them.
    device = lane.extractor.device if lane.extractor.device.startswith("cuda") else "cpu"
    ddof = lane.protocol.ddof
    if isinstance(side.known, Statistics):
        return _stored(side.known, output, ddof, device)
    array = side.known.arrays[output].to(device)
    if row.takes_moments and len(array) > array.shape[1]:
        return collector.moments(side.known, lane.extractor, output).to(device).gaussian(ddof=ddof, features=array)
    return array


def _stored(statistics: Statistics, output: Output, ddof: int, device: str) -> Gaussian:
    """Statistics of a file, over n - ddof where the file says what n is; as they are where not."""
    stored = statistics.spatial if output == "spatial" else statistics.features
    if stored is None:
        raise UsageError(f"{statistics.name} has no statistics of {output} features.")
    mean, covariance = torch.from_numpy(stored.mean), torch.from_numpy(stored.covariance)
    if statistics.count is not None and statistics.ddof is not None:
        check_count(statistics.count, ddof)
        covariance = covariance * ((statistics.count - statistics.ddof) / (statistics.count - ddof))
    return Gaussian(mean.to(device), covariance.to(device), statistics.count)
