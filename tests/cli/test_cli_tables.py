"""Numbers are written with as many digits as their error bar justifies, and round-trip within it."""

import csv
import io
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeval.comparison import Comparison, differences
from ganeval.results import Evaluation, MetricResult
from ganeval.tables import FOOTNOTE, Table
from ganeval.wording import interval_text, with_error
from ganeval_cli import compare
from ganeval_cli.options import OutputOptions
from ganeval_cli.render import evaluation_text, evaluations_csv, every_details, extractors_text, protocols_text

VALUES = st.floats(min_value=1e-3, max_value=1e6)
ERRORS = st.floats(min_value=1e-4, max_value=1e3)


@given(VALUES, ERRORS)
def test_a_written_value_is_within_its_error(value: float, error: float) -> None:
    """Rounding moves a value by less than a tenth of its error, or 1 in 1000, and the error by less than 5%."""
    shown, shown_error = (float(part) for part in with_error(value, error).split(" ± "))
    assert abs(shown - value) <= max(0.06 * error, 1e-3 * value)
    assert math.isclose(shown_error, error, rel_tol=0.06) or abs(shown_error - error) <= 0.5


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_any_number_can_be_written(value: float) -> None:
    """Huge, tiny and negative numbers keep their magnitude, or are 0 if rounded to it."""
    assert math.isclose(float(with_error(value, None)), value, rel_tol=1e-3, abs_tol=1e-9)


@given(VALUES, ERRORS)
def test_intervals_have_the_decimals_of_their_value(value: float, error: float) -> None:
    """A bound has as many decimals as its value."""
    text = interval_text((value - error, value + error), value, error)
    decimals = {len(part.partition(".")[2]) for part in text.split(" to ") if part != "0" and "e" not in part}
    shown = with_error(value, error).split(" ± ")[0]
    assert "e" in shown or decimals <= {len(shown.partition(".")[2])}


@given(st.floats(0, 1), st.one_of(st.none(), st.just(0.0)), st.floats(1e-5, 1))
def test_an_interval_shows_how_wide_it_is(value: float, error: float | None, width: float) -> None:
    """An interval of non-zero width has different ends, even without an error that gives the decimals."""
    low, high = (float(part) for part in interval_text((value, value + width), value, error).split(" to "))
    assert high - low == pytest.approx(width, rel=0.11)


def test_no_interval_is_a_dash() -> None:
    """A missing interval is a dash."""
    assert interval_text(None, 1.0, None) == "-"


@pytest.mark.parametrize("cell", ["a", "a longer cell", "ünïcödé"])
def test_columns_line_up(cell: str) -> None:
    """Every second column starts at the same position."""
    rows = Table(("name", "value"), [(cell, "1"), ("b", "2")]).text().splitlines()
    assert len({line.index(word) for line, word in zip(rows, ("value", "1", "2"), strict=True)}) == 1


def evaluation(*, comparable: bool = True, **values: float) -> Evaluation:
    """An evaluation with these values; metrics named "near" have the ideal 0.5, and others should be low."""
    about = {
        "extractor": "x",
        "weights": "w",
        "weights_sha256": "",
        "protocol": "clean",
        "precision": "fp32",
        "device": "cpu",
    }
    metrics = {
        name: MetricResult(value, 0.1, (value - 0.2, value + 0.2), "lower", 10, 10, "m")
        if name != "near"
        else MetricResult(value, 0.1, (value - 0.2, value + 0.2), "closer", 10, 10, "m", ideal=0.5)
        for name, value in values.items()
    }
    return Evaluation(metrics, about, comparable)


VIEW = OutputOptions(format="table", quiet=True, verbose=False)


