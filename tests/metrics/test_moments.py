"""Streaming moments equal numpy's for every way of adding the rows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganeval.errors import MetricError
from ganeval.metrics.moments import Moments, check_features


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 5), st.floats(-1e4, 1e4))
def test_moments_of_pieces_are_the_moments_of_the_whole(sizes: list[int], d: int, offset: float) -> None:
    """Any cut of the rows gives numpy's mean and covariance, also far from zero, where one-pass sums lose digits."""
    rng = torch.Generator().manual_seed(sum(sizes))
    parts = [torch.randn(n, d, generator=rng, dtype=torch.float64) + offset for n in sizes]
    whole = torch.cat(parts)
    moments = Moments.of(parts)
    assert moments.count == len(whole)
    assert torch.allclose(moments.mean, whole.mean(0), rtol=1e-12, atol=1e-12)
    if len(whole) > 1:
        expected = np.cov(whole.numpy(), rowvar=False).reshape(d, d)
        assert np.allclose(moments.gaussian().covariance.numpy(), expected, rtol=1e-8, atol=1e-8)


def test_merging_is_symmetric() -> None:
    """Which of two halves was seen first does not matter."""
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    a, b = Moments.of(rows[:20]), Moments.of(rows[20:])
    assert torch.allclose(a.merge(b).scatter, b.merge(a).scatter, rtol=1e-13)
    assert torch.allclose(a.merge(b).mean, b.merge(a).mean, rtol=1e-13)


def test_moments_of_other_dimensions_do_not_merge() -> None:
    """Moments of different dimensions are an error."""
    with pytest.raises(MetricError, match="4 and 5 dimensions"):
        Moments.of(torch.ones(3, 4)).merge(Moments.of(torch.ones(3, 5)))


def test_moments_of_nothing_are_refused() -> None:
    """An empty stream has no mean."""
    with pytest.raises(MetricError, match="no features"):
        Moments.of([])


def test_one_row_has_no_covariance() -> None:
    """n = 1 is refused for every divisor."""
    with pytest.raises(MetricError, match="at least 2 images"):
        Moments.of(torch.ones(1, 4)).gaussian(ddof=0)


@pytest.mark.parametrize("ddof", [-1, 2, 100])
def test_a_covariance_is_over_n_or_one_less(ddof: int) -> None:
    """Other divisors are refused by value."""
    with pytest.raises(MetricError, match=f"ddof must be 1 or 0 .*found {ddof}"):
        Moments.of(torch.ones(9, 4)).gaussian(ddof=ddof)


def test_features_whose_sum_overflows_are_still_finite() -> None:
    """Every feature is checked, not a sum that may overflow float16."""
    features = torch.full((100, 10), 60_000.0, dtype=torch.float16)
    assert Moments.of(features).mean.tolist() == [60_000.0] * 10


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (torch.ones(9, 4).to_sparse(), r"of layout sparse_coo; make them dense with features\.to_dense\(\)"),
        (torch.ones(9, 4, device="meta"), "on the device 'meta', where a tensor has a shape but no values"),
        (torch.ones(9, 4, dtype=torch.int64), r"must be floating point, found torch\.int64"),
        (torch.ones(9), r"must be \[images, dimensions\] with at least one of each, found \[9\]"),
    ],
)
def test_what_has_no_rows_of_numbers_is_no_features(features: torch.Tensor, words: str) -> None:
    """The message says what was found, and what to do."""
    with pytest.raises(MetricError, match=words):
        check_features(features)
