"""Classifier two-sample test by k nearest neighbours: a vote of the nearest training images.

Validation is progressive and p-values are computed as in c2st.py.

In many dimensions some images are neighbours of very many others, and whole regions are classified correctly or wrongly
together; the binomial error of the accuracy is then too small, by a half in simulations. The standard error is from
random halves of each part of both sets: the neighbours in a half are taken from those listed for the whole, and k /
sqrt(2) of them vote. It is never below the binomial one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganeval.array_types import BoolArray
from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.c2st import balanced, before_and_in, check_folds, judged, steps
from ganeval.metrics.classifiers import nearest_known, odd_root
from ganeval.metrics.drawn import Drawn
from ganeval.uncertainty import SPLITS, Estimate, random_halves, share_interval, shared_by_halves


def c2st_knn(real: Tensor, fake: Tensor, *, k: int | None = None, folds: int = 5, seed: int = 0) -> Estimate:
    """Accuracy of a k-nearest-neighbour classifier that tells held-out reals from fakes.

    As ``c2st_logistic``, with a majority vote of the k nearest images of earlier parts; Euclidean distances on features
    as they are::

        accuracy = (share of held-out reals classified as real + share of held-out fakes classified as fake) / 2

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``. The larger set is randomly subsampled to the size of
            the smaller.
        k: Number of neighbours that vote, odd so that no vote is tied. None takes the largest odd number up to the root
            of the number of training images, as in the paper.
        folds: Number of parts; 5 as is usual for cross-validation.
        seed: Seed of the order of the images, of the subsampling, of ties, and of the halves of the standard error.

    Returns:
        The accuracy, from 0 to 1; 0.5 is best. ``details`` has "p_value" (of the AUC), "auc", "accuracy_p_value",
        "accuracy_real", "accuracy_fake" and "tested" (the number of images); both p-values are one-sided.

    Raises:
        MetricError: ``k`` is even or exceeds the first part, there are fewer than two folds or fewer than two images
            per fold, the dimensions differ, or the features are not finite floating tensors of two axes.

    References:
        Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests", which uses a single split into training and
        test set.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import c2st_knn
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(200, 4, generator=rng), torch.randn(200, 4, generator=rng) + 1
        >>> estimate = c2st_knn(real, fake)
        >>> print(f"{estimate.value:.1f}, p < 0.001: {estimate.details['p_value'] < 0.001}")
        0.8, p < 0.001: True
    """
    check_options(c2st_knn, locals())
    real, fake = check_folds(real, fake, folds)
    count = min(len(real), len(fake))
    first = 2 * (count // folds)
    if k is not None and (k < 1 or k % 2 == 0 or k > first):
        raise MetricError(
            f"c2st_knn needs an odd k of at most {first} (the images of the first of {folds} parts), found {k}."
        )
    drawn = Drawn.of(real, fake, balanced(len(real), len(fake), np.random.RandomState(seed)))
    parts = [_Part.of(drawn, start, stop, k, seed) for start, stop in steps(count, folds)]
    scores = [(part.first >= part.start).mean(1).reshape(2, -1) for part in parts]
    binomial = judged(scores, len(real), len(fake))
    shared = shared_by_halves(_halves(parts, seed))
    assert binomial.standard_error is not None
    error = max(float(np.linalg.norm(shared)), binomial.standard_error)
    return replace(
        binomial,
        standard_error=error,
        interval=share_interval(binomial.value, error, int(binomial.details["tested"])),
        method=f"progressive validation; differences of random halves ({SPLITS} splits)",
        # If the reals are subsampled, the number of fakes decides which of them are used.
        shared=shared if len(real) == count else None,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Images start .. stop of both sets, and their nearest neighbours among the images before.

    first: int64 [2 (stop - start), k], the neighbours that vote: 0 .. start are reals, start .. 2 start fakes. listed:
    int64 [2 (stop - start), L], nearest first, enough for the votes in halves.
    """

    start: int
    stop: int
    k: int
    first: NDArray[np.int64]
    listed: NDArray[np.int64]

    @classmethod
    def of(cls, drawn: Drawn, start: int, stop: int, k: int | None, seed: int) -> "_Part":
        """k: None for `odd_root` of the number of images before."""
        votes = odd_root(2 * start) if k is None else k
        # The k-th neighbour in a half is on average number 2k in the whole; five standard deviations are added.
        half = odd_root(votes**2 // 2)
        depth = 2 * half + math.ceil(5 * math.sqrt(2 * half))
        near = nearest_known(*before_and_in(drawn, start, stop), votes, depth=depth, seed=seed)
        return cls(start, stop, votes, *near)

    def hits(self, there: Sequence[BoolArray]) -> BoolArray:
        """Which images are classified correctly within a subset: bool [images of this part in the subset]."""
        known, tested = (
            np.concatenate([side[chosen] for side in there])
            for chosen in (slice(self.start), slice(self.start, self.stop))
        )
        listed = self.listed[tested]
        votes = known[listed]
        votes &= votes.cumsum(1, dtype=np.int32) <= odd_root(self.k**2 // 2)
        fakes = (votes & (listed >= self.start)).sum(1)
        is_fake = np.repeat([False, True], self.stop - self.start)[tested]
        return np.asarray((2 * fakes > votes.sum(1)) == is_fake)


def _halves(parts: Sequence[_Part], seed: int) -> list[tuple[float, float]]:
    """The accuracies on both halves of each split; every part of both sets is halved."""
    sizes = [parts[0].start, *(part.stop - part.start for part in parts)]
    values = []
    for halves in random_halves([*sizes, *sizes], seed=seed):
        there = [[np.concatenate(half[at : at + len(sizes)]) for at in (0, len(sizes))] for half in halves]
        one, other = (float(np.concatenate([part.hits(sides) for part in parts]).mean()) for sides in there)
        values.append((one, other))
    return values


C2ST_KNN = Metric(
    title="Classifier two-sample test: k-NN accuracy",
    compute=c2st_knn,
    real="features",
    fake="features",
    direction="closer",
    source="Lopez-Paz and Oquab 2017",
    ideal=0.5,
)
