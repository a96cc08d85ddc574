"""Scored runs as documents and pages, and several seeds as one summary, from Python."""

import json
from collections.abc import Iterator
from statistics import fmean

import pytest

from ganeval.errors import UsageError
from ganeval.report import render
from ganeval.results import Evaluation
from reference_models import ScoredRun, summarize_seeds, train_and_score_seeds


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[ScoredRun]:
    """Two seeds of a tiny model."""
    return list(
        train_and_score_seeds(
            "gan",
            tmp_path_factory.mktemp("runs") / "gan",
            seeds=2,
            chosen={"steps": 2, "resolution": 8, "settings.hidden": 16},
            metrics=["fid", "nn"],
            extractor="pixels:4",
            num_samples=20,
            device="cpu",
        )
    )


def test_a_scored_run_is_a_document(runs: list[ScoredRun]) -> None:
    """JSON holds it; scores and floor are results that can be read again."""
    document = json.loads(json.dumps(runs[0].to_dict(), allow_nan=False))
    assert (document["run"], document["variant"], document["steps"]) == (str(runs[0].run), "gan", 2)
    assert Evaluation.from_dict(document["scores"]).metrics == runs[0].scores.evaluation.metrics
    assert Evaluation.from_dict(document["floor"]).metrics == runs[0].scores.floor.metrics
    assert isinstance(document["floor_of"], str)


def test_a_scored_run_is_shown_with_pictures_floor_and_curves(runs: list[ScoredRun]) -> None:
    """The page has the run's name, or the one it was given."""
    inputs = runs[0].report_inputs()
    assert [one.name for one in inputs.subjects] == [str(runs[0].run)]
    assert inputs.subjects[0].data.pictures
    assert inputs.floor is runs[0].scores.floor
    assert [one.name for one in inputs.runs] == ["seed-0"]
    assert [one.name for one in runs[0].report_inputs(name="mine").runs] == ["mine"]
    assert "seed-0" in render(inputs)


def test_seeds_are_summarized_one_after_the_other(runs: list[ScoredRun]) -> None:
    """The spreads are of all runs, whose features are gone; every run is told when it is there, and shown on a page."""
    told: list[str] = []

    def one_by_one() -> Iterator[ScoredRun]:
        for number, run in enumerate(runs):
            assert len(told) == number
            yield run

    found = summarize_seeds(one_by_one(), report=True, each=lambda run: told.append(run.run.name))
    assert told == ["seed-0", "seed-1"]
    assert found.root == runs[0].run.parent
    fids = [run.scores.evaluation["fid"].value for run in runs]
    spread = next(one for one in found.methods.spreads if one.metric == "fid")
    assert spread.values == tuple(fids)
    assert spread.mean == pytest.approx(fmean(fids))
    assert all(one.fake is None for one in found.methods.evaluations.values())
    assert found.to_dict()["runs"] == [run.to_dict() for run in runs]
    assert set(runs[0].scores.evaluation.warnings) <= set(found.warnings)
    assert [one.name for one in found.report.subjects] == ["gan: seed-0", "gan: seed-1"]
    assert all(one.data.pictures for one in found.report.subjects)
    assert summarize_seeds(runs).report is None


def test_no_run_is_no_summary() -> None:
    """There is nothing to say of nothing."""
    with pytest.raises(UsageError, match="at least one run"):
        summarize_seeds([])
