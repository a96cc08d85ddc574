"""The comparison of training steps: what is measured, kept and refused; public code itself is not here."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from torch import nn

from benchmarks import harness, steps
from benchmarks.steps import CASES, Case, modules_of, sizes, steps_table
from reference_models.engine.plan import make_plan
from reference_models.engine.training import Training

ROOT = Path(__file__).parents[2]
SMALL = sizes(8, 2, width=4, groups=1, blocks=1, conditional=False)


def same(_: Path, training: Training) -> tuple[steps.Step, list[nn.Module]]:
    """Public code with the networks of this side, whose step does nothing."""
    return (lambda: None), [training.model]


CASE = Case("r3gan", SMALL, "torch", None, same)


def test_every_case_is_the_papers_network_at_a_size_that_a_cpu_trains() -> None:
    """Each has settings that the paper's preset takes, and a name of its own."""
    assert len({str(case) for case in CASES}) == len(CASES)
    for case in CASES:
        recipe = make_plan(case.variant, preset="paper", data="noise", chosen=case.chosen).recipe
        assert (recipe.resolution, recipe.batch) == (case.chosen["resolution"], case.chosen["batch"])


def test_both_sides_have_the_same_number_of_parameters(tmp_path: Path) -> None:
    """Networks of another size are refused, unless the case says by how much they differ."""
    ours, theirs = steps.measured(CASE, tmp_path, 3)["parameters"]
    assert ours == theirs > 0
    with pytest.raises(RuntimeError, match=r"r3gan, 8 px, batch 2, width 4, blocks 1 has [\d,]+ parameters, and"):
        steps.measured(replace(CASE, more=1), tmp_path, 3)


def test_what_is_not_there_is_skipped_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A case without its folder keeps its earlier figures, and the others are measured."""
    for module in (steps, harness):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.delenv("SOME_CODE", raising=False)
    absent = replace(CASE, variant="ddpm", chosen=sizes(8, 2), variable="SOME_CODE")
    monkeypatch.setattr(steps, "CASES", (CASE, absent))
    earlier: Mapping[str, object] = {
        **{"peer": "some/code", "version": "1234abcd", "parameters": [5, 5]},
        **{"ganeval": [100.0, 110.0, 120.0], "public": [150.0, 220.0, 300.0]},
    }
    (tmp_path / "steps.json").write_text(json.dumps({"cases": {str(absent): earlier}}))
    steps.main(runs=1)
    assert "ddpm, 8 px, batch 2: skipped, SOME_CODE is not set" in capsys.readouterr().err
    kept = json.loads((tmp_path / "steps.json").read_text())["cases"]
    assert kept[str(absent)] == earlier
    assert len(kept[str(CASE)]["ganeval"]) == len(kept[str(CASE)]["public"]) == 7
    with pytest.raises(SystemExit, match="steps has no dcgan; choose from ddpm, r3gan"):
        steps.main(runs=1, data=["dcgan"])


def test_the_ratio_is_that_of_neighbouring_steps() -> None:
    """Its median and quartiles are over turns, in which the machine is equally busy for both sides."""
    found = {"ganeval": [100.0, 200.0, 400.0], "public": [150.0, 400.0, 1200.0], "peer": "some/code", "version": "1"}
    text = steps_table({"a case": {**found, "parameters": [1234, 1234]}})
    assert "| a case | 1,234 | some/code, 1 | 200 | 400 | 2.00 (1.75 to 2.50) |" in text


def test_modules_of_two_checkouts_may_have_one_name(tmp_path: Path) -> None:
    """Each checkout gives its own, what they import is lent for that time, and the search path is as before."""
    for name in ("one", "two"):
        (tmp_path / name / "models").mkdir(parents=True)
        (tmp_path / name / "models" / "__init__.py").write_text("import not_here\nfrom .parts import NAME\n")
        (tmp_path / name / "models" / "parts.py").write_text(f"NAME = {name!r}\n")
    for name in ("one", "two"):
        (found,) = modules_of(tmp_path / name, "models", stand_ins=[ModuleType("not_here")])
        assert name == found.NAME
    with pytest.raises(ImportError):
        modules_of(tmp_path / "one", "models")


@pytest.mark.parametrize(("page", "results"), [("training", "steps"), ("reference_models", "quick_runs")])
def test_pages_have_the_tables_that_were_measured(page: str, results: str) -> None:
    """The tables of steps and of quick runs are those in benchmarks/results."""
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    assert (ROOT / f"benchmarks/results/{results}.md").read_text(encoding="utf-8") in text
