"""Authenticity: the share of fakes that are not closer to a training image than that image's own nearest.

A fake with nearest real x counts as authentic when x is nearer to another real than to the fake. What lies closer to x
than any real does looks like a copy of x with noise. The reals must be the images that the generator was trained on.

The value is a percentage (AuthPct), as dgm-eval and the papers that use it give it. Copies are not authentic. But not
all fresh draws from the reals' own distribution are (60% are, for as many reals, Gaussian in 8 dimensions), and fakes
that keep to the middle of the reals, where everything is close, come out low: compare it between generators that are
about as good.

The standard error is from random halves of both sets: the reals' neighbours are as random as the fakes, and a binomial
error is too small. Where many fakes hang on very few reals, as a mode does that only a stray real is near, it is too
small as well, by a third to a half in simulations: most draws of the reals do not show what one stray more would do.

Source: Alaa et al. 2022, "How Faithful is your Synthetic Data?"; Stein et al. 2023 (dgm-eval).
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import Rows
from ganeval.errors import MetricError
from ganeval.metrics.moments import check_features
from ganeval.neighbours import Neighbours, nearest, nearest_others
from ganeval.uncertainty import SPLITS, Estimate, random_halves, share_by_halves, shared_by_halves

# Neighbours listed: that none of them is in a random half happens to one image in four thousand.
DEPTH = 12


def authenticity(real: Tensor, fake: Tensor, *, seed: int = 0) -> Estimate:
    """The percentage of authentic fakes, of features [N, D] and [M, D].

    A fake as far from its nearest real as that one is from another is not authentic; of equally near reals the first
    counts. seed: of the halves that the standard error is made of. Raises MetricError for fewer than 4 reals or 2
    fakes, mismatched dimensions, or features that are not finite.
    """
    if check_features(real).shape[1] != check_features(fake).shape[1]:
        raise MetricError(
            f"Real features have {real.shape[1]} dimensions and fake ones {fake.shape[1]}; "
            "both must come from the same extractor."
        )
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
    """The share on halves of both sets, whose neighbours are in the lists of the whole."""
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
    """Neighbours of each image, in numpy, which does not start threads for arrays this small."""

    def __init__(self, neighbours: Neighbours) -> None:
        self.near, self.listed = neighbours.near.cpu().numpy(), neighbours.listed.cpu().numpy()

    def first(self, there: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The distance [N] and index [N] of the first neighbour that is there; the first of all where none is."""
        rows, columns = np.arange(len(self.listed)), there[self.listed].argmax(1)
        return self.near[rows, columns], self.listed[rows, columns]
