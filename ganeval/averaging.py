"""The mean of evaluations over random splits of one set; over random halves, it is the noise floor.

The error bar is that of a single value, as for a generator. The spread of values between splits would understate it:
halves of one set share its images, and a half's mean has half the variance that it has over fresh sets of its size. In
simulations the spread was from 0.7 (vendi, nn) to 0.85 (precision, kid) of the true error. So the splits' own error is
given: 0.9 to 1.05 of the true error there, and 1.3 or more where a metric overstates it for similar sets (fid, nn).
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

from ganeval.errors import MetricError
from ganeval.results import CLASS, Evaluation, MetricResult


def mean_evaluation(found: Sequence[Evaluation], sides: Mapping[str, Any]) -> Evaluation:
    """Average several evaluations, over the metrics that all of them have.

    Args:
        found: Two or more evaluations with equal settings.
        sides: What the provenance says of both sets.

    Returns:
        Means of values, errors and intervals; all warnings and notes, without repeats.

    Raises:
        MetricError: They have no metric in common.
    """
    warnings = _once(text for one in found for text in one.warnings)
    names = [name for name in found[0].metrics if all(name in one.metrics for one in found)]
    if not names:
        raise MetricError(
            f"No metric could be computed for all {len(found)} splits: {' '.join(warnings)} Give more images."
        )
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
    """The mean of one metric's results, with the error bar of one of them."""
    values = [one.value for one in results]
    errors = [one.standard_error for one in results if one.standard_error is not None]
    bounds = [one.interval for one in results if one.interval is not None]
    method = f"mean over {len(values)} random splits of the reals into halves"
    bare = next((one for one in results if one.standard_error is None or one.interval is None), None)
    return replace(
        results[0],
        value=fmean(values),
        standard_error=None if bare else math.sqrt(fmean(error**2 for error in errors)),
        # If every interval ends at a bound of the metric, so does their mean.
        interval=None if bare else (fmean(low for low, _ in bounds), fmean(high for _, high in bounds)),
        method=f"{method}; error and interval as of one: {(bare or results[0]).method}",
        details={"spread": stdev(values), **_by_class(results)},
        notes=_once(note for one in results for note in one.notes),
        reals=None,
    )


def _by_class(results: Sequence[MetricResult]) -> dict[str, float]:
    """The mean of every class's value over the splits."""
    names = [name for name in results[0].details if name.startswith(CLASS)]
    return {name: fmean(one.details[name] for one in results) for name in names}


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    """Remove repeats: texts that differ only in numbers, or only in why one metric was not measured, are repeats."""
    found: dict[str, str] = {}
    for text in texts:
        metric, unmeasured, _ = text.partition(" was not measured: ")
        found.setdefault(metric if unmeasured else re.sub(r"\d+", "0", text), text)
    return tuple(found.values())
