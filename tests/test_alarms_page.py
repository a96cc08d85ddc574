"""The page of false alarms shows the benchmark's results, and its claims are true."""

import json
from pathlib import Path

from benchmarks.alarms import CASES

ROOT = Path(__file__).parent.parent


def test_the_page_has_the_measured_tables() -> None:
    """Its tables are those of the benchmark, word for word."""
    page = (ROOT / "docs/alarms.md").read_text(encoding="utf-8")
    assert (ROOT / "benchmarks/results/alarms.md").read_text(encoding="utf-8") in page


def test_no_alarm_is_false_in_one_run_of_a_hundred() -> None:
    """The bound is below 1% for every faultless kind of run, and no fault is missed."""
    figures = json.loads((ROOT / "benchmarks/results/alarms.json").read_text(encoding="utf-8"))["cases"]
    assert set(figures) == {case.name for case in CASES}
    for case in CASES:
        found = figures[case.name]
        assert found["raised"] > 0.99 if case.wrong else found["bound"] < 0.01, case.name
