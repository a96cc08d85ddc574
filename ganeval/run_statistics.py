"""Methods, not models: how runs of one method spread, and whether two methods differ by more than their runs do.

A model that is trained again with another seed differs from the first by more than its images drawn again. What is said
of a method therefore takes its runs as the sample. All runs are measured against the same reals, and these are taken as
given: what they contribute to the error moves all values in the same way, so that it is neither in the spread of the
runs nor, up to the difference in how the methods depend on them, in the difference of two methods.

The variance of the runs' values is the sum of two parts:

    Var(values) = between^2 + within^2,

of which `within` is known from the metric's own standard errors, without the part due to the reals, and `between` is
what remains. Differences of methods are judged by Welch's test on the values of the runs, and corrected over all
metrics and pairs of methods (Holm 1979).
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePath
from statistics import fmean, variance

import numpy as np
from scipy.special import chdtri, nctdtr, ndtri

from ganeval.comparison import POWER, SIGNIFICANCE, holm, rounded, rounding_of, verdict_on
from ganeval.errors import UsageError
from ganeval.gate import mismatches, read_result
from ganeval.gate.comparability import covariance as saved_covariance
from ganeval.results import Evaluation
from ganeval.runs import MethodDifference, RunsComparison, Scope, Spread
from ganeval.uncertainty import CONFIDENCE, StudentT

__all__ = ["compare_saved_runs", "run_spreads", "runs_needed"]

# Above this number of runs, the normal distribution gives the number.
MAX_COUNTED = 1000

Runs = Mapping[str, Mapping[str, Evaluation]]


def compare_saved_runs(
    runs: Mapping[str, Mapping[str, Evaluation] | Sequence[str | Path]], *, metrics: Sequence[str] | None = None
) -> RunsComparison:
    """Compare methods, each with one or more training runs, from results that exist already.

    Args:
        runs: By the name of the method, at least two: files of saved results, or results by run name. All must
            have been measured alike: with one extractor and protocol, against the same reals, with the same number of
            images each.
        metrics: Names of metrics that every run has; None for all that every run has.

    Returns:
        The spread of every metric and method, and the difference of every pair of methods with a verdict.

    Raises:
        UsageError: There are fewer than two methods, one without a run, a run twice, a metric that a run does not have,
            or runs that were measured differently.
        ResultError: A file is missing, damaged or not a result.

    >>> import torch
    >>> draw = lambda top: torch.randint(top, (50, 3, 4, 4), dtype=torch.uint8)
    >>> drawn = {"A": [draw(256), draw(256)], "B": [draw(200), draw(200)]}
    >>> found = ganeval.compare_runs(draw(256), drawn, metrics=["fid"], extractor="pixels:4", cache=False)
    >>> len(ganeval.compare_saved_runs(found.runs).differences)
    1
    """
    check_methods(runs)
    results = _results(runs)
    _check_repeats(results)
    shared, warnings = _metrics(results, metrics)
    _check_alike(results, shared)
    single = [method for method, found in results.items() if len(found) == 1]
    if single:
        names, have = (single[0], "has") if len(single) == 1 else (" and ".join(single), "have")
        warnings.append(
            f"{names} {have} one run, which cannot show how far another training would differ. The intervals marked "
            "'of these models' hold if only the images are drawn again, and say nothing about the methods; train each "
            "method at least twice, better five times."
        )
    counts = {method: len(found) for method, found in results.items()}
    if min(counts.values()) == 2 and max(counts.values()) > 2:
        few = ", ".join(method for method, count in counts.items() if count == 2)
        warnings.append(
            f"{few}: two runs, and more of another method. If the method of two runs spreads more, up to 10% of "
            "verdicts on equal methods are false, and not 5%; train as many runs of each."
        )
    return RunsComparison(
        runs=results,
        spreads=run_spreads(results, shared),
        differences=_differences(results, shared),
        warnings=tuple(warnings),
    )


def run_spreads(runs: Runs, metrics: Sequence[str]) -> tuple[Spread, ...]:
    """How metrics spread over the runs of each method.

    Args:
        runs: The results by a name of the run, by the name of the method.
        metrics: Names of metrics that every run has.

    Returns:
        The spreads, metric by metric.
    """
    return tuple(_spread(metric, method, list(found.values())) for metric in metrics for method, found in runs.items())


def runs_needed(difference: float, variances: tuple[float, float], level: float = SIGNIFICANCE) -> int | None:
    """How many runs of each of two methods show a difference in four of five comparisons.

    Args:
        difference: The difference of the methods' means.
        variances: The variance of each method's values over runs.
        level: The two-sided level of Welch's test.

    Returns:
        Runs of each method, at least 2; None for no difference or no variance.

    >>> runs_needed(1.0, (1.0, 1.0))
    17
    """
    total = sum(variances)
    if difference == 0 or total <= 0:
        return None
    effect = abs(difference) / math.sqrt(total)
    # With the normal distribution, which gives too few runs.
    normal = float(((ndtri(1 - level / 2) + ndtri(POWER)) / effect) ** 2)
    count = max(2, math.ceil(min(normal, 1e15)))
    while count <= MAX_COUNTED and _power(effect, variances, level, count) < POWER:
        count += 1
    return count


def _power(effect: float, variances: tuple[float, float], level: float, count: int) -> float:
    """The power of Welch's two-sided test with so many runs of each method."""
    freedom = welch_freedom([one / count for one in variances], [count, count])
    bound, shift = StudentT(freedom).inv_cdf(1 - level / 2), effect * math.sqrt(count)
    return float(1 - nctdtr(freedom, shift, bound) + nctdtr(freedom, shift, -bound))


