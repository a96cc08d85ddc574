"""Distances between the rows of two sets of features, in tiles of float32 whose error is known.

A tile comes from a matrix product, |x|^2 + |y|^2 - 2 x.y, about a common centre. Such a square is wrong by some
millionths of |x|^2 + |y|^2, so it may only decide what lies further from the decision than a bound on that error. The
rest is computed again from the difference of the rows, in float64, where equal rows are at exactly 0 (neighbours.py).

No array of rows by rows is ever made: memory is a few tiles, whatever the number of rows. Where nearly all pairs of a
tile are within reach of each other, as copies of one image are, listing them takes some thirty tiles.
"""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.precision import full_precision

Distance = Literal["euclidean", "cosine"]
# Bytes of a tile, and of the rows that are widened to float64 at once.
TILE_BYTES = 1 << 24
# Pairs a row from which it pays to know equal rows beforehand.
MANY = 8
ROUNDOFF = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}


class Rows:
    """One set of features [N, D], finite, as distances see it; "cosine": by direction alone.

    Cosine distance is 1 - cos, half the squared Euclidean distance of rows of length 1, and is computed as such.
    Raises MetricError for rows of zeros where directions are compared.
    """

    def __init__(self, features: Tensor, distance: Distance = "euclidean") -> None:
        if distance not in ("euclidean", "cosine"):
            raise MetricError(f"Unknown distance '{distance}'; choose euclidean or cosine.")
        self.features, self.distance = features.detach(), distance
        self.bounded = max(1, TILE_BYTES // (8 * features.shape[1]))
        self.lengths: Tensor | None = None
        if distance == "cosine":
            self.lengths = torch.cat([part.norm(dim=1, keepdim=True) for part in self.parts()])
            if zeros := int((self.lengths == 0).sum()):
                raise MetricError(
                    f"{zeros} of {len(self)} images have features of zeros only, which have no direction; "
                    "use the euclidean distance."
                )

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        """Rows as float64, of length 1 where only directions count."""
        rows = self.features[chosen].double()
        return rows if self.lengths is None else rows / self.lengths[chosen]

    def about(self, centre: Tensor, chosen: slice | Tensor) -> Tensor:
        """Rows less a centre (float64 [D]), in float32 or float64: each element right to a few roundings of itself."""
        if self.lengths is not None or self.features.dtype == torch.float64:
            return self[chosen] - centre
        # A difference of float32 numbers is rounded relative to itself, so two steps lose nothing to the centre's size.
        high = centre.float()
        return self.features[chosen].float().sub(high).sub_((centre - high).float())

    def parts(self) -> Iterator[Tensor]:
        """All rows as float64, a bounded number at a time."""
        for part in slices(len(self), self.bounded):
            yield self[part]

    def to_distances(self, squares: Tensor) -> Tensor:
        """Squared Euclidean distances of rows => the distance that was asked for."""
        return squares / 2 if self.distance == "cosine" else squares.sqrt()

    @cached_property
    def fingerprints(self) -> Tensor:
        """int64 [N]: equal for equal rows, and for others by an accident of some 2^-60."""
        width, device = self.features.shape[1], self.features.device
        keys = torch.randint(-(2**62), 2**62, (width,), generator=torch.Generator().manual_seed(0)) * 2 + 1
        keys = keys.to(device)
        # Adding 0.0 makes 0.0 of -0.0. Narrow floats leave the low bits empty; shifted high ones fill them.
        words = ((part + 0.0).view(torch.int64) for part in self.parts())
        return torch.cat([((word ^ (word >> 29)) * keys).sum(1) for word in words])


def squares_between(first: Rows, second: Rows, i: Tensor, j: Tensor) -> Tensor:
    """Squared distances float64 [P] of row i[p] of one set and j[p] of the other, from their differences."""
    squares = torch.zeros(len(i), dtype=torch.float64, device=i.device)
    wanted = torch.arange(len(i), device=i.device)
    # Two sets with many equal rows have very many pairs of them: these are known without arithmetic.
    if len(i) > MANY * (len(first) + len(second)):
        wanted = (first.fingerprints[i] != second.fingerprints[j]).nonzero()[:, 0]
    for part in slices(len(wanted), first.bounded):
        pairs = wanted[part]
        squares[pairs] = (first[i[pairs]] - second[j[pairs]]).square_().sum(1)
    return squares


class Frame:
    """Where two sets are measured from, and in what unit: a power of two such that no row is longer than 1.

    Without a second set, the first is measured against itself. centre: float64 [D]. lengths: the squared lengths
    float64 [N] of the rows of each, in this unit.
    """

    def __init__(self, first: Rows, second: Rows | None = None) -> None:
        self.first, self.second = first, first if second is None else second
        sets = (first,) if second is None else (first, second)
        count = sum(len(rows) for rows in sets)
        centre = torch.zeros(first.features.shape[1], dtype=torch.float64, device=first.features.device)
        for rows in sets:
            for part in rows.parts():
                centre += part.sum(0) / count
        self.centre = centre
        lengths = [torch.cat([self._lengths(rows, part) for part in slices(len(rows), rows.bounded)]) for rows in sets]
        self.unit = 2.0 ** math.frexp(max(float(length.max()) for length in lengths))[1]
        self.lengths = ((lengths[0] / self.unit).square(), (lengths[-1] / self.unit).square())

    def slack(self, lengths: Tensor, squares: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """How far above `squares` [N] (in this unit) a computed square may be when the true one is not.

        lengths: of the rows the squares belong to, [N]; the other row's need not be known, as |y| <= |x| + |x - y|.
        Rounding errors of a dot product of D terms add up like a random walk: four standard deviations are allowed,
        and some more for all else.
        """
        width = len(self.centre)
        return ROUNDOFF[dtype] * (20 + 4 * math.sqrt(width)) * (3 * lengths + 2 * squares)

    def tiles(self) -> Iterator[tuple[slice, slice, Tensor]]:
        """Rows of the one set, of the other, and float32 squares of their distances, in this unit.

        Of one set against itself only the upper triangle is made: whoever needs it mirrors it.
        """
        same, edge = self.first is self.second, self.edge
        for rows in slices(len(self.first), edge):
            x = self.place(self.first, rows)
            for columns in slices(len(self.second), edge):
                if same and columns.start < rows.start:
                    continue
                y = x if same and columns == rows else self.place(self.second, columns)
                yield rows, columns, squares_of_all(x, y, self.lengths[0][rows], self.lengths[1][columns])

    def place(self, rows: Rows, chosen: slice | Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Rows about the centre, in this unit."""
        return rows.about(self.centre, chosen).to(dtype).div_(self.unit)

    def _lengths(self, rows: Rows, part: slice) -> Tensor:
        lengths: Tensor = torch.linalg.vector_norm(rows.about(self.centre, part), dim=1, dtype=torch.float64)
        return lengths

    @property
    def edge(self) -> int:
        """Rows of a square tile, such that neither it nor its rows are beyond bounds."""
        return max(1, min(math.isqrt(TILE_BYTES // 4), TILE_BYTES // len(self.centre)))


def squares_of_all(x: Tensor, y: Tensor, x_squares: Tensor, y_squares: Tensor) -> Tensor:
    """Squared distances of all pairs, in the rows' own precision, whatever shortcuts the caller's program takes.

    x_squares, y_squares: the squared lengths of the rows.
    """
    with full_precision(), torch.autocast(x.device.type, enabled=False):
        squares = torch.addmm(y_squares.to(x.dtype), x, y.T, alpha=-2)
    return squares.add_(x_squares.to(x.dtype)[:, None])


def slices(count: int, size: int) -> list[slice]:
    """0 .. count in pieces of `size`, the last one smaller."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
