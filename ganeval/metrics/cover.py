"""Which rows lie in which balls of a set, for the whole sets and for random subsets of both."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.array_types import BoolArray, FloatArray, IntArray
from ganeval.distances import slices
from ganeval.errors import MetricError
from ganeval.neighbours import Balls, Near

# Maximum number of pairs of a ball's centre and a nearby row kept for resampling, 24 bytes each; pairs per piece.
PAIRS, PIECE = 1 << 24, 1 << 18
# Relative accuracy of the squared distances in the lists that subsets are made from.
ROUNDING = 1e-5


def check_sizes(real: Tensor, fake: Tensor, k: int) -> None:
    """MetricError unless every image of either set has k neighbours."""
    check_neighbours(k)
    fewest = min(len(real), len(fake))
    if k >= fewest:
        raise MetricError(
            f"Neighbourhoods that reach to neighbour {k} need more than {k} images of each set, found {len(real)} real "
            f"and {len(fake)} fake images; "
            + (f"choose a k of {_up_to(fewest - 1)}, or give more images." if fewest > 1 else "give more images.")
        )


def check_neighbours(k: int) -> None:
    """MetricError unless k is a number of neighbours."""
    if k < 1:
        raise MetricError(f"The number of neighbours k must be at least 1, found {k}.")


def listed(k: int) -> int:
    """How many neighbours to list so that they include the k nearest within random halves."""
    # The k-th neighbour in a half is on average number 2k in the whole; five standard deviations are added.
    return 2 * k + math.ceil(5 * math.sqrt(2 * k))


def no_error_bar(covers: "Iterable[Cover]", fewest: int, k: int) -> str | None:
    """Why there is no error bar, for sets of at least `fewest` images; None where there is one."""
    if any(cover.pairs is None for cover in covers):
        return f"no error bar: more than {PAIRS} pairs are within reach, too many to resample"
    if fewest // 2 <= k:
        return f"no error bar: halves of {fewest} images have too few images for k = {k}"
    return None


class Counts(NamedTuple):
    """Counts of balls and rows: how many balls contain each row, and how many rows each ball contains."""

    rows: IntArray
    balls: IntArray


class Inside(NamedTuple):
    """Balls over rows, for a subset of both: pairs of a ball and a row in it.

    centres, rows: indices int64 [P] into the whole sets. squares: float64 [P], their squared distances, accurate to
    float32. radii: float64 [N], squared, to the k-th neighbour in the subset; infinite for centres outside of it.
    """

    centres: IntArray
    rows: IntArray
    squares: FloatArray
    radii: FloatArray

    def counts(self, rows: int) -> Counts:
        """The counts by row and by ball. rows: the number of rows in the whole set."""
        return Counts(np.bincount(self.rows, minlength=rows), np.bincount(self.centres, minlength=len(self.radii)))


class NeighbourLists:
    """The listed neighbours of centres, in numpy, which does not start threads for arrays this small.

    neighbours: int64 [N, K], nearest first. near: float64 [N, K], their squared distances, accurate to float32.
    """

    def __init__(self, centres: Balls) -> None:
        self.neighbours, self.near = centres.indices.cpu().numpy(), centres.near.clamp(min=0).cpu().numpy()
        self.counts = np.zeros((len(self.near), self.near.shape[1] + 1), np.int16)

    def nearer(self, there: BoolArray) -> NDArray[np.int16]:
        """How many of the first 0, 1, ..., K neighbours are in a subset, [N, K + 1]; valid until the next call."""
        self.counts[:, 0] = 0
        np.cumsum(there[self.neighbours], 1, dtype=np.int16, out=self.counts[:, 1:])
        return self.counts

    def radii(self, there: BoolArray, k: int) -> FloatArray:
        """Squared distances to the k-th neighbour in the subset of the last call; infinite for centres outside."""
        kth = np.minimum((self.counts[:, 1:] < k).sum(1), self.near.shape[1] - 1)
        return np.where(there, self.near[np.arange(len(self.near)), kth], np.inf)


class Cover:
    """Which rows of one set lie in which balls of the other, and the data to recompute this for subsets of both.

    whole: the counts for all balls and rows. pairs: a ball's centre and a nearby row, as the rank of the row among the
    listed neighbours of the centre (an index into [centres, listed + 1]), the row, and the squared distance; None if
    there are too many.
    """

    def __init__(self, centres: Balls, rows: int, k: int, *, inclusive: bool) -> None:
        self.centres, self.k, self.inclusive = centres, k, inclusive
        self.width = centres.near.shape[1] + 1
        self.whole = Counts(np.zeros(rows, np.int64), np.zeros(len(centres.squares), np.int64))
        self.pairs: list[tuple[IntArray, IntArray, FloatArray]] | None = []

    def add(self, near: Near) -> None:
        """Count a part of the pairs, and keep them unless they are too many."""
        self.whole.rows[:] += near.rows[near.inside].bincount(minlength=len(self.whole.rows)).cpu().numpy()
        self.whole.balls[:] += near.centres[near.inside].bincount(minlength=len(self.whole.balls)).cpu().numpy()
        if self.pairs is not None:
            places = near.centres * self.width + self._ranks(near)
            self.pairs.append((places.cpu().numpy(), near.rows.cpu().numpy(), near.squares.cpu().numpy()))
            if sum(len(rows) for _, rows, _ in self.pairs) > PAIRS:
                self.pairs = None

    def subsets(self, choices: Iterable[tuple[BoolArray, BoolArray]]) -> Iterator[Inside]:
        """Which rows lie in which balls, for subsets: radii reach to the k-th neighbour in the subset of centres."""
        assert self.pairs is not None
        places, rows, squares = (np.concatenate(arrays) for arrays in zip(*self.pairs, strict=True))
        lists = NeighbourLists(self.centres)
        for centres_there, rows_there in choices:
            nearer = lists.nearer(centres_there)
            radii = lists.radii(centres_there, self.k)
            nearer[~centres_there] = self.k
            inside = np.flatnonzero((nearer.ravel()[places] < self.k) & rows_there[rows])
            yield Inside(places[inside] // self.width, rows[inside], squares[inside], radii)

    def _ranks(self, near: Near) -> Tensor:
        """How many listed neighbours of the centre are closer than the row."""
        ranks = [torch.empty(0, dtype=torch.int64, device=near.rows.device)]
        for piece in slices(len(near.rows), PIECE):
            neighbours, squares = self.centres.near[near.centres[piece]], near.squares[piece, None]
            # Values equal up to float32's rounding count as equal, as for a row that is a copy of a neighbour.
            ends = squares * (1 - ROUNDING) if self.inclusive else squares * (1 + ROUNDING)
            ranks.append((neighbours <= ends).sum(1))
        return torch.cat(ranks)


def _up_to(most: int) -> str:
    return "1" if most == 1 else f"1 to {most}"
