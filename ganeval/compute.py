"""Features of two sets to an Evaluation: the step that files, streams, splits and every protocol share."""

import math
from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor

from ganeval.class_alignment import AlignedClasses, align_classes
from ganeval.compatibility import unlabelled
from ganeval.duplicates import copied, with_rows_of
from ganeval.errors import MetricError, UsageError
from ganeval.features import FeatureSet
from ganeval.inputs import Setup
from ganeval.metrics import Metric
from ganeval.metrics.moments import Gaussian
from ganeval.provenance import incomparable, provenance, statistics_caveats
from ganeval.results import Evaluation, MetricResult
from ganeval.selection import CLASS_NAMES, COPIES, LABELS, Selection, needs_labels, options_key, takes
from ganeval.sources.remarks import value_remarks
from ganeval.uncertainty import Estimate


def compute(selection: Selection, setup: Setup, real: FeatureSet | None, fake: FeatureSet, *, seed: int) -> Evaluation:
    """Compute every selected metric of two sets of features of one extractor.

    Args:
        selection: The metrics, with their options.
        setup: The protocol and extractor of the features.
        real: The reals; None where no metric looks at them.
        fake: The fakes.
        seed: Of subsets and generators, for the provenance.

    Returns:
        The results, with the estimates and sets they were computed from.

    Raises:
        MetricError: A metric cannot be computed; of a lenient selection, none can.
        UsageError: A metric needs classes or outputs that a set does not have.
    """
    if real is not None:
        fake = with_rows_of(real, fake)
    classes = _classes(selection, real, fake)
    results: dict[str, MetricResult] = {}
    estimates: dict[str, Estimate] = {}
    refused: dict[str, MetricError] = {}
    families: dict[str, Mapping[str, Estimate] | MetricError] = {}
    for name, metric in selection.metrics.items():
        options, key = selection.options_of(name, setup.protocol), options_key(name, metric)
        if key not in families:
            try:
                data = _data(metric, setup, real, fake, ddof=cast(int, options.get("ddof", setup.protocol.ddof)))
                labels = _labels(name, metric, classes, real, fake)
                given = metric.compute(*data, **labels, **_copies(metric, real, fake), **options)
                families[key] = _finite({name: given} if isinstance(given, Estimate) else given, data)
            except MetricError as error:
                families[key] = error
        found = families[key]
        if isinstance(found, MetricError):
            refused[name] = found
        else:
            estimates[name], results[name] = found[name], _result(found[name], metric, options, real, fake)
    if refused and (not selection.lenient or not results):
        name, reason = next(iter(refused.items()))
        raise MetricError(f"{name}: {reason}") from reason
    sides = [side for side in (real, fake) if side is not None]
    reservations = incomparable(setup.extractor, sides)
    warnings = [*reservations, *statistics_caveats(real, selection, setup.extractor)]
    for side in sides:
        declared = str(side.about.get("range", "uint8"))
        warnings += value_remarks(side.name, side.report, count=len(side), declared=declared)
    warnings += [] if classes is None or classes.caveat is None else [classes.caveat]
    warnings += [warning for side in sides for warning in side.warnings]
    warnings += [] if selection.left_out is None else [selection.left_out]
    warnings += [f"{name} was not measured: {reason}" for name, reason in refused.items()]
    return Evaluation(
        metrics=results,
        provenance=provenance(setup.extractor, setup.protocol, seed=seed, real=real, fake=fake),
        comparable=not reservations,
        warnings=tuple(dict.fromkeys(warnings)),
        estimates=estimates,
        real=real,
        fake=fake,
    )


def _data(
    metric: Metric, setup: Setup, real: FeatureSet | None, fake: FeatureSet, *, ddof: int
) -> list[Tensor | Gaussian]:
    """What a metric takes of each set that it looks at, on the device that computes."""
    # Float64 is for CPUs and CUDA alone; features are small compared with what made them.
    device = setup.extractor.device if setup.extractor.device.startswith("cuda") else "cpu"
    return [
        side.data(metric, output, ddof=ddof, device=device)
        for side, output in ((real, metric.real), (fake, metric.fake))
        if side is not None and output is not None
    ]


def _classes(selection: Selection, real: FeatureSet | None, fake: FeatureSet) -> AlignedClasses | None:
    """The classes of both sets under the same numbers; None where no metric takes them, or they are not known."""
    wanted = any(map(needs_labels, selection.metrics.values()))
    if not wanted or real is None or real.labels is None or fake.labels is None:
        return None
    return align_classes(real.labels, fake.labels, real_names=real.class_names, fake_names=fake.class_names)


def _labels(
    name: str, metric: Metric, classes: AlignedClasses | None, real: FeatureSet | None, fake: FeatureSet
) -> dict[str, object]:
    """The classes that a metric takes; UsageError where those of a set are not known."""
    if not needs_labels(metric):
        return {}
    if classes is None:
        side = fake if real is not None and real.labels is not None else real
        known = ("one set", None) if side is None else (side.name, side.about.get("unlabelled"))
        raise UsageError(unlabelled(name, *known))
    return {**dict(zip(LABELS, (classes.real, classes.fake), strict=True)), CLASS_NAMES: classes.names}


def _copies(metric: Metric, real: FeatureSet | None, fake: FeatureSet) -> dict[str, object]:
    """Which fakes are images of the reals, where a metric asks and pixels are known."""
    places = copied(real, fake) if real is not None and takes(metric.compute, COPIES) else None
    return {} if places is None else {COPIES: places >= 0}


def _finite(estimates: Mapping[str, Estimate], data: Sequence[Tensor | Gaussian]) -> Mapping[str, Estimate]:
    """The estimates; MetricError for one that is NaN or infinite."""
    for name, one in estimates.items():
        error, interval = one.standard_error, one.interval
        known = (one.value, 0.0 if error is None else error, *(interval or ()), *one.details.values())
        if not all(map(math.isfinite, known)):
            raise MetricError(
                f"{name} of values as large as {max(map(_largest, data)):.3g} is beyond what float64 can hold. Give "
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
    """An estimate with the numbers of images and what the metric's row says."""
    n_real = None
    if real is not None and real.stored is not None and real.takes_stored(metric, metric.real):
        n_real = real.stored.count
    elif real is not None and metric.real is not None:
        n_real = real.count
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
