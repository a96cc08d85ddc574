"""Clipped density and clipped coverage: fidelity and coverage that read as the share of good fakes.

The standard errors are from random halves, as in prdc.py. Halves are compared before their values are clipped at 1: by
chance a set of good fakes has a value of 1 or slightly less, and with clipped values its error would be too small.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import Tensor

from ganeval.array_types import BoolArray, FloatArray, IntArray
from ganeval.distances import Rows
from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.cover import ROUNDING, Cover, Inside, check_sizes, listed, no_error_bar
from ganeval.metrics.moments import check_pair
from ganeval.neighbours import balls, near_others, near_rows
from ganeval.uncertainty import (
    SPLITS,
    Estimate,
    normal_interval,
    random_halves,
    share_by_halves,
    shared_by_halves,
)

NAMES = ("clipped_density", "clipped_coverage")


def clipped(real: Tensor, fake: Tensor, *, k: int = 5, seed: int = 0) -> Mapping[str, Estimate]:
    """Clipped density and clipped coverage of two sets of features, with their standard errors.

    The ball of a real has the distance to its k-th nearest other real as radius r. For the density, r is at most the
    median radius, so that stray reals have no large balls, and no fake counts in more than k balls::

        density = mean over fakes of min(1, number of balls that contain the fake / k), over the same mean of reals
        c       = mean over reals of min(1, number of fakes in its ball / k)

    The mean of reals leaves out the ball of the real itself. Coverage is the share of fakes that explains c, if these
    follow the reals' distribution and all others are far away; it is the inverse at c of::

        f(g) = E min(1, J / k),    J of the beta-binomial distribution (g, k, N - k),    f(g) = 0 for g < k

    Values are at most 1. They depend little on the numbers of images, but the fewer fakes there are per real (M / N),
    the less the coverage can detect: compare values of equal numbers.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        k: Which neighbour gives the radius, not counting the image itself; 5 as in the paper.
        seed: Seed of the random halves of the standard errors; values do not depend on it.

    Returns:
        Estimates by name: "clipped_density" and "clipped_coverage", from 0 to 1; higher is better. The details of the
        coverage have c as "raw", those of the density its two means as "fakes" and "reals". The standard errors are
        None where halves are too small, or too many pairs would have to be resampled.

    Raises:
        MetricError: k is below 1, a set has k images or fewer, no real lies in the ball of another, the dimensions
            differ, or the features are not finite floating tensors of two axes.

    References:
        Salvy, Talbot and Thirion 2026, "Enhanced Generative Model Evaluation with Clipped Density and Coverage". A fake
        on the surface of a ball counts for the density and not for the coverage, as in the authors' code.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import clipped
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), torch.randn(500, 4, generator=rng)
        >>> fake[:200] += 100
        >>> {name: round(estimate.value, 1) for name, estimate in clipped(real, fake).items()}
        {'clipped_density': 0.6, 'clipped_coverage': 0.6}
    """
    check_options(clipped, locals())
    real, fake = check_pair(real, fake)
    check_sizes(real, fake, k)
    count, fakes = len(real), Rows(fake)
    full = balls(Rows(real), k, depth=listed(k))
    limit = _median(full.squares.cpu().numpy())
    small = replace(full, squares=full.squares.clamp(max=limit))
    coverage = Cover(full, len(fake), k, inclusive=False)
    density, baseline = (Cover(small, rows, k, inclusive=True) for rows in (len(fake), count))
    for near, nearest in near_rows(((full, False), (small, True)), fakes):
        coverage.add(near)
        density.add(nearest)
    for near in near_others(small, inclusive=True):
        baseline.add(near)
    means = _mean(density.whole.rows, k), _mean(baseline.whole.rows, k)
    if not means[1]:
        raise MetricError(f"No real lies in the ball of another that reaches to neighbour {k}; give more images.")
    raw = _mean(coverage.whole.balls, k)
    values = {
        "clipped_density": min(1.0, means[0] / means[1]),
        "clipped_coverage": good_share(raw, expected_coverage(k, count, len(fake))),
    }
    details = {"clipped_density": {"fakes": means[0], "reals": means[1]}, "clipped_coverage": {"raw": raw}}
    if reason := no_error_bar((coverage, density, baseline), min(count, len(fake)), k):
        return {name: Estimate(values[name], None, None, reason, details[name]) for name in NAMES}
    halves = _on_halves(coverage, density, baseline, k, seed)
    counts = {"clipped_density": len(fake), "clipped_coverage": count}
    return {name: _estimate(values[name], halves[name], counts[name], details[name]) for name in NAMES}


def expected_coverage(k: int, reals: int, fakes: int) -> FloatArray:
    """The expected c of `clipped` for 0, 1, ..., `fakes` fakes of the reals' distribution, float64 [fakes + 1].

    The ball of a real holds a share of the distribution that is Beta(k, reals - k), so the number of fakes in it is
    beta-binomial. The probability of 0 is computed as a sum of logarithms, and the others by ratios: no term is large,
    and none is a difference of large ones.
    """
    good, rest = np.arange(fakes + 1.0), float(reals - k)
    chance = np.exp(np.concatenate([[0.0], np.cumsum(np.log1p(-k / (reals + good[:-1])))]))
    missing = np.zeros(fakes + 1)
    for inside in range(k):
        missing += (k - inside) * chance
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (good - inside) * (k + inside) / ((inside + 1) * (rest + good - inside - 1))
        chance = chance * np.where(good > inside, ratio, 0.0)
    return np.where(good < k, 0.0, 1 - missing / k)


def good_share(raw: float, expected: FloatArray) -> float:
    """The smallest number of good fakes whose expected c is at least `raw`, over one more than the number of fakes.

    Both are often the same fraction, of which rounding must not make two.
    """
    return int(np.searchsorted(expected, raw * (1 - ROUNDING))) / len(expected)


def _median(squares: FloatArray) -> float:
    """The square of the median of the square roots."""
    return float(np.median(np.sqrt(squares))) ** 2


def _mean(counts: IntArray, k: int) -> float:
    return float(np.minimum(counts, k).mean()) / k


def _on_halves(coverage: Cover, density: Cover, baseline: Cover, k: int, seed: int) -> dict[str, FloatArray]:
    """Both values on random halves, before they are clipped at 1, in the form of `shared_by_halves`."""
    sizes = len(coverage.whole.balls), len(coverage.whole.rows)
    choices = [half for halves in random_halves(sizes, seed=seed) for half in halves]
    pairs = [(reals, fakes) for reals, fakes in choices]
    found = zip(
        coverage.subsets(pairs),
        density.subsets(pairs),
        baseline.subsets([(reals, reals) for reals, _ in choices]),
        pairs,
        strict=True,
    )
    tables: dict[tuple[int, int], FloatArray] = {}
    values = []
    for of_coverage, of_density, of_baseline, (reals, fakes) in found:
        counts = int(reals.sum()), int(fakes.sum())
        if counts not in tables:
            # Unclipped coverages are limited to 2: twice as many good fakes as there are fakes.
            tables[counts] = expected_coverage(k, counts[0], 2 * counts[1])
        raw = _mean(of_coverage.counts(len(fakes)).balls[reals], k)
        values.append(
            {
                "clipped_density": _share(of_density, reals, fakes, k) / (_share(of_baseline, reals, reals, k) or 1.0),
                "clipped_coverage": good_share(raw, tables[counts]) * len(tables[counts]) / (counts[1] + 1),
            }
        )
    pairs_of_values = list(zip(values[::2], values[1::2], strict=True))
    return {name: shared_by_halves([(one[name], other[name]) for one, other in pairs_of_values]) for name in NAMES}


def _share(inside: Inside, reals: BoolArray, rows: BoolArray, k: int) -> float:
    """The mean over the rows of a half of min(1, number of balls that contain the row / k)."""
    near = inside.squares <= _median(inside.radii[reals]) * (1 + ROUNDING)
    return _mean(np.bincount(inside.rows[near], minlength=len(rows))[rows], k)


def _estimate(value: float, halves: FloatArray, count: int, details: Mapping[str, float]) -> Estimate:
    method = f"differences of random halves ({SPLITS} splits)"
    if value == 0:
        error, interval, shared = share_by_halves(value, halves, count)
        return Estimate(value, error, interval, method, details, shared=shared)
    error = float(np.linalg.norm(halves))
    low, high = normal_interval(value, error, minimum=0.0)
    return Estimate(value, error, (low, max(value, min(high, 1.0))), method, details, shared=halves)


CLIPPED_DENSITY = Metric(
    title="Clipped density: share of good fakes, by how they lie among reals",
    compute=clipped,
    real="features",
    fake="features",
    direction="higher",
    source="Salvy et al. 2026",
    family="clipped",
)

CLIPPED_COVERAGE = Metric(
    title="Clipped coverage: share of good fakes, by how they cover the reals",
    compute=clipped,
    real="features",
    fake="features",
    direction="higher",
    source="Salvy et al. 2026",
    family="clipped",
)
