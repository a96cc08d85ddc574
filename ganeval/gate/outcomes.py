"""Checks a result against a baseline and tolerances: an outcome per metric, and one overall. docs/gate.md lists them.

Every metric of the baseline must be in the result, with or without a tolerance: a missing metric is an outcome of its
own, and so is one that cannot be tested.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ganeval.errors import ResultError, UsageError, did_you_mean
from ganeval.gate.baseline import read_result, write_baseline
from ganeval.gate.comparability import Mismatch, covariance, mismatches, same_images, same_reals
from ganeval.gate.rules import Change, Outcome, find
from ganeval.gate.thresholds import Thresholds, Tolerance
from ganeval.results import Evaluation, MetricResult

# Of every metric of the baseline, where nobody wrote thresholds down.
SIGNIFICANCE = 0.01
# The overall outcome is the last of these that a metric has. Exit codes; inconclusive has one only with `strict`.
GRAVITY: tuple[Outcome, ...] = (
    "pass",
    "improved",
    "inconclusive",
    "untestable",
    "incomparable",
    "missing",
    "regressed",
)
EXIT_CODES: Mapping[Outcome, int] = {
    "pass": 0,
    "improved": 0,
    "regressed": 1,
    "incomparable": 3,
    "missing": 5,
    "untestable": 6,
}
STRICT_INCONCLUSIVE = 4


@dataclass(frozen=True, slots=True)
class MetricCheck:
    """The outcome of one metric.

    Attributes:
        metric: Its name.
        outcome: What was found.
        reason: Why, in a sentence.
        tolerance: What was required.
        now: The result's value; None where the result does not hold the metric.
        was: The baseline's value; None where the baseline does not hold the metric.
        change: The difference; None without a baseline to compare with.
        mismatches: What forbids the comparison.
        images: The number of fakes that would settle an inconclusive change (with as many times more reals, and the
            baseline measured again likewise); None where no reasonable number would.
    """

    metric: str
    outcome: Outcome
    reason: str
    tolerance: Tolerance
    now: MetricResult | None
    was: MetricResult | None
    change: Change | None = None
    mismatches: tuple[Mismatch, ...] = ()
    images: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """The outcomes of at least one metric.

    Attributes:
        metrics: The outcome of each.
        thresholds: Where the thresholds are written.
        notes: What a reader should know besides.
        warnings: Reasons to doubt that the right files were compared.
    """

    metrics: tuple[MetricCheck, ...]
    thresholds: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The gravest of all."""
        return max((one.outcome for one in self.metrics), key=GRAVITY.index)

    def exit_code(self, *, strict: bool = False) -> int:
        """The exit code of `ganeval check`.

        Args:
            strict: Whether an inconclusive metric fails the check.

        Returns:
            0, or 1 for regressed, 3 incomparable, 5 missing, 6 untestable, and with `strict` 4 inconclusive.
        """
        if self.outcome == "inconclusive":
            return STRICT_INCONCLUSIVE if strict else 0
        return EXIT_CODES[self.outcome]


def check(result: Evaluation, baseline: Evaluation | None, thresholds: Thresholds | None) -> Check:
    """Check every metric that has a tolerance, and every metric of the baseline that the result lacks.

    Args:
        result: What to check.
        baseline: What to compare with; None for tolerances that bound the value itself.
        thresholds: Tolerances by metric. None, or thresholds without any condition on a value, stand for a significance
            of 0.01 for every metric of the baseline.

    Returns:
        The outcomes, with notes and warnings.

    Raises:
        UsageError: A tolerance is for a metric that neither result has, or needs a baseline that is not given; or there
            is nothing to check.
        ResultError: A number is not finite.
    """
    thresholds = thresholds or Thresholds({}, "the usual thresholds", {})
    checked = []
    for metric, tolerance in _tolerances(thresholds, result, baseline).items():
        _check_possible(metric, tolerance, result, baseline, thresholds)
        checked.append(_judge(metric, tolerance, result, baseline))
    if not checked:
        raise UsageError(
            "There is nothing to check: no tolerance asks anything of a metric, and there is no baseline with one."
        )
    notes = tuple(_notes(checked, result, baseline))
    return Check(tuple(checked), thresholds.name, notes, tuple(_warnings(checked, result, baseline)))


def check_successor(result: Evaluation, old: Evaluation | None, thresholds: Thresholds | None) -> Check:
    """Check whether a result may replace a baseline.

    Every metric of the old baseline must be in the result and measured in the same way, with or without a tolerance;
    metrics that the old baseline lacks are compared with the result itself.

    Args:
        result: The new baseline.
        old: The old one; None where there is none yet.
        thresholds: As for `check`.

    Returns:
        The outcomes, with notes and warnings.

    Raises:
        UsageError: As `check` does.
        ResultError: As `check` does.
    """
    known = result if old is None else replace(old, metrics={**result.metrics, **old.metrics})
    found = check(result, known, thresholds)
    judged = {one.metric for one in found.metrics}
    others = (_judge(metric, Tolerance(), result, known) for metric in known.metrics if metric not in judged)
    failing = (one for one in others if one.outcome != "pass")
    return replace(found, metrics=(*found.metrics, *failing), warnings=())


def update_baseline(result: Evaluation, path: str | Path, thresholds: Thresholds | None = None) -> Check:
    """Make a result the baseline if it may replace the old one, as `ganeval baseline update` does.

    Args:
        result: The new baseline.
        path: The file of the baseline, old and new; a first one is checked against itself.
        thresholds: As for `check`.

    Returns:
        The outcomes, as of `check_successor`. The baseline was written if their exit code is 0, and is unchanged
        otherwise.

    Raises:
        UsageError: As `check` does.
        ResultError: As `check` does; or the old baseline is damaged, or the new one cannot be written.
    """
    path = Path(path)
    old = read_result(path).evaluation if path.exists() else None
    found = check_successor(result, old, thresholds)
    if found.exit_code() == 0:
        write_baseline(result, path)
    return found