def test_protocols_differ_in_the_direction_of_their_values() -> None:
    """Differences are signed also for values below zero, missing in the default protocol, or zero."""
    sets = {"tensorflow": evaluation(kid=-0.3, fid=0.0), "clean": evaluation(kid=0.1, fid=1.0, sfid=2.0)}
    rows = [line.split() for line in protocols_text(sets, default="tensorflow", view=VIEW).splitlines()]
    found = {(row[0], row[1]): row[-1] for row in rows if row and row[0] in sets}
    assert found[("clean", "kid")] == "+133.33%"
    assert (found[("clean", "fid")], found[("clean", "sfid")]) == ("-", "-")


def test_csv_says_what_is_close_to_what_and_what_may_be_compared() -> None:
    """CSV has the columns `ideal` and `comparable`."""
    text = evaluations_csv({"a": evaluation(near=0.7, fid=1.0, comparable=False)})
    near, fid = csv.DictReader(io.StringIO(text))
    assert (near["direction"], near["ideal"], near["comparable"]) == ("closer", "0.5", "false")
    assert (fid["direction"], fid["ideal"]) == ("lower", "")


def test_csv_of_several_results_says_what_tells_them_apart() -> None:
    """The first column is of extractors or of protocols, and is called so."""
    sets = {"digits": evaluation(fid=1.0, kid=2.0), "pixels:4": evaluation(fid=3.0)}
    rows = list(csv.DictReader(io.StringIO(evaluations_csv(sets, by="extractor"))))
    assert [(row["extractor"], row["metric"]) for row in rows] == [
        *(("digits", "fid"), ("digits", "kid")),
        ("pixels:4", "fid"),
    ]


def test_a_comparison_marks_what_stands_beside_no_published_number() -> None:
    """Values that are not comparable are marked in each table; CSV marks each difference, and whether it is paired."""
    sets = {"a": evaluation(fid=1.0), "b": evaluation(fid=2.0, comparable=False)}
    found = Comparison(sets, differences(sets, lambda *_: 0.0))
    text = compare._text(found, VIEW)
    assert "1.000 ± 0.10  2.000 ± 0.10 *  lower" in text
    assert f"{FOOTNOTE}\nmeasured with" in text
    (row,) = csv.DictReader(io.StringIO(compare._csv(found)))
    assert (row["paired"], row["comparable"]) == ("true", "false")
    alike = Comparison({"a": sets["a"], "c": sets["a"]}, ())
    assert "*" not in compare._text(alike, VIEW)


def test_what_is_below_a_table_in_markdown_is_text() -> None:
    """The footnote, names and what was measured are paragraphs, and none is an item of a list or emphasised."""
    document = replace(VIEW, format="markdown")
    sets = {"- a*/b_c_": evaluation(fid=1.0), "1. d": evaluation(fid=2.0, comparable=False)}
    texts = [
        evaluation_text(sets["1. d"], view=document),
        protocols_text(sets, default="1. d", view=document),
        extractors_text(sets, view=document),
        compare._text(Comparison(sets, differences(sets, lambda *_: 0.0)), document),
    ]
    for text in texts:
        below = text.split("\n\n")
        assert r"\* not comparable with published numbers" in below
        assert any(part.startswith("measured with x") and "\n" not in part for part in below)
        assert FOOTNOTE not in text.replace(rf"\{FOOTNOTE}", "")
    assert r"A: - a\*/b\_c\_" in texts[-1].split("\n\n")


def test_details_in_markdown_are_a_table_below_a_name() -> None:
    """A name that looks like an item of a list is a paragraph of its own."""
    about = {
        **evaluation(fid=1.0).provenance,
        **{"dimensions": 4, "preprocessing": "none", "real": None, "fake": None, "seed": 0},
        **{"versions": {"ganeval": "1"}, "created": "now"},
    }
    sets = dict.fromkeys(("- a*/b_c_", "1. d"), replace(evaluation(fid=1.0), provenance=about))
    parts = [part.split("\n\n") for part in every_details(sets, replace(VIEW, format="markdown"))]
    assert [name for name, _ in parts] == [r"\- a\*/b\_c\_", r"1\. d"]
    assert all(table.startswith("| measured | how |\n|---|---|\n| extractor | x |") for _, table in parts)
