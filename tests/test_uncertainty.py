"""Intervals: known values, and properties at the edges."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeval.uncertainty import share_error, share_interval


def test_a_binomial_share_has_wilsons_interval() -> None:
    """The intervals of 50 of 100, and 0 of 10, are the tabulated ones."""
    assert share_interval(0.5, 0.05, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    assert share_interval(0.0, 0.0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert share_interval(1.0, 0.0, 10) == pytest.approx((1 - 0.27753, 1.0), abs=1e-5)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 10_000))
def test_an_interval_of_a_share_holds_it_and_stays_a_share(share: float, error: float, count: int) -> None:
    """It contains the share for every error, and is never narrower than that of independent images."""
    low, high = share_interval(share, error, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    narrow = share_interval(share, math.sqrt(share * (1 - share) / count), count)
    assert high - low >= narrow[1] - narrow[0] - 1e-12


@given(st.integers(1, 2000), st.data())
def test_an_interval_of_a_share_is_as_wide_as_its_error_says(count: int, data: st.DataObject) -> None:
    """At 0, at 1 and between, it extends about as far as the standard error, and further for a larger one."""
    share = data.draw(st.integers(0, count)) / count
    error = min(share_error(data.draw(st.floats(0, 0.5)), count), 0.5)
    low, high = share_interval(share, error, count)
    assert max(high - share, share - low) >= 0.89 * error
    larger = share_interval(share, 2 * error, count)
    assert larger[1] - larger[0] >= high - low - 1e-12


def test_a_share_of_none_with_a_large_error_is_no_narrow_interval() -> None:
    """0 of 100 with an error of 0.224 extends over most shares, and with the smallest error to 4 of 100."""
    assert share_interval(0.0, 0.224, 100) == pytest.approx((0.0, 0.7935), abs=1e-4)
    assert share_interval(0.0, 0.01, 100) == pytest.approx((0.0, 0.0370), abs=1e-4)
    assert share_interval(1.0, 0.224, 100) == pytest.approx((1 - 0.7935, 1.0), abs=1e-4)
