"""The precision-recall trade-off of two sets as a curve: how much of each must be given up to have more of the other.

The sets are cut into joint bins by k-means, which gives the shares p of reals and q of fakes. For a slope s,

    precision(s) = sum of min(s p, q)          recall(s) = precision(s) / s = sum of min(p, q / s)

Bins are as random as k-means: the curve is the mean over several runs of it. As in the original, MiniBatchKMeans makes
20 bins, and equally many images of both sets are looked at (k-means would else be that of the larger one).

Source: Sajjadi et al. 2018, "Assessing Generative Models via Precision and Recall"; Simon et al. 2019 take the limit
of infinitely many bins.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.classifiers import Rows, rows
from ganeval.metrics.moments import check_pair

BINS, ANGLES, RUNS = 20, 101, 5


@dataclass(frozen=True, slots=True)
class Curve:
    """From recall alone to precision alone: float64 [ANGLES] each, between 0 and 1."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def prd_curve(real: Tensor, fake: Tensor, *, bins: int = BINS, runs: int = RUNS, seed: int = 0) -> Curve:
    """The curve of features [N, D] and [M, D], the larger set cut down at random.

    bins: clusters of k-means; fewer where there are not as many images. seed: of k-means and of the cut. Raises
    MetricError for fewer than 2 images of a set, mismatched dimensions, or features that are not finite.
    """
    real, fake = check_pair(real, fake)
    count = min(len(real), len(fake))
    if count < 2:
        raise MetricError(f"A precision-recall curve needs at least 2 images of each set, found {count}.")
    rng = np.random.RandomState(seed)
    sides = [side[rng.permutation(len(side))[:count]] for side in (rows(real, real[0]), rows(fake, real[0]))]
    angles = np.linspace(1e-6, np.pi / 2 - 1e-6, ANGLES)
    slopes = np.tan(angles)
    precisions = np.mean([_precision(slopes, *_shares(sides, min(bins, count), seed + run)) for run in range(runs)], 0)
    return Curve(np.clip(precisions, 0, 1), np.clip(precisions / slopes, 0, 1))


def _shares(sides: list[Rows], bins: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of reals and of fakes in joint bins, [bins] each."""
    from sklearn.cluster import MiniBatchKMeans

    both = np.concatenate(sides)
    bins = min(bins, len(np.unique(both, axis=0)))
    at = MiniBatchKMeans(bins, n_init=3, batch_size=1024, random_state=seed).fit_predict(both)
    counts = [np.bincount(part, minlength=bins) for part in np.split(at, [len(sides[0])])]
    return counts[0] / counts[0].sum(), counts[1] / counts[1].sum()


def _precision(
    slopes: NDArray[np.float64], real: NDArray[np.float64], fake: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(np.minimum(slopes[:, None] * real, fake).sum(1))
