"""Precision, recall, density and coverage: are fakes where reals are, and the reverse?

ADM's evaluator rounds squared lengths, products and distances to float16, so its result depends on the precision in
which its machine accumulates. Here the exact value is computed. On simulated features of 1,000 x 1,000 images and 2,048
dimensions, with squared lengths of 250, ADM's value was off by up to 0.015 with sums in float32; with sums in float16
it was too high by 0.02 to 0.04 (precision) and 0.01 to 0.07 (recall).

The neighbourhoods are as random as the images in them: a binomial error of the shares, which takes neighbourhoods as
given, is too small by half and more. The standard error is from random halves: both sets are cut in two; the two halves
are independent, so half the squared difference of their values is an unbiased estimate of the variance at half the
size; half of that is the variance here, averaged over splits. This assumes that the variance is proportional to 1 / n.
Where very few images determine the value this does not hold yet and the error is too small: in simulations by a third
to a half for fakes that only the neighbourhood of one outlying real contains, and by a quarter for a density far above
1; elsewhere it was within a fifth.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import Rows, slices
from ganeval.errors import MetricError
from ganeval.metrics.base import Metric
from ganeval.metrics.moments import check_pair
from ganeval.neighbours import Balls, Near, balls, near_balls
from ganeval.uncertainty import (
    SPLITS,
    Estimate,
    normal_interval,
    random_halves,
    share_by_halves,
    shared_by_halves,
)

NAMES = ("precision", "recall", "density", "coverage")
# Pairs of a ball's centre and a row near it that are kept for resampling, 16 bytes each; and pairs per piece.
PAIRS, PIECE = 1 << 24, 1 << 18
# Relative accuracy of the squared distances in the lists that halves are made from.
ROUNDING = 1e-5


def prdc(
    real: Tensor, fake: Tensor, *, k: int = 5, ties: Literal["strict", "inclusive"] = "strict", seed: int = 0
) -> Mapping[str, Estimate]:
    """Improved precision and recall, density and coverage of two sets of features, with their standard errors.

    The neighbourhood of an image is a ball with the distance to its k-th nearest neighbour in its own set as radius::

        precision = share of fakes in the neighbourhood of any real
        recall    = share of reals in the neighbourhood of any fake
        density   = number of neighbourhoods of reals that contain a fake, over k, averaged over fakes
        coverage  = share of reals whose neighbourhood contains any fake

    All four depend on the numbers of images: compare only values of equal numbers.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        k: Which neighbour gives the radius, not counting the image itself. 5 as in Naeem et al., dgm-eval and
            StudioGAN; 3 in Kynkäänniemi et al., torch-fidelity, StyleGAN and ADM.
        ties: Whether the surface of a ball belongs to it: "strict" (no) as in prdc, dgm-eval and StudioGAN, "inclusive"
            (yes) as in torch-fidelity, StyleGAN and ADM.
        seed: Seed of the random halves of the standard errors; values do not depend on it.

    Returns:
        Estimates by name: "precision", "recall" and "coverage" from 0 to 1, and "density" from 0; higher is better. The
        standard errors are None where halves are too small, or too many pairs would have to be resampled.

    Raises:
        MetricError: A set has k images or fewer, ``ties`` is unknown, the dimensions differ, or the features are not
            finite floating tensors of two axes.

    References:
        Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models"; Naeem et al.
        2020, "Reliable Fidelity and Diversity Metrics for Generative Models". ADM's code computes distances in float16.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import prdc
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), 0.5 * torch.randn(500, 4, generator=rng)
        >>> {name: round(estimate.value, 1) for name, estimate in prdc(real, fake).items()}
        {'precision': 1.0, 'recall': 0.5, 'density': 1.2, 'coverage': 0.6}
    """
    real, fake = check_pair(real, fake)
    if ties not in ("strict", "inclusive"):
        raise MetricError(f"Unknown ties '{ties}'; choose strict or inclusive.")
    fewest = min(len(real), len(fake))
    if not 1 <= k < fewest:
        raise MetricError(
            f"Neighbourhoods that reach to neighbour {k} need more than {k} images of each set, found {len(real)} real "
            f"and {len(fake)} fake images; "
            + (f"choose a k of 1 to {fewest - 1}, or give more images." if fewest > 1 else "give more images.")
        )
    # The k-th neighbour in a half is on average number 2k in the whole; five standard deviations are added.
    depth = 2 * k + math.ceil(5 * math.sqrt(2 * k))
    reals, fakes = balls(Rows(real), k, depth=depth), balls(Rows(fake), k, depth=depth)
    inclusive = ties == "inclusive"
    over_fakes = _Cover(reals, len(fake), k, inclusive=inclusive)
    over_reals = _Cover(fakes, len(real), k, inclusive=inclusive)
    for there, back in near_balls(reals, fakes, inclusive=inclusive):
        over_fakes.add(there)
        over_reals.add(back)
    value = _values(over_fakes.whole, over_reals.whole, k, (len(real), len(fake)))
    if over_fakes.pairs is None or over_reals.pairs is None:
        reason = f"no error bar: more than {PAIRS} pairs are within reach, too many to resample"
        return {name: Estimate(value[name], None, None, reason) for name in NAMES}
    if fewest // 2 <= k:
        reason = f"no error bar: halves of {fewest} images have too few images for k = {k}"
        return {name: Estimate(value[name], None, None, reason) for name in NAMES}
    halves = _on_halves(over_fakes, over_reals, k, seed)
    return {name: _estimate(name, value[name], halves[name], len(real), len(fake)) for name in NAMES}


Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]


class _Counts(NamedTuple):
    """For balls over rows: the number of balls that contain each row, and of rows that each ball contains."""

    rows: Counts
    balls: Counts


class _Cover:
    """The balls of one set over the rows of the other, and what is needed to recompute this for subsets of both.

    whole: for all balls and rows. pairs: a ball's centre and a row near it, as the place of the row among the
    neighbours that the centre lists (an index into [centres, listed + 1]) and the row; None where they are too many.
    """

    def __init__(self, centres: Balls, rows: int, k: int, *, inclusive: bool) -> None:
        self.centres, self.k, self.inclusive = centres, k, inclusive
        self.width = centres.near.shape[1] + 1
        self.whole = _Counts(np.zeros(rows, np.int64), np.zeros(len(centres.squares), np.int64))
        self.pairs: list[tuple[Counts, Counts]] | None = []

    def add(self, near: Near) -> None:
        """Count a part of the pairs, and keep them unless they are too many."""
        self.whole.rows[:] += near.rows[near.inside].bincount(minlength=len(self.whole.rows)).cpu().numpy()
        self.whole.balls[:] += near.centres[near.inside].bincount(minlength=len(self.whole.balls)).cpu().numpy()
        if self.pairs is not None:
            places = near.centres * self.width + self._ranks(near)
            self.pairs.append((places.cpu().numpy(), near.rows.cpu().numpy()))
            if sum(len(rows) for _, rows in self.pairs) > PAIRS:
                self.pairs = None

    def parts(self, choices: Iterable[tuple[Bools, Bools]]) -> Iterator[_Counts]:
        """The counts for subsets of centres and rows: radii reach to the k-th neighbour in the subset of centres.

        In numpy, which does not start threads for arrays this small.
        """
        assert self.pairs is not None
        places, rows = (np.concatenate(arrays) for arrays in zip(*self.pairs, strict=True))
        listed = self.centres.indices.cpu().numpy()
        nearer = np.zeros((len(listed), self.width), np.int16)
        for centres_there, rows_there in choices:
            np.cumsum(centres_there[listed], 1, dtype=np.int16, out=nearer[:, 1:])
            nearer[~centres_there] = self.k
            inside = (nearer.ravel()[places] < self.k) & rows_there[rows]
            nearer[:, 0] = 0
            yield _Counts(
                np.bincount(rows[inside], minlength=len(rows_there)),
                np.bincount(places[inside] // self.width, minlength=len(listed)),
            )

    def _ranks(self, near: Near) -> Tensor:
        """How many of the neighbours that a centre lists are closer than the row."""
        ranks = [torch.empty(0, dtype=torch.int64, device=near.rows.device)]
        for piece in slices(len(near.rows), PIECE):
            listed, squares = self.centres.near[near.centres[piece]], near.squares[piece, None]
            # Values equal up to float32's rounding count as equal, as for a row that is a copy of a neighbour.
            ends = squares * (1 - ROUNDING) if self.inclusive else squares * (1 + ROUNDING)
            ranks.append((listed <= ends).sum(1))
        return torch.cat(ranks)


def _values(over_fakes: _Counts, over_reals: _Counts, k: int, sizes: tuple[int, int]) -> dict[str, float]:
    """The four values. sizes: the numbers of reals and fakes."""
    reals, fakes = sizes
    return {
        "precision": int((over_fakes.rows > 0).sum()) / fakes,
        "recall": int((over_reals.rows > 0).sum()) / reals,
        "density": int(over_fakes.rows.sum()) / (k * fakes),
        "coverage": int((over_fakes.balls > 0).sum()) / reals,
    }


def _on_halves(over_fakes: _Cover, over_reals: _Cover, k: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """The four values on random halves of both sets, in the form of `shared_by_halves`."""
    sizes = len(over_fakes.whole.balls), len(over_fakes.whole.rows)
    choices = [half for halves in random_halves(sizes, seed=seed) for half in halves]
    there = over_fakes.parts((reals, fakes) for reals, fakes in choices)
    back = over_reals.parts((fakes, reals) for reals, fakes in choices)
    values = [
        _values(of_fakes, of_reals, k, (int(reals.sum()), int(fakes.sum())))
        for of_fakes, of_reals, (reals, fakes) in zip(there, back, choices, strict=True)
    ]
    pairs = list(zip(values[::2], values[1::2], strict=True))
    return {name: shared_by_halves([(one[name], other[name]) for one, other in pairs]) for name in NAMES}


def _estimate(name: str, value: float, halves: NDArray[np.float64], reals: int, fakes: int) -> Estimate:
    method = f"differences of random halves ({SPLITS} splits)"
    if name == "density":
        error = float(np.linalg.norm(halves))
        return Estimate(value, error, normal_interval(value, error, minimum=0.0), method, shared=halves)
    error, interval, shared = share_by_halves(value, halves, fakes if name == "precision" else reals)
    return Estimate(value, error, interval, method, shared=shared)


PRECISION = Metric(
    title="Improved precision: share of fakes on the manifold of reals",
    compute=prdc,
    real="features",
    fake="features",
    direction="higher",
    source="Kynkäänniemi et al. 2019",
    family="prdc",
)

RECALL = Metric(
    title="Improved recall: share of reals on the manifold of fakes",
    compute=prdc,
    real="features",
    fake="features",
    direction="higher",
    source="Kynkäänniemi et al. 2019",
    family="prdc",
)

DENSITY = Metric(
    title="Density: neighbourhoods of reals that contain a fake, per fake",
    compute=prdc,
    real="features",
    fake="features",
    direction="higher",
    source="Naeem et al. 2020",
    family="prdc",
)

COVERAGE = Metric(
    title="Coverage: share of reals with a fake in their neighbourhood",
    compute=prdc,
    real="features",
    fake="features",
    direction="higher",
    source="Naeem et al. 2020",
    family="prdc",
)
