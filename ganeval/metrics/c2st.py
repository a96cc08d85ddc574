"""Classifier two-sample tests: how well a classifier that has not seen an image says whether it is real or fake.

The value is the share of unseen images told right: 0.5 where the sets cannot be told apart, 1 where they always can.
Here are logistic regression and a small network, of the original paper's size; k nearest neighbours are in
c2st_knn.py, leave-one-out 1-NN in c2st_1nn.py.

Validation is progressive (Blum, Kalai and Langford 1999): both sets are cut into `folds` parts, and part 2 is told by a
classifier of part 1, part 3 by one of parts 1 and 2, and so on. In K-fold cross-validation every part is tested by
classifiers of the very parts that are tested by classifiers of it: each pair of parts counts twice, the variance is up
to twice the binomial one, and a test at 5% calls alike sets different up to twice as often. Here a part is told by what
came before alone. So for alike sets its labels are exchangeable given its scores and all that came before, and the
rank sums of parts without ties are independent. Two p-values follow without fitting anything a second time, both
one-sided:

    p_value           of the rank sums of scores within parts, that is of the AUC: normal, ties included
    accuracy_p_value  of the accuracy: Fisher's exact test a part (hypergeometric), convolved over parts. An accuracy
                      moves in steps, so it is a little conservative. How many images of a part are called fake may hang
                      on the labels before it, which the convolution leaves out; in simulations that made no difference.

The parts have as many real images as fake ones; the larger set is cut down to the smaller by `seed`. The error bar is
binomial, for the accuracy of classifiers as fitted; what other training images would change is not in it. In
simulations it was up to a fifth too small, where sets are just about told apart. Training the network amplifies
rounding: another batch size or processor may have it tell an image or two in a hundred otherwise.

Sources: Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests"; Kim, Ramdas, Singh and Wasserman 2021,
"Classification Accuracy as a Proxy for Two-Sample Testing".
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.classifiers import Maker, Rows, logistic, network, rows, scores
from ganeval.metrics.moments import check_pair
from ganeval.uncertainty import Estimate, share_interval


def c2st_logistic(real: Tensor, fake: Tensor, *, folds: int = 5, seed: int = 0) -> Estimate:
    """Accuracy of a logistic regression on standardised features [N, D] and [M, D].

    Raises MetricError for fewer than two folds or two images a fold, mismatched dimensions, or features that are not
    finite.
    """
    real, fake = check_folds(real, fake, folds)
    return _progressive(real, fake, logistic(), folds=folds, seed=seed)


def c2st_mlp(
    real: Tensor, fake: Tensor, *, hidden: int = 20, steps: int = 300, folds: int = 5, seed: int = 0
) -> Estimate:
    """Accuracy of a network with one layer of `hidden` ReLU units on standardised features [N, D] and [M, D].

    Trained with Adam for about `steps` batches of 200. Raises MetricError for less than one unit or step, and where
    `c2st_logistic` does.
    """
    real, fake = check_folds(real, fake, folds)
    if hidden < 1 or steps < 1:
        raise MetricError(f"c2st_mlp needs at least one hidden unit and one step, found {hidden} and {steps}.")
    return _progressive(real, fake, network(hidden, steps), folds=folds, seed=seed)


def check_folds(real: Tensor, fake: Tensor, folds: int) -> tuple[Tensor, Tensor]:
    """Both sets; MetricError unless there are two folds or more, and two images or more a fold in each set."""
    if folds < 2:
        raise MetricError(f"A classifier two-sample test needs at least 2 folds, found {folds}.")
    return check_sides(real, fake, least=2 * folds, why=f"2 a fold, {folds} folds")


def check_sides(real: Tensor, fake: Tensor, *, least: int, why: str) -> tuple[Tensor, Tensor]:
    """Both sets; MetricError unless they are features of the same dimensions, with at least so many images each."""
    sides = check_pair(real, fake)
    for side, name in zip(sides, ("real", "fake"), strict=True):
        if len(side) < least:
            raise MetricError(
                f"A classifier two-sample test needs at least {least} images of each set ({why}), "
                f"found {len(side)} {name}."
            )
    return sides


def balanced(real: int, fake: int, rng: np.random.RandomState) -> list[NDArray[np.int_]]:
    """Equally many indices into sets of these sizes, each in random order."""
    return [rng.permutation(count)[: min(real, fake)] for count in (real, fake)]


def balance_notes(real: int, fake: int) -> tuple[str, ...]:
    """A remark where one set was cut down."""
    if real == fake:
        return ()
    name, count = ("reals", real) if real > fake else ("fakes", fake)
    return (f"Of the {count} {name}, {min(real, fake)} drawn at random were used: as many as of the other set.",)


def accuracy_error(shares: Sequence[float], count: int) -> float:
    """The binomial standard error of the mean of two classes' accuracies, `count` independent images a class.

    One more hit and one more miss are counted to each class: an accuracy of 1 in 50 images is not a sure thing.
    """
    smooth = [(share * count + 1) / (count + 2) for share in shares]
    return math.sqrt(sum(share * (1 - share) for share in smooth) / count) / 2


def _progressive(real: Tensor, fake: Tensor, maker: Maker, *, folds: int, seed: int) -> Estimate:
    sides = [rows(side, real[0]) for side in in_order(real, fake, seed)]
    parts = []
    for start, stop in steps(len(sides[0]), folds):
        unseen = np.concatenate([side[start:stop] for side in sides])
        parts.append(scores(maker, [side[:start] for side in sides], unseen, seed=seed).reshape(2, -1))
    return judged(parts, len(real), len(fake))


def in_order(real: Tensor, fake: Tensor, seed: int) -> list[Tensor]:
    """Both sets in random order, the larger cut down to the smaller, on the reals' device."""
    chosen = balanced(len(real), len(fake), np.random.RandomState(seed))
    return [
        side[torch.from_numpy(at).to(side.device)].to(real.device)
        for side, at in zip((real, fake), chosen, strict=True)
    ]


