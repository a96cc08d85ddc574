"""The noise floor: what a perfect generator would score, from the reals alone.

The reals are split at random into halves, one of which plays the fakes. No generator can be told from this one, so
what its metrics come out at, and how far they spread from split to split, is what the number of images costs. Metrics
that are biased by the number of images have a lower floor with more of them: compare it with values of as many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import torch

from ganeval.errors import MetricError, UsageError
from ganeval.evaluation import Names
from ganeval.features import FeatureSet, Progress, silent
from ganeval.measure import MeasuredSet, check_outputs, measured, open_lanes
from ganeval.options import Options
from ganeval.pipeline import Schemes, narrowed, open_collector, read
from ganeval.protocols import find_protocol
from ganeval.question import Question
from ganeval.results import Evaluation, MetricResult
from ganeval.settings import Settings
from ganeval.sources import open_source
from ganeval.uncertainty import normal_interval

SPLITS = 10


def noise_floor(
    real: object,
    *,
    metrics: Names = None,
    options: Options | None = None,
    splits: int = SPLITS,
    progress: Progress = silent,
    schemes: Schemes | None = None,
    **settings: object,
) -> Evaluation:
    """The value of each metric between random halves of `real`: the mean over `splits`, and their spread as its error.

    The standard error is thus that of one value, as for a generator's. The other arguments are those of `evaluate`.
    UsageError for fewer than 2 splits; MetricError for fewer than 4 images, or a metric that halves do not allow.
    """
    if splits < 2:
        raise UsageError(f"A spread needs at least 2 splits, found {splits}.")
    chosen = Settings.of(settings)
    question = Question.of(metrics, options or {})
    source = open_source(real, num_samples=chosen.num_samples, seed=chosen.seed, schemes=schemes)
    lanes = open_lanes(chosen, [find_protocol(chosen.protocol)])
    question = narrowed(question, lanes[0], source, [source])
    check_outputs(lanes[0].extractor, question.rows)
    collector = open_collector(chosen, lanes, progress)
    rows = question.rows.values()
    (whole,) = read(collector, source, lanes, [output for row in rows for output in (row.real, row.fake)])
    assert whole is not None
    if len(_features(whole)) < 4:
        raise MetricError(f"Halves can be measured of 4 images or more, found {len(_features(whole))}.")
    rng = np.random.RandomState(chosen.seed)
    found = []
    for _ in range(splits):
        one, other = _halves(whole, rng)
        found.append(measured(question, lanes[0], collector, seed=chosen.seed, real=one, fake=other).evaluation)
    return _summary(found, whole)


def _features(side: MeasuredSet) -> FeatureSet:
    assert isinstance(side.known, FeatureSet)
    return side.known


def _halves(whole: MeasuredSet, rng: np.random.RandomState) -> tuple[MeasuredSet, MeasuredSet]:
    """Two disjoint halves of the images, in random order; an odd one is left out."""
    order = torch.from_numpy(rng.permutation(len(_features(whole))))
    half = len(order) // 2
    return _part(whole, order[:half]), _part(whole, order[half : 2 * half])


def _part(whole: MeasuredSet, chosen: torch.Tensor) -> MeasuredSet:
    features = _features(whole)
    arrays = {output: array[chosen] for output, array in features.arrays.items()}
    labels = None if whole.labels is None else whole.labels[chosen]
    part = FeatureSet(arrays, digest=None, report=features.report, cached=features.cached)
    return replace(whole, known=part, count=len(chosen), labels=labels)


def _summary(found: Sequence[Evaluation], whole: MeasuredSet) -> Evaluation:
    """One evaluation of several, with the metrics that all of them have."""
    names = [name for name in found[0].metrics if all(name in one.metrics for one in found)]
    sides: Mapping[str, object] = {**whole.about, "name": f"{whole.about['name']}, random halves"}
    return replace(
        found[0],
        metrics={name: _spread([one.metrics[name] for one in found]) for name in names},
        provenance={**found[0].provenance, "real": sides, "fake": sides},
    )


def _spread(results: Sequence[MetricResult]) -> MetricResult:
    values = [one.value for one in results]
    value, error = fmean(values), stdev(values)
    return replace(
        results[0],
        value=value,
        standard_error=error,
        interval=normal_interval(value, error),
        method=f"mean and spread over {len(values)} random splits of the reals into halves",
        details={},
        notes=(),
    )
