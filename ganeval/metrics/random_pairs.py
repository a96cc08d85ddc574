"""The mean of a function of two images over random pairs of a set, with its variance.

Pairs are neighbours on a circle of images in a seeded order, so every image is in equally many. The variance of their
mean has two parts: the variance of one pair, and the covariance of two pairs that share an image. If all pairs are
requested, those of opposite images on the circle are included, which exist for an even number of images.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError

FEWEST = 4
Order = NDArray[np.int_]


@dataclass(frozen=True, slots=True)
class PairMean:
    """The mean over pairs, its variance, and the influence of each image on it, float64 [N], up to a factor."""

    mean: float
    variance: float
    influences: NDArray[np.float64]


def mean_of_pairs(
    number: int, pairs: int, rng: np.random.RandomState, compare: Callable[[Order, Order], NDArray[np.float64]]
) -> PairMean:
    """The mean of `compare` over about `pairs` pairs of `number` images; it maps two arrays of positions to [n]."""
    order = rng.permutation(number)[: max(pairs, FEWEST)]
    count = len(order)
    rounds = min(max(1, pairs // count), (count - 1) // 2)
    steps = range(1, rounds + 1)
    found = [compare(order, np.roll(order, -step)) for step in steps]
    opposite = count // 2
    if count % 2 == 0 and pairs >= count * (count - 1) // 2:
        found.append(compare(order[:opposite], order[opposite:]))
    values = np.concatenate(found)
    compared, mean = len(values), float(values.mean())
    # Each image is the first of a pair with the image `step` places on, and the second with the one `step` places back.
    sums, squares = np.zeros(count), np.zeros(count)
    for step, row in zip(steps, (row - mean for row in found), strict=False):
        sums += row + np.roll(row, step)
        squares += row**2 + np.roll(row**2, step)
    for row in found[rounds:]:
        sums += np.tile(row - mean, 2)
        squares += np.tile((row - mean) ** 2, 2)
    # Twice the sum over pairs of pairs that share an image; deviations are from the mean of these same pairs.
    common = max(float((sums**2 - squares).sum()), 0.0)
    spent = 2 * (2 * compared / count - 1) / compared
    variance = (float(values.var(ddof=1)) / compared + common / compared**2) / (1 - spent)
    influences = np.zeros(number)
    influences[order] = sums
    return PairMean(mean, variance, influences)


def square_size(*sides: Tensor, of: str, smallest: int = 1) -> int:
    """The side of square images [N, 3 * S * S] on 0..1; MetricError for others, or smaller ones. of: the metric."""
    width = sides[0].shape[1]
    size = math.isqrt(width // 3)
    if 3 * size**2 != width:
        raise MetricError(
            f"{of} needs square images of three channels, and {width} values do not form one; choose a size, for "
            "example pixels:32."
        )
    if size < smallest:
        raise MetricError(
            f"{of} needs images of at least {smallest} x {smallest} pixels, found {size} x {size}; choose a "
            "larger size, for example pixels:32."
        )
    for side in sides:
        low, high = (float(end) for end in torch.aminmax(side))
        if low < 0 or high > 1:
            raise MetricError(f"{of} needs pixels on 0..1, found values from {low:.4g} to {high:.4g}.")
    return size
