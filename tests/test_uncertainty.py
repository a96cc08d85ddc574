"""Intervals: known values, and what must hold at the edges."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeval.uncertainty import share_interval


def test_a_binomial_share_has_wilsons_interval() -> None:
    """50 of 100, and 0 of 10, as tabulated."""
    assert share_interval(0.5, 0.05, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    assert share_interval(0.0, 0.0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert share_interval(1.0, 0.0, 10) == pytest.approx((1 - 0.27753, 1.0), abs=1e-5)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 10_000))
def test_an_interval_of_a_share_holds_it_and_stays_a_share(share: float, error: float, count: int) -> None:
    """Whatever the error, and never narrower than that of as many independent images."""
    low, high = share_interval(share, error, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    narrow = share_interval(share, math.sqrt(share * (1 - share) / count), count)
    assert high - low >= narrow[1] - narrow[0] - 1e-12
