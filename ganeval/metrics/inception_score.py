"""Inception score: how far each image's class probabilities are from the average ones.

    IS = exp( mean_i KL( p(y | x_i) || p(y) ) ), averaged over splits

The protocol decides the splits ([i N // s, (i + 1) N // s), so none is lost), the order they are cut in, and the ddof
of the std over splits. That std says how much splits differ; it is not the standard error of their mean. The standard
error here is the delta method's: within a split the influence of image i on log IS is KL_i minus its mean (to first
order the average probabilities do not move it), and the splits are independent.

Cut as they come, images that are sorted by class make splits of few classes each, and the score falls to that of so
many (of ten classes one after the other, from 8.10 to 1.20), with a small error bar. What the splits' average
probabilities differ by, sum_s n_s / N KL(p_s(y) || p(y)), is exactly what log IS loses by the cut. Of images in random
order, 2 N times that is about a sum of chi-squares, one for every split but one and every direction in which
probabilities vary. Where that law (Satterthwaite's approximation of it) has as much in less than one case in a million,
and it moves the score by more than 1%, a note says so, with the score in random order. In 54,000 simulated sets in
random order (40 to 2000 images, 2 to 100 classes, 2 to 20 splits, sure and unsure ones) there was no such note.

Source: Salimans et al. 2016, "Improved Techniques for Training GANs"; Barratt and Sharma 2018 on what it does not say.
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
from ganeval.metrics.moments import check_features
from ganeval.uncertainty import Estimate, normal_interval

SEED = 2020
# Splits as random orders make them in fewer cases than this are no accident, and worth a word where they move the score
# by more than this. Rows that tell how probabilities vary.
RARE, LEAST, SAMPLE_ROWS = 1e-6, 0.01, 1000


def inception_score(
    logits: Tensor, *, splits: int = 10, shuffle_seed: int | None = SEED, std_ddof: Literal[0, 1] = 0
) -> Estimate:
    """IS of class logits [N, classes].

    splits: parts the images are cut into. shuffle_seed: of the permutation before the cut (numpy's RandomState, as
    torch-fidelity); None cuts them as they come. std_ddof: of the "std" over splits in the details, which is left out
    where it is undefined. Raises MetricError for non-finite logits, fewer than 2 classes, no
    split, or fewer than 2 images a split.
    """
    logits = check_features(logits)
    count, classes = logits.shape
    if classes < 2:
        raise MetricError("The inception score needs at least 2 classes, found 1.")
    if splits < 1:
        raise MetricError(f"The inception score's splits must be 1 or more, found {splits}; papers take 10.")
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
    """The score of every split, and the standard error of their mean."""
    scores, variance = [], 0.0
    for start, stop in pairwise(cuts):
        divergences = _divergences(logits[start:stop].double())
        # No divergence is below 0 but by rounding.
        score = math.exp(max(float(divergences.mean()), 0.0))
        scores.append(score)
        variance += score**2 * float(divergences.var()) / (stop - start)
    return scores, math.sqrt(variance) / len(scores)


def _divergences(logits: Tensor) -> Tensor:
    """KL(p(y | x_i) || p(y)) of every row, in nats."""
    log_p = logits.log_softmax(1)
    # In logarithms a class of vanishing probability does not become 0 * log 0.
    log_q = torch.logsumexp(log_p, 0) - math.log(len(log_p))
    return (log_p.exp() * (log_p - log_q)).sum(1)


def _notes(count: int, splits: int, classes: int) -> tuple[str, ...]:
    if count // splits >= classes:
        return ()
    return (
        f"{count // splits} images a split for {classes} classes: the score is biased downwards; "
        "compare it only with scores of as many images.",
    )


def _is_sorted(logits: Tensor, cuts: Sequence[int]) -> bool:
    """Whether splits differ by more than chance makes those of a random order differ, and by what moves the score."""
    totals = torch.stack([_total(logits[start:stop]) for start, stop in pairwise(cuts)])
    counts, average = totals.sum(1, keepdim=True), totals.sum(0) / len(logits)
    apart = float((torch.xlogy(totals, totals / counts) - torch.xlogy(totals, average)).sum()) / len(logits)
    # Rows of length 1 / sqrt(p) in every class: their covariance has the weights of the chi-squares.
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
        f"The splits, cut from the images as they come, hold different classes, as those of images sorted by class do: "
        f"the score is {value:.4g}, and {shuffled:.4g} of the same images in random order. Give is.shuffle_seed={SEED} "
        "(--option), or the images in random order; the error bar does not tell of this."
    )