def _tolerances(thresholds: Thresholds, result: Evaluation, baseline: Evaluation | None) -> Mapping[str, Tolerance]:
    """Of every metric to be judged, in the order of the thresholds and then of the baseline."""
    known = () if baseline is None else tuple(baseline.metrics)
    if not thresholds.asked:
        allowed = {metric for metric, one in thresholds.tolerances.items() if one.may_be_missing}
        names = dict.fromkeys((*known, *(allowed - set(result.metrics))))
        return {one: Tolerance(significance=SIGNIFICANCE, may_be_missing=one in allowed) for one in names}
    judged = {metric: one for metric, one in thresholds.tolerances.items() if one.asks or metric not in result.metrics}
    lost = (metric for metric in known if metric not in result.metrics and metric not in judged)
    return {**judged, **dict.fromkeys(lost, Tolerance())}


def _check_possible(
    metric: str, tolerance: Tolerance, result: Evaluation, baseline: Evaluation | None, thresholds: Thresholds
) -> None:
    where = thresholds.where(metric)
    sides = (("result", result), ("baseline", baseline))
    held = {side: one.metrics[metric] for side, one in sides if one is not None and metric in one.metrics}
    if not held and not tolerance.may_be_missing:
        hint = did_you_mean(metric, list(result.metrics))
        raise UsageError(f"{where}: the result holds no metric '{metric}'; {hint} Or measure it as well.")
    if tolerance.compares and baseline is None and "result" in held:
        raise UsageError(f"{where} compares with a baseline ({tolerance}), and there is none; give --baseline.")
    for side, one in held.items():
        if not (math.isfinite(one.value) and math.isfinite(one.standard_error or 0.0)):
            raise ResultError(f"The {side}'s {metric} is {one.value} ± {one.standard_error}, which cannot be judged.")


def _judge(metric: str, tolerance: Tolerance, result: Evaluation, baseline: Evaluation | None) -> MetricCheck:
    now = result.metrics.get(metric)
    was = None if baseline is None else baseline.metrics.get(metric)
    if now is None:
        return _missing(metric, tolerance, was)
    differing = () if baseline is None else mismatches(metric, result, baseline)
    if differing and (tolerance.compares or was is not None):
        reason = f"measured otherwise than the baseline: {'; '.join(map(str, differing))}."
        return MetricCheck(metric, "incomparable", reason, tolerance, now, was, mismatches=differing)
    shared = None if baseline is None or was is None else covariance(metric, baseline, result)
    decision = find(now, was, tolerance, shared)
    change = None if was is None else Change.between(was, now, shared)
    return MetricCheck(
        metric, decision.outcome, decision.reason, tolerance, now, was, change=change, images=decision.images
    )


def _missing(metric: str, tolerance: Tolerance, was: MetricResult | None) -> MetricCheck:
    if tolerance.may_be_missing:
        return MetricCheck(metric, "pass", "the result does not hold it, and may be without.", tolerance, None, was)
    reason = (
        "the baseline holds it, and the result does not; measure it as well, or write may_be_missing = true for it."
    )
    return MetricCheck(metric, "missing", reason, tolerance, None, was)


def _notes(checked: Iterable[MetricCheck], result: Evaluation, baseline: Evaluation | None) -> Iterable[str]:
    """What the outcomes do not say."""
    if baseline is None:
        return
    versions = [one.provenance["versions"]["ganeval"] for one in (baseline, result)]
    if versions[0] != versions[1]:
        yield f"The baseline was measured by ganeval {versions[0]}, the result by {versions[1]}."
    if new := [metric for metric in result.metrics if metric not in baseline.metrics]:
        yield f"The baseline does not hold {', '.join(new)}: nothing was compared there."
    noisy = (
        one for one in checked if one.change is not None and one.change.noise is not None and one.tolerance.significance
    )
    unknown = (one.metric for one in noisy if covariance(one.metric, baseline, result) is None)
    if any(same_reals(metric, result, baseline) for metric in unknown):
        yield "Both used the same real images, so noise alone fails less often than the significance says."


def _warnings(checked: Iterable[MetricCheck], result: Evaluation, baseline: Evaluation | None) -> Iterable[str]:
    """Reasons to doubt that the outcome is about the intended files."""
    if all(one.now is None for one in checked):
        yield "No metric was tested: the result holds none of those that have a tolerance."
    if result.is_noise_floor:
        yield "The result is a noise floor, of halves of the reals: it measures no generator."
    elif same_images(result):
        yield "The result's fakes are its reals, byte for byte: it measures no generator."
    if nowhere := [one.metric for one in checked if one.now is None and one.was is None]:
        yield f"Neither result nor baseline holds {', '.join(nowhere)}; is the name right?"
    known = set() if baseline is None else set(baseline.warnings)
    yield from (f"The result was measured with a warning: {text}" for text in result.warnings if text not in known)
    if baseline is None:
        return
    times = [_created(one) for one in (baseline, result)]
    if times[0] is not None and times[1] is not None and times[1] < times[0]:
        yield (
            f"The result ({result.provenance['created']}) is older than the baseline "
            f"({baseline.provenance['created']}); is it a file of an earlier run?"
        )
    if times[0] == times[1] and result.metrics == baseline.metrics:
        yield "The result is the baseline's own measurement: nothing was measured since."


def _created(evaluation: Evaluation) -> datetime | None:
    """When it was measured; None where the result does not say so in ISO 8601."""
    try:
        found = datetime.fromisoformat(str(evaluation.provenance.get("created")))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
