"""Compute metrics of two sets of features: the same step for files, streams, random halves and every protocol."""

from collections.abc import Mapping
from typing import cast

from torch import Tensor

from ganeval.class_alignment import AlignedClasses, align_classes
from ganeval.compatibility import check_sizes, unlabelled
from ganeval.duplicates import copied, with_rows_of
from ganeval.errors import MetricError, UsageError, WeightsError
from ganeval.extractors import Setup
from ganeval.features import FeatureSet
from ganeval.metrics import Direction, Metric
from ganeval.metrics.base import CLASS_NAMES, COPIES, LABELS, check_estimates
from ganeval.metrics.moments import Gaussian
from ganeval.option_objects import open_objects, written
from ganeval.options import needs_labels, options_key, resolve_options, takes
from ganeval.processes import processes
from ganeval.provenance import incomparable, provenance, statistics_caveats
from ganeval.results import Evaluation, MetricResult, RealsPart
from ganeval.selection import Selection
from ganeval.sources.remarks import value_remarks
from ganeval.uncertainty import Estimate, summary

# The estimates of a metric's function by name, or its error; and caveats of objects in its options.
_FamilyOutcome = tuple[Mapping[str, Estimate] | MetricError, list[str]]


def compute(selection: Selection, setup: Setup, real: FeatureSet | None, fake: FeatureSet, *, seed: int) -> Evaluation:
    """Compute every selected metric of two sets of features of one extractor.

    Args:
        selection: The metrics, with their options.
        setup: The protocol and extractor of the features.
        real: The reals; None if no metric uses them.
        fake: The fakes.
        seed: The seed of subsets and generators, for the provenance.

    Returns:
        The results, with the estimates and sets they were computed from.

    Raises:
        MetricError: A metric cannot be computed or, if the selection is lenient, no metric can.
        UsageError: A metric needs classes or outputs that a set does not have.
        ExtractorError: The extractor does not compare images of the sets' sizes.
    """
    if real is not None:
        check_sizes(setup.extractor, real.report)
        fake = with_rows_of(real, fake)
    check_sizes(setup.extractor, fake.report)
    classes = _classes(selection, real, fake)
    resolved = {
        name: (options_key(name, metric), resolve_options(name, metric, selection.options, setup.protocol))
        for name, metric in selection.metrics.items()
    }
    # Metrics that one call computes, such as precision and recall, have one key.
    calls = {key: name for name, (key, _) in reversed(list(resolved.items()))}
    team, own = processes(), dict[str, _FamilyOutcome]()
    with team.together():
        # Each process computes a share of the metrics; then they exchange the results.
        for key, name in sorted(calls.items())[team.rank :: team.size]:
            metric, options = selection.metrics[name], resolved[name][1]
            told: list[str] = []
            try:
                data = _data(metric, setup, real, fake, ddof=cast(int, options.get("ddof", setup.protocol.ddof)))
                objects = open_objects(options, _device(setup))
                told += [caveat for one in objects.values() if isinstance(caveat := getattr(one, "caveat", None), str)]
                given = metric.compute(*data, **_keywords(name, metric, classes, real, fake), **objects)
                own[key] = check_estimates({name: given} if isinstance(given, Estimate) else given, data), told
            except MetricError as error:
                own[key] = error, told
            except WeightsError as error:
                own[key] = MetricError(str(error)), told
            team.check()
    found = {key: one for part in team.exchange(own) for key, one in part.items()}
    results: dict[str, MetricResult] = {}
    estimates: dict[str, Estimate] = {}
    refused: dict[str, MetricError] = {}
    caveats: list[str] = []
    for name, metric in selection.metrics.items():
        key, options = resolved[name]
        family, told = found[key]
        caveats += told
        if isinstance(family, MetricError):
            refused[name] = family
        else:
            estimates[name] = family[name]
            results[name] = _result(family[name], metric, options, real, fake)
    if refused and (not selection.lenient or not results):
        name, reason = next(iter(refused.items()))
        raise MetricError(f"{name}: {reason}") from reason
    sides = [side for side in (real, fake) if side is not None]
    reservations = (*incomparable(setup.extractor, sides), *caveats)
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
    """The features that a metric takes from each set it uses, on the device that computes."""
    return [
        side.data(metric, output, ddof=ddof, device=_device(setup))
        for side, output in ((real, metric.real), (fake, metric.fake))
        if side is not None and output is not None
    ]


def _device(setup: Setup) -> str:
    """The device that computes metrics: they need float64, which only CPUs and CUDA have."""
    return setup.extractor.device if setup.extractor.device.startswith("cuda") else "cpu"


def _classes(selection: Selection, real: FeatureSet | None, fake: FeatureSet) -> AlignedClasses | None:
    """The labels of both sets with the same numbering; None if no metric takes them, or they are not known."""
    wanted = any(map(needs_labels, selection.metrics.values()))
    if not wanted or real is None or real.labels is None or fake.labels is None:
        return None
    return align_classes(real.labels, fake.labels, real_names=real.class_names, fake_names=fake.class_names)


def _keywords(
    name: str, metric: Metric, classes: AlignedClasses | None, real: FeatureSet | None, fake: FeatureSet
) -> dict[str, object]:
    """The keyword arguments of a metric that are filled from the data; UsageError for unknown classes."""
    places = copied(real, fake) if real is not None and takes(metric.compute, COPIES) else None
    copies: dict[str, object] = {} if places is None else {COPIES: places >= 0}
    if not needs_labels(metric):
        return copies
    if classes is None:
        side = fake if real is not None and real.labels is not None else real
        known = ("one set", None) if side is None else (side.name, side.about.get("unlabelled"))
        raise UsageError(unlabelled(name, *known))
    labels = zip(LABELS, (classes.real, classes.fake), strict=True)
    return {**copies, **dict(labels), CLASS_NAMES: classes.names}


def metric_result(
    estimate: Estimate,
    *,
    direction: Direction,
    n_real: int | None,
    n_fake: int,
    options: Mapping[str, object],
    ideal: float | None = None,
    of_reals: bool = True,
) -> MetricResult:
    """The result that keeps an estimate.

    Args:
        estimate: What a metric returned.
        direction: Which values are better.
        n_real: The number of reals, if known.
        n_fake: The number of fakes.
        options: Of the metric, as JSON values.
        ideal: The best value, if the metric has one.
        of_reals: Whether to keep the part of the error due to the reals, if the metric gives it. Results that share
            their reals use it.

    Returns:
        The result.
    """
    shared = estimate.shared if of_reals else None
    return MetricResult(
        value=estimate.value,
        standard_error=estimate.standard_error,
        interval=estimate.interval,
        direction=direction,
        n_real=n_real,
        n_fake=n_fake,
        method=estimate.method,
        options=options,
        details=estimate.details,
        notes=estimate.notes,
        ideal=ideal,
        reals=None if shared is None else RealsPart(*summary(shared)),
    )


def _result(
    estimate: Estimate, metric: Metric, options: Mapping[str, object], real: FeatureSet | None, fake: FeatureSet
) -> MetricResult:
    """An estimate with the numbers of images and what the metric's row says."""
    return metric_result(
        estimate,
        direction=metric.direction,
        n_real=None if real is None else real.count_for(metric, metric.real),
        n_fake=len(fake),
        options={name: written(value) for name, value in options.items()},
        ideal=metric.ideal,
        of_reals=metric.real is not None,
    )
