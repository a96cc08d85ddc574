"""Inception score: how far the class probabilities of each image are from the average ones.

The standard error is the delta method's: within a split the influence of image i on log IS is KL_i minus its mean (to
first order, the average probabilities contribute nothing), and the splits are independent.

If images that are sorted by class are cut into splits as they come, each split has few classes, and the score drops to
that of these few (with ten classes in sequence, from 8.10 to 1.20), with a small error bar. The difference between the
splits' average probabilities, sum_s n_s / N KL(p_s(y) || p(y)), is exactly the loss in log IS. For images in random
order, 2 N times this is approximately a sum of chi-squares, one for each split but one and each direction in which
probabilities vary. If that law (in Satterthwaite's approximation) gives the observed value a probability below 1e-6,
and the score moves by more than 1%, a note reports it, with the score in random order. In 54,000 simulated sets in
random order (40 to 2000 images, 2 to 100 classes, 2 to 20 splits, confident and uncertain classifiers) there was no
such note.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from scipy.special import chdtrc
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import chunks
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.moments import check_features
from ganeval.uncertainty import Estimate, normal_interval

SEED = 2020
# A note is given if random order makes such splits with a probability below RARE, and the score moves by more than
# LEAST. SAMPLE_ROWS rows are used to estimate how probabilities vary.
RARE, LEAST, SAMPLE_ROWS = 1e-6, 0.01, 1000


def inception_score(
    logits: Tensor, *, splits: int = 10, shuffle_seed: int | None = SEED, std_ddof: Literal[0, 1] = 0
) -> Estimate:
    """Inception score of class logits, with its standard error.

    The exponential of the mean divergence of an image's class probabilities from the average ones, averaged over
    splits::

        IS = exp( mean_i KL( p(y | x_i) || p(y) ) )

    Split i has the images from i N // s to (i + 1) N // s, so every image is used.

    Args:
        logits: Class logits of the generated images, ``[N, classes]`` of any floating dtype.
        splits: Number of parts; the score is the mean over them. 10 as in the paper.
        shuffle_seed: Seed of the permutation before the cut (numpy's RandomState); 2020 as in torch-fidelity. None cuts
            the images in their order; a note says if they appear to be sorted by class.
        std_ddof: Degrees of freedom of ``details["std"]``: 0 as in most tools, 1 as in torchmetrics.

    Returns:
        The score, from 1 to the number of classes; higher is better. ``details["std"]`` is the standard deviation over
        splits that papers report, where it is defined; it is not the standard error of their mean. The score is biased
        downwards if a split has fewer images than classes; a note then says so.

    Raises:
        MetricError: There are fewer than 2 classes, ``splits`` is below 1, a split has fewer than 2 images, or the
            logits are not a finite floating tensor of two axes.

    References:
        Salimans et al. 2016, "Improved Techniques for Training GANs", section 4; Barratt and Sharma 2018, "A Note on
        the Inception Score", on its limits.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import inception_score
        >>> logits = 5 * torch.eye(10).repeat(100, 1)
        >>> print(f"{inception_score(logits).value:.1f}")
        6.8
    """
    check_options(inception_score, locals())
    logits = check_features(logits)
    count, classes = logits.shape
    if classes < 2:
        raise MetricError("The inception score needs at least 2 classes, found 1.")
    if splits < 1:
        raise MetricError(f"The inception score's splits must be 1 or more, found {splits}; papers use 10.")
    if count < 2 * splits:
        raise MetricError(
            f"The inception score of {splits} split{'' if splits == 1 else 's'} needs at least {2 * splits} images "
            f"(2 per split), found {count}."
        )
    if shuffle_seed is not None:
        logits = _shuffled(logits, shuffle_seed)
    cuts = [count * i // splits for i in range(splits + 1)]
    scores, error = _scores(logits, cuts)
    value = sum(scores) / splits
    details = {"std": float(np.std(scores, ddof=std_ddof))} if splits > std_ddof else {}
    notes = _notes(count, splits, classes)
    if shuffle_seed is None and splits > 1 and _is_sorted(logits, cuts):
        notes = (*notes, _sorted_note(value, sum(_scores(_shuffled(logits, SEED), cuts)[0]) / splits))
    return Estimate(value, error, normal_interval(value, error, minimum=1.0), "influence function", details, notes)


def _shuffled(logits: Tensor, seed: int) -> Tensor:
    order = np.random.RandomState(seed).permutation(len(logits))
    return logits[torch.from_numpy(order).to(logits.device)]


def _scores(logits: Tensor, cuts: Sequence[int]) -> tuple[list[float], float]:
    """The score of each split, and the standard error of their mean."""
    scores, variance = [], 0.0
    for start, stop in pairwise(cuts):
        divergences = _divergences(logits[start:stop].double())
        # A divergence is negative only by rounding.
        score = math.exp(max(float(divergences.mean()), 0.0))
        scores.append(score)
        variance += score**2 * float(divergences.var()) / (stop - start)
    return scores, math.sqrt(variance) / len(scores)


def _divergences(logits: Tensor) -> Tensor:
    """KL(p(y | x_i) || p(y)) of each row, in nats."""
    log_p = logits.log_softmax(1)
    # In logarithms, a class of vanishing probability does not become 0 * log 0.
    log_q = torch.logsumexp(log_p, 0) - math.log(len(log_p))
    return (log_p.exp() * (log_p - log_q)).sum(1)


def _notes(count: int, splits: int, classes: int) -> tuple[str, ...]:
    if count // splits >= classes:
        return ()
    return (
        f"{count // splits} images per split for {classes} classes: the score is biased downwards; "
        "compare it only with scores of the same number of images.",
    )


def _is_sorted(logits: Tensor, cuts: Sequence[int]) -> bool:
    """Whether splits differ by more than random order explains, and by enough to move the score."""
    totals = torch.stack([_total(logits[start:stop]) for start, stop in pairwise(cuts)])
    counts, average = totals.sum(1, keepdim=True), totals.sum(0) / len(logits)
    apart = float((torch.xlogy(totals, totals / counts) - torch.xlogy(totals, average)).sum()) / len(logits)
    # Columns scaled by 1 / sqrt(p): the eigenvalues of their covariance are the weights of the chi-squares.
    some = logits[:: max(1, len(logits) // SAMPLE_ROWS)].double().softmax(1)
    rows = ((some - some.mean(0)) / average.sqrt())[:, average > 0]
    trace = float(rows.square().sum()) / len(rows)
    squares = float((rows @ rows.T).square().sum()) / len(rows) ** 2
    if trace == 0:
        return False
    freedom = (len(cuts) - 2) * trace**2 / squares
    chance = float(chdtrc(freedom, 2 * len(logits) * apart * trace / squares))
    expected = (len(cuts) - 2) * trace / (2 * len(logits))
    return chance < RARE and apart - expected > math.log1p(LEAST)


def _total(logits: Tensor) -> Tensor:
    """The sum of class probabilities over rows, float64 [C]."""
    return torch.stack([part.softmax(1).sum(0) for part in chunks(logits)]).sum(0)


def _sorted_note(value: float, shuffled: float) -> str:
    return (
        f"The splits, cut in the order of the images, have different classes, as if the images were sorted by class: "
        f"the score is {value:.4g}, but {shuffled:.4g} for the same images in random order. Set is.shuffle_seed={SEED} "
        "(--option), or give the images in random order; the error bar does not include this effect."
    )


INCEPTION_SCORE = Metric(
    title="Inception score",
    compute=inception_score,
    real=None,
    fake="logits",
    direction="higher",
    source="Salimans et al. 2016",
)
