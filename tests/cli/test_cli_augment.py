"""`ganeval augment`: the table, the documents, and mistakes."""

import json
from pathlib import Path

import pytest
from cli_helpers import Run

import reference_models

FEW = ("table:breast_cancer", "--splits", "2", "--steps", "2", "--set", "width=4", "--device", "cpu")


def test_the_table_has_scores_differences_and_a_verdict(run: Run) -> None:
    """A line per split goes to standard error, and the verdict is the last line."""
    done = run("augment", *FEW)
    assert done.exit_code == 0, done.output
    scores, differences, how, verdict = done.stdout.rstrip("\n").split("\n\n")
    assert scores.splitlines()[0].split() == ["training", "set", "rows", "balanced", "accuracy", "accuracy"]
    assert scores.splitlines()[1].split()[:2] == ["reals", "427"]
    assert len(differences.splitlines()) == 15
    assert "2 random splits; standard errors corrected for shared rows" in how
    assert "generator r3gan, classifier tree" in how
    assert verdict.partition(":")[0] in ("better", "worse", "no difference shown")
    assert done.stderr.count("balanced accuracy reals ") == 2
    assert not run("augment", *FEW, "-q").stderr


def test_the_documents_are_those_of_python(run: Run, tmp_path: Path) -> None:
    """JSON is printed and written alike; CSV has a row per training set and split."""
    path = tmp_path / "augment.json"
    document = json.loads(run("augment", *FEW, "--format", "json", "-o", path).stdout)
    assert document == json.loads(path.read_text(encoding="utf-8"))
    chosen = {"steps": 2, "settings.width": 4}
    found = reference_models.augment("table:breast_cancer", splits=2, chosen=chosen, device="cpu")
    assert document == json.loads(json.dumps(found.to_dict()))
    assert document["verdict"] == found.verdict
    lines = run("augment", *FEW, "--format", "csv").stdout.splitlines()
    assert lines[0] == "training set,rows,split,balanced accuracy,accuracy"
    assert len(lines) == 1 + 2 * len(found.rows)
    assert run("augment", *FEW, "--format", "markdown").stdout.startswith("| training set | rows |")


def test_images_with_few_labels(run: Run) -> None:
    """Draws are told from splits."""
    done = run("augment", "digits:train", "--labels-per-class", "3", "--splits", "2", "--steps", "1", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "30 real rows to train on and 450 held out in each of 2 disjoint draws" in done.stdout


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (("table:breast_cancer", "--splits", "1"), 2, "1 is not in the range x>=2"),
        (("table:breast_cancer", "--classifier", "forest"), 2, "'forest' is not one of"),
        (("table:breast_cancer", "--set", "width"), 2, "'width' is not a setting"),
        (("table:breast_cancer", "--set", "wdith=3"), 2, "did you mean 'width'"),
        (("table:missing.csv,kind",), 1, "missing.csv cannot be read"),
        (("table:breast_cancer", "-o", "no/where.json"), 2, "does not exist"),
        (("missing",), 1, "missing does not exist"),
    ],
)
def test_mistakes_are_told_in_a_sentence(run: Run, given: tuple[str, ...], code: int, message: str) -> None:
    """On standard error, before anything is trained."""
    done = run("augment", *given)
    assert done.exit_code == code, done.output
    assert message in done.stderr
