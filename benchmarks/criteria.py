"""What a curve of metric values must look like to pass a sanity check, with the number that decides.

A curve has the mean value of a metric at each setting of a check. Shapes and tolerances are those of Räisä, van Breugel
and van der Schaar 2025, "Position: All Current Generative Fidelity and Diversity Metrics are Flawed".
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# A value that should be 0, 1 or another number may be this far from it, and a level line may vary by this.
CLOSE = 0.05
# From one end to the other a curve must move by this; an end may be this far from the extreme value of the curve.
RISE, SLACK = 0.2, 0.1
# By setting, in ascending order of settings.
Curve = Mapping[float, float]


class Demand(NamedTuple):
    """One condition. excess: how far it is missed, 0 or less where it is met; found: the number that decides."""

    excess: float
    found: float
    words: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one curve.

    kind: "low" or "high" where a diversity metric may be either. found, words: the number that decided, and what it is.
    """

    passed: bool
    found: float
    words: str
    kind: str = ""


Criterion = Callable[[Curve], Finding]


def first(curve: Curve) -> float:
    """The value at the least setting."""
    return curve[min(curve)]


def last(curve: Curve) -> float:
    """The value at the largest setting."""
    return curve[max(curve)]


def at(setting: float) -> Callable[[Curve], float]:
    """The value at one setting."""
    return lambda curve: curve[setting]


def close_to(target: float, value: Callable[[Curve], float], where: str) -> Criterion:
    """The value at one place is within 0.05 of the target."""

    def check(curve: Curve) -> Finding:
        found = value(curve)
        return _verdict([Demand(abs(found - target) - CLOSE, found, f"{where}, should be {target:g}")])

    return check


def bell(middle: float) -> Criterion:
    """High in the middle and low at both ends: one end at least is as low as the curve gets."""

    def check(curve: Curve) -> Finding:
        peak, lowest = curve[middle], min(curve.values())
        ends = (first(curve), last(curve))
        return _verdict(
            [
                *(_at_least(peak - end, RISE, "fall from the middle to an end") for end in ends),
                _at_most(max(curve.values()) - peak, SLACK, "the largest value less the middle"),
                _at_most(min(ends) - lowest, SLACK, "the lower end less the least value"),
            ]
        )

    return check


def falling(*, halfway: tuple[float, float] | None = None) -> Criterion:
    """High at the first setting and low at the last.

    halfway: a setting, and by how much the value must have fallen there.
    """

    def check(curve: Curve) -> Finding:
        demands = [
            _at_least(first(curve) - last(curve), RISE, "fall from first to last"),
            _at_most(max(curve.values()) - first(curve), SLACK, "the largest value less the first"),
            _at_most(last(curve) - min(curve.values()), SLACK, "the last value less the least"),
        ]
        if halfway is not None:
            setting, fall = halfway
            demands.append(_at_least(first(curve) - curve[setting], fall, f"fall by {setting:.3g}"))
        return _verdict(demands)

    return check


def rising() -> Criterion:
    """Low at the first setting and high at the last."""

    def check(curve: Curve) -> Finding:
        return _verdict(
            [
                _at_least(last(curve) - first(curve), RISE, "rise from first to last"),
                _at_most(first(curve) - min(curve.values()), SLACK, "the first value less the least"),
                _at_most(max(curve.values()) - last(curve), SLACK, "the largest value less the last"),
            ]
        )

    return check


def level(*, after: float = -math.inf, within: float = CLOSE) -> Criterion:
    """The same value at all settings, or at those from one on."""

    def check(curve: Curve) -> Finding:
        values = [value for setting, value in curve.items() if setting >= after]
        return _verdict([_at_most(max(values) - min(values), within, "largest less least value")])

    return check


def low_or_high(low: Criterion, high: Criterion) -> Criterion:
    """Either shape, as fakes that reach further than the reals may count as covering them (high) or not (low)."""

    def check(curve: Curve) -> Finding:
        one, other = low(curve), high(curve)
        if one.passed:
            return Finding(passed=True, found=one.found, words=one.words, kind="low")
        if other.passed:
            return Finding(passed=True, found=other.found, words=other.words, kind="high")
        return Finding(passed=False, found=one.found, words=f"low: {one.words}; high: {other.words} {other.found:.2f}")

    return check


def no_better(value: Callable[[Curve], float], where: str) -> Criterion:
    """The value at one place is at most 0.05 above that at the first setting."""

    def check(curve: Curve) -> Finding:
        return _verdict([_at_most(value(curve) - first(curve), CLOSE, f"{where}, less the first value")])

    return check


def as_similarity(criterion: Criterion) -> Criterion:
    """A criterion for a distance, whose scale is not fixed: judges 1 - distance / largest distance of the curve."""

    def check(curve: Curve) -> Finding:
        largest = max(curve.values())
        if not largest > 0:
            return Finding(passed=False, found=largest, words="no distance is above 0")
        return criterion({setting: 1 - value / largest for setting, value in curve.items()})

    return check


def valley(middle: float) -> Criterion:
    """A distance that grows from the middle to either end, each side on the scale of its largest distance."""

    def check(curve: Curve) -> Finding:
        below = {setting: value for setting, value in curve.items() if setting <= middle}
        above = {setting: value for setting, value in curve.items() if setting >= middle}
        left, right = as_similarity(rising())(below), as_similarity(falling())(above)
        return right if left.passed else left

    return check


def judged(criterion: Criterion, curve: Curve) -> Finding:
    """The verdict; a metric that refused at any setting has failed."""
    refused = [setting for setting, value in curve.items() if math.isnan(value)]
    if refused:
        return Finding(passed=False, found=math.nan, words=f"refused at {', '.join(f'{one:.3g}' for one in refused)}")
    return criterion(curve)


def _at_most(found: float, limit: float, words: str) -> Demand:
    return Demand(found - limit, found, f"{words}, at most {limit:g}")


def _at_least(found: float, limit: float, words: str) -> Demand:
    return Demand(limit - found, found, f"{words}, at least {limit:g}")


def _verdict(demands: Sequence[Demand]) -> Finding:
    """The condition that is missed by most decides, or is met by least."""
    worst = max(demands)
    return Finding(passed=worst.excess <= 0, found=worst.found, words=worst.words)
