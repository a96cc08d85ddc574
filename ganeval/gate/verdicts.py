"""Result, baseline and tolerances => a verdict a metric. docs/gate.md has the rule and its truth table.

Values are judged on the scale of `MetricResult.badness`, of which less is better, so no rule here knows a direction.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, NamedTuple

from ganeval.errors import ResultError, UsageError, did_you_mean
from ganeval.gate.comparability import Difference, differences, same_reals
from ganeval.gate.thresholds import Thresholds, Tolerance
from ganeval.results import Evaluation, MetricResult

Verdict = Literal["pass", "improved", "inconclusive", "incomparable", "regressed"]
# Of every metric that has error bars, where nobody wrote thresholds down.
SIGNIFICANCE = 0.01
# What the whole says: the gravest of its metrics, and the exit codes of it (inconclusive: only where asked for).
GRAVITY: tuple[Verdict, ...] = ("pass", "improved", "inconclusive", "incomparable", "regressed")
EXIT_CODES: Mapping[Verdict, int] = {"pass": 0, "improved": 0, "regressed": 1, "incomparable": 3}
STRICT_INCONCLUSIVE = 4
# Sample sizes are those that settle a question this often.
POWER = 0.8
# More images than so many times as many are no advice.
MOST = 1000
# Changes below this share of the values are rounding, of another device for example.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Change:
    """From the baseline to the result. worse: by how much, below zero if better. noise: its standard error, if known.

    The two errors add up as those of independent measurements. Where both used the same reals, and nothing changed,
    part of the noise is common and cancels: the gate then fails less often than it says.
    """

    worse: float
    noise: float | None

    @classmethod
    def between(cls, was: MetricResult, now: MetricResult) -> "Change":
        rounding = math.isclose(was.value, now.value, rel_tol=ROUNDING)
        errors = (was.standard_error, now.standard_error)
        return cls(
            worse=0.0 if rounding else now.badness(now.value) - was.badness(was.value),
            noise=None if errors[0] is None or errors[1] is None else math.hypot(errors[0], errors[1]),
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """One metric's verdict. reason: a sentence. change: None without a baseline to compare with.

    differences: what forbids the comparison. images: fakes that would settle an inconclusive change (with as many times
    more reals, and the baseline measured again likewise); None where no number within reason would.
    """

    metric: str
    verdict: Verdict
    reason: str
    tolerance: Tolerance
    now: MetricResult | None
    was: MetricResult | None
    change: Change | None = None
    differences: tuple[Difference, ...] = ()
    images: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Every gated metric's verdict. thresholds: where they are written; notes: what a reader should know besides."""

    judgements: tuple[Judgement, ...]
    thresholds: str
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The gravest of all."""
        return max((one.verdict for one in self.judgements), key=GRAVITY.index, default="pass")

    def exit_code(self, *, strict: bool = False) -> int:
        """0, 1 regressed, 3 incomparable, and with `strict` 4 inconclusive."""
        if self.verdict == "inconclusive":
            return STRICT_INCONCLUSIVE if strict else 0
        return EXIT_CODES[self.verdict]


def check(result: Evaluation, baseline: Evaluation | None, thresholds: Thresholds | None) -> Check:
    """Judge every metric that has a tolerance.

    thresholds: None for a significance of 0.01 for every metric that both have error bars of; there may be none.
    Raises UsageError for a tolerance of a metric that the result has not, for one that needs a baseline where there is
    none, and for a significance where there are no error bars; ResultError for numbers that are not finite.
    """
    thresholds = thresholds or _usual(result, baseline)
    judgements = []
    for metric, tolerance in thresholds.tolerances.items():
        _check_possible(metric, tolerance, result, baseline, thresholds)
        judgements.append(_judge(metric, tolerance, result, baseline))
    return Check(tuple(judgements), thresholds.name, tuple(_notes(judgements, result, baseline)))


def _usual(result: Evaluation, baseline: Evaluation | None) -> Thresholds:
    tolerance = Tolerance(significance=SIGNIFICANCE)
    known = {} if baseline is None else baseline.metrics
    shared = [
        metric
        for metric, one in result.metrics.items()
        if one.standard_error is not None and metric in known and known[metric].standard_error is not None
    ]
    return Thresholds(dict.fromkeys(shared, tolerance), "the usual thresholds", {})


def _check_possible(
    metric: str, tolerance: Tolerance, result: Evaluation, baseline: Evaluation | None, thresholds: Thresholds
) -> None:
    where = thresholds.where(metric)
    if metric not in result.metrics:
        hint = did_you_mean(metric, list(result.metrics))
        raise UsageError(f"{where}: the result holds no metric '{metric}'; {hint} Or measure it as well.")
    if tolerance.compares and baseline is None:
        raise UsageError(f"{where} compares with a baseline ({tolerance}), and there is none; give --baseline.")
    for side, evaluation in (("result", result), ("baseline", baseline)):
        one = None if evaluation is None else evaluation.metrics.get(metric)
        if one is None:
            continue
        if not (math.isfinite(one.value) and math.isfinite(one.standard_error or 0.0)):
            raise ResultError(f"The {side}'s {metric} is {one.value} ± {one.standard_error}, which nothing can judge.")
        if tolerance.significance is not None and one.standard_error is None:
            raise UsageError(
                f"{where} asks for a significance, and the {side}'s {metric} has no error bar ({one.method}); "
                "remove significance there, and say worse_by, max or min instead."
            )


def _judge(metric: str, tolerance: Tolerance, result: Evaluation, baseline: Evaluation | None) -> Judgement:
    now = result.metrics[metric]
    was = None if baseline is None else baseline.metrics.get(metric)
    found = () if baseline is None else differences(metric, result, baseline)
    if found and (tolerance.compares or was is not None):
        reason = f"measured otherwise than the baseline: {'; '.join(map(str, found))}."
        return Judgement(metric, "incomparable", reason, tolerance, now, was, differences=found)
    change = None if was is None else Change.between(was, now)
    finding = _beyond(now.value, tolerance)
    if finding is None and was is not None and change is not None:
        finding = _compared(change, was, now, tolerance)
    finding = finding or _Finding("pass", f"{now.value:.4g} is within its bounds.")
    return Judgement(metric, finding.verdict, finding.reason, tolerance, now, was, change=change, images=finding.images)


class _Finding(NamedTuple):
    """What a rule says of a metric; the fields of Judgement."""

    verdict: Verdict
    reason: str
    images: int | None = None


def _beyond(value: float, tolerance: Tolerance) -> _Finding | None:
    if tolerance.maximum is not None and value > tolerance.maximum:
        return _Finding("regressed", f"{value:.4g} is above the max of {tolerance.maximum:g}.")
    if tolerance.minimum is not None and value < tolerance.minimum:
        return _Finding("regressed", f"{value:.4g} is below the min of {tolerance.minimum:g}.")
    return None


def _compared(change: Change, was: MetricResult, now: MetricResult, tolerance: Tolerance) -> _Finding | None:
    """None for a tolerance that does not compare."""
    allowed = 0.0 if tolerance.worse_by is None else tolerance.worse_by.of(was.value)
    if tolerance.significance is not None and change.noise is not None:
        return _by_noise(
            change.worse,
            change.noise,
            allowed=allowed,
            now=now,
            tolerance=tolerance,
            significance=tolerance.significance,
        )
    if tolerance.worse_by is None:
        return None
    verdict: Verdict = "pass" if abs(change.worse) <= allowed else "regressed" if change.worse > 0 else "improved"
    return _Finding(verdict, f"{_words(change.worse)}; {_allowance(allowed, tolerance)}.")


def _by_noise(
    worse: float, noise: float, *, allowed: float, now: MetricResult, tolerance: Tolerance, significance: float
) -> _Finding:
    """significance, with or without worse_by: what is left of a change when noise has had its part."""
    explained = NormalDist().inv_cdf(1 - significance) * noise
    reason = f"{_words(worse)}; noise explains {explained:.3g} (significance {significance:g})"
    if tolerance.worse_by is not None:
        reason += f", {_allowance(allowed, tolerance)}"
    if worse - explained > allowed:
        return _Finding("regressed", f"{reason}.")
    if worse + explained < 0:
        return _Finding("improved", f"{reason}.")
    if tolerance.worse_by is None:
        visible = _sight(significance) * noise
        return _Finding("pass", f"{reason}; a true change of {visible:.3g} would be found 4 times in 5.")
    if worse + explained <= allowed:
        return _Finding("pass", f"{reason}.")
    images = _settling(abs(allowed - worse), noise, significance, now.n_fake)
    return _Finding("inconclusive", f"{reason}. {_advice(images, now)}", images)


def _settling(distance: float, noise: float, significance: float, count: int) -> int | None:
    """How many images would show, 4 times in 5, on which side of the allowed change one at this distance lies."""
    # Noise falls with the root of the number of images.
    factor = (_sight(significance) * noise / distance) ** 2 if distance > 0 else math.inf
    return None if factor > MOST else _rounded_up(factor * count)


def _advice(images: int | None, now: MetricResult) -> str:
    if images is None:
        return f"The change lies so near to what is allowed that {MOST} times as many images would not settle it."
    reals = "" if now.n_real is None else ", as many times more reals,"
    return f"About {images} fakes{reals} and a baseline measured likewise would settle it."


def _sight(significance: float) -> float:
    """The true change, in standard errors, that is found with a chance of POWER."""
    return NormalDist().inv_cdf(1 - significance) + NormalDist().inv_cdf(POWER)


def _rounded_up(count: float) -> int:
    """To two digits: the number is a guide."""
    scale: int = 10 ** max(math.floor(math.log10(count)) - 1, 0)
    return math.ceil(count / scale) * scale


def _allowance(allowed: float, tolerance: Tolerance) -> str:
    share = f" ({tolerance.worse_by})" if tolerance.worse_by is not None and tolerance.worse_by.relative else ""
    return f"{allowed:.4g}{share} is allowed"


def _words(worse: float) -> str:
    return "unchanged" if worse == 0 else f"{'worse' if worse > 0 else 'better'} by {abs(worse):.4g}"


def _notes(judgements: Iterable[Judgement], result: Evaluation, baseline: Evaluation | None) -> Iterable[str]:
    """What the verdicts do not say."""
    if baseline is None:
        return
    versions = [one.provenance["versions"]["ganeval"] for one in (baseline, result)]
    if versions[0] != versions[1]:
        yield f"The baseline was measured by ganeval {versions[0]}, the result by {versions[1]}."
    noisy = (one for one in judgements if one.verdict != "incomparable" and one.tolerance.significance is not None)
    if any(same_reals(one.metric, result, baseline) for one in noisy):
        yield "Both used the same real images, so noise alone fails less often than the significance says."
