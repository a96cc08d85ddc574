"""A number with its error bar: what every metric returns, and how intervals are made."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

CONFIDENCE = 0.95
# Splits of the sets in random halves that a standard error is made of.
SPLITS = 40


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric's value and how sure it is.

    standard_error, interval: None where nothing can be said, with the reason in `method`.
    interval: 95%, for repeated draws of sets of the same sizes.
    method: how value and standard error were had, in words. details: further numbers a protocol reports (the IS's std).
    notes: what a reader must know before using the value.
    shared: float64 [any], where known: the covariance of two values that were measured against the same reals is the
    inner product of theirs. It is `standard_error` squared in as far as the reals are the cause.
    """

    value: float
    standard_error: float | None
    interval: tuple[float, float] | None
    method: str
    details: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    shared: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)


def shared_by_influence(influences: NDArray[np.float64], *, variance: float | None = None) -> NDArray[np.float64]:
    """`Estimate.shared` of the influence of each real [N] on a value, up to a constant.

    variance: of the value because of the reals, where it is known otherwise; the influences then count up to a factor.
    """
    count = len(influences)
    # Beyond what float64 can hold, the value is refused by name; its parts are not to warn of it before.
    with np.errstate(over="ignore", invalid="ignore"):
        spread: NDArray[np.float64] = (influences - influences.mean()) / math.sqrt(count * max(count - 1, 1))
        length = float(np.linalg.norm(spread))
    return spread if variance is None or length == 0 else spread * (math.sqrt(variance) / length)


def normal_interval(value: float, standard_error: float, *, minimum: float = -math.inf) -> tuple[float, float]:
    """The central 95% interval of a normal estimate, cut at the smallest value the metric can take."""
    half = float(ndtri((1 + CONFIDENCE) / 2)) * standard_error
    return max(value - half, minimum), value + half


def share_interval(share: float, standard_error: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share of `count` images, within 0..1 (Wilson 1927), made of its standard error.

    It is that of as many independent images as would give this standard error, no more than there are and no fewer than
    one. All or none of n independent images have an error of 1 / n (`share_error`); a larger one stands for fewer.
    """
    z = float(ndtri((1 + CONFIDENCE) / 2))
    spread = share * (1 - share) or 1 / count
    independent = max(count / max(standard_error**2 * count / spread, 1.0), 1.0)
    centre = (share + z**2 / (2 * independent)) / (1 + z**2 / independent)
    half = z / (1 + z**2 / independent) * math.sqrt(share * (1 - share) / independent + (z / (2 * independent)) ** 2)
    # At 0 and 1 an end of the interval is the share itself, but for rounding.
    return max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0)


def share_error(standard_error: float, count: int) -> float:
    """The standard error of a share of `count` images, never below that of one hit or one miss: 1 / count.

    Of a share of 0 or 1, what it is made of may not spread at all; other images might.
    """
    return max(standard_error, 1 / count)


def random_halves(sizes: Sequence[int], *, seed: int) -> Iterator[tuple[list[NDArray[np.bool_]], ...]]:
    """SPLITS times two halves: for sets of these sizes, which images are in the one half, and which in the other.

    A set's halves do not hang on the size of another: two generators see the same halves of their common reals.
    """
    rngs = [np.random.RandomState([seed, place]) for place in range(len(sizes))]
    for _ in range(SPLITS):
        half = [rng.permutation(size) < size // 2 for rng, size in zip(rngs, sizes, strict=True)]
        yield half, [~chosen for chosen in half]


def shared_by_halves(values: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """`Estimate.shared` of a number on whole sets, from its values on their `random_halves`; its length is the error.

    Two halves are independent, so half the squared difference estimates, without bias, the variance at half the size:
    also for numbers that no expansion holds for. Half of that is the variance here, if it falls as 1 / n.
    """
    differences = np.array([one - other for one, other in values])
    return np.asarray(differences / (2 * math.sqrt(len(values))))


class ShareBar(NamedTuple):
    """The error bar of a share: standard error, 95% interval, and `Estimate.shared`."""

    error: float
    interval: tuple[float, float]
    shared: NDArray[np.float64]


def share_by_halves(share: float, halves: NDArray[np.float64], count: int) -> ShareBar:
    """The error bar of a share of `count` images, from its values on halves as `shared_by_halves` gives them.

    Of all or none, halves tell nothing: they spread by what smaller sets do to the share (copies lose their originals),
    not by chance. Error and interval are then those of as many independent images.
    """
    if share in (0, 1):
        halves = np.zeros_like(halves)
    error = share_error(float(np.linalg.norm(halves)), count)
    return ShareBar(error, share_interval(share, error, count), halves)
