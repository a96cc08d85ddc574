"""Counts of two sets in the same bins: statistics of the difference of their proportions, and standard errors.

Statistics map counts [..., K] of reals and of fakes to [...].

The standard errors are a parametric bootstrap: counts are drawn again from multinomials. Observed proportions differ
even by chance alone, and drawing from them would count that noise twice (a standard error of up to 1.7 times the true
one for equal distributions). So the differences are first shrunk together, by the part of their chi-square that its
degrees of freedom explain (the positive-part James-Stein factor).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, xlogy

CountArray = NDArray[Any]
Statistic = Callable[[CountArray, CountArray], NDArray[np.float64]]
DRAWS = 1000
# Counts drawn at a time.
BLOCK = 1 << 20


def z_scores(real: CountArray, fake: CountArray) -> NDArray[np.float64]:
    """The two-proportion z-test of each bin, with the pooled proportion; 0 for a bin with none or all of both sets."""
    n, m = real.sum(-1, keepdims=True), fake.sum(-1, keepdims=True)
    pooled = (real + fake) / (n + m)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return np.asarray((real / n - fake / m) / np.where(spread > 0, spread, 1))


def different_share(real: CountArray, fake: CountArray, *, level: float) -> NDArray[np.float64]:
    """The share of bins that differ at this significance level, two-sided."""
    return np.asarray((np.abs(z_scores(real, fake)) > -ndtri(level / 2)).mean(-1))


def jensen_shannon(real: CountArray, fake: CountArray) -> NDArray[np.float64]:
    """The Jensen-Shannon divergence of the proportions, in nats, from 0 to log 2."""
    p, q = real / real.sum(-1, keepdims=True), fake / fake.sum(-1, keepdims=True)
    middle = (p + q) / 2
    entropies = [-xlogy(part, part).sum(-1) for part in (p, q, middle)]
    return np.asarray(np.clip(entropies[2] - (entropies[0] + entropies[1]) / 2, 0, math.log(2)))


def total_variation(real: CountArray, fake: CountArray) -> NDArray[np.float64]:
    """The share of one set that would have to change bins for the proportions to be equal, from 0 to 1."""
    gap = real / real.sum(-1, keepdims=True) - fake / fake.sum(-1, keepdims=True)
    return np.asarray(np.abs(gap).sum(-1) / 2)


def standard_error(real: CountArray, fake: CountArray, statistic: Statistic, *, seed: int) -> float:
    """The standard error of a statistic of counts [K], from DRAWS draws of both."""
    rng = np.random.RandomState(seed)
    n, m = int(real.sum()), int(fake.sum())
    p, q = _shrunk(real, fake)
    block = max(1, BLOCK // len(real))
    values = [
        statistic(rng.multinomial(n, p, size=size), rng.multinomial(m, q, size=size))
        for size in (min(block, DRAWS - start) for start in range(0, DRAWS, block))
    ]
    return float(np.concatenate(values).std(ddof=1))


def _shrunk(real: CountArray, fake: CountArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The proportions of both sets, shrunk towards the pooled ones."""
    n, m = real.sum(), fake.sum()
    pooled = (real + fake) / (n + m)
    chi_square = float((z_scores(real, fake) ** 2 * (1 - pooled)).sum())
    freedom = int((pooled > 0).sum()) - 1
    kept = max(0.0, 1 - freedom / chi_square) ** 0.5 if chi_square > 0 else 0.0
    p, q = pooled + kept * (real / n - pooled), pooled + kept * (fake / m - pooled)
    return p / p.sum(), q / q.sum()
