"""The most discriminable images: reals and fakes that a classifier distinguishes with the highest confidence."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError, did_you_mean
from ganeval.metrics.base import check_options
from ganeval.metrics.c2st import balanced, check_folds
from ganeval.metrics.classifiers import ClassifierFactory, logistic, neighbours, network, scores
from ganeval.metrics.drawn import Drawn

CLASSIFIERS: Mapping[str, ClassifierFactory] = MappingProxyType(
    {"logistic": logistic(), "knn": neighbours(), "mlp": network()}
)


@dataclass(frozen=True, slots=True)
class MostDiscriminable:
    """The images that are classified with the highest confidence, highest first.

    Attributes:
        real: int64 ``[count]``, indices of reals.
        real_scores: float64 ``[count]``, the probability of being fake, from a classifier that was not trained on the
            image.
        fake: int64 ``[count]``, indices of fakes.
        fake_scores: float64 ``[count]``, the same for these.
    """

    real: Tensor
    real_scores: Tensor
    fake: Tensor
    fake_scores: Tensor


def most_discriminable(
    real: Tensor, fake: Tensor, *, count: int = 16, classifier: str = "logistic", folds: int = 5, seed: int = 0
) -> MostDiscriminable:
    """The reals and fakes that a classifier, not trained on them, distinguishes with the highest confidence.

    Each image is scored by a classifier trained on the other folds, with equally many reals and fakes (plain
    cross-validation, as nothing is tested here).

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        count: Number of images of each set; all images of a set that has fewer.
        classifier: "logistic", "knn" or "mlp", those of the two-sample tests.
        folds: Folds of the cross-validation; 5 as is usual.
        seed: Seed of the folds and of the classifier.

    Returns:
        Indices and scores, sorted by confidence.

    Raises:
        MetricError: ``classifier`` is unknown, ``count`` is below 1, there are fewer than two folds or fewer than two
            images per fold, the dimensions differ, or the features are not finite floating tensors of two axes.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import most_discriminable
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(100, 4, generator=rng), torch.randn(100, 4, generator=rng)
        >>> fake[7] += 20
        >>> most_discriminable(real, fake, count=1).fake.tolist()
        [7]
    """
    check_options(most_discriminable, locals())
    if classifier not in CLASSIFIERS:
        raise MetricError(f"Unknown classifier '{classifier}'; {did_you_mean(classifier, list(CLASSIFIERS))}")
    if count < 1:
        raise MetricError(f"The number of images to show must be at least 1, found {count}.")
    real, fake = check_folds(real, fake, folds)
    real_scores, fake_scores = _held_out(real, fake, CLASSIFIERS[classifier], folds, seed)
    reals = np.argsort(real_scores, kind="stable")[:count]
    fakes = np.argsort(-fake_scores, kind="stable")[:count]
    return MostDiscriminable(
        torch.from_numpy(reals),
        torch.from_numpy(real_scores[reals]),
        torch.from_numpy(fakes),
        torch.from_numpy(fake_scores[fakes]),
    )


def _held_out(
    real: Tensor, fake: Tensor, factory: ClassifierFactory, folds: int, seed: int
) -> list[NDArray[np.float64]]:
    """Scores of all reals and all fakes, each by the classifier of the fold that it was left out of."""
    rng = np.random.RandomState(seed)
    sides = (real, fake)
    fold_of = [rng.permutation(len(side)) % folds for side in sides]
    found = [np.empty(len(side)) for side in sides]
    for fold in range(folds):
        others = [np.flatnonzero(part != fold) for part in fold_of]
        chosen = balanced(len(others[0]), len(others[1]), rng)
        training = (others[0][chosen[0]], others[1][chosen[1]])
        unseen = (np.flatnonzero(fold_of[0] == fold), np.flatnonzero(fold_of[1] == fold))
        known, left_out = (Drawn.of(real, fake, part, real[0]) for part in (training, unseen))
        told = scores(factory, known, left_out, seed=seed)
        found[0][unseen[0]], found[1][unseen[1]] = np.split(told, [len(unseen[0])])
    return found
