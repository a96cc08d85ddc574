"""Nearest neighbours of rows, and membership in balls around them, as exact as float64.

float32 tiles (distances.py) give candidates and comparisons; comparisons closer to a decision than their error bound
are decided by differences in float64, and all returned distances are computed that way. So results do not depend on the
size of tiles, and ties are ordered by index. Rows that float32 cannot tell apart at all (many near-copies) are searched
by float64 products.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval import distances as tiling
from ganeval.distances import Frame, Rows, slices, squares_between, squares_of_all
from ganeval.errors import MetricError

# Candidates kept in addition to the k nearest, so that a few near-ties cost nothing.
SPARE = 4
# Squared distances whose relative difference is below this are equal: float64 sums are accurate to about 1e-15.
TIE = 1e-12


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest neighbours of each row, in ascending order of distance.

    distances: float64 [N, k]. indices: int64 [N, k]. near: float64 [N, K], K >= k, distances to the K nearest, accurate
    to float32. listed: int64 [N, K], the indices of these.
    """

    distances: Tensor
    indices: Tensor
    near: Tensor
    listed: Tensor


@dataclass(frozen=True, slots=True)
class Balls:
    """A ball around each row of a set.

    rows: the centres. squares: float64 [N], the squared radius: the distance to the k-th nearest other row. near:
    float64 [N, K], squared distances to the K nearest others, ascending, accurate to float32. indices: int64 [N, K],
    these others.
    """

    rows: Rows
    squares: Tensor
    near: Tensor
    indices: Tensor


@dataclass(frozen=True, slots=True)
class Near:
    """P pairs of a centre and a row near it.

    centres, rows: indices int64 [P]. squares: float64 [P], accurate to float32. inside: bool [P], exact: whether the
    row is in the ball.
    """

    centres: Tensor
    rows: Tensor
    squares: Tensor
    inside: Tensor


def nearest(queries: Rows, points: Rows, k: int = 1, *, depth: int = 0) -> Neighbours:
    """The k nearest of `points` to each row of `queries`; depth: how many to list, if there are as many.

    Raises MetricError if there are fewer than k.
    """
    return _Search(queries, points).nearest(k, depth)


def nearest_others(points: Rows, k: int = 1, *, depth: int = 0) -> Neighbours:
    """The same among the other rows of one set."""
    return _Search(points).nearest(k, depth)


def balls(points: Rows, k: int, *, depth: int) -> Balls:
    """Balls that reach to the k-th nearest other row; depth >= k: how many others to list, if there are as many."""
    search = _Search(points)
    search.check(k)
    near, indices = search.candidates(min(max(depth, k + SPARE), search.available))
    return Balls(points, search.radii(near, indices, k), near.double() * search.frame.unit**2, indices)


def near_balls(first: Balls, second: Balls, *, inclusive: bool) -> Iterator[tuple[Near, Near]]:
    """Rows of either set that are no further from a centre of the other set than the last neighbour the centre lists.

    Yields a part of them at a time: rows of `second` near centres of `first`, and the reverse. inclusive: whether the
    surface of a ball belongs to it.
    """
    frame = Frame(first.rows, second.rows)
    there = _Side(first, second.rows, frame, frame.lengths[0], inclusive)
    back = _Side(second, first.rows, frame, frame.lengths[1], inclusive)
    for rows, columns, tile in frame.tiles():
        yield there.near(rows, columns, tile), back.near(columns, rows, tile, turned=True)


def near_rows(sets: Sequence[tuple[Balls, bool]], rows: Rows) -> Iterator[tuple[Near, ...]]:
    """The same in one direction, for several sets of balls around the same centres.

    sets: balls, and whether their surface belongs to them.
    """
    frame = Frame(sets[0][0].rows, rows)
    sides = [_Side(centres, rows, frame, frame.lengths[0], inclusive) for centres, inclusive in sets]
    for part, columns, tile in frame.tiles():
        yield tuple(side.near(part, columns, tile) for side in sides)


def near_others(centres: Balls, *, inclusive: bool) -> Iterator[Near]:
    """The same for the other rows of the set itself."""
    frame = Frame(centres.rows)
    side = _Side(centres, centres.rows, frame, frame.lengths[0], inclusive)
    for rows, columns, tile in frame.tiles():
        if rows == columns:
            tile.fill_diagonal_(math.inf)
        else:
            yield side.near(columns, rows, tile, turned=True)
        yield side.near(rows, columns, tile)


