"""The precision-recall curve of two sets of features (PRD).

k-means is random, and so are the bins: the curve is the mean over several runs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganeval.array_types import FeatureArray
from ganeval.errors import MetricError
from ganeval.metrics.base import check_options
from ganeval.metrics.classifiers import rows
from ganeval.metrics.moments import check_pair

BINS, ANGLES, RUNS = 20, 101, 5


@dataclass(frozen=True, slots=True)
class PRDCurve:
    """A precision-recall curve, from recall alone to precision alone.

    Attributes:
        precision: float64 ``[101]``, from 0 to 1.
        recall: float64 ``[101]``, from 0 to 1.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def prd_curve(real: Tensor, fake: Tensor, *, bins: int = BINS, runs: int = RUNS, seed: int = 0) -> PRDCurve:
    """Precision-recall curve of two sets of features: the trade-off between fidelity and diversity.

    k-means divides the two sets into joint bins, with proportions p of the reals and q of the fakes. For each slope s::

        precision(s) = sum of min(s p, q)          recall(s) = precision(s) / s = sum of min(p, q / s)

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``. The larger set is randomly subsampled, as in the original.
        bins: Clusters of k-means; 20 as in the paper. Fewer if there are fewer images.
        runs: Runs of k-means that the curve is averaged over.
        seed: Seed of k-means and of the subsampling.

    Returns:
        The curve at 101 slopes, equally spaced in angle.

    Raises:
        MetricError: A set has fewer than 2 images, ``bins`` or ``runs`` is below 1, the dimensions differ, or the
            features are not finite floating tensors of two axes.

    References:
        Sajjadi et al. 2018, "Assessing Generative Models via Precision and Recall"; Simon et al. 2019 take the limit of
        infinitely many bins.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import prd_curve
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), torch.randn(500, 4, generator=rng)
        >>> curve = prd_curve(real, fake)
        >>> curve.precision.shape, bool(curve.precision.max() > 0.9)
        ((101,), True)
    """
    check_options(prd_curve, locals())
    real, fake = check_pair(real, fake)
    if bins < 1 or runs < 1:
        raise MetricError(f"A precision-recall curve needs at least 1 bin and 1 run, found {bins} and {runs}.")
    count = min(len(real), len(fake))
    if count < 2:
        raise MetricError(f"A precision-recall curve needs at least 2 images of each set, found {count}.")
    rng = np.random.RandomState(seed)
    sides = [side[rng.permutation(len(side))[:count]] for side in (rows(real, real[0]), rows(fake, real[0]))]
    angles = np.linspace(1e-6, np.pi / 2 - 1e-6, ANGLES)
    slopes = np.tan(angles)
    precisions = np.mean([_precision(slopes, *_shares(sides, min(bins, count), seed + run)) for run in range(runs)], 0)
    return PRDCurve(np.clip(precisions, 0, 1), np.clip(precisions / slopes, 0, 1))


def _shares(sides: list[FeatureArray], bins: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Proportions of reals and of fakes in joint bins, [bins] each."""
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
