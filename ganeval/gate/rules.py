"""The rules that give one metric of a result its outcome and the reason; docs/gate.md describes them.

Values are compared on the scale of `MetricResult.to_minimise`, where less is better, so no rule depends on the
direction of a metric.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, NamedTuple

from ganeval.comparison import difference_error
from ganeval.gate.thresholds import Tolerance
from ganeval.results import MetricResult

Outcome = Literal["pass", "improved", "inconclusive", "untestable", "incomparable", "missing", "regressed"]
# Sample sizes are those that settle a question this often.
POWER = 0.8
# More images than so many times as many are no advice.
MAX_FACTOR = 1000
# Changes below this share of the values are rounding, of another device for example.
ROUNDING = 1e-9
# An error bar so many times its value (or 1, if that is more) says nothing of the value.
ABSURD = 1000
# Two measurements of as many images have error bars alike; one so many times the other makes a blunt test.
BLUNT = 10


@dataclass(frozen=True, slots=True)
class Change:
    """From the baseline to the result. worse: by how much, below zero if better. noise: its standard error, if known.

    The noise is that of two independent measurements, less what is common to both through the same reals. Where this is
    not known, and nothing changed, the gate fails less often than it says.
    """

    worse: float
    noise: float | None

    @classmethod
    def between(cls, was: MetricResult, now: MetricResult, shared: float | None) -> "Change | None":
        """shared: the covariance of the two values, if known. None where the numbers are too large to be subtracted."""
        rounding = math.isclose(was.value, now.value, rel_tol=ROUNDING)
        found = cls(
            worse=0.0 if rounding else now.to_minimise(now.value) - was.to_minimise(was.value),
            noise=difference_error(was, now, shared),
        )
        return found if math.isfinite(found.worse) and math.isfinite(found.noise or 0.0) else None


class Decision(NamedTuple):
    """The outcome that a rule gives a metric; the fields of MetricCheck."""

    outcome: Outcome
    reason: str
    images: int | None = None


def find(now: MetricResult, was: MetricResult | None, tolerance: Tolerance, shared: float | None = None) -> Decision:
    """The outcome of a tolerance. was: None for one that does not compare. shared: the values' covariance, if known."""
    compared = was if tolerance.compares else None
    decision = _beyond(now.value, tolerance) or _unknown(now, compared, tolerance)
    if decision is None and compared is not None:
        decision = _compared(compared, now, tolerance, shared)
    return decision or Decision("pass", f"{now.value:.4g} is within its bounds.")


def _beyond(value: float, tolerance: Tolerance) -> Decision | None:
    if tolerance.maximum is not None and value > tolerance.maximum:
        return Decision("regressed", f"{value:.4g} is above the max of {tolerance.maximum:g}.")
    if tolerance.minimum is not None and value < tolerance.minimum:
        return Decision("regressed", f"{value:.4g} is below the min of {tolerance.minimum:g}.")
    return None


def _unknown(now: MetricResult, was: MetricResult | None, tolerance: Tolerance) -> Decision | None:
    """Untestable, where one side says nothing of its value, or nothing of how sure it is when that is asked for."""
    sides = [("result", now)] if was is None else [("baseline", was), ("result", now)]
    for side, one in sides:
        error = one.standard_error
        if error is not None and error > ABSURD * max(abs(one.value), 1.0):
            return Decision(
                "untestable", f"the {side}'s error bar says nothing of its value: {one.value:.4g} ± {error:.3g}."
            )
    bare = [(side, one.method) for side, one in sides if one.standard_error is None]
    if tolerance.significance is not None and bare:
        whose = "neither has an" if len(bare) == 2 else f"the {bare[0][0]} has no"
        return Decision(
            "untestable",
            f"{whose} error bar ({bare[0][1]}), and a significance needs both; measure it with one, or write "
            "worse_by, max or min for it instead of significance.",
        )
    return None


