"""A history as a figure, from Python."""

from pathlib import Path

import pytest
from gate_helpers import evaluation, metric, save

from ganeval.errors import ResultError, UsageError
from ganeval.gate import read_history
from ganeval.report import plot_history


def test_a_history_is_drawn_in_one_call(tmp_path: Path) -> None:
    """Results are named below the axis; the same history gives the same bytes, and another one others."""
    (tmp_path / "runs").mkdir()
    save(tmp_path / "runs" / "first.json", evaluation({"fid": metric(12.0)}, created="2026-01-01T00:00:00+00:00"))
    save(tmp_path / "runs" / "later.json", evaluation({"fid": metric(9.0)}, created="2026-01-02T00:00:00+00:00"))
    for name in ("one.svg", "two.svg"):
        plot_history(read_history(tmp_path / "runs"), tmp_path / name)
    drawn = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert drawn == (tmp_path / "two.svg").read_text(encoding="utf-8")
    assert "first" in drawn
    assert "later" in drawn
    save(tmp_path / "runs" / "third.json", evaluation({"fid": metric(8.0)}, created="2026-01-03T00:00:00+00:00"))
    plot_history(read_history(tmp_path / "runs"), str(tmp_path / "two.svg"))
    assert "third" in (tmp_path / "two.svg").read_text(encoding="utf-8")


def test_names_of_a_long_history_do_not_lie_on_one_another(tmp_path: Path) -> None:
    """Of 60 results every third is named, from the first on, and all are drawn."""
    for number in range(60):
        created = f"2026-01-01T00:{number:02}:00+00:00"
        save(tmp_path / f"run{number:02}.json", evaluation({"fid": metric(12.0)}, created=created))
    plot_history(read_history(tmp_path), tmp_path / "h.svg")
    drawn = (tmp_path / "h.svg").read_text(encoding="utf-8")
    assert [number for number in range(60) if f"<!-- run{number:02} -->" in drawn] == list(range(0, 60, 3))
    assert "over 60 results" in drawn


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    """Another format, a number beyond what a figure shows, and a folder that is not there; no file is left."""
    save(tmp_path / "a.json")
    history = read_history(tmp_path)
    with pytest.raises(UsageError, match=r"drawn as \.svg, \.png, \.pdf; found"):
        plot_history(history, tmp_path / "h.gif")
    with pytest.raises(ResultError, match=r"missing"):
        plot_history(history, tmp_path / "missing" / "h.svg")
    save(tmp_path / "a.json", evaluation({"fid": metric(1e200)}))
    with pytest.raises(ResultError, match="cannot be shown"):
        plot_history(read_history(tmp_path), tmp_path / "h.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
