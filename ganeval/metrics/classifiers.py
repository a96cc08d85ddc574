"""Untrained classifiers for the two-sample tests, and the probabilities of being fake that they predict.

Features are copied a block at a time. Only the standardised training images are needed as a whole; if there are many,
they are memory-mapped from a file.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.array_types import FeatureArray
from ganeval.distances import Rows
from ganeval.linalg import pieces
from ganeval.metrics.drawn import Drawn, differences
from ganeval.neighbours import nearest
from ganeval.spool import spooled

BATCH = 200


class TwoSampleClassifier(Protocol):
    """The interface of a classifier."""

    def fit(self, known: Drawn, /) -> None:
        """Learn which images are fakes."""

    def predict(self, unseen: Drawn, /) -> NDArray[Any]:
        """The probability of being fake [M]."""


# Dimensions, the number of training images and a seed => an untrained classifier.
ClassifierFactory = Callable[[int, int, int], TwoSampleClassifier]


class Votes:
    """The share of fakes among the k nearest training images; k is `odd_root` of their number."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fit(self, known: Drawn) -> None:
        """Store the training images."""
        self._known = known

    def predict(self, unseen: Drawn) -> NDArray[np.float64]:
        """The share of fakes [M]."""
        first, _ = nearest_known(self._known, unseen, odd_root(len(self._known)), seed=self._seed)
        return np.asarray(self._known.is_fake[first].mean(1))


class Standardised:
    """A scikit-learn classifier of features standardised to mean 0 and variance 1 over the training images."""

    def __init__(self, classifier: Any) -> None:
        from sklearn.preprocessing import StandardScaler

        self._scaler, self._classifier = StandardScaler(copy=False), classifier

    def fit(self, known: Drawn) -> None:
        """Fit the scaler, and then the classifier: class 1 is fake."""
        from sklearn.exceptions import ConvergenceWarning

        for block in known.blocks():
            self._scaler.partial_fit(block.numpy())
        with warnings.catch_warnings():
            # The test is valid for any classifier, also for one that has not converged.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._classifier.fit(self._scaled(known), known.is_fake.astype(int))

    def predict(self, unseen: Drawn) -> NDArray[Any]:
        """The probability of class 1 [M]."""
        found: NDArray[Any] = self._classifier.predict_proba(self._scaled(unseen))[:, 1]
        return found

    def _scaled(self, drawn: Drawn) -> FeatureArray:
        blocks = (torch.from_numpy(self._scaler.transform(block.numpy())) for block in drawn.blocks())
        return spooled(blocks, len(drawn)).numpy()


def neighbours() -> ClassifierFactory:
    """A vote of the nearest training images."""
    return lambda _dimensions, _count, seed: Votes(seed)


def odd_root(count: int) -> int:
    """The largest odd number up to the square root of a count, at least 1."""
    return max((math.isqrt(count) - 1) // 2 * 2 + 1, 1)


def nearest_known(
    known: Drawn, unseen: Drawn, k: int, *, depth: int = 0, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The k nearest of N training images for each of M test images, int64 [M, k], and at least the `depth` nearest.

    Equally near images are in random order; beyond the k-th, the order is accurate to float32.
    """
    order = np.random.RandomState(seed).permutation(len(known))
    found = nearest(Rows(unseen.rows()), Rows(known[order].rows()), k, depth=depth)
    return order[found.indices.cpu().numpy()], order[found.listed.cpu().numpy()]


def logistic() -> ClassifierFactory:
    """Logistic regression with a Gaussian prior of variance 1 / D on the weights: logits of order 1 a priori."""

    def make(dimensions: int, _count: int, _seed: int) -> TwoSampleClassifier:
        from sklearn.linear_model import LogisticRegression

        return Standardised(LogisticRegression(C=1 / dimensions, tol=1e-3, max_iter=200))

    return make


def network(hidden: int = 20, steps: int = 300) -> ClassifierFactory:
    """One layer of `hidden` ReLU units, trained with Adam for about `steps` batches of 200, however large the set."""

    def make(_dimensions: int, count: int, seed: int) -> TwoSampleClassifier:
        from sklearn.neural_network import MLPClassifier

        epochs = max(1, round(steps / math.ceil(count / BATCH)))
        classifier = MLPClassifier(
            (hidden,),
            alpha=1.0,
            learning_rate_init=1e-2,
            batch_size=min(BATCH, count),
            max_iter=epochs,
            n_iter_no_change=epochs,
            random_state=seed,
        )
        return Standardised(classifier)

    return make


def rows(features: Tensor, origin: Tensor, *, scale: float = 1.0) -> FeatureArray:
    """Features [N, D] of any floating dtype and device, minus one row [D], times a scale => float32 for scikit-learn.

    If the origin is among the features, float32 keeps their differences, and results do not depend on the dtype.
    MetricError for differences beyond its range.
    """
    blocks = (differences(part, origin, scale=scale) for part in pieces(features))
    return spooled(blocks, len(features)).numpy()


def scores(factory: ClassifierFactory, known: Drawn, unseen: Drawn, *, seed: int) -> NDArray[np.float64]:
    """The probability of being fake [M] of test images, by a classifier trained on `known`."""
    classifier = factory(known.width, len(known), seed)
    classifier.fit(known)
    return np.asarray(classifier.predict(unseen), dtype=np.float64)