def welch_freedom(parts: Sequence[float], counts: Sequence[int]) -> float:
    """The degrees of freedom of a sum of variances of means (Welch-Satterthwaite). parts: each mean's variance."""
    # Scaled by the largest, because squares of very small numbers are 0.
    shares = [part / max(parts) for part in parts]
    return sum(shares) ** 2 / sum(share**2 / (count - 1) for share, count in zip(shares, counts, strict=True))


def check_methods(runs: Mapping[str, Sequence[object] | Mapping[str, object]]) -> None:
    """UsageError for fewer than two methods, or one without a list of runs."""
    if not isinstance(runs, Mapping):
        raise UsageError(f"Give methods by name, as in {{'A': ['a1/', 'a2/'], 'B': ...}}; found {type(runs).__name__}.")
    if len(runs) < 2:
        raise UsageError(f"A comparison of methods needs at least two of them, found {len(runs)}.")
    for method, found in runs.items():
        if not isinstance(found, Sequence | Mapping) or isinstance(found, str):
            raise UsageError(f"The runs of '{method}' are a list, a run each; found {type(found).__name__}.")
        if not found:
            raise UsageError(f"The method '{method}' has no run; give at least one, preferably three.")


def named_runs(runs: Mapping[str, Sequence[object]]) -> dict[str, dict[str, object]]:
    """What runs are made of, by a name of the run, by the name of the method.

    Args:
        runs: A list for every method. What is not a text or a path is called by its number.

    Returns:
        The same by name.

    Raises:
        UsageError: There are fewer than two methods, one without a list of runs, or a run that is named twice.
    """
    check_methods(runs)
    named = dict[str, dict[str, object]]()
    for method, found in runs.items():
        if isinstance(found, Mapping):
            raise UsageError(f"The runs of '{method}' are a list, a run each; found {type(found).__name__}.")
        named[method] = {}
        for number, one in enumerate(found, 1):
            name = str(one) if isinstance(one, str | PurePath) else str(number)
            if name in named[method]:
                raise UsageError(f"The method '{method}' has the run {name} twice; one run counts once.")
            named[method][name] = one
    return named


def _results(runs: Mapping[str, Mapping[str, Evaluation] | Sequence[str | Path]]) -> dict[str, dict[str, Evaluation]]:
    """The results of all methods, files read; UsageError for other values, and for a file given twice."""
    seen: dict[str, str] = {}
    results: dict[str, dict[str, Evaluation]] = {}
    for method, given in runs.items():
        kinds = Evaluation if isinstance(given, Mapping) else str | os.PathLike
        for run in given.values() if isinstance(given, Mapping) else given:
            if not isinstance(run, kinds):
                raise UsageError(
                    "Runs are a list of files of saved results, or results by a name of the run, as in "
                    f"{{'A': {{'a1': result, 'a2': result}}}}; found {type(run).__name__} of '{method}'."
                )
        if isinstance(given, Mapping):
            results[method] = dict(given)
            continue
        results[method] = {}
        for run in given:
            place = os.path.realpath(run)
            if place in seen:
                others = "twice a run" if seen[place] == method else f"a run of {seen[place]} and"
                raise UsageError(f"{run} is {others} of {method}; one run counts once.")
            seen[place] = method
            results[method][str(run)] = read_result(Path(run)).evaluation
    return results


