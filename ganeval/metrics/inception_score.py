"""Inception score: how far each image's class probabilities are from the average ones.

    IS = exp( mean_i KL( p(y | x_i) || p(y) ) ), averaged over splits

The protocol decides the splits ([i N // s, (i + 1) N // s), so none is lost), the order they are cut in, and the ddof
of the std over splits. That std says how much splits differ; it is not the standard error of their mean. The standard
error here is the delta method's: within a split the influence of image i on log IS is KL_i minus its mean (to first
order the average probabilities do not move it), and the splits are independent.

Source: Salimans et al. 2016, "Improved Techniques for Training GANs"; Barratt and Sharma 2018 on what it does not say.
"""

import math
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.moments import check_features
from ganeval.uncertainty import Estimate, normal_interval


def inception_score(
    logits: Tensor, *, splits: int = 10, shuffle_seed: int | None = 2020, std_ddof: Literal[0, 1] = 0
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
        order = np.random.RandomState(shuffle_seed).permutation(count)
        logits = logits[torch.from_numpy(order).to(logits.device)]
    cuts = [count * i // splits for i in range(splits + 1)]
    scores, variance = [], 0.0
    for start, stop in pairwise(cuts):
        divergences = _divergences(logits[start:stop].double())
        # No divergence is below 0 but by rounding.
        score = math.exp(max(float(divergences.mean()), 0.0))
        scores.append(score)
        variance += score**2 * float(divergences.var()) / (stop - start)
    value = sum(scores) / splits
    error = math.sqrt(variance) / splits
    details = {"std": float(np.std(scores, ddof=std_ddof))} if splits > std_ddof else {}
    return Estimate(
        value,
        error,
        normal_interval(value, error, minimum=1.0),
        "influence function",
        details,
        _notes(count, splits, classes),
    )


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
