"""Distances between the rows of two sets of features, in float32 tiles with a known error bound.

A tile is computed by a matrix product, |x|^2 + |y|^2 - 2 x.y, relative to a common centre. The error of such a square
is some millionths of |x|^2 + |y|^2, so tiles only decide comparisons that are further apart than a bound on that error.
All others are computed again from the difference of the rows, in float64, where equal rows have distance 0 exactly
(neighbours.py).

No N x M array is created: memory is a few tiles, for any number of rows. If nearly all pairs of a tile are within reach
of each other, as copies of one image are, listing them takes about thirty tiles.
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
# Bytes per tile, and of the rows that are converted to float64 at a time.
TILE_BYTES = 1 << 24
# From this many pairs per row on, finding equal rows first is faster.
MANY = 8
# Squares up to this many times their error bound are computed again from the differences of the rows.
SETTLED = 300
ROUNDOFF = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}


class Rows:
    """One set of features [N, D], finite; "cosine" compares only directions.

    chosen: int64 [n], the rows that make up the set, which are not copied; None for all of them, in their order.

    Cosine distance is 1 - cos, half the squared Euclidean distance of unit rows, and is computed this way. Raises
    MetricError for rows of zeros with "cosine".
    """

    def __init__(self, features: Tensor, distance: Distance = "euclidean", *, chosen: Tensor | None = None) -> None:
        if distance not in ("euclidean", "cosine"):
            raise MetricError(f"Unknown distance '{distance}'; choose euclidean or cosine.")
        self.features, self.distance, self.chosen = features.detach(), distance, chosen
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
        return len(self.features) if self.chosen is None else len(self.chosen)

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        """Rows as float64, scaled to length 1 for the cosine distance."""
        rows = self._given(chosen).double()
        return rows if self.lengths is None else rows / self.lengths[chosen]

    def about(self, centre: Tensor, chosen: slice | Tensor) -> Tensor:
        """Rows minus a centre (float64 [D]), in float32 or float64, accurate to a few roundings per element."""
        if self.lengths is not None or self.features.dtype == torch.float64:
            return self[chosen] - centre
        # A float32 difference is rounded relative to itself, so in two steps the size of the centre costs no digits.
        high = centre.float()
        return self._given(chosen).float().sub(high).sub_((centre - high).float())

    def _given(self, places: slice | Tensor) -> Tensor:
        """Rows in their original dtype."""
        return self.features[places if self.chosen is None else self.chosen[places]]

    def parts(self) -> Iterator[Tensor]:
        """All rows as float64, a bounded number at a time."""
        for part in slices(len(self), self.bounded):
            yield self[part]

    def to_distances(self, squares: Tensor) -> Tensor:
        """Squared Euclidean distances of rows => the chosen distance."""
        return squares / 2 if self.distance == "cosine" else squares.sqrt()

    @cached_property
    def fingerprints(self) -> Tensor:
        """int64 [N]: equal for equal rows; equal for different ones with a probability of about 2^-60."""
        width, device = self.features.shape[1], self.features.device
        rng = torch.Generator().manual_seed(0)
        keys = (torch.randint(-(2**62), 2**62, (width,), generator=rng, device="cpu") * 2 + 1).to(device)
        # Adding 0.0 turns -0.0 into 0.0. The low bits of narrow floats are zero; shifted high bits fill them.
        words = ((part + 0.0).view(torch.int64) for part in self.parts())
        return torch.cat([((word ^ (word >> 29)) * keys).sum(1) for word in words])


def squares_between(first: Rows, second: Rows, i: Tensor, j: Tensor) -> Tensor:
    """Squared distances float64 [P] of row i[p] of one set and row j[p] of the other, from their differences."""
    squares = torch.zeros(len(i), dtype=torch.float64, device=i.device)
    wanted = torch.arange(len(i), device=i.device)
    # Sets with many equal rows have very many pairs of them, whose distance of 0 needs no arithmetic.
    if len(i) > MANY * (len(first) + len(second)):
        wanted = (first.fingerprints[i] != second.fingerprints[j]).nonzero()[:, 0]
    for part in slices(len(wanted), first.bounded):
        pairs = wanted[part]
        squares[pairs] = (first[i[pairs]] - second[j[pairs]]).square_().sum(1)
    return squares


class Frame:
    """The common centre of two sets, and a unit of length: a power of two such that no row is longer than 1.

    Without a second set, the first is compared with itself. centre: float64 [D]. lengths: squared lengths float64 [N]
    of the rows of each set, in this unit. Raises MetricError for rows so far apart that float64 cannot hold the square.
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
        largest = max(float(length.max()) for length in lengths)
        # Two rows are at most twice as far apart.
        if not math.isfinite(4 * largest * largest):
            raise MetricError(
                f"Squared distances between images exceed the range of float64: features are up to {largest:.3g} from "
                "their mean. Use an extractor whose features are smaller, or scale them."
            )
        self.unit = 2.0 ** math.frexp(largest)[1]
        self.lengths = ((lengths[0] / self.unit).square(), (lengths[-1] / self.unit).square())

    def slack(self, lengths: Tensor, squares: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """How far above `squares` [N] (in this unit) a computed square may be if the true one is not.

        lengths: squared lengths of the rows of the squares, [N]; those of the other rows need not be known, as |y| <=
        |x| + |x - y|. Rounding errors of a dot product of D terms accumulate like a random walk: four standard
        deviations are allowed, and some more for everything else.
        """
        width = len(self.centre)
        return ROUNDOFF[dtype] * (20 + 4 * math.sqrt(width)) * (3 * lengths + 2 * squares)

    def tiles(self) -> Iterator[tuple[slice, slice, Tensor]]:
        """Slices of rows of the two sets, and float32 squares of their distances, in this unit.

        For one set against itself only the upper triangle is computed.
        """
        same, edge = self.first is self.second, self.edge
        for rows in slices(len(self.first), edge):
            x = self.place(self.first, rows)
            for columns in slices(len(self.second), edge):
                if same and columns.start < rows.start:
                    continue
                y = x if same and columns == rows else self.place(self.second, columns)
                yield rows, columns, squares_of_all(x, y, self.lengths[0][rows], self.lengths[1][columns])

    def settled_tiles(self) -> Iterator[tuple[slice, slice, Tensor]]:
        """The same, but squares with a rounding error above some thousandths are computed from differences."""
        for rows, columns, tile in self.tiles():
            lengths = self.lengths[0][rows]
            i, j = (tile <= SETTLED * self.slack(lengths, torch.zeros_like(lengths))[:, None]).nonzero(as_tuple=True)
            exact = squares_between(self.first, self.second, i + rows.start, j + columns.start)
            tile[i, j] = (exact / self.unit**2).float()
            yield rows, columns, tile

    def place(self, rows: Rows, chosen: slice | Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Rows relative to the centre, in this unit."""
        return rows.about(self.centre, chosen).to(dtype).div_(self.unit)

    def _lengths(self, rows: Rows, part: slice) -> Tensor:
        lengths: Tensor = torch.linalg.vector_norm(rows.about(self.centre, part), dim=1, dtype=torch.float64)
        return lengths

    @property
    def edge(self) -> int:
        """Rows of a square tile, such that the tile and its rows are within the memory bound."""
        return max(1, min(math.isqrt(TILE_BYTES // 4), TILE_BYTES // len(self.centre)))


def squares_of_all(x: Tensor, y: Tensor, x_squares: Tensor, y_squares: Tensor) -> Tensor:
    """Squared distances of all pairs, in the precision of the rows, even if the calling program allows TF32.

    x_squares, y_squares: the squared lengths of the rows.
    """
    with full_precision(), torch.autocast(x.device.type, enabled=False):
        squares = torch.addmm(y_squares.to(x.dtype), x, y.T, alpha=-2)
    return squares.add_(x_squares.to(x.dtype)[:, None])


def slices(count: int, size: int, start: int = 0) -> list[slice]:
    """start .. count in pieces of `size`, the last one smaller."""
    return [slice(begin, min(begin + size, count)) for begin in range(start, count, size)]