def _compared(was: MetricResult, now: MetricResult, tolerance: Tolerance, shared: float | None) -> Decision:
    """What a change comes to, by noise or by amount alone."""
    change = Change.between(was, now, shared)
    allowed = 0.0 if tolerance.worse_by is None else tolerance.worse_by.of(was.value)
    if change is None or not math.isfinite(allowed):
        return Decision("untestable", f"a change from {was.value:.4g} to {now.value:.4g} is beyond what numbers hold.")
    if tolerance.significance is not None and change.noise is not None:
        return _by_noise(change.worse, change.noise, allowed=allowed, sides=(was, now), tolerance=tolerance)
    outcome: Outcome = "pass" if abs(change.worse) <= allowed else "regressed" if change.worse > 0 else "improved"
    return Decision(outcome, f"{_words(change.worse)}; {_allowance(allowed, tolerance)}.")


def _by_noise(
    worse: float, noise: float, *, allowed: float, sides: tuple[MetricResult, MetricResult], tolerance: Tolerance
) -> Decision:
    """significance, with or without worse_by: what is left of a change when noise has had its part."""
    significance = tolerance.significance or 0.0
    explained, visible = _quantile(significance) * noise, _sight(significance) * noise
    reason = f"{_words(worse)}; noise explains {explained:.3g} (significance {significance:g})"
    if tolerance.worse_by is not None:
        reason += f", {_allowance(allowed, tolerance)}"
    if worse - explained > allowed:
        return Decision("regressed", f"{reason}.")
    if worse + explained < 0:
        return Decision("improved", f"{reason}.")
    if tolerance.worse_by is not None and worse + explained <= allowed:
        return Decision("pass", f"{reason}.")
    if _blunt(visible, *sides):
        smaller, larger = sorted(one.standard_error or 0.0 for one in sides)
        return Decision(
            "untestable",
            f"{reason}; the error bars are {smaller:.3g} and {larger:.3g}, and a true change below {visible:.3g} "
            "would go unseen. Measure again.",
        )
    if tolerance.worse_by is None:
        # Without noise there is no smallest change that would be found.
        sight = f"; a true change of {visible:.3g} would be found 4 times in 5" if visible else ""
        return Decision("pass", f"{reason}{sight}.")
    now = sides[1]
    images = _settling(abs(allowed - worse), visible, now.n_fake)
    return Decision("inconclusive", f"{reason}. {_advice(images, now)}", images)


def _blunt(visible: float, was: MetricResult, now: MetricResult) -> bool:
    """Whether the test could not see a change as large as the baseline's own value, by the fault of one error bar."""
    smaller, larger = sorted(one.standard_error or 0.0 for one in (was, now))
    return larger >= BLUNT * smaller and visible > (abs(was.value) or 1.0)


def _settling(distance: float, visible: float, count: int) -> int | None:
    """How many images would show, 4 times in 5, on which side of the allowed change one at this distance lies."""
    # Noise falls with the root of the number of images.
    factor = (visible / distance) ** 2 if distance > visible / 1e9 else math.inf
    return None if factor > MAX_FACTOR else _rounded_up(factor * count)


def _advice(images: int | None, now: MetricResult) -> str:
    if images is None:
        return f"The change lies so near to what is allowed that {MAX_FACTOR} times as many images would not settle it."
    reals = "" if now.n_real is None else ", as many times more reals,"
    return f"About {images} fakes{reals} and a baseline measured likewise would settle it."


def _quantile(significance: float) -> float:
    """The upper quantile of the normal distribution; from below, where rates near 0 are not rounded away."""
    return -NormalDist().inv_cdf(significance)


def _sight(significance: float) -> float:
    """The true change, in standard errors, that is found with a chance of POWER."""
    return _quantile(significance) + NormalDist().inv_cdf(POWER)


def _rounded_up(count: float) -> int:
    """To two digits: the number is a guide."""
    scale: int = 10 ** max(math.floor(math.log10(count)) - 1, 0)
    return math.ceil(count / scale) * scale


def _allowance(allowed: float, tolerance: Tolerance) -> str:
    share = f" ({tolerance.worse_by})" if tolerance.worse_by is not None and tolerance.worse_by.relative else ""
    return f"{allowed:.4g}{share} is allowed"


def _words(worse: float) -> str:
    return "unchanged" if worse == 0 else f"{'worse' if worse > 0 else 'better'} by {abs(worse):.4g}"
