"""`ganeval compare --runs` and `train-and-score --seeds`: methods over their training runs."""

import csv
import io
import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from cli_helpers import Run, write_digits

from ganeval.runs import RunsComparison
from ganeval.wording import with_error

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/result.schema.json").read_text(encoding="utf-8"))
FAST = ("--extractor", "pixels:4", "--no-cache", "--metrics", "fid", "-q")
TRAIN = ("--resolution", "16", "--steps", "2", "--batch", "16")
SCORE = ("--metrics", "fid", "--extractor", "pixels:4", "--num-samples", "60", "-q")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, digits: tuple[str, str]) -> Path:
    """Folders real, a1, a2, b1, b2 of digits, and a saved result of each run."""
    root = tmp_path_factory.mktemp("folders")
    shutil.copytree(digits[0], root / "real")
    for number, name in enumerate(("a1", "a2", "b1", "b2")):
        folder = root / name
        folder.mkdir()
        write_digits(folder, "test")
        # Every run lacks other digits.
        for image in sorted(folder.iterdir())[5 * number : 5 * number + 5]:
            image.unlink()
    return root


@pytest.fixture
def there(folders: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inside the folders, with results a1.json to b2.json."""
    monkeypatch.chdir(folders)
    for name in ("a1", "a2", "b1", "b2"):
        if not (folders / f"{name}.json").exists():
            assert run("score", "real", name, *FAST, "-o", f"{name}.json").exit_code == 0
    return folders


def test_runs_are_compared_from_images_and_from_saved_results_alike(run: Run, there: Path) -> None:
    """Both give the same differences; the document has the published schema, and a page is written."""
    both = ("--runs", "A=a1,a2", "--runs", "B=b1,b2")
    live = run("compare", "real", *both, *FAST, "-o", "live.json", "--report", "live.html", "--report-data")
    assert live.exit_code == 0, live.output
    saved = run("compare", "--runs", "A=a*.json", "--runs", "B=b1.json,b2.json", "--format", "json", "-q")
    assert saved.exit_code == 0, saved.output
    document, other = json.loads((there / "live.json").read_text()), json.loads(saved.stdout)
    jsonschema.validate(other, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert document["differences"] == other["differences"]
    assert list(other["methods"]["A"]) == ["a1.json", "a2.json"]
    assert RunsComparison.from_dict(document).differences[0].first == "A"
    assert sorted(path.name for path in there.glob("live.*")) == [
        *(f"live.{number}.report-data.zip" for number in range(1, 5)),
        "live.html",
        "live.json",
    ]
    assert "Methods over their runs" in (there / "live.html").read_text()


def test_the_tables_say_how_runs_spread_and_which_method_is_better(run: Run, there: Path) -> None:
    """A row per metric and method, a row per difference, and in CSV the differences in full precision."""
    command = ("compare", "--runs", "A=a1.json,a2.json", "--runs", "B=b1.json,b2.json", "-q")
    lines = run(*command).stdout.splitlines()
    assert lines[:2] == ["A: a1.json, a2.json", "B: b1.json, b2.json"]
    assert lines[3].split()[:3] == ["metric", "method", "runs"]
    assert [line.split()[:3] for line in lines[4:6]] == [["fid", "A", "2"], ["fid", "B", "2"]]
    (row,) = csv.DictReader(io.StringIO(run(*command, "--format", "csv").stdout))
    assert (row["scope"], row["first_runs"], row["second_runs"]) == ("methods", "2", "2")
    assert "signature" in run(*command, "-v").stdout


def test_one_run_a_side_gets_no_verdict(run: Run, there: Path) -> None:
    """The interval is said to be of these models, and a warning says what cannot be claimed."""
    found = run("compare", "--runs", "A=a1.json", "--runs", "B=b1.json")
    assert "of these models" in found.stdout
    assert "no verdict on the methods: one run" in found.stdout
    assert "warning: A and B have one run, which cannot show how far another training would differ" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("real --runs A=a1", "needs at least two of them, found 1"),
        ("real --runs A=a1 --runs A=b1", "The method 'A' was given twice"),
        ("real --runs A=a1,a1 --runs B=b1", "The method 'A' has the run a1 twice"),
        ("real --runs A=a1, --runs B=b1", "has an empty place"),
        ("real --runs a1 --runs B=b1", "'a1' does not say which method"),
        ("real b1 b2 --runs A=a1 --runs B=b1", "b1 is given together with --runs"),
        ("--runs A=a1 --runs B=b1", "Give the reals to measure a1 against"),
        ("real --runs A=a1,zz --runs B=b1", "zz does not exist"),
        ("real --runs A=a1 --runs B=b1.json", "a1 is to be measured, but b1.json is a saved result"),
        ("real --runs A=a1.json --runs B=b1.json", "real would not be read"),
        ("--runs A=a1.json --runs B=a1.json", "a1.json is a run of A and of B"),
        ("--runs A=a1.json --runs B=c*.json", "No file matches c*.json"),
        ("--runs A=a1.json --runs B=zz.json", "zz.json cannot be read"),
        ("--runs A=a1.json --runs B=b1.json --seed 3 --option fid.ddof=0", "--seed, --option cannot change them"),
        ("--runs A=a1.json --runs B=b1.json --metrics kid", "has no kid; all runs have fid"),
        ("", "Say what is compared"),
        ("real a1", "at least two generators, found 1"),
    ],
)
def test_what_is_no_comparison_of_methods_is_refused(run: Run, there: Path, arguments: str, message: str) -> None:
    """Every mistake has a message of its own, and nothing is measured."""
    found = run("compare", *arguments.split())
    assert found.exit_code in (1, 2)
    assert message in found.stderr
    assert found.stdout == ""


def test_from_training_several_seeds_to_a_verdict(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models trained from two seeds each are compared by their saved results; a missing seed is trained later."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANEVAL_CACHE", str(tmp_path / "cache"))
    done = run("train-and-score", "--variant", "gan", *TRAIN, *SCORE, "--seeds", "2", "-o", "a")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "a: 2 runs of gan"
    assert "a/*/result.json" in done.stdout
    first = run(
        "train-and-score", "--variant", "lsgan", *TRAIN, *SCORE, "--seeds", "1", "-o", "b", "--report", "b.html"
    )
    assert first.exit_code == 0, first.output
    assert "lsgan: seed-0" in (tmp_path / "b.html").read_text()
    again = run("train-and-score", "--resume", "b", "--seeds", "2", *SCORE, "--format", "json")
    assert again.exit_code == 0, again.output
    document = json.loads(again.stdout)
    assert [(one["run"], one["variant"], one["steps"]) for one in document["runs"]] == [
        ("b/seed-0", "lsgan", 2),
        ("b/seed-1", "lsgan", 2),
    ]
    values = [one["scores"]["metrics"]["fid"]["value"] for one in document["runs"]]
    assert document["spreads"][0]["values"] == values
    assert values[0] != values[1]
    found = run("compare", "--runs", "gan=a/*/result.json", "--runs", "lsgan=b/*/result.json", "--format", "json")
    assert found.exit_code == 0, found.output
    compared = json.loads(found.stdout)
    assert list(compared["methods"]["lsgan"]) == ["b/seed-0/result.json", "b/seed-1/result.json"]
    assert compared["differences"][0]["scope"] == "methods"
    assert "gan (2 runs" not in run("history", "a").stdout
    assert "a (2 runs" in run("history", "a").stdout


def test_seeds_of_a_semi_supervised_model_are_draws_of_labels(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table has the errors over draws beside the rivals' and the paired differences; saved runs are compared."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANEVAL_CACHE", str(tmp_path / "cache"))
    short = ("--steps", "3", "--batch", "8", "--set", "width=8", "--num-samples", "60", "-q", "--metrics")
    done = run("train-and-score", "--variant", "ssgan", *short, "fid,test_error", "--seeds", "2", "-o", "a")
    assert done.exit_code == 0, done.output
    blocks = done.stdout.split("\n\n")
    head, *rows = blocks[2].splitlines()
    assert head.split() == ["classifier", "test_error", "95%", "interval", "ssgan", "minus", "this", "95%", "interval"]
    assert [row.split("  ")[0] for row in rows] == ["ssgan", "labels alone", "label spreading"]
    assert "over 2 draws of 100 labels, one for each seed" in blocks[3]
    assert "the same 450 held-out images" in blocks[3]
    again = run("train-and-score", "--resume", "a", "--seeds", "2", *short[6:], "fid,test_error", "--format", "json")
    assert again.exit_code == 0, again.output
    document = json.loads(again.stdout)
    draws = document["label_draws"]
    assert (draws["labelled"], draws["held_out"], list(draws["methods"])) == (
        *(100, 450),
        ["ssgan", "labels alone", "label spreading"],
    )
    own, other = (draws["methods"][name] for name in ("ssgan", "labels alone"))
    assert own["errors"] == [one["scores"]["metrics"]["test_error"]["value"] for one in document["runs"]]
    assert own["model_minus_it"] is None
    gaps = [mine - theirs for mine, theirs in zip(own["errors"], other["errors"], strict=True)]
    assert other["model_minus_it"]["mean"] == pytest.approx(sum(gaps) / 2)
    cells = [one.strip() for one in rows[1].split("  ") if one.strip()]
    for cell, over in ((cells[1], other["over_draws"]), (cells[3], other["model_minus_it"])):
        assert cell == with_error(over["mean"], over["standard_error"])
    single = run("train-and-score", "--variant", "ssgan", *short, "fid,test_error", "--seeds", "1", "-o", "b")
    assert "classifier" not in single.stdout
    found = run("compare", "--runs", "a=a/*/result.json", "--runs", "b=b/*/result.json", "--format", "json")
    assert found.exit_code == 0, found.output
    assert [one["metric"] for one in json.loads(found.stdout)["differences"]] == ["fid", "test_error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--variant gan --seeds 2 --seed 1 -o new", "--seeds 2 trains from the seeds 0 to 1; leave --seed out"),
        ("--variant gan --seeds 2 --train-images 100 -o new", "--train-images takes other images for every seed"),
        ("--variant gan --seeds 2 -o taken", "taken exists and is not an empty folder"),
        ("--resume taken --seeds 2", "taken holds no run of a seed"),
        ("--resume several", "several holds runs of several seeds; give their number"),
    ],
)
def test_seeds_that_cannot_be_trained_are_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    """What does not fit runs of several seeds is refused before anything is trained."""
    monkeypatch.chdir(tmp_path)
    for name in ("taken/x", "several/seed-0"):
        Path(name).mkdir(parents=True)
    found = run("train-and-score", *arguments.split())
    assert found.exit_code == 2
    assert message in found.stderr
    assert not Path("new").exists()
