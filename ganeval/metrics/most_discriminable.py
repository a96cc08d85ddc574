"""The images that give their set away: reals that look least fake, and fakes that look most so."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError, did_you_mean
from ganeval.metrics.c2st import balanced, check_folds
from ganeval.metrics.classifiers import Maker, Rows, logistic, neighbours, network, rows, scores

CLASSIFIERS: Mapping[str, Maker] = MappingProxyType({"logistic": logistic(), "knn": neighbours(), "mlp": network()})


@dataclass(frozen=True, slots=True)
class MostDiscriminable:
    """The surest first.

    real, fake: int64 [count], indices into the sets as they were given. real_scores, fake_scores: float64 [count], the
    probability of being fake that a classifier gave which had not seen the image.
    """

    real: Tensor
    real_scores: Tensor
    fake: Tensor
    fake_scores: Tensor


def most_discriminable(
    real: Tensor, fake: Tensor, *, count: int = 16, classifier: str = "logistic", folds: int = 5, seed: int = 0
) -> MostDiscriminable:
    """The images of features [N, D] and [M, D] that a classifier ("logistic", "knn" or "mlp") tells most surely.

    Every image is scored by a classifier of the other folds' images, of which it is given as many reals as fakes:
    plain cross-validation, since nothing is tested here. count: how many of each; all of a set that has fewer. Raises
    MetricError for an unknown classifier, a count below 1, fewer than two folds or two images a fold, mismatched
    dimensions, or features that are not finite.
    """
    if classifier not in CLASSIFIERS:
        raise MetricError(f"Unknown classifier '{classifier}'; {did_you_mean(classifier, list(CLASSIFIERS))}")
    if count < 1:
        raise MetricError(f"The number of images to show must be at least 1, found {count}.")
    real, fake = check_folds(real, fake, folds)
    real_scores, fake_scores = _held_out(rows(real, real[0]), rows(fake, real[0]), CLASSIFIERS[classifier], folds, seed)
    reals = np.argsort(real_scores, kind="stable")[:count]
    fakes = np.argsort(-fake_scores, kind="stable")[:count]
    return MostDiscriminable(
        torch.from_numpy(reals),
        torch.from_numpy(real_scores[reals]),
        torch.from_numpy(fakes),
        torch.from_numpy(fake_scores[fakes]),
    )


def _held_out(real: Rows, fake: Rows, maker: Maker, folds: int, seed: int) -> list[NDArray[np.float64]]:
    """Scores of all reals and all fakes, each from the fold that it was left out of."""
    rng = np.random.RandomState(seed)
    sides = (real, fake)
    fold_of = [rng.permutation(len(side)) % folds for side in sides]
    found = [np.empty(len(side)) for side in sides]
    for fold in range(folds):
        others = [np.flatnonzero(part != fold) for part in fold_of]
        chosen = balanced(len(others[0]), len(others[1]), rng)
        training = [side[other[pick]] for side, other, pick in zip(sides, others, chosen, strict=True)]
        unseen = [np.flatnonzero(part == fold) for part in fold_of]
        told = scores(maker, training, np.concatenate([real[unseen[0]], fake[unseen[1]]]), seed=seed)
        found[0][unseen[0]], found[1][unseen[1]] = np.split(told, [len(unseen[0])])
    return found
