"""U-statistics of order two: means of a kernel over pairs of rows, and the variance of such means.

Hoeffding's decomposition of a kernel k(a, b) has parts that depend on one row alone and a degenerate rest, all
uncorrelated. So the variance of a mean over pairs is the sum of the variances of these parts, and each has an unbiased
estimate from row sums and squares: for single rows from the spread of row means, for the rest from the doubly centred
kernel matrix. Neither needs the whole matrix, which is computed a block at a time.

Sources: Hoeffding 1948; Székely and Rizzo 2014 (the unbiased centring, their U-centred matrix).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.distances import slices
from ganeval.metrics.moments import workable

# [A, D] and [B, D] of one dtype => the kernel of every row with every row, float64 [A, B], in a new array.
Kernel = Callable[[Tensor, Tensor], Tensor]
# Rows and columns of a block. Few rows, as half of a block on the diagonal is redundant; few columns, so that a block
# (4 MiB of float64) stays in the processor's cache for any number of images. There must be at least as many columns as
# rows.
BLOCK_ROWS, BLOCK_COLUMNS = 256, 2048
# Minimum number of rows for an estimate of the degenerate part.
FEWEST = 4


@dataclass(frozen=True, slots=True)
class Within:
    """Sums of a symmetric kernel over the pairs of different rows of one set.

    rows: float64 [N], for each row the sum over the others. squares: the sum of squares over all ordered pairs. groups:
    float64 [G], the sum over the ordered pairs within each group of rows.
    """

    rows: Tensor
    squares: float
    groups: Tensor

    @property
    def count(self) -> int:
        """N."""
        return len(self.rows)

    @property
    def mean(self) -> float:
        """The mean over all pairs: the U-statistic."""
        return float(self.rows.mean()) / (self.count - 1)

    @property
    def means(self) -> Tensor:
        """[N], up to a constant: the sum of each row divided by N - 2, so that differences of rows are unbiased."""
        return self.rows / (self.count - 2)

    @property
    def rest(self) -> float:
        """The variance of the degenerate part; unbiased, for N >= 4."""
        n = self.count
        total = self.squares - 2 * float(self.rows.square().sum()) / (n - 2)
        return (total + _square(float(self.rows.sum())) / ((n - 1) * (n - 2))) / (n * (n - 3))


@dataclass(frozen=True, slots=True)
class Between:
    """Sums of a kernel over the pairs of a row of one set and a row of another.

    rows: float64 [N], for each row of the first the sum over the second. columns: float64 [M], the reverse. squares:
    the sum of squares over all pairs. groups: float64 [G], the sum over the pairs of each group of rows and of columns.
    """

    rows: Tensor
    columns: Tensor
    squares: float
    groups: Tensor

    @property
    def mean(self) -> float:
        """The mean over all pairs."""
        return float(self.rows.mean()) / len(self.columns)

    @property
    def rest(self) -> float:
        """The variance of the degenerate part; unbiased, for N, M >= 2."""
        n, m = len(self.rows), len(self.columns)
        total = self.squares - float(self.rows.square().sum()) / m - float(self.columns.square().sum()) / n
        return (total + _square(float(self.rows.sum())) / (n * m)) / ((n - 1) * (m - 1))


def within(rows: Tensor, kernel: Kernel, *, groups: Tensor | None = None) -> Within:
    """Sums of the kernel over the pairs of rows [N, D], N >= 2; half of the matrix is computed.

    groups: float64 [N, G], 1 where a row belongs to a group and 0 elsewhere.
    """
    rows = workable(rows)
    members = _no_groups(rows) if groups is None else groups
    sums, squares, grouped = rows.new_zeros(len(rows), dtype=torch.float64), 0.0, members.new_zeros(members.shape[1])
    for some in slices(len(rows), BLOCK_ROWS):
        mine = members[some]
        for others in slices(len(rows), BLOCK_COLUMNS, some.start):
            block = kernel(rows[some], rows[others])
            # The first block begins with the pairs among its own rows, in both orders; other pairs occur in one order
            # only.
            own = len(block) if others.start == some.start else 0
            square, beyond = block[:, :own], block[:, own:]
            if own:
                square.fill_diagonal_(0)
            sums[some] += block.sum(1)
            sums[others][own:] += beyond.sum(0)
            squares += 2 * _sum_of_squares(block) - _sum_of_squares(square)
            grouped += (mine * (square @ mine[:own] + 2 * (beyond @ members[others][own:]))).sum(0)
    return Within(sums, squares, grouped)


def between(first: Tensor, second: Tensor, kernel: Kernel, *, groups: tuple[Tensor, Tensor] | None = None) -> Between:
    """Sums of the kernel over the pairs of rows of [N, D] and rows of [M, D]; groups: float64 [N, G] and [M, G]."""
    first, second = workable(first), workable(second)
    if first.dtype != second.dtype:
        first, second = first.double(), second.double()
    mine, theirs = (_no_groups(first), _no_groups(second)) if groups is None else groups
    rows, columns = first.new_zeros(len(first), dtype=torch.float64), first.new_zeros(len(second), dtype=torch.float64)
    squares, grouped = 0.0, mine.new_zeros(mine.shape[1])
    for some in slices(len(first), BLOCK_ROWS):
        for others in slices(len(second), BLOCK_COLUMNS):
            block = kernel(first[some], second[others])
            rows[some] += block.sum(1)
            columns[others] += block.sum(0)
            squares += _sum_of_squares(block)
            grouped += (mine[some] * (block @ theirs[others])).sum(0)
    return Between(rows, columns, squares, grouped)


def variance_of_mean(pairs: Within) -> float:
    """The variance of `pairs.mean` over draws of the rows, never negative, for N >= 4."""
    n, rest = pairs.count, max(pairs.rest, 0.0)
    single = float(pairs.means.var()) - rest / (n - 2)
    return 4 * max(single, 0.0) / n + 2 * rest / (n * (n - 1))


def _no_groups(rows: Tensor) -> Tensor:
    return rows.new_zeros(len(rows), 0, dtype=torch.float64)


def _sum_of_squares(block: Tensor) -> float:
    return _square(float(torch.linalg.vector_norm(block)))


def _square(value: float) -> float:
    # Infinity on overflow, where ** would raise OverflowError.
    return value * value