def nearest_by_scale(
    queries: Rows, points: Rows, scales: Tensor, count: int, *, left_out: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """For each query, the points whose squared distance is the smallest multiple of the point's scale.

    scales: float64 [M], above 0. left_out: int64 [M, E], the queries for which a point does not count.
    Returns squared distances float64 [N, count], in ascending order of these multiples, and indices; fewer where there
    are not as many points. The first few squares are computed from differences; the others are accurate to float32.
    """
    frame = Frame(queries, points)
    count = min(count, len(points))
    best = torch.full((len(queries), count), math.inf, dtype=torch.float32, device=queries.features.device)
    indices = torch.zeros(best.shape, dtype=torch.int64, device=best.device)
    inverse = (frame.unit**2 / scales).float()
    for rows, columns, tile in frame.tiles():
        tile.clamp_(min=0).mul_(inverse[columns])
        if left_out is not None:
            numbers = left_out[columns] - rows.start
            point, place = ((numbers >= 0) & (numbers < len(tile))).nonzero(as_tuple=True)
            tile[numbers[point, place], point] = math.inf
        _keep(best, indices, rows, tile, columns.start)
    squares = best.double() * scales[indices]
    near = torch.arange(len(queries), device=best.device).repeat_interleave(min(SPARE, count))
    first = squares_between(queries, points, near, indices[:, :SPARE].flatten())
    squares[:, :SPARE] = first.view(len(queries), -1).masked_fill_(best[:, :SPARE] == math.inf, math.inf)
    return squares, indices


class _Side:
    """Balls among rows; reach: the float32 search radius, [N], in the unit of the frame."""

    def __init__(self, centres: Balls, others: Rows, frame: Frame, lengths: Tensor, inclusive: bool) -> None:
        self.centres, self.others, self.scale, self.inclusive = centres, others, frame.unit**2, inclusive
        self.slack = frame.slack(lengths, centres.squares / self.scale)
        last = torch.maximum(centres.near[:, -1], centres.squares) / self.scale
        self.reach = (last + frame.slack(lengths, last)).float()

    def near(self, centres: slice, rows: slice, tile: Tensor, *, turned: bool = False) -> Near:
        """The pairs of a tile within reach, with membership decided exactly; turned: it is [rows, centres]."""
        reach = self.reach[centres]
        found = (tile <= (reach if turned else reach[:, None])).nonzero(as_tuple=True)
        i, j = found[::-1] if turned else found
        squares, i, j = tile[found].double() * self.scale, i + centres.start, j + rows.start
        ends, exact = self.centres.squares[i], squares.clone()
        close = (squares - ends).abs() <= self.slack[i] * self.scale
        exact[close] = squares_between(self.centres.rows, self.others, i[close], j[close])
        inside = exact <= ends * (1 + TIE) if self.inclusive else exact < ends * (1 - TIE)
        return Near(i, j, squares, inside)


class _Search:
    """Search for the nearest rows of one set to those of another, or within one set (no row is its own neighbour)."""

    def __init__(self, queries: Rows, points: Rows | None = None) -> None:
        self.queries, self.points, self.within = queries, queries if points is None else points, points is None
        self.available = len(self.points) - self.within
        self.frame = Frame(queries, points)

    def check(self, k: int) -> None:
        """MetricError if there are not k neighbours."""
        if 1 <= k <= self.available:
            return
        whose = " (an image is not its own neighbour)" if self.within else ""
        raise MetricError(
            f"There are no {k} nearest neighbours among {len(self.points)} images{whose}; "
            + (f"choose 1 to {self.available}, or give more images." if self.available else "give more images.")
        )

    def nearest(self, k: int, depth: int) -> Neighbours:
        """The k nearest, checked, searched and decided exactly."""
        self.check(k)
        near, listed = self.candidates(min(max(depth, k + SPARE), self.available))
        squares, indices = self.settle(near, listed, k)
        distances, about = (
            self.queries.to_distances(each) for each in (squares, near.double().clamp(min=0) * self.frame.unit**2)
        )
        return Neighbours(distances, indices, about, listed)

    def candidates(self, count: int) -> tuple[Tensor, Tensor]:
        """The nearest by float32: squares in the frame's unit [N, count], ascending, and indices."""
        device = self.queries.features.device
        best = torch.full((len(self.queries), count), math.inf, dtype=torch.float32, device=device)
        indices = torch.zeros(best.shape, dtype=torch.int64, device=device)
        for rows, columns, tile in self.frame.tiles():
            if self.within and rows == columns:
                tile.fill_diagonal_(math.inf)
            _keep(best, indices, rows, tile, columns.start)
            if self.within and rows != columns:
                _keep(best, indices, columns, tile.T, rows.start)
        return best, indices

    def settle(self, near: Tensor, indices: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Candidates => exact squares [N, k] and indices; searched among all points where candidates are not enough."""
        wanted = torch.zeros(near.shape, dtype=torch.bool, device=near.device)
        wanted[:, :k] = True
        squares = self._exact(wanted, indices)
        wanted = (near <= self._reach(squares[:, :k].amax(1))[:, None]) & ~wanted
        squares = torch.minimum(squares, self._exact(wanted, indices))
        found, order = _sorted(squares, indices)
        found, order = found[:, :k].clone(), order[:, :k].clone()
        equal, rest = self._unsettled(near, found[:, -1], k)
        if len(equal):
            order[equal] = self._equals(equal, k)
        for part in self._pieces(rest):
            found[part], order[part] = self._everywhere(part, k)
        return found, order

    def radii(self, near: Tensor, indices: Tensor, k: int) -> Tensor:
        """Only the k-th exact square [N]; squares that float32 can order are not computed again."""
        kth = near[:, k - 1].double()
        close = (near - kth[:, None]).abs() <= 2 * self.frame.slack(self.frame.lengths[0], kth)[:, None]
        squares = torch.where(close, self._exact(close, indices), near.double() * self.frame.unit**2)
        found = squares.kthvalue(k, dim=1).values
        equal, rest = self._unsettled(near, found, k)
        found[equal] = 0.0
        for part in self._pieces(rest):
            found[part] = self._everywhere(part, k)[0][:, -1]
        return found

    def _unsettled(self, near: Tensor, last: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Rows for which a point outside the candidates may be nearer than the last: those with k equals; others."""
        none = torch.empty(0, dtype=torch.int64, device=near.device)
        if near.shape[1] == self.available or not (unsettled := near[:, -1] <= self._reach(last)).any():
            return none, none
        found, wanted = self.points.fingerprints.sort().values, self.queries.fingerprints
        equals = torch.searchsorted(found, wanted, right=True) - torch.searchsorted(found, wanted)
        equal = equals >= k + self.within
        return (unsettled & equal).nonzero()[:, 0], (unsettled & ~equal).nonzero()[:, 0]

    def _pieces(self, rows: Tensor) -> list[Tensor]:
        """Row numbers, in pieces whose float64 squares to all points fit the memory bound."""
        size = max(1, tiling.TILE_BYTES // (8 * len(self.points)))
        return [rows[piece] for piece in slices(len(rows), size)]

    def _reach(self, squares: Tensor) -> Tensor:
        """The largest float32 squares, in the frame's unit, of exact squares [N]."""
        squares = squares / self.frame.unit**2 * (1 + TIE)
        return squares + self.frame.slack(self.frame.lengths[0], squares)

    def _exact(self, wanted: Tensor, indices: Tensor) -> Tensor:
        """Exact squares where `wanted`, [N, C] each; infinity elsewhere."""
        i, c = wanted.nonzero(as_tuple=True)
        squares = torch.full(indices.shape, math.inf, dtype=torch.float64, device=indices.device)
        squares[i, c] = squares_between(self.queries, self.points, i, indices[i, c])
        return squares

    def _equals(self, rows: Tensor, k: int) -> Tensor:
        """The first k points that are equal to each of these rows [R]."""
        found, order = self.points.fingerprints.sort(stable=True)
        start = torch.searchsorted(found, self.queries.fingerprints[rows])
        indices = order[start[:, None] + torch.arange(k + self.within, device=rows.device)]
        if not self.within:
            return indices
        # A row is not its own neighbour: it is left out, or the last one if it is not among them.
        left_out = indices == rows[:, None]
        left_out[~left_out.any(1), -1] = True
        return indices[~left_out].view(len(rows), k)

    def _everywhere(self, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Exact squares [R, k] and indices for rows [R] whose neighbours float32 cannot tell apart."""
        squares = torch.empty(len(rows), len(self.points), dtype=torch.float64, device=rows.device)
        x = self.frame.place(self.queries, rows, torch.float64)
        for piece in slices(len(self.points), self.frame.edge):
            y = self.frame.place(self.points, piece, torch.float64)
            squares[:, piece] = squares_of_all(x, y, x.square().sum(1), y.square().sum(1))
        if self.within:
            squares[torch.arange(len(rows), device=rows.device), rows] = math.inf
        kth = squares.kthvalue(k, dim=1).values.clamp_(min=0)
        # Twice, because both the k-th and the nearer squares have this error.
        slack = 2 * self.frame.slack(self.frame.lengths[0][rows], kth, torch.float64)
        i, j = (squares <= (kth * (1 + TIE) + slack)[:, None]).nonzero(as_tuple=True)
        exact = squares_between(self.queries, self.points, rows[i], j)
        order = exact.argsort(stable=True)
        order = order[i[order].argsort(stable=True)]
        start = torch.searchsorted(i, torch.arange(len(rows), device=rows.device))
        chosen = order[start[:, None] + torch.arange(k, device=rows.device)]
        return exact[chosen], j[chosen]


def _keep(best: Tensor, indices: Tensor, rows: slice, tile: Tensor, offset: int) -> None:
    """Merge the nearest of a tile [rows, columns] into the nearest so far, in place."""
    values, found = tile.topk(min(best.shape[1], tile.shape[1]), dim=1, largest=False)
    values, found = torch.cat([best[rows], values], 1), torch.cat([indices[rows], found + offset], 1)
    best[rows], order = values.topk(best.shape[1], dim=1, largest=False)
    indices[rows] = found.gather(1, order)


def _sorted(squares: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Each row in order of square, then index."""
    order = indices.argsort(dim=1)
    squares, indices = squares.gather(1, order), indices.gather(1, order)
    squares, order = squares.sort(dim=1, stable=True)
    return squares, indices.gather(1, order)
