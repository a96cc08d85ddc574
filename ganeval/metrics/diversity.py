"""Diversity: how far apart fakes lie, over how far apart reals lie.

    diversity = mean |y - y'| over pairs of fakes / mean |x - x'| over pairs of reals

1 when fakes vary as much as reals, 0 when all are the same. It sees how much they vary and not where: noise is diverse,
so read it beside a distance to the reals.

Both means are U-statistics: all pairs are used up to a number of images, and beyond that all pairs within blocks of a
seeded order, which has the same expectation and costs the precision very little, as every image still takes part. The
standard error is the delta method's on the variances of both (ustatistics.py).
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.moments import check_pair
from ganeval.metrics.ustatistics import FEWEST, variance_of_mean, within
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence


def diversity(real: Tensor, fake: Tensor, *, block: int = 5000, seed: int = 0) -> Estimate:
    """Mean Euclidean distance of pairs of fakes [M, D] over that of pairs of reals [N, D], with both in the details.

    block: the least number of images in a block; a set of fewer than two blocks is taken whole. seed: of the order
    that is cut into blocks. Raises MetricError for fewer than 2 images, mismatched dimensions, features that are not
    finite, reals that are all the same, or a block of fewer than 4.
    """
    real, fake = check_pair(real, fake)
    if min(len(real), len(fake)) < 2:
        raise MetricError(f"Diversity needs at least 2 real and 2 fake images, found {len(real)} and {len(fake)}.")
    if block < FEWEST:
        raise MetricError(f"A block must have at least {FEWEST} images, found {block}.")
    rng = np.random.RandomState(seed)
    of_reals, of_fakes = (_mean_distance(side, block, rng) for side in (real, fake))
    reals, fakes = of_reals.mean, of_fakes.mean
    if reals == 0:
        raise MetricError(f"All {len(real)} reals have the same features: there is no diversity to compare with.")
    value, details = fakes / reals, {"real": reals, "fake": fakes}
    if of_reals.variance is None or of_fakes.variance is None:
        return Estimate(value, None, None, f"fewer than {FEWEST} images: no error bar", details)
    error = math.sqrt(of_fakes.variance + value**2 * of_reals.variance) / reals
    shared = shared_by_influence(-of_reals.influences, variance=value**2 * of_reals.variance / reals**2)
    interval = normal_interval(value, error, minimum=0.0)
    return Estimate(value, error, interval, "U-statistics' variances", details, shared=shared)


class _Spread(NamedTuple):
    """The mean distance of pairs within blocks, its variance, and how each image moves it [N].

    variance: None for fewer images than its estimate needs.
    """

    mean: float
    variance: float | None
    influences: NDArray[np.float64]


def _mean_distance(side: Tensor, block: int, rng: np.random.RandomState) -> _Spread:
    count = max(1, len(side) // block)
    order = torch.from_numpy(rng.permutation(len(side))).to(side.device)
    blocks = []
    for chosen in torch.tensor_split(order, count):
        rows = side[chosen].double()
        # About one of them squares lose few digits, and where all are the same, none.
        blocks.append(within(rows - rows[0], _distances))
    mean = sum(pairs.mean for pairs in blocks) / count
    if len(side) < FEWEST:
        return _Spread(mean, None, np.zeros(len(side)))
    influences = torch.cat([2 * (pairs.means - pairs.means.mean()) for pairs in blocks])
    return _Spread(
        mean,
        sum(variance_of_mean(pairs) for pairs in blocks) / count**2,
        torch.empty_like(influences).scatter_(0, order, influences).cpu().numpy(),
    )


def _distances(first: Tensor, second: Tensor) -> Tensor:
    return torch.cdist(first, second, compute_mode="use_mm_for_euclid_dist")
