"""Numbers are written with as many digits as their error bar leaves, and read back as what they were."""

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeval import numbers
from ganeval_cli import tables
from ganeval_cli.tables import interval, measured, table

VALUES = st.floats(min_value=1e-3, max_value=1e6)
ERRORS = st.floats(min_value=1e-4, max_value=1e3)


def test_the_examples_in_the_file_hold() -> None:
    """The doctests of tables.py and numbers.py run."""
    ran = [doctest.testmod(module) for module in (tables, numbers)]
    assert [one.failed for one in ran] == [0, 0]
    assert sum(one.attempted for one in ran) > 5


@given(VALUES, ERRORS)
def test_a_written_value_is_within_its_error(value: float, error: float) -> None:
    """Rounding moves a value by less than a tenth of its error, or 1 in 1000, and the error by less than 5%."""
    shown, shown_error = (float(part) for part in measured(value, error).split(" ± "))
    assert abs(shown - value) <= max(0.06 * error, 1e-3 * value)
    assert math.isclose(shown_error, error, rel_tol=0.06) or abs(shown_error - error) <= 0.5


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_any_number_can_be_written(value: float) -> None:
    """Huge, tiny, negative: the text is a number of the same size, or 0 for rounding."""
    assert math.isclose(float(measured(value, None)), value, rel_tol=1e-3, abs_tol=1e-9)


@given(VALUES, ERRORS)
def test_intervals_have_the_decimals_of_their_value(value: float, error: float) -> None:
    """A bound never looks more or less exact than the value it bounds."""
    text = interval((value - error, value + error), value, error)
    decimals = {len(part.partition(".")[2]) for part in text.split(" to ") if part != "0" and "e" not in part}
    shown = measured(value, error).split(" ± ")[0]
    assert "e" in shown or decimals <= {len(shown.partition(".")[2])}


def test_no_interval_is_a_dash() -> None:
    """Where nothing can be said, nothing is."""
    assert interval(None, 1.0, None) == "-"


@pytest.mark.parametrize("cell", ["a", "a longer cell", "ünïcödé"])
def test_columns_line_up(cell: str) -> None:
    """Every second column begins at the same place."""
    rows = table(("name", "value"), [(cell, "1"), ("b", "2")]).splitlines()
    assert len({line.index(word) for line, word in zip(rows, ("value", "1", "2"), strict=True)}) == 1
