"""Authenticity: the share of fakes that are not closer to a training image than that image's own nearest neighbour.

The standard error is from random halves of both sets: the reals' neighbours are as random as the fakes, and a binomial
error is too small. Where many fakes depend on very few reals, as when a mode is close to only one outlying real, it is
too small as well, by a third to a half in simulations.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import Rows
from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.moments import check_pair
from ganeval.neighbours import Neighbours, nearest, nearest_others
from ganeval.uncertainty import SPLITS, Estimate, random_halves, share_by_halves, shared_by_halves

# Neighbours listed: the probability that none of them is in a random half is 1 in 4,000.
DEPTH = 12


def authenticity(real: Tensor, fake: Tensor, *, seed: int = 0) -> Estimate:
    """Percentage of authentic fakes (AuthPct), with its standard error.

    A fake with nearest real x is authentic if x is nearer to another real than to the fake::

        authenticity = 100 * share of fakes with  d(x, nearest other real) < d(fake, x)

    A fake that is closer to x than any real resembles a copy of x with noise; copies are not authentic. Of new samples
    of the reals' own distribution, not all are authentic (60% for equally many reals, Gaussian in 8 dimensions), and
    fakes near the centre of the reals have low values: compare only generators of similar quality.

    Args:
        real: Features of the generator's training images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        seed: Seed of the random halves of the standard error; the value does not depend on it.

    Returns:
        The percentage, from 0 to 100; higher is better.

    Raises:
        MetricError: There are fewer than 4 reals or 2 fakes, the dimensions differ, or the features are not finite
            floating tensors of two axes.

    References:
        Alaa et al. 2022, "How Faithful is your Synthetic Data?"; Stein et al. 2023 (dgm-eval), which gives it as a
        percentage. The first of equally near reals is used, and a fake at exactly the distance of the other real is not
        authentic.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import authenticity
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), torch.randn(500, 4, generator=rng)
        >>> print(f"{authenticity(real, fake).value:.0f} {authenticity(real, real + 1e-3 * fake).value:.0f}")
        46 0
    """
    check_options(authenticity, locals())
    real, fake = check_pair(real, fake)
    if len(real) < 4 or len(fake) < 2:
        raise MetricError(f"Authenticity needs at least 4 real and 2 fake images, found {len(real)} and {len(fake)}.")
    reals = Rows(real)
    found, own = nearest(Rows(fake), reals, depth=DEPTH), nearest_others(reals, depth=DEPTH)
    authentic = own.distances[found.indices[:, 0], 0] < found.distances[:, 0]
    share = float(authentic.double().mean())
    bar = share_by_halves(share, shared_by_halves(_on_halves(found, own, seed)), len(fake))
    low, high = bar.interval
    method = f"differences of random halves ({SPLITS} splits)"
    return Estimate(100 * share, 100 * bar.error, (100 * low, 100 * high), method, shared=100 * bar.shared)


def _on_halves(found: Neighbours, own: Neighbours, seed: int) -> list[tuple[float, float]]:
    """The share on halves of both sets; neighbours are taken from the lists of the whole sets."""
    of_fakes, of_reals = _Lists(found), _Lists(own)
    values = []
    for halves in random_halves((len(of_reals.listed), len(of_fakes.listed)), seed=seed):
        shares = []
        for reals, fakes in halves:
            distances, neighbours = of_fakes.first(reals)
            own_distances, _ = of_reals.first(reals)
            shares.append(float((own_distances[neighbours] < distances)[fakes].mean()))
        values.append((shares[0], shares[1]))
    return values


class _Lists:
    """The neighbours of each image, in numpy, which does not start threads for arrays this small."""

    def __init__(self, neighbours: Neighbours) -> None:
        self.near, self.listed = neighbours.near.cpu().numpy(), neighbours.listed.cpu().numpy()

    def first(self, there: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distance [N] and index [N] of the first neighbour in the subset, or of the first in the list if none is."""
        rows, columns = np.arange(len(self.listed)), there[self.listed].argmax(1)
        return self.near[rows, columns], self.listed[rows, columns]


AUTHENTICITY = Metric(
    title="Authenticity: percentage of fakes that are not copies",
    compute=authenticity,
    real="features",
    fake="features",
    direction="higher",
    source="Alaa et al. 2022",
)
