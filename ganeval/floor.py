"""The noise floor: what a perfect generator would score, from the reals alone.

The reals are split at random into halves, one of which plays the fakes. No generator can be told from this one, so
what its metrics come out at, and how sure these are, is what the number of images costs. Metrics that are biased by the
number of images have a lower floor with more of them: compare it with values of as many.

The error bar is of one value, as a generator's. How far splits lie apart is no such error: halves of one set share its
images, and a half's mean has half the variance that it has over fresh sets of its size. In simulations the spread was
from 0.7 (vendi, nn) to 0.85 (precision, kid) of the true error. So it is the splits' own error that is given: 0.9 to
1.05 of the true one there, and 1.3 and more where a metric overstates it for sets that are alike (fid, nn).
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import torch

from ganeval.checks import check_inputs, check_supported
from ganeval.compute import compute
from ganeval.errors import MetricError, UsageError
from ganeval.evaluation import read
from ganeval.features import FeatureSet, Progress, silent
from ganeval.inputs import Input, open_images, open_setups
from ganeval.protocols import find_protocol
from ganeval.results import CLASS, Evaluation, MetricResult
from ganeval.selection import Names, Options, select_metrics
from ganeval.settings import Settings

SPLITS = 10


def noise_floor(
    real: object,
    *,
    metrics: Names = None,
    options: Options | None = None,
    splits: int = SPLITS,
    lenient: bool = False,
    progress: Progress = silent,
    **settings: object,
) -> Evaluation:
    """The value of each metric between random halves of `real`, the mean over `splits`, with the error bar of one.

    Error and interval are means of the splits' own, None where one has none; the details have the "spread" of values
    from split to split, and means of values by class. Warnings and notes are those of any split. lenient: whether named
    metrics that halves do not allow are left out with a warning, as others are. The other arguments are those of
    `evaluate`. UsageError for fewer than 2 splits; MetricError for fewer than 4 images, or a metric that halves do not
    allow.
    """
    if splits < 2:
        raise UsageError(f"A spread needs at least 2 splits, found {splits}.")
    chosen, selection = Settings.of(settings), select_metrics(metrics, options)
    selection = replace(selection, lenient=selection.lenient or lenient)
    protocol = find_protocol(chosen.protocol)
    source = Input(open_images(real, chosen))
    check_inputs(chosen, [protocol], [source])
    (setup,) = open_setups(chosen, [protocol], [source])
    selection = check_supported(selection, [setup], source, [source])
    needed = {output for metric in selection.metrics.values() for output in (metric.real, metric.fake)}
    wanted = replace(selection, also=selection.also | {output for output in needed if output is not None})
    (whole,) = read(source, [setup], wanted, chosen, progress, real=True)
    assert whole is not None
    if len(whole) < 4:
        raise MetricError(f"Halves can be measured of 4 images or more, found {len(whole)}.")
    rng = np.random.RandomState(chosen.seed)
    found = []
    for _ in range(splits):
        # Two disjoint halves of the images, in random order; an odd one is left out.
        order = torch.from_numpy(rng.permutation(len(whole)))
        half = len(order) // 2
        one, other = whole.part(order[:half]), whole.part(order[half : 2 * half])
        found.append(compute(selection, setup, one, other, seed=chosen.seed))
    return _summary(found, whole)


def _summary(found: Sequence[Evaluation], whole: FeatureSet) -> Evaluation:
    """One evaluation of several, with the metrics that all of them have; MetricError where they share none."""
    warnings = _once(text for one in found for text in one.warnings)
    names = [name for name in found[0].metrics if all(name in one.metrics for one in found)]
    if not names:
        raise MetricError(f"No metric can be had of all {len(found)} splits: {' '.join(warnings)} Give more images.")
    sides = {**whole.provenance, "name": f"{whole.name}, random halves"}
    return replace(
        found[0],
        metrics={name: _mean([one.metrics[name] for one in found]) for name in names},
        provenance={**found[0].provenance, "real": sides, "fake": sides},
        warnings=warnings,
        estimates={},
        real=None,
        fake=None,
    )


def _mean(results: Sequence[MetricResult]) -> MetricResult:
    values = [one.value for one in results]
    errors = [one.standard_error for one in results if one.standard_error is not None]
    bounds = [one.interval for one in results if one.interval is not None]
    method = f"mean over {len(values)} random splits of the reals into halves"
    bare = next((one for one in results if one.standard_error is None or one.interval is None), None)
    return replace(
        results[0],
        value=fmean(values),
        standard_error=None if bare else math.sqrt(fmean(error**2 for error in errors)),
        # The mean of intervals that end where the metric does, ends there too.
        interval=None if bare else (fmean(low for low, _ in bounds), fmean(high for _, high in bounds)),
        method=f"{method}; error and interval as of one: {(bare or results[0]).method}",
        details={"spread": stdev(values), **_by_class(results)},
        notes=_once(note for one in results for note in one.notes),
    )


def _by_class(results: Sequence[MetricResult]) -> dict[str, float]:
    """The mean of every class's value over the splits."""
    names = [name for name in results[0].details if name.startswith(CLASS)]
    return {name: fmean(one.details[name] for one in results) for name in names}


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    """Each once; of those that differ in numbers alone, or say why one metric was not measured, the first."""
    found: dict[str, str] = {}
    for text in texts:
        metric, unmeasured, _ = text.partition(" was not measured: ")
        found.setdefault(metric if unmeasured else re.sub(r"\d+", "0", text), text)
    return tuple(found.values())
