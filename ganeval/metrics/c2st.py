"""Classifier two-sample tests: how well does a classifier tell held-out real images from fakes?

This file has logistic regression and a small network of the original paper's size; k nearest neighbours are in
c2st_knn.py, leave-one-out 1-NN in c2st_1nn.py.

Validation is progressive (Blum, Kalai and Langford 1999): both sets are cut into `folds` parts, and part 2 is
classified by a classifier trained on part 1, part 3 by one trained on parts 1 and 2, and so on. In K-fold
cross-validation each of two parts is tested by classifiers trained on the other: each pair counts twice, the variance
is up to twice the binomial one, and a test at 5% rejects equal distributions up to twice as often. Here each part
depends only on earlier ones. So for equal distributions its labels are exchangeable given its scores and all earlier
parts, and the rank sums of parts without ties are independent. Two one-sided p-values follow without further training:

    p_value           of the rank sums of scores within parts, that is of the AUC: normal approximation, ties included
    accuracy_p_value  of the accuracy: Fisher's exact test for each part (hypergeometric), convolved over parts. As an
                      accuracy is discrete, it is slightly conservative. The number of images of a part that are
                      classified as fake may depend on earlier labels, which the convolution ignores; in simulations
                      this had no effect.

The parts have equally many reals and fakes. The error bar is binomial, for the accuracy of the fitted classifiers; the
effect of other training images is not included. In simulations it was up to a fifth too small, where sets can barely be
distinguished. Training the network amplifies rounding errors: with another batch size or processor, the class of one or
two images in a hundred may change.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.classifiers import ClassifierFactory, logistic, network, scores
from ganeval.metrics.drawn import Drawn, Numbers
from ganeval.metrics.moments import check_pair
from ganeval.uncertainty import Estimate, share_interval


def c2st_logistic(real: Tensor, fake: Tensor, *, folds: int = 5, seed: int = 0) -> Estimate:
    """Accuracy of a logistic regression that tells held-out reals from fakes.

    A classifier two-sample test on standardised features, by progressive validation: each of ``folds`` parts is
    classified by a model trained on the parts before it. The accuracy is 0.5 if the distributions are equal, 1 if every
    image is classified correctly::

        accuracy = (share of held-out reals classified as real + share of held-out fakes classified as fake) / 2

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``. The larger set is randomly subsampled to the size of
            the smaller.
        folds: Number of parts; 5 as is usual for cross-validation.
        seed: Seed of the order of the images, and of the subsampling.

    Returns:
        The accuracy, from 0 to 1; 0.5 is best. ``details`` has "p_value" (of the AUC), "auc", "accuracy_p_value",
        "accuracy_real", "accuracy_fake" and "tested" (the number of images); both p-values are one-sided.

    Raises:
        MetricError: There are fewer than two folds or fewer than two images per fold, the dimensions differ, or the
            features are not finite floating tensors of two axes.

    References:
        Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests"; Kim, Ramdas, Singh and Wasserman 2021,
        "Classification Accuracy as a Proxy for Two-Sample Testing". The paper uses a single split into training and
        test set.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import c2st_logistic
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(200, 4, generator=rng), torch.randn(200, 4, generator=rng) + 1
        >>> estimate = c2st_logistic(real, fake)
        >>> print(f"{estimate.value:.1f}, p < 0.001: {estimate.details['p_value'] < 0.001}")
        0.8, p < 0.001: True
    """
    check_options(c2st_logistic, locals())
    real, fake = check_folds(real, fake, folds)
    return _progressive(real, fake, logistic(), folds=folds, seed=seed)


def c2st_mlp(
    real: Tensor, fake: Tensor, *, hidden: int = 20, steps: int = 300, folds: int = 5, seed: int = 0
) -> Estimate:
    """Accuracy of a small neural network that tells held-out reals from fakes.

    As ``c2st_logistic``, with one hidden layer of ReLU units, trained with Adam on batches of 200::

        accuracy = (share of held-out reals classified as real + share of held-out fakes classified as fake) / 2

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``. The larger set is randomly subsampled to the size of
            the smaller.
        hidden: Units of the hidden layer; 20 as in the paper.
        steps: Approximate number of batches that each network is trained for; bounds the time for any set.
        folds: Number of parts; 5 as is usual for cross-validation.
        seed: Seed of the order of the images, of the subsampling and of the networks' initial weights.

    Returns:
        The accuracy, from 0 to 1; 0.5 is best. ``details`` has "p_value" (of the AUC), "auc", "accuracy_p_value",
        "accuracy_real", "accuracy_fake" and "tested" (the number of images); both p-values are one-sided.

    Raises:
        MetricError: ``hidden`` or ``steps`` is below 1, there are fewer than two folds or fewer than two images per
            fold, the dimensions differ, or the features are not finite floating tensors of two axes.

    References:
        Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests". The paper trains for 100 epochs on a single
        split into training and test set.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import c2st_mlp
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(200, 4, generator=rng), torch.randn(200, 4, generator=rng) + 1
        >>> estimate = c2st_mlp(real, fake)
        >>> print(f"{estimate.value:.1f}, p < 0.001: {estimate.details['p_value'] < 0.001}")
        0.8, p < 0.001: True
    """
    check_options(c2st_mlp, locals())
    real, fake = check_folds(real, fake, folds)
    if hidden < 1 or steps < 1:
        raise MetricError(f"c2st_mlp needs at least one hidden unit and one step, found {hidden} and {steps}.")
    return _progressive(real, fake, network(hidden, steps), folds=folds, seed=seed)


def check_folds(real: Tensor, fake: Tensor, folds: int) -> tuple[Tensor, Tensor]:
    """Both sets; MetricError unless there are at least two folds, and two images per fold of each set."""
    if folds < 2:
        raise MetricError(f"A classifier two-sample test needs at least 2 folds, found {folds}.")
    return check_sides(real, fake, least=2 * folds, why=f"2 per fold, {folds} folds")


def check_sides(real: Tensor, fake: Tensor, *, least: int, why: str) -> tuple[Tensor, Tensor]:
    """Both sets; MetricError unless their dimensions agree and each has at least `least` images."""
    sides = check_pair(real, fake)
    for side, name in zip(sides, ("real", "fake"), strict=True):
        if len(side) < least:
            raise MetricError(
                f"A classifier two-sample test needs at least {least} images of each set ({why}), "
                f"found {len(side)} {name}."
            )
    return sides


def balanced(real: int, fake: int, rng: np.random.RandomState) -> tuple[Numbers, Numbers]:
    """Equally many indices into sets of these sizes, each in random order."""
    reals, fakes = (rng.permutation(count)[: min(real, fake)] for count in (real, fake))
    return reals, fakes


def balance_notes(real: int, fake: int) -> tuple[str, ...]:
    """A note if one set was subsampled."""
    if real == fake:
        return ()
    name, count = ("reals", real) if real > fake else ("fakes", fake)
    return (f"Of the {count} {name}, {min(real, fake)} drawn at random were used: as many as in the other set.",)


def accuracy_error(shares: Sequence[float], count: int) -> float:
    """The binomial standard error of the mean of two classes' accuracies, for `count` independent images per class.

    One more hit and one more miss are added to each class: an accuracy of 1 on 50 images is not certain.
    """
    smooth = [(share * count + 1) / (count + 2) for share in shares]
    return math.sqrt(sum(share * (1 - share) for share in smooth) / count) / 2


def _progressive(real: Tensor, fake: Tensor, factory: ClassifierFactory, *, folds: int, seed: int) -> Estimate:
    sides = balanced(len(real), len(fake), np.random.RandomState(seed))
    parts = []
    for start, stop in steps(len(sides[0]), folds):
        known, unseen = before_and_in(Drawn.of(real, fake, sides, real[0]), start, stop)
        parts.append(scores(factory, known, unseen, seed=seed).reshape(2, -1))
    return judged(parts, len(real), len(fake))


def before_and_in(drawn: Drawn, start: int, stop: int) -> tuple[Drawn, Drawn]:
    """The first `start` reals and fakes, and those from `start` to `stop`; drawn: equally many reals, then fakes."""
    places = np.arange(len(drawn)).reshape(2, -1)
    return drawn[places[:, :start].ravel()], drawn[places[:, start:stop].ravel()]


def steps(count: int, folds: int) -> list[tuple[int, int]]:
    """Start and stop of each part but the first; earlier images are its training set."""
    return list(pairwise([count * i // folds for i in range(1, folds + 1)]))


def judged(parts: Sequence[NDArray[Any]], reals: int, fakes: int) -> Estimate:
    """Accuracy, AUC and p-values. parts: for each, the probabilities of being fake [2, images] of reals and fakes."""
    tested = sum(part.shape[1] for part in parts)
    called = [sum(int((part[side] > 0.5).sum()) for part in parts) for side in (0, 1)]
    shares = (1 - called[0] / tested, called[1] / tested)
    value, error = sum(shares) / 2, accuracy_error(shares, tested)
    auc, p_value = _auc(parts)
    details = {
        "p_value": p_value,
        "auc": auc,
        "accuracy_p_value": _accuracy_p_value(parts, called[1]),
        "accuracy_real": shares[0],
        "accuracy_fake": shares[1],
        "tested": float(2 * tested),
    }
    method = "progressive validation; binomial error, for the fitted classifiers"
    interval = share_interval(value, error, 2 * tested)
    return Estimate(value, error, interval, method, details, balance_notes(reals, fakes))


def _accuracy_p_value(parts: Sequence[NDArray[Any]], hits: int) -> float:
    """The probability that labels shuffled within each part give at least `hits` fakes classified as fake."""
    from scipy.stats import hypergeom

    # The probabilities of `first`, `first` + 1, ... hits: with many images, most of the others are 0 in float64.
    law, first = np.ones(1), 0
    for part in parts:
        count = part.shape[1]
        chances = hypergeom.pmf(np.arange(count + 1), 2 * count, count, int((part > 0.5).sum()))
        above = np.flatnonzero(chances)
        law, first = np.convolve(law, chances[above[0] : above[-1] + 1]), first + int(above[0])
    return min(float(law[max(hits - first, 0) :].sum()), 1.0)


def _auc(parts: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """The area under the ROC curve within parts, and the probability that shuffled labels give as large an area."""
    from scipy.stats import rankdata

    tested = sum(part.shape[1] for part in parts)
    area, excess, variance = 0.0, 0.0, 0.0
    for part in parts:
        count = part.shape[1]
        ranks = rankdata(part.ravel())
        wins = float(ranks[count:].sum()) - count * (count + 1) / 2
        area += wins / (count * tested)
        excess += wins - count**2 / 2
        # Variance of the sum of `count` of the 2 * count ranks, drawn without replacement.
        variance += count / 2 * float(ranks.var(ddof=1))
    return area, float(ndtr(-excess / math.sqrt(variance))) if variance else 1.0


C2ST_LOGISTIC = Metric(
    title="Classifier two-sample test: logistic regression accuracy",
    compute=c2st_logistic,
    real="features",
    fake="features",
    direction="closer",
    source="Lopez-Paz and Oquab 2017",
    ideal=0.5,
)

C2ST_MLP = Metric(
    title="Classifier two-sample test: small network accuracy",
    compute=c2st_mlp,
    real="features",
    fake="features",
    direction="closer",
    source="Lopez-Paz and Oquab 2017",
    ideal=0.5,
)
