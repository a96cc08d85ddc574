"""How often a vote of the k nearest images seen before says rightly whether an image is real or fake.

Progressive validation, as in c2st.py, with its p-values. Distances are Euclidean on features as they are: the
extractor's own scale is what every metric of neighbours goes by.

In many dimensions some images are the neighbours of very many others, and whole regions are told right or wrong
together; the binomial error of the accuracy is then too small, by a half in simulations. The standard error is from
random halves, of each part of either set: neighbours in a half are among those listed for the whole, and the vote is
of k / sqrt(2). It is never below the binomial one.

Source: Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.c2st import check_folds, in_order, judged, steps
from ganeval.metrics.classifiers import nearest_known, odd_root
from ganeval.uncertainty import SPLITS, Estimate, random_halves, share_interval, shared_by_halves

Bools = NDArray[np.bool_]


def c2st_knn(real: Tensor, fake: Tensor, *, k: int | None = None, folds: int = 5, seed: int = 0) -> Estimate:
    """Accuracy of a vote of the k nearest earlier images; features [N, D] and [M, D], Euclidean, as they are.

    k: odd, so that no vote is tied; None takes the largest odd number up to the root of the training images. folds:
    the parts of progressive validation. seed: of their order, of ties, and of the halves. Raises MetricError for a k
    that is even or beyond the first part, fewer than two folds or two images a fold, mismatched dimensions, or
    features that are not finite.
    """
    real, fake = check_folds(real, fake, folds)
    count = min(len(real), len(fake))
    first = 2 * (count // folds)
    if k is not None and (k < 1 or k % 2 == 0 or k > first):
        raise MetricError(
            f"c2st_knn needs an odd k of at most {first} (the images of the first of {folds} parts), found {k}."
        )
    sides = in_order(real, fake, seed)
    parts = [_Part.of(sides, start, stop, k, seed) for start, stop in steps(count, folds)]
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
        # Fewer fakes would leave fewer of the reals.
        shared=shared if len(real) == count else None,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Images start .. stop of either set, and the nearest of those before.

    first: int64 [2 (stop - start), k], who votes: 0 .. start are reals, start .. 2 start fakes. listed: int64
    [2 (stop - start), L], the nearest first, as many as votes in halves need.
    """

    start: int
    stop: int
    k: int
    first: NDArray[np.int64]
    listed: NDArray[np.int64]

    @classmethod
    def of(cls, sides: Sequence[Tensor], start: int, stop: int, k: int | None, seed: int) -> "_Part":
        """k: None for the odd root of the images before."""
        votes = odd_root(2 * start) if k is None else k
        # In a half, the k-th neighbour is in the mean number 2k of the whole; five standard deviations more.
        half = odd_root(votes**2 // 2)
        depth = 2 * half + math.ceil(5 * math.sqrt(2 * half))
        known, unseen = (torch.cat([side[chosen] for side in sides]) for chosen in (slice(start), slice(start, stop)))
        near = nearest_known(known, unseen, votes, depth=depth, seed=seed)
        return cls(start, stop, votes, *near)

    def hits(self, there: Sequence[Bools]) -> Bools:
        """Which images are told right where only some are there: bool [those of this part that are]."""
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
    """The accuracy on either half of both sets, each part of them halved."""
    sizes = [parts[0].start, *(part.stop - part.start for part in parts)]
    values = []
    for halves in random_halves([*sizes, *sizes], seed=seed):
        there = [[np.concatenate(half[at : at + len(sizes)]) for at in (0, len(sizes))] for half in halves]
        one, other = (float(np.concatenate([part.hits(sides) for part in parts]).mean()) for sides in there)
        values.append((one, other))
    return values
