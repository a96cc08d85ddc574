"""The ranking of variants: ties, intervals, and what a ranking contains; and the modes of stacked digits."""

import json
import math
from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.systems import r3gan, ranking
from benchmarks.systems.r3gan import modes_of, stacks
from benchmarks.systems.ranking import Place, Trained, differ, interval, ranked, ranking_table, unconditional
from reference_models.engine.plan import make_plan


def place(variant: str, *values: float) -> Place:
    """A variant with these FIDs, one per seed, and coverages that are worse where the FID is."""
    return Place(variant, [Trained(10, 1.0, {"fid": value, "coverage": 1 / value}) for value in values])


def test_ranks_count_the_variants_that_are_better_and_ties_share_one() -> None:
    """Two that cannot be told apart are both first, and the third is behind two."""
    found = ranked([place("c", 90, 91, 92), place("a", 10, 12, 14), place("b", 9, 13, 15)], "fid")
    assert [(one.variant, one.rank, list(one.tied)) for one in found] == [
        ("a", 1, ["b"]),
        ("b", 1, ["a"]),
        ("c", 3, []),
    ]
    assert [one.variant for one in ranked(found, "coverage")][-1] == "c"
    assert "| 3 | c | 10 | 1 | 91.00 ± 2.48 |" in ranking_table("digits", found)


def test_an_interval_is_students() -> None:
    """Of three runs 4.303 standard errors on either side; of a single run there is none."""
    mean, half = interval([90, 91, 92])
    assert (mean, half) == (91, pytest.approx(4.3027 / math.sqrt(3), rel=1e-4))
    assert math.isnan(interval([5.0])[1])


def test_single_runs_are_always_tied() -> None:
    """Nothing is known of their scatter; runs without any scatter differ where their values do."""
    assert not differ([1.0], [99.0])
    assert differ([1.0, 1.0], [2.0, 2.0])
    assert not differ([1.0, 1.0], [1.0, 1.0])


def test_the_ranking_is_of_variants_that_make_images_without_labels() -> None:
    """Conditional GANs would be shown labels that the others do not have."""
    names = unconditional()
    assert {"gan", "dcgan", "r3gan"} <= set(names)
    assert not {"cgan", "acgan"} & set(names)


def test_twice_the_seconds_are_about_twice_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that fit are seconds over the time of a step, by the process's own clock."""
    clock = iter([0.0, 0.5, 0.0, 0.5])
    monkeypatch.setattr(ranking.time, "process_time", lambda: next(clock))
    plan = make_plan("gan", chosen={"resolution": 16, "settings.hidden": 8})
    assert [ranking.fitting(plan, seconds) for seconds in (10, 20)] == [100, 200]


def test_modes_of_stacked_digits_are_counted_by_the_digits_classifier() -> None:
    """One triple is one mode, a thousandth of all; random stacks have more, at a smaller divergence."""
    many = stacks(seed=0, count=400).pixels
    one = modes_of(many[:1].expand(50, -1, -1, -1))
    assert (one.covered, one.kl) == (1, pytest.approx(math.log(1000)))
    several = modes_of(many)
    # 400 of 1,000 equally likely triples: 330 different ones are expected, with a deviation of 7.
    assert 300 < several.covered < 360


def test_a_part_is_measured_again_and_the_others_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has the new figures of the part that was named, the earlier ones of others, and a table of each."""
    for module in (r3gan, harness):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    twins = {
        "grid": {"r3gan": [{"covered": 25, "quality": 0.9}, {"covered": 24, "quality": 0.8}]},
        "stacked": {"r3gan": [{"covered": 900, "quality": None, "kl": 0.25}]},
    }
    monkeypatch.setattr(r3gan, "measured", lambda part, runs: twins[part])
    r3gan.main(runs=1, data=["stacked"])
    r3gan.main(runs=2, data=["grid"])
    found = json.loads((tmp_path / "r3gan.json").read_text())
    assert {part: found[part] for part in twins} == twins
    text = (tmp_path / "r3gan.md").read_text()
    assert "grid of 25, 3000 steps, 2 seeds | modes | samples near a mode" in text
    assert "| r3gan | 24.5 ± 6.4 | 0.85 ± 0.64 |" in text
    assert "| r3gan | 900 | 0.25 |" in text
    with pytest.raises(SystemExit, match="no part lines; choose from digits, grid, stacked"):
        r3gan.main(runs=1, data=["lines"])