def steps(count: int, folds: int) -> list[tuple[int, int]]:
    """Where each part but the first starts and stops; it is told by what lies before."""
    return list(pairwise([count * i // folds for i in range(1, folds + 1)]))


def judged(parts: Sequence[Rows], reals: int, fakes: int) -> Estimate:
    """Each part's probabilities of being fake [2, images], of reals and fakes => accuracy, AUC and p-values."""
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
    method = "progressive validation; binomial error, for the classifiers as fitted"
    interval = share_interval(value, error, 2 * tested)
    return Estimate(value, error, interval, method, details, balance_notes(reals, fakes))


def _accuracy_p_value(parts: Sequence[Rows], hits: int) -> float:
    """How often labels shuffled within each part would leave as many fakes called fake, or more."""
    from scipy.stats import hypergeom

    law = np.ones(1)
    for part in parts:
        count = part.shape[1]
        law = np.convolve(law, hypergeom.pmf(np.arange(count + 1), 2 * count, count, int((part > 0.5).sum())))
    return min(float(law[hits:].sum()), 1.0)


def _auc(parts: Sequence[Rows]) -> tuple[float, float]:
    """The area under the ROC curve within parts, and how often shuffled labels would give as large a one."""
    from scipy.stats import rankdata

    tested = sum(part.shape[1] for part in parts)
    area, excess, variance = 0.0, 0.0, 0.0
    for part in parts:
        count = part.shape[1]
        ranks = rankdata(part.ravel())
        wins = float(ranks[count:].sum()) - count * (count + 1) / 2
        area += wins / (count * tested)
        excess += wins - count**2 / 2
        # A sum of `count` of the 2 count ranks drawn without replacement.
        variance += count / 2 * float(ranks.var(ddof=1))
    return area, float(ndtr(-excess / math.sqrt(variance))) if variance else 1.0
