"""Means over pairs of rows, and the variances of their parts."""

import itertools

import pytest
import torch
from torch import Tensor

from ganeval.metrics import ustatistics
from ganeval.metrics.ustatistics import between, variance_of_mean, within


def kernel(first: Tensor, second: Tensor) -> Tensor:
    """A symmetric kernel with a degenerate part that is neither a sum nor a product of functions of its arguments."""
    return torch.cdist(first.double(), second.double()) + (first.double() @ second.double().T) ** 2


def rows(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_sums_are_those_of_the_whole_matrix() -> None:
    """Sums of rows, columns, squares and groups equal those of the full matrix, without the diagonal within a set."""
    x, y = rows(11, 1), rows(7, 2)
    mine, theirs = (torch.rand(n, 4, generator=torch.Generator().manual_seed(n)).round().double() for n in (11, 7))
    xx, xy = kernel(x, x).fill_diagonal_(0), kernel(x, y)
    same, both = within(x, kernel, groups=mine), between(x, y, kernel, groups=(mine, theirs))
    torch.testing.assert_close(same.rows, xx.sum(1))
    torch.testing.assert_close(same.groups, (mine.T @ xx @ mine).diagonal())
    torch.testing.assert_close((both.rows, both.columns), (xy.sum(1), xy.sum(0)))
    torch.testing.assert_close(both.groups, (mine.T @ xy @ theirs).diagonal())
    assert (same.squares, both.squares) == pytest.approx((float(xx.square().sum()), float(xy.square().sum())))
    assert (same.mean, both.mean) == pytest.approx((float(xx.sum()) / 110, float(xy.mean())))


@pytest.mark.parametrize(
    ("block_rows", "block_columns"), [(1, 1), (1, 4), (3, 3), (3, 5), (4, 7), (4, 100), (100, 100)]
)
def test_sums_do_not_depend_on_the_size_of_blocks(
    monkeypatch: pytest.MonkeyPatch, block_rows: int, block_columns: int
) -> None:
    """One pair at a time, blocks of several, and all at once give the same sums."""
    x, y, groups = rows(11, 1), rows(7, 2), torch.ones(11, 1, dtype=torch.float64)
    same, both = within(x, kernel, groups=groups), between(x, y, kernel)
    monkeypatch.setattr(ustatistics, "BLOCK_ROWS", block_rows)
    monkeypatch.setattr(ustatistics, "BLOCK_COLUMNS", block_columns)
    for before, after in ((same, within(x, kernel, groups=groups)), (both, between(x, y, kernel))):
        for name in type(before).__slots__:
            assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-12), name


def population(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, float]:
    """The parts of a kernel between uniform distributions on rows: of each row of either, and the rest's variance."""
    values = kernel(first, second)
    mine, theirs = values.mean(1), values.mean(0)
    rest = values - mine[:, None] - theirs + values.mean()
    return mine, theirs, float(rest.square().mean())


@pytest.mark.parametrize("n", [4, 5])
def test_variances_within_a_set_are_unbiased(n: int) -> None:
    """Over all equally likely samples of a three-point distribution they average to the population's, exactly."""
    points = rows(3, 5)
    single, _, rest = population(points, points)
    found = [within(points[list(picked)], kernel) for picked in itertools.product(range(3), repeat=n)]

    def average(values: list[float]) -> float:
        return sum(values) / len(values)

    means = torch.tensor([one.mean for one in found], dtype=torch.float64)
    # The kernel's diagonal is part of the population: two draws may be the same point.
    assert float(means.mean()) == pytest.approx(float(kernel(points, points).mean()), rel=1e-12)
    assert average([one.rest for one in found]) == pytest.approx(rest, rel=1e-10)
    spread = average([float(one.means.var()) - one.rest / (n - 2) for one in found])
    assert spread == pytest.approx(float(single.var(correction=0)), rel=1e-10)
    assert 4 * spread / n + 2 * rest / (n * (n - 1)) == pytest.approx(float(means.var(correction=0)), rel=1e-10)


def test_the_variance_between_sets_is_unbiased() -> None:
    """The same for a kernel between samples of two distributions."""
    first, second = rows(3, 6), rows(2, 7)
    samples = [
        between(first[list(mine)], second[list(theirs)], kernel)
        for mine in itertools.product(range(3), repeat=3)
        for theirs in itertools.product(range(2), repeat=2)
    ]
    rest = population(first, second)[2]
    assert sum(one.rest for one in samples) / len(samples) == pytest.approx(rest, rel=1e-10)


def test_the_variance_of_a_mean_is_the_spread_over_draws() -> None:
    """The variance agrees with the spread of 300 draws of 40 rows, known to 4%."""
    draws = [within(rows(40, seed), kernel) for seed in range(300)]
    spread = torch.tensor([one.mean for one in draws]).var()
    assert sum(variance_of_mean(one) for one in draws) / 300 == pytest.approx(float(spread), rel=0.25)


def test_a_constant_kernel_has_no_variance() -> None:
    """A constant kernel has variance 0, and rounding does not make it negative."""
    pairs = within(rows(50), lambda first, second: torch.full((len(first), len(second)), 0.1, dtype=torch.float64))
    assert pairs.mean == pytest.approx(0.1, rel=1e-12)
    assert 0 <= variance_of_mean(pairs) < 1e-15
