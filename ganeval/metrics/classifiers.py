"""The classifiers of the two-sample tests, untrained, and the probabilities of being fake that they predict.

Standardisation is part of scikit-learn's classifiers, so that it is learned from their training images.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import Rows as Points
from ganeval.errors import MetricError
from ganeval.linalg import chunks
from ganeval.neighbours import nearest

# Images [N, D], float32.
Rows = NDArray[Any]
BATCH = 200


class Classifier(Protocol):
    """The part of the interface of scikit-learn's classifiers that the tests use."""

    def fit(self, known: Rows, labels: NDArray[np.int_], /) -> object:
        """Learn from images [N, D] and their labels [N]: 0 real, 1 fake."""

    def predict_proba(self, unseen: Rows, /) -> NDArray[Any]:
        """[M, D] => the probabilities of being real and of being fake [M, 2]."""


# Dimensions, the number of training images and a seed => an untrained classifier.
Maker = Callable[[int, int, int], Classifier]


class Votes:
    """The share of fakes among the k nearest training images; k is the odd root of their number."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fit(self, known: Rows, labels: NDArray[np.int_]) -> None:
        """Store images [N, D] and their labels [N], 0 or 1."""
        self._known, self._labels = known, labels

    def predict_proba(self, unseen: Rows) -> NDArray[np.float64]:
        """[M, 2]: the shares of label 0 and of label 1."""
        known, points = torch.from_numpy(self._known), torch.from_numpy(unseen)
        first, _ = nearest_known(known, points, odd_root(len(known)), seed=self._seed)
        share = self._labels[first].mean(1)
        return np.stack([1 - share, share], axis=1)


def neighbours() -> Maker:
    """A vote of the nearest training images."""
    return lambda _dimensions, _count, seed: Votes(seed)


def odd_root(count: int) -> int:
    """The largest odd number up to the root of a count, at least 1."""
    return max((math.isqrt(count) - 1) // 2 * 2 + 1, 1)


def nearest_known(
    known: Tensor, unseen: Tensor, k: int, *, depth: int = 0, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The k nearest training images [N, D] of each test image [M, D], int64 [M, k], and at least the `depth` nearest.

    Equally near ones are in random order; beyond the k-th, the order is accurate to float32.
    """
    order = np.random.RandomState(seed).permutation(len(known))
    shuffled = known[torch.from_numpy(order).to(known.device)]
    found = nearest(Points(unseen), Points(shuffled), k, depth=depth)
    return order[found.indices.cpu().numpy()], order[found.listed.cpu().numpy()]


def logistic() -> Maker:
    """Logistic regression with a Gaussian prior of variance 1 / D on the weights: logits of order 1 a priori."""

    def make(dimensions: int, _count: int, _seed: int) -> Classifier:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        found: Classifier = make_pipeline(
            StandardScaler(), LogisticRegression(C=1 / dimensions, tol=1e-3, max_iter=200)
        )
        return found

    return make


def network(hidden: int = 20, steps: int = 300) -> Maker:
    """One layer of `hidden` ReLU units, trained with Adam for about `steps` batches of 200, for any set."""

    def make(_dimensions: int, count: int, seed: int) -> Classifier:
        from sklearn.neural_network import MLPClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

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
        found: Classifier = make_pipeline(StandardScaler(), classifier)
        return found

    return make


def rows(features: Tensor, origin: Tensor, *, scale: float = 1.0) -> Rows:
    """Features [N, D] of any floating dtype and device, minus one row [D], times a scale => float32 for scikit-learn.

    If the origin is among the features, float32 keeps their differences, and results do not depend on the dtype.
    MetricError for differences beyond its range.
    """
    start = origin.double()
    found = np.concatenate([((part - start) * scale).float().cpu().numpy() for part in chunks(features)])
    if not np.isfinite([found.min(), found.max()]).all():
        raise MetricError(
            "Differences of these values exceed the range of float32, in which classifiers and k-means compute. Use an "
            "extractor whose features are smaller, or scale them."
        )
    return found


def scores(maker: Maker, training: Sequence[Rows], unseen: Rows, *, seed: int) -> NDArray[np.float64]:
    """The probability of being fake [N] of test images [N, D]; training: reals and fakes to learn from."""
    from sklearn.exceptions import ConvergenceWarning

    labels = np.repeat([0, 1], [len(side) for side in training])
    known = np.concatenate(training)
    classifier = maker(known.shape[1], len(known), seed)
    with warnings.catch_warnings():
        # The test is valid for any classifier, also for one that has not converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(known, labels)
    return np.asarray(classifier.predict_proba(unseen)[:, 1], dtype=np.float64)
