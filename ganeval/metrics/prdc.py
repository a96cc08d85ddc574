"""Precision, recall, density and coverage: are fakes where reals are, and the other way round?

Each image has a ball that reaches to its k-th nearest neighbour in its own set. Then

    precision   the share of fakes that lie in the ball of any real
    recall      the share of reals that lie in the ball of any fake
    density     the number of real balls a fake lies in, over k, averaged over fakes
    coverage    the share of reals whose ball holds any fake

Papers differ in k and in whether a ball has its surface: k = 5 without it ("strict": prdc, dgm-eval, StudioGAN), k = 3
with it ("inclusive": torch-fidelity, StyleGAN, ADM). All four depend on the numbers of images.

ADM's evaluator rounds squares of lengths, products and distances to float16, and what comes of it depends on the
precision in which its machine adds up. Here is the true value. On simulated features of 1,000 x 1,000 images and
2,048 dimensions, squared lengths of 250, its was off by up to 0.015 with sums in float32, and with sums in float16
too high by 0.02 to 0.04 (precision) and 0.01 to 0.07 (recall).

The balls are as random as the images in them: a binomial error of the shares, which takes balls as given, is too small,
by half and more. The standard error is from random halves. Both sets are cut in two; the two halves are independent,
so half the squared difference of their values estimates, without bias, the variance at half the size; half of that is
the variance here, averaged over splits. It takes for granted that variance falls as 1 / n. Where very few images carry
the number it does not yet, and the error is too small: in simulations by a third to a half for fakes that only the ball
of a stray real holds, and by a quarter for a density far above 1; elsewhere it was within a fifth.

Sources: Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric"; Naeem et al. 2020, "Reliable Fidelity and
Diversity Metrics".
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
from ganeval.metrics.moments import check_features
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
# Pairs of a ball's centre and a row near it that are kept to be resampled, 16 bytes each; and handled at once.
PAIRS, PIECE = 1 << 24, 1 << 18
# Squares of the lists, from which halves are made, are right to about this.
ROUNDING = 1e-5


def prdc(
    real: Tensor, fake: Tensor, *, k: int = 5, ties: Literal["strict", "inclusive"] = "strict", seed: int = 0
) -> Mapping[str, Estimate]:
    """Precision, recall, density and coverage of features [N, D] and [M, D].

    k: the neighbour that a ball reaches to, itself not counted. ties: whether a ball's surface belongs to it
    ("inclusive") or not ("strict"). seed: of the halves that standard errors are made of. Raises MetricError unless
    both sets have more than k images, of one dimension, and finite.
    """
    if check_features(real).shape[1] != check_features(fake).shape[1]:
        raise MetricError(
            f"Real features have {real.shape[1]} dimensions and fake ones {fake.shape[1]}; "
            "both must come from the same extractor."
        )
    if ties not in ("strict", "inclusive"):
        raise MetricError(f"Unknown ties '{ties}'; choose strict or inclusive.")
    fewest = min(len(real), len(fake))
    if not 1 <= k < fewest:
        raise MetricError(
            f"Balls that reach to neighbour {k} cannot be had from {len(real)} real and {len(fake)} fake images; "
            + (f"choose a k of 1 to {fewest - 1}, or give more images." if fewest > 1 else "give more images.")
        )
    # In a half, the k-th neighbour is in the mean number 2k of the whole; five standard deviations more.
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
        reason = f"no error bar: more than {PAIRS} pairs lie within reach, too many to be resampled"
        return {name: Estimate(value[name], None, None, reason) for name in NAMES}
    if fewest // 2 <= k:
        reason = f"no error bar: halves of {fewest} images have no neighbour {k}"
        return {name: Estimate(value[name], None, None, reason) for name in NAMES}
    halves = _on_halves(over_fakes, over_reals, k, seed)
    return {name: _estimate(name, value[name], halves[name], len(real), len(fake)) for name in NAMES}


Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]


class _Counts(NamedTuple):
    """Of balls over rows: how many balls hold each row, and how many rows each ball holds."""

    rows: Counts
    balls: Counts


class _Cover:
    """The balls of one set over the rows of the other, and what is needed to know it for parts of both.

    whole: of all balls and rows. pairs: of a ball's centre and a row near it, as the place of the row among the
    neighbours that the centre lists (an index into [centres, listed + 1]) and the row; None where they are too many.
    """

    def __init__(self, centres: Balls, rows: int, k: int, *, inclusive: bool) -> None:
        self.centres, self.k, self.inclusive = centres, k, inclusive
        self.width = centres.near.shape[1] + 1
        self.whole = _Counts(np.zeros(rows, np.int64), np.zeros(len(centres.squares), np.int64))
        self.pairs: list[tuple[Counts, Counts]] | None = []

    def add(self, near: Near) -> None:
        """Count a part of the pairs, and keep them as long as they are not too many."""
        self.whole.rows[:] += near.rows[near.inside].bincount(minlength=len(self.whole.rows)).cpu().numpy()
        self.whole.balls[:] += near.centres[near.inside].bincount(minlength=len(self.whole.balls)).cpu().numpy()
        if self.pairs is not None:
            places = near.centres * self.width + self._ranks(near)
            self.pairs.append((places.cpu().numpy(), near.rows.cpu().numpy()))
            if sum(len(rows) for _, rows in self.pairs) > PAIRS:
                self.pairs = None

    def parts(self, choices: Iterable[tuple[Bools, Bools]]) -> Iterator[_Counts]:
        """The same where only some centres and some rows are there: balls reach to the k-th neighbour among these.

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
        """How many of the neighbours that a centre lists come before the row."""
        ranks = [torch.empty(0, dtype=torch.int64, device=near.rows.device)]
        for piece in slices(len(near.rows), PIECE):
            listed, squares = self.centres.near[near.centres[piece]], near.squares[piece, None]
            # What is equal up to float32's rounding is equal: a row that is a copy of a neighbour, for one.
            ends = squares * (1 - ROUNDING) if self.inclusive else squares * (1 + ROUNDING)
            ranks.append((listed <= ends).sum(1))
        return torch.cat(ranks)


def _values(over_fakes: _Counts, over_reals: _Counts, k: int, sizes: tuple[int, int]) -> dict[str, float]:
    """The four numbers. sizes: how many reals and fakes there are."""
    reals, fakes = sizes
    return {
        "precision": int((over_fakes.rows > 0).sum()) / fakes,
        "recall": int((over_reals.rows > 0).sum()) / reals,
        "density": int(over_fakes.rows.sum()) / (k * fakes),
        "coverage": int((over_fakes.balls > 0).sum()) / reals,
    }


def _on_halves(over_fakes: _Cover, over_reals: _Cover, k: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """What the four numbers are on random halves of both sets, as `shared_by_halves`."""
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
