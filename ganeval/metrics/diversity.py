"""Diversity: the mean distance between fakes, relative to that between reals.

Both means are U-statistics: all pairs are used up to a number of images, and beyond that all pairs within blocks of a
seeded permutation. This has the same expectation and costs little precision, as every image is still used. The standard
error is the delta method's on the variances of both (ustatistics.py).
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.moments import check_pair
from ganeval.metrics.ustatistics import FEWEST, variance_of_mean, within
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence


def diversity(real: Tensor, fake: Tensor, *, block: int = 5000, seed: int = 0) -> Estimate:
    """Mean Euclidean distance between pairs of fakes, relative to that between pairs of reals.

    The ratio of two U-statistics::

        diversity = mean |y - y'| over pairs of fakes / mean |x - x'| over pairs of reals

    It measures how much images vary and not in which way: noise is diverse, so read it together with a distance to the
    reals.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        block: Minimum number of images per block within which pairs are compared; a set of fewer than two blocks is
            used whole. 5000 keeps the time of large sets linear in the number of images.
        seed: Seed of the permutation that is cut into blocks.

    Returns:
        The ratio, 0 or more: 1 if fakes vary as much as reals, 0 if all are equal; higher is more diverse. ``details``
        has both means, "real" and "fake". The standard error is None for fewer than 4 images of a set.

    Raises:
        MetricError: A set has fewer than 2 images, all reals are equal, ``block`` is below 4, the dimensions differ, or
            the features are not finite floating tensors of two axes.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import diversity
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), 0.5 * torch.randn(500, 4, generator=rng)
        >>> print(f"{diversity(real, fake).value:.1f}")
        0.5
    """
    check_options(diversity, locals())
    real, fake = check_pair(real, fake)
    if min(len(real), len(fake)) < 2:
        raise MetricError(f"Diversity needs at least 2 real and 2 fake images, found {len(real)} and {len(fake)}.")
    if block < FEWEST:
        raise MetricError(f"A block must have at least {FEWEST} images, found {block}.")
    rng = np.random.RandomState(seed)
    of_reals, of_fakes = (_mean_distance(side, block, rng) for side in (real, fake))
    reals, fakes = of_reals.mean, of_fakes.mean
    if reals == 0:
        raise MetricError(
            f"All {len(real)} reals have the same features, so their mean distance is 0 and the ratio is undefined."
        )
    value, details = fakes / reals, {"real": reals, "fake": fakes}
    if of_reals.variance is None or of_fakes.variance is None:
        return Estimate(value, None, None, f"fewer than {FEWEST} images: no error bar", details)
    error = math.sqrt(of_fakes.variance + value**2 * of_reals.variance) / reals
    shared = shared_by_influence(-of_reals.influences, variance=value**2 * of_reals.variance / reals**2)
    interval = normal_interval(value, error, minimum=0.0)
    return Estimate(value, error, interval, "U-statistics' variances", details, shared=shared)


class _MeanDistance(NamedTuple):
    """The mean distance of pairs within blocks, its variance, and the influence of each image on it [N].

    variance: None for fewer images than its estimate needs.
    """

    mean: float
    variance: float | None
    influences: NDArray[np.float64]


def _mean_distance(side: Tensor, block: int, rng: np.random.RandomState) -> _MeanDistance:
    count = max(1, len(side) // block)
    order = torch.from_numpy(rng.permutation(len(side))).to(side.device)
    blocks = []
    for chosen in torch.tensor_split(order, count):
        rows = side[chosen].double()
        # Squared lengths relative to one of the rows lose few digits, and none if all rows are equal.
        blocks.append(within(rows - rows[0], _distances))
    mean = sum(pairs.mean for pairs in blocks) / count
    if len(side) < FEWEST:
        return _MeanDistance(mean, None, np.zeros(len(side)))
    influences = torch.cat([2 * (pairs.means - pairs.means.mean()) for pairs in blocks])
    return _MeanDistance(
        mean,
        sum(variance_of_mean(pairs) for pairs in blocks) / count**2,
        torch.empty_like(influences).scatter_(0, order, influences).cpu().numpy(),
    )


def _distances(first: Tensor, second: Tensor) -> Tensor:
    return torch.cdist(first, second, compute_mode="use_mm_for_euclid_dist")


DIVERSITY = Metric(
    title="Mean pairwise distance of fakes, relative to reals",
    compute=diversity,
    real="features",
    fake="features",
    direction="higher",
    source="mean pairwise distances",
)
