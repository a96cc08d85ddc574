"""The classifiers of the two-sample tests, unfitted, and the probability of being fake they give.

Standardisation is a part of scikit-learn's, so that it is learned from the images that the classifier is fitted on.
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
from ganeval.linalg import chunks
from ganeval.neighbours import nearest

# Images [N, D], float32.
Rows = NDArray[Any]
BATCH = 200


class Classifier(Protocol):
    """What scikit-learn's classifiers are, as far as the tests go."""

    def fit(self, known: Rows, labels: NDArray[np.int_], /) -> object:
        """Learn from images [N, D] and their labels [N]: 0 real, 1 fake."""

    def predict_proba(self, unseen: Rows, /) -> NDArray[Any]:
        """[M, D] => the probabilities of being real and of being fake [M, 2]."""


# Dimensions, the number of training images and a seed => an unfitted classifier.
Maker = Callable[[int, int, int], Classifier]


class Votes:
    """The share of fakes among the k nearest training images; k is the odd root of their number."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fit(self, known: Rows, labels: NDArray[np.int_]) -> None:
        """Remember images [N, D] and their labels [N], 0 or 1."""
        self._known, self._labels = known, labels

    def predict_proba(self, unseen: Rows) -> NDArray[np.float64]:
        """[M, 2]: the shares of label 0 and of label 1."""
        known, points = torch.from_numpy(self._known), torch.from_numpy(unseen)
        first, _ = nearest_known(known, points, odd_root(len(known)), seed=self._seed)
        share = self._labels[first].mean(1)
        return np.stack([1 - share, share], axis=1)


def neighbours() -> Maker:
    """A vote of the nearest."""
    return lambda _dimensions, _count, seed: Votes(seed)


def odd_root(count: int) -> int:
    """The largest odd number up to the root of a count; 1 for less."""
    return max((math.isqrt(count) - 1) // 2 * 2 + 1, 1)


def nearest_known(
    known: Tensor, unseen: Tensor, k: int, *, depth: int = 0, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of every unseen image [M, D] the k nearest known ones [N, D]: indices [M, k]; and at least `depth` of them.

    Of equally near ones a random one comes first; beyond the k-th the order is to float32's accuracy.
    """
    order = np.random.RandomState(seed).permutation(len(known))
    shuffled = known[torch.from_numpy(order).to(known.device)]
    found = nearest(Points(unseen), Points(shuffled), k, depth=depth)
    return order[found.indices.cpu().numpy()], order[found.listed.cpu().numpy()]


def logistic() -> Maker:
    """Logistic regression whose weights have a Gaussian prior of variance 1 / D: logits of order 1 before the data."""

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
    """One layer of `hidden` ReLU units, trained with Adam for about `steps` batches of 200: bounded for any set."""

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
    """[N, D] of any float type and device, less one row [D], times a scale => float32 for scikit-learn.

    With an origin among the features, float32 loses nothing that tells them apart, and results do not depend on the
    type they came in.
    """
    start = origin.double()
    return np.concatenate([((part - start) * scale).float().cpu().numpy() for part in chunks(features)])


def scores(maker: Maker, training: Sequence[Rows], unseen: Rows, *, seed: int) -> NDArray[np.float64]:
    """The probability of being fake [N] of unseen images [N, D]; training: reals and fakes to learn from."""
    from sklearn.exceptions import ConvergenceWarning

    labels = np.repeat([0, 1], [len(side) for side in training])
    known = np.concatenate(training)
    classifier = maker(known.shape[1], len(known), seed)
    with warnings.catch_warnings():
        # The test is valid whatever the classifier, one that could have been trained for longer too.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(known, labels)
    return np.asarray(classifier.predict_proba(unseen)[:, 1], dtype=np.float64)