def _check_repeats(runs: Runs) -> None:
    """UsageError for a run that is given twice, under any names."""
    seen: dict[object, str] = {}
    for method, found in runs.items():
        for run, one in found.items():
            about, name = one.provenance["fake"], f"{method}: {run}"
            digest = about.get("digest") if isinstance(about, Mapping) else None
            values = tuple(result.value for result in one.metrics.values())
            key = digest or (str(about), one.provenance.get("created"), values)
            if key in seen:
                raise UsageError(
                    f"{name} and {seen[key]} are the same images, and one run counts once: leave one of them out."
                )
            seen[key] = name


def _metrics(runs: Runs, wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """The metrics that all runs have, and a warning for each that only some have; UsageError if it was requested."""
    every = [(f"{method}: {run}", one) for method, found in runs.items() for run, one in found.items()]
    names = dict.fromkeys(metric for _, one in every for metric in one.metrics) if wanted is None else wanted
    shared, warnings = [], []
    for metric in names:
        without = [name for name, one in every if metric not in one.metrics]
        if not without:
            shared.append(metric)
        elif wanted is not None:
            known = ", ".join(name for name in every[0][1].metrics if all(name in one.metrics for _, one in every))
            raise UsageError(f"{without[0]} has no {metric}; all runs have {known or 'no metric in common'}.")
        else:
            warnings.append(f"{metric} is left out: {', '.join(without)} {'have' if without[1:] else 'has'} none.")
    if not shared:
        raise UsageError("The runs have no metric in common; measure all of them with the same --metrics.")
    return shared, warnings


def _check_alike(runs: Runs, metrics: Sequence[str]) -> None:
    """UsageError for two runs whose values cannot be compared, with what differs."""
    (first_name, first), *others = ((f"{m}: {run}", one) for m, found in runs.items() for run, one in found.items())
    for name, one in others:
        for metric in metrics:
            for gap in mismatches(metric, one, first):
                hint = (
                    "give --num-samples, so that all have as many images"
                    if gap.field == "n_fake"
                    else "measure all runs alike, against the same reals"
                )
                raise UsageError(
                    f"{metric} of {name} and of {first_name} cannot be compared: {gap.field} is {gap.result} for the "
                    f"one and {gap.baseline} for the other; {hint}."
                )


def _spread(metric: str, method: str, found: Sequence[Evaluation]) -> Spread:
    values = tuple(one.metrics[metric].value for one in found)
    count, mean = len(values), fmean(values)
    within, at_most = _within(metric, found)
    if count < 2:
        return Spread(metric, method, values, mean, None, None, None, within, at_most, None, None)
    deviation = rounded(math.sqrt(variance(values)), rounding_of(*values))
    if deviation == 0:
        # A few equal values, such as shares of few images, do not show that others would be equal.
        return Spread(metric, method, values, mean, 0.0, None, 0.0, within, at_most, None, None)
    error = deviation / math.sqrt(count)
    half = StudentT(count - 1).inv_cdf((1 + CONFIDENCE) / 2) * error
    between = between_interval = None
    if within is not None:
        between = _rest(deviation**2, within)
        squares, tail = (count - 1) * deviation**2, (1 - CONFIDENCE) / 2
        low, high = squares / chdtri(count - 1, tail), squares / chdtri(count - 1, 1 - tail)
        # If `within` is an upper bound, the upper end of `between` is computed with `within` = 0.
        between_interval = _rest(low, within), _rest(high, 0.0 if at_most else within)
    return Spread(
        metric, method, values, mean, error, (mean - half, mean + half), deviation, within, at_most, between,
        between_interval,
    )  # fmt: skip


def _rest(total: float, within: float) -> float:
    """The standard deviation that remains of a total variance; 0 if nothing remains."""
    return math.sqrt(max(float(total) - within**2, 0.0))


def _within(metric: str, found: Sequence[Evaluation]) -> tuple[float | None, bool]:
    """The standard deviation of one run's value if its images were drawn again, and whether it is an upper bound."""
    errors = [one.metrics[metric].standard_error for one in found]
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return None, False
    whole = fmean(error**2 for error in known)
    common = [_covariance(metric, one, other) for one, other in combinations(found, 2)]
    certain = [one for one in common if one is not None]
    if len(certain) < len(common) or (not common and found[0].metrics[metric].n_real is not None):
        return math.sqrt(whole), True
    return math.sqrt(max(whole - (fmean(certain) if certain else 0.0), 0.0)), False


def _covariance(metric: str, one: Evaluation, other: Evaluation) -> float | None:
    """The covariance of a metric's values of two runs, due to their common reals; None if unknown."""
    if one.metrics[metric].n_real is None:
        return 0.0
    estimates = [each.estimates.get(metric) for each in (one, other)]
    if None in estimates:
        return saved_covariance(metric, one, other)
    first, second = (None if estimate is None else estimate.shared for estimate in estimates)
    return None if first is None or second is None or first.shape != second.shape else float(np.dot(first, second))


@dataclass(frozen=True, slots=True)
class _MethodGap:
    """A difference of methods without a verdict yet. worse: its size on a scale where less is better."""

    metric: str
    first: str
    second: str
    value: float
    worse: float
    standard_error: float | None
    scope: Scope
    freedom: float | None
    variances: tuple[float, float]

    @property
    def p_value(self) -> float | None:
        if self.freedom is None or self.standard_error is None:
            return None
        if self.standard_error == 0:
            return 1.0
        return 2 * StudentT(self.freedom).cdf(-abs(self.value) / self.standard_error)

    def judged(self, p_corrected: float | None) -> MethodDifference:
        verdict = verdict_on(self.worse, p_corrected)
        error = self.standard_error
        quantile = (1 + CONFIDENCE) / 2
        times = float(ndtri(quantile)) if self.freedom is None else StudentT(self.freedom).inv_cdf(quantile)
        needed = None
        if verdict == "unclear" and p_corrected and self.p_value:
            needed = runs_needed(self.value, self.variances, SIGNIFICANCE * self.p_value / p_corrected)
        return MethodDifference(
            metric=self.metric,
            first=self.first,
            second=self.second,
            value=self.value,
            standard_error=error,
            interval=None if error is None else (self.value - times * error, self.value + times * error),
            scope=self.scope,
            freedom=self.freedom,
            p_value=self.p_value,
            p_corrected=p_corrected,
            verdict=verdict,
            needed=needed,
        )


def _differences(runs: Runs, metrics: Sequence[str]) -> tuple[MethodDifference, ...]:
    gaps = [
        _gap(metric, (first, list(runs[first].values())), (second, list(runs[second].values())))
        for first, second in combinations(runs, 2)
        for metric in metrics
    ]
    corrected = holm([gap.p_value for gap in gaps])
    return tuple(gap.judged(p_corrected) for gap, p_corrected in zip(gaps, corrected, strict=True))


def _gap(metric: str, first: tuple[str, Sequence[Evaluation]], second: tuple[str, Sequence[Evaluation]]) -> _MethodGap:
    (first_name, a), (second_name, b) = first, second
    sides = [[one.metrics[metric] for one in side] for side in (a, b)]
    scores = [[one.to_minimise(one.value) for one in side] for side in sides]
    rounding = rounding_of(*(one.value for side in sides for one in side))
    worse = rounded(fmean(scores[1]) - fmean(scores[0]), rounding)
    counts = [len(side) for side in sides]
    freedom, variances = None, (0.0, 0.0)
    if min(counts) > 1:
        variances = (rounded_variance(scores[0], rounding), rounded_variance(scores[1], rounding))
        parts = [one / count for one, count in zip(variances, counts, strict=True)]
        error: float | None = math.sqrt(sum(parts))
        freedom = welch_freedom(parts, counts) if error else float(sum(counts) - 2)
    else:
        error = _error_of_models(metric, a, b)
    return _MethodGap(
        metric=metric,
        first=first_name,
        second=second_name,
        # No negative zeros.
        value=(-worse if sides[0][0].direction == "higher" else worse) + 0.0,
        worse=worse,
        standard_error=error,
        scope="models" if freedom is None else "methods",
        freedom=freedom,
        variances=variances,
    )


def rounded_variance(values: Sequence[float], rounding: float) -> float:
    """The variance; 0 where the values differ by rounding alone."""
    return variance(values) if max(values) - min(values) > rounding else 0.0


def _error_of_models(metric: str, a: Sequence[Evaluation], b: Sequence[Evaluation]) -> float | None:
    """The standard error of the difference of two means over models, if their images were drawn again.

    If a covariance is not known, values of one method count as fully correlated, and those of two as independent, so
    that the error is too large rather than too small.
    """
    weighted = []
    for sign, side in ((-1.0, a), (1.0, b)):
        for one in side:
            result = one.metrics[metric]
            if result.standard_error is None:
                return None
            # Below the ideal, a larger value is closer to it.
            mirrored = -1 if result.ideal is not None and result.value < result.ideal else 1
            weighted.append((sign, sign * mirrored / len(side), result.standard_error, one))
    total = sum((weight * error) ** 2 for _, weight, error, _ in weighted)
    for (sign, weight, error, one), (other_sign, other_weight, other_error, other) in combinations(weighted, 2):
        common = _covariance(metric, one, other)
        if common is None:
            most = math.copysign(error * other_error, weight * other_weight)
            common = most if sign == other_sign else 0.0
        total += 2 * weight * other_weight * common
    return math.sqrt(max(total, 0.0))
