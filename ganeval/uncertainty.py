"""A value with its error bar, as every metric returns it, and how intervals are computed."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

CONFIDENCE = 0.95
# Number of splits into random halves for a standard error.
SPLITS = 40
# Number of integers that represent the influences of all reals in a saved result, and their maximum.
NUMBERS, LARGEST = 256, 127


@dataclass(frozen=True, slots=True)
class Estimate:
    """The value of a metric, with its uncertainty.

    Attributes:
        value: The value, in the metric's units.
        standard_error: The standard error; None if there is none, with the reason in ``method``.
        interval: The 95% interval, for repeated draws of sets of the same sizes; None if there is no standard error.
        method: How value and standard error were computed, in words.
        details: Further values by name, such as the standard deviation over splits that papers report.
        notes: What a reader must know before using the value.
        shared: float64 of any length, where known: the covariance of two values that were measured against the same
            reals is the inner product of theirs. Its squared length is the part of the variance due to the reals.
    """

    value: float
    standard_error: float | None
    interval: tuple[float, float] | None
    method: str
    details: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    shared: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)


def shared_by_influence(influences: NDArray[np.float64], *, variance: float | None = None) -> NDArray[np.float64]:
    """`Estimate.shared` from the influence of each real [N] on a value, up to a constant.

    variance: the part of the variance due to the reals, if known; the influences are then scaled to it.
    """
    count = len(influences)
    # Values beyond float64 are an error of the metric; numpy's warnings about intermediate values are silenced.
    with np.errstate(over="ignore", invalid="ignore"):
        spread: NDArray[np.float64] = (influences - influences.mean()) / math.sqrt(count * max(count - 1, 1))
        length = float(np.linalg.norm(spread))
    return spread if variance is None or length == 0 else spread * (math.sqrt(variance) / length)


def summary(shared: NDArray[np.float64]) -> tuple[float, tuple[int, ...]]:
    """`Estimate.shared` as saved in a result: its length, and its direction as whole numbers.

    More than NUMBERS values are added up, with random signs, in that many groups (the count sketch of Charikar, Chen
    and Farach-Colton 2002). Cosines are kept, up to a standard deviation of at most 1 / sqrt(NUMBERS), which vanishes
    for parallel vectors.
    """
    error, count = float(np.linalg.norm(shared)), len(shared)
    if count > NUMBERS:
        rng = np.random.RandomState(count)
        signs, groups = 2 * rng.randint(2, size=count) - 1, rng.randint(NUMBERS, size=count)
        shared = np.bincount(groups, signs * shared, minlength=NUMBERS).astype(np.float64)
    largest = float(np.abs(shared).max(initial=0.0))
    direction = np.zeros(len(shared)) if largest == 0 else np.rint(shared / largest * LARGEST)
    return error, tuple(int(one) for one in direction)


def normal_interval(value: float, standard_error: float, *, minimum: float = -math.inf) -> tuple[float, float]:
    """The central 95% interval of a normally distributed estimate.

    Args:
        value: The estimate.
        standard_error: Its standard error, in the same unit.
        minimum: The smallest possible value, at which the interval is cut off.

    Returns:
        Lower and upper bound.
    """
    half = float(ndtri((1 + CONFIDENCE) / 2)) * standard_error
    return max(value - half, minimum), value + half


@dataclass(frozen=True, slots=True)
class StudentT:
    """Student's t-distribution with this many degrees of freedom, for a mean of few values over its standard error."""

    freedom: float

    def cdf(self, value: float) -> float:
        """The probability of values up to this one."""
        return float(stdtr(self.freedom, value))

    def inv_cdf(self, probability: float) -> float:
        """The value whose cumulative probability is this."""
        return float(stdtrit(self.freedom, probability))


def student_interval(value: float, standard_error: float, freedom: int) -> tuple[float, float]:
    """The central 95% interval of a value whose standard error has this many degrees of freedom."""
    half = StudentT(freedom).inv_cdf((1 + CONFIDENCE) / 2) * standard_error
    return value - half, value + half


def share_interval(share: float, standard_error: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share of `count` images, within 0..1 (Wilson 1927), from its standard error.

    It is the interval of the number of independent images that would give this standard error, from 1 to `count`. A
    share of 0 or 1 of n independent images has an error of 1 / n (`share_error`); a larger error means fewer images.
    """
    z = float(ndtri((1 + CONFIDENCE) / 2))
    spread = share * (1 - share) or 1 / count
    independent = max(count / max(standard_error**2 * count / spread, 1.0), 1.0)
    centre = (share + z**2 / (2 * independent)) / (1 + z**2 / independent)
    half = z / (1 + z**2 / independent) * math.sqrt(share * (1 - share) / independent + (z / (2 * independent)) ** 2)
    # At 0 and 1 one end of the interval is the share itself, up to rounding.
    return max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0)


def share_error(standard_error: float, count: int) -> float:
    """The standard error of a share of `count` images, at least that of one hit or one miss: 1 / count.

    A share of 0 or 1 may come from a sample without any variation, although other images would vary.
    """
    return max(standard_error, 1 / count)


def share_of_reals(hits: NDArray[np.bool_], method: str) -> Estimate:
    """The share of real images with a property, with the error of a binomial count.

    Args:
        hits: Which images have the property, ``[N]``; they are independent.
        method: The method of the error, in words.

    Returns:
        The share, with Wilson's interval, and the contribution of each real to the error.
    """
    count, share = len(hits), float(hits.mean())
    error = share_error(math.sqrt(share * (1 - share) / count), count)
    shared = shared_by_influence(hits.astype(np.float64), variance=error**2)
    return Estimate(share, error, share_interval(share, error, count), method, shared=shared)


def random_halves(sizes: Sequence[int], *, seed: int) -> Iterator[tuple[list[NDArray[np.bool_]], ...]]:
    """SPLITS random splits of sets of these sizes: the images in the first half, and those in the second.

    The halves of a set do not depend on the size of another: two generators get the same halves of their common reals.
    """
    rngs = [np.random.RandomState([seed, place]) for place in range(len(sizes))]
    for _ in range(SPLITS):
        half = [rng.permutation(size) < size // 2 for rng, size in zip(rngs, sizes, strict=True)]
        yield half, [~chosen for chosen in half]


def shared_by_halves(values: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """`Estimate.shared` of a value on whole sets, from its values on their `random_halves`; its length is the error.

    Two halves are independent, so half the squared difference is an unbiased estimate of the variance at half the size,
    also for values that have no expansion. Half of that is the variance here, if it is proportional to 1 / n.
    """
    differences = np.array([one - other for one, other in values])
    return np.asarray(differences / (2 * math.sqrt(len(values))))


class ShareBar(NamedTuple):
    """The error bar of a share: standard error, 95% interval, and `Estimate.shared`."""

    error: float
    interval: tuple[float, float]
    shared: NDArray[np.float64]


def share_by_halves(share: float, halves: NDArray[np.float64], count: int) -> ShareBar:
    """The error bar of a share of `count` images, from its values on halves in the form of `shared_by_halves`.

    For shares of 0 and 1 halves are not informative: their spread is due to smaller sets (copies lose their originals),
    not to chance. Error and interval are then those for `count` independent images.
    """
    if share in (0, 1):
        halves = np.zeros_like(halves)
    error = share_error(float(np.linalg.norm(halves)), count)
    return ShareBar(error, share_interval(share, error, count), halves)
