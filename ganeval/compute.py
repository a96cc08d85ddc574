"""Features of two sets -> metrics with their provenance: the step that folders, streams and every protocol share."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from ganeval.checks import unlabelled
from ganeval.errors import MetricError, UsageError
from ganeval.extractors.base import Extractor, Output
from ganeval.features import FeatureSet, copied, with_rows_of
from ganeval.images import range_doubt
from ganeval.inputs import Setup
from ganeval.matching import Labelled, Matched, matched
from ganeval.metrics import Metric
from ganeval.metrics.moments import Gaussian, Moments, check_count
from ganeval.provenance import doubts, provenance
from ganeval.results import Evaluation, MetricResult
from ganeval.selection import CLASS_NAMES, COPIES, LABELS, Selection, needs_labels, options_key, takes
from ganeval.sources.repeats import repeats_doubt
from ganeval.sources.statistics import Statistics
from ganeval.uncertainty import Estimate


def compute(selection: Selection, setup: Setup, real: FeatureSet | None, fake: FeatureSet, *, seed: int) -> Evaluation:
    """Every selected metric of two sets of features of one extractor.

    real: None where no metric looks at reals. seed: of the subsets and generators, for the provenance.
    MetricError for a metric that cannot be computed; of a lenient selection, where none can.
    """
    if real is not None:
        fake = with_rows_of(real, fake)
    sides = [side for side in (real, fake) if side is not None]
    estimates: dict[str, Estimate] = {}
    results: dict[str, MetricResult] = {}
    families: dict[str, Mapping[str, Estimate] | MetricError] = {}
    classes = _classes(selection, real, fake)
    for name, metric in selection.metrics.items():
        options, key = selection.options_of(name, setup.protocol), options_key(name, metric)
        if key not in families:
            try:
                arrays = list(
                    _arrays(metric, setup, real, fake, ddof=cast(int, options.get("ddof", setup.protocol.ddof)))
                )
                given = metric.compute(
                    *arrays, **_labels(name, metric, classes, real, fake), **_copies(metric, real, fake), **options
                )
                families[key] = _finite({name: given} if isinstance(given, Estimate) else given, arrays)
            except MetricError as error:
                families[key] = error
        found = families[key]
        if not isinstance(found, MetricError):
            estimates[name] = found[name]
            results[name] = _result(found[name], metric, options, real, fake)
    refused = {
        name: families[options_key(name, metric)] for name, metric in selection.metrics.items() if name not in results
    }
    if refused and (not selection.lenient or not results):
        name, reason = next(iter(refused.items()))
        raise MetricError(f"{name}: {reason}") from cast(MetricError, reason)
    reservations = doubts(setup.extractor, sides)
    return Evaluation(
        metrics=results,
        provenance=provenance(setup.extractor, setup.protocol, seed=seed, real=real, fake=fake),
        comparable=not reservations,
        warnings=tuple(
            dict.fromkeys(
                (
                    *reservations,
                    *_caveats(real, selection, setup.extractor),
                    *(remark for side in sides for remark in _remarks(side)),
                    *(() if classes is None or classes.caveat is None else (classes.caveat,)),
                    *(warning for side in sides for warning in side.warnings),
                    *(() if selection.left_out is None else (selection.left_out,)),
                    *(f"{name} was not measured: {reason}" for name, reason in refused.items()),
                )
            )
        ),
        estimates=estimates,
        real=real,
        fake=fake,
    )


def _stored_for(side: FeatureSet, metric: Metric, output: Output) -> Statistics | None:
    """The stored statistics of a set that a metric takes in the place of its rows; None for one that takes these."""
    serves = side.stored is not None and side.stored.serves(metric, output, alone=not side.arrays)
    return side.stored if serves else None


def _arrays(
    metric: Metric, setup: Setup, real: FeatureSet | None, fake: FeatureSet, *, ddof: int
) -> Iterator[Tensor | Gaussian]:
    """What a metric takes of each set: an array on the device that computes, or its moments where these are smaller."""
    # Float64 is for CPUs and CUDA alone; features are small beside what made them.
    device = setup.extractor.device if setup.extractor.device.startswith("cuda") else "cpu"
    for side, output in ((real, metric.real), (fake, metric.fake)):
        if side is None or output is None:
            continue
        stored = _stored_for(side, metric, output)
        if stored is not None:
            yield _stored(stored, output, ddof, device)
            continue
        array = side.rows(output).to(device)
        if metric.takes_moments and len(array) > array.shape[1]:
            moments = side.moments.get(output) or Moments.of(array)
            yield moments.to(device).gaussian(ddof=ddof, features=array)
        else:
            yield array


def _stored(statistics: Statistics, output: Output, ddof: int, device: str) -> Gaussian:
    """Statistics of a file, over n - ddof where the file says what n is; as they are where not."""
    stored = statistics.gaussian(output)
    mean, covariance = torch.from_numpy(stored.mean), torch.from_numpy(stored.covariance)
    if statistics.count is not None and statistics.ddof is not None:
        check_count(statistics.count, ddof)
        covariance = covariance * ((statistics.count - statistics.ddof) / (statistics.count - ddof))
    return Gaussian(mean.to(device), covariance.to(device), statistics.count)


def _classes(selection: Selection, real: FeatureSet | None, fake: FeatureSet) -> Matched | None:
    """The classes of both sets under the same numbers; None where no metric takes them, or they are not known."""
    wanted = any(map(needs_labels, selection.metrics.values()))
    if not wanted or real is None or real.labels is None or fake.labels is None:
        return None
    return matched(Labelled(real.labels, real.class_names), Labelled(fake.labels, fake.class_names))


def _labels(
    name: str, metric: Metric, classes: Matched | None, real: FeatureSet | None, fake: FeatureSet
) -> dict[str, object]:
    """The classes that a metric takes; UsageError where those of a set are not known."""
    if not needs_labels(metric):
        return {}
    if classes is None:
        side = fake if real is not None and real.labels is not None else real
        raise UsageError(
            unlabelled(
                name, "one set" if side is None else side.name, None if side is None else side.about.get("unlabelled")
            )
        )
    return {**dict(zip(LABELS, (classes.real, classes.fake), strict=True)), CLASS_NAMES: classes.names}


def _copies(metric: Metric, real: FeatureSet | None, fake: FeatureSet) -> dict[str, object]:
    """Which fakes are images of the reals, where a metric asks and pixels are known."""
    places = copied(real, fake) if real is not None and takes(metric.compute, COPIES) else None
    return {} if places is None else {COPIES: places >= 0}


def _finite(estimates: Mapping[str, Estimate], arrays: Sequence[Tensor | Gaussian]) -> Mapping[str, Estimate]:
    """The estimates; MetricError for one that is NaN or infinite."""
    for name, one in estimates.items():
        error, interval = one.standard_error, one.interval
        known = (one.value, 0.0 if error is None else error, *(interval or ()), *one.details.values())
        if not all(map(math.isfinite, known)):
            raise MetricError(
                f"{name} of values as large as {max(map(_largest, arrays)):.3g} is beyond what float64 can hold. Give "
                "an extractor whose features are smaller, or leave out those that are so large."
            )
    return estimates


def _largest(data: Tensor | Gaussian) -> float:
    """The largest value of an array; of moments, the largest mean or standard deviation."""
    if isinstance(data, Gaussian):
        return max(float(data.mean.abs().max()), float(data.covariance.diagonal().max().sqrt()))
    return float(data.abs().max())


def _result(
    estimate: Estimate, metric: Metric, options: Mapping[str, object], real: FeatureSet | None, fake: FeatureSet
) -> MetricResult:
    n_real = None
    if real is not None and metric.real is not None:
        stored = _stored_for(real, metric, metric.real)
        n_real = real.count if stored is None else stored.count
    return MetricResult(
        value=estimate.value,
        standard_error=estimate.standard_error,
        interval=estimate.interval,
        direction=metric.direction,
        n_real=n_real,
        n_fake=len(fake),
        method=estimate.method,
        options=options,
        details=estimate.details,
        notes=estimate.notes,
        ideal=metric.ideal,
    )


def _caveats(real: FeatureSet | None, selection: Selection, extractor: Extractor) -> Iterator[str]:
    """What a reference leaves unsaid, and which part of it was taken where it has several."""
    if real is None or real.stored is None:
        return
    stored = real.stored
    if real.arrays:
        took: dict[bool, list[str]] = {True: [], False: []}
        for name, metric in selection.metrics.items():
            if metric.real is not None:
                took[_stored_for(real, metric, metric.real) is not None].append(name)
        yield (
            f"{stored.name} holds {real.count} images and statistics: {', '.join(took[True])} took the statistics, "
            f"{', '.join(took[False])} the images."
        )
    if stored.measured is None:
        yield (
            f"{stored.name} does not say how its statistics were measured: the number is right only if that was with "
            f"{extractor.name} ({extractor.preprocessing}) and the same weights."
        )


def _remarks(side: FeatureSet) -> Iterator[str]:
    """What is suspicious about the values of images, and about generators that repeat themselves."""
    report = side.report
    for doubt in (
        range_doubt(report.range_use, str(side.about.get("range", "uint8"))),
        repeats_doubt(report.repeats, len(side)),
    ):
        if doubt is not None:
            yield f"{side.name} {doubt}"
