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
CPU = torch.device("cpu")


class Classifier(Protocol):
    """What scikit-learn's classifiers are, as far as the tests go."""

    def fit(self, known: Rows, labels: NDArray[np.int_], /) -> object:
        """Learn from images [N, D] and their labels [N]: 0 real, 1 fake."""

    def predict_proba(self, unseen: Rows, /) -> NDArray[Any]:
        """[M, D] => the probabilities of being real and of being fake [M, 2]."""


# Dimensions, the number of training images and a seed => an unfitted classifier.
Maker = Callable[[int, int, int], Classifier]


class Votes:
    """The share of fakes among the k nearest training images; of equally near ones a random one comes first.

    k: None takes the largest odd number up to the root of the training images. Distances are Euclidean on rows as they
    are: the extractor's own scale is what every metric of neighbours goes by.
    """

    def __init__(self, k: int | None, seed: int, device: torch.device) -> None:
        self._k, self._seed, self._device = k, seed, device

    def fit(self, known: Rows, labels: NDArray[np.int_]) -> None:
        """Remember images [N, D] and their labels [N], 0 or 1."""
        order = np.random.RandomState(self._seed).permutation(len(known))
        self._known = Points(torch.from_numpy(known[order]).to(self._device))
        self._labels = labels[order]

    def predict_proba(self, unseen: Rows) -> NDArray[np.float64]:
        """[M, 2]: the shares of label 0 and of label 1."""
        k = (math.isqrt(len(self._labels)) - 1) // 2 * 2 + 1 if self._k is None else self._k
        near = nearest(Points(torch.from_numpy(unseen).to(self._device)), self._known, k).indices
        share = self._labels[near.cpu().numpy()].mean(1)
        return np.stack([1 - share, share], axis=1)


def neighbours(k: int | None = None, device: torch.device = CPU) -> Maker:
    """A vote of the k nearest, looked for on this device."""
    return lambda _dimensions, _count, seed: Votes(k, seed, device)


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


def rows(features: Tensor, origin: Tensor) -> Rows:
    """[N, D] of any float type and device, less one row [D] => float32 for scikit-learn.

    With an origin among the features, float32 loses nothing that tells them apart, and results do not depend on the
    type they came in.
    """
    start = origin.double()
    return np.concatenate([(part - start).float().cpu().numpy() for part in chunks(features)])


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
