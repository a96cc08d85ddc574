"""The page of false alarms shows what the benchmark found, and what it says of that is so."""

import json
from pathlib import Path

from benchmarks.alarms import CASES

ROOT = Path(__file__).parent.parent


def test_the_page_has_the_measured_tables() -> None:
    """Word for word."""
    page = (ROOT / "docs/alarms.md").read_text(encoding="utf-8")
    assert (ROOT / "benchmarks/results/alarms.md").read_text(encoding="utf-8") in page


def test_no_alarm_is_false_in_one_run_of_a_hundred() -> None:
    """By the bound of every kind of run in which nothing is wrong; and none is missed in the others."""
    figures = json.loads((ROOT / "benchmarks/results/alarms.json").read_text(encoding="utf-8"))["cases"]
    assert set(figures) == {case.name for case in CASES}
    for case in CASES:
        found = figures[case.name]
        assert found["raised"] > 0.99 if case.wrong else found["bound"] < 0.01, case.name
