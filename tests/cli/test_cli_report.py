"""`ganeval report`, and the options that write report data and grids."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image

Run = Callable[..., Result]
PIXELS = ("--extractor", "pixels:8", "--no-cache", "-q")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working folder from which the images cannot be found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ganeval.extraction.extract", lambda *given, **options: pytest.fail("images were read"))
    return tmp_path


def test_a_measurement_leaves_report_data_that_makes_the_same_page(
    run: Run, digits: tuple[str, str], tmp_path: Path
) -> None:
    """`score --report` and `score --report-data` followed by `report` show the same pictures and figures."""
    result, page, later = (tmp_path / name for name in ("r.json", "now.html", "later.html"))
    done = run("score", *digits, "--metrics", "kid,nn", *PIXELS, "-o", result, "--report-data", "--report", page)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "r.report-data.zip").exists()
    done = run("report", result, "-o", later)
    assert (done.exit_code, done.output) == (0, "")
    texts = [path.read_text(encoding="utf-8").partition("Samples</h2>")[2] for path in (page, later)]
    assert texts[0].count("<img") == texts[1].count("<img") > 50
    assert texts[0].count("<svg") == texts[1].count("<svg")


def test_everything_there_is_on_one_page(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """One page shows a comparison with report data, the noise floor, the gate's outcome and a training."""
    both, floor, page = (tmp_path / name for name in ("both.json", "floor.json", "page.html"))
    log = tmp_path / "run" / "log.jsonl"
    log.parent.mkdir()
    log.write_text('{"step": 1, "loss/generator": 1.0}\n{"step": 2, "loss/generator": 0.5}\n')
    done = run("noise-floor", digits[0], "--metrics", "kid", "--splits", 2, *PIXELS, "-o", floor)
    assert done.exit_code == 0, done.output
    done = run("compare", digits[0], digits[1], digits[0], "--metrics", "kid", *PIXELS, "-o", both, "--report-data")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.glob("*.zip")) == ["both.1.report-data.zip", "both.2.report-data.zip"]
    done = run("report", both, "-o", page, "--floor", floor, "--baseline", floor, "--training", log.parent)
    assert done.exit_code == 0, done.output
    text = page.read_text(encoding="utf-8")
    for heading in ("Differences", "The gate", "Training", "Copies?"):
        assert f">{heading}</h2>" in text
    assert "floor (dashed)" in text


def test_a_check_in_the_same_step_is_on_the_page(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """The page is written for every outcome, and the command still exits with the outcome's code."""
    thresholds, page = tmp_path / "t.toml", tmp_path / "page.html"
    thresholds.write_text("[kid]\nmax = -1000.0\n")
    done = run("score", *digits, "--metrics", "kid", *PIXELS, "--report", page, "--check", "--thresholds", thresholds)
    assert done.exit_code == 1
    assert 'class="verdict regressed"' in page.read_text(encoding="utf-8")


def test_a_result_without_report_data_makes_a_page_and_a_hint(
    run: Run, digits: tuple[str, str], tmp_path: Path
) -> None:
    """Without report data the page has only the table, and the output says how to get the rest."""
    result, page = tmp_path / "r.json", tmp_path / "r.html"
    assert run("score", *digits, "--metrics", "kid", *PIXELS, "-o", result).exit_code == 0
    done = run("report", result, "-o", page)
    assert done.exit_code == 0
    assert "measure with --report-data" in done.stderr
    assert "<h2" in page.read_text(encoding="utf-8")


def test_grids_are_pictures_of_pairs_and_of_the_surest(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """One grid has a row per fake with its k nearest reals; the other has rows of fakes, then as many of reals."""
    pairs, surest = tmp_path / "pairs.png", tmp_path / "surest.png"
    done = run("nn", *digits, "--k", 3, "--grid", pairs, *PIXELS)
    assert done.exit_code == 0, done.output
    done = run("c2st", *digits, "--classifier", "logistic", "--grid", surest, *PIXELS)
    assert done.exit_code == 0, done.output
    # 8 pixels, enlarged to 72, and 15 for the caption; 2 between them.
    for path, size in ((pairs, (4 * 74 + 2, 16 * 89 + 2)), (surest, (8 * 74 + 2, 8 * 89 + 2))):
        with Image.open(path) as picture:
            assert picture.size == size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score", "--report-data"), "name the result's file with --output"),
        (("score", "--report", "missing/page.html"), "does not exist"),
        (("score", "--report", "."), "is a folder"),
        (("score", "--floor", "floor.json"), "name the page with --report"),
        (("score", "--report", "page.html", "--floor", "missing.json"), "cannot be read"),
        (("score", "--report", "page.html", "--protocol", "all"), "one protocol"),
        (("nn", "--grid", "pairs.jpg"), "must end in .png"),
        (("c2st", "--grid", "missing/pairs.png"), "does not exist"),
    ],
)
def test_what_cannot_be_written_is_found_before_anything_is_measured(
    run: Run, digits: tuple[str, str], elsewhere: Path, arguments: tuple[str, ...], message: str
) -> None:
    """An unwritable output is found before images are read, and no file is left behind."""
    done = run(arguments[0], *digits, *arguments[1:], "--extractor", "pixels:8", "--no-cache")
    assert done.exit_code != 0
    assert message in done.stderr
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ('{"schema": 9, "metrics": {}}', "has schema 9"),
        ('{"schema": 1, "metrics": {"fid": NaN}}', "NaN"),
    ],
)
def test_a_bad_result_makes_no_page(run: Run, tmp_path: Path, text: str | None, message: str) -> None:
    """The error names the result, and no partial page is left."""
    result, page = tmp_path / "r.json", tmp_path / "page.html"
    if text is not None:
        result.write_text(text, encoding="utf-8")
    done = run("report", result, "-o", page)
    assert done.exit_code == 1
    assert message in done.stderr
    assert not page.exists()
    done = run("report", result, result, "-o", page)
    assert done.exit_code == 2
    assert "given twice" in done.stderr


def test_an_older_page_survives_a_failure(run: Run, tmp_path: Path) -> None:
    """A report that fails leaves the previous page in place."""
    page = tmp_path / "page.html"
    page.write_text("before")
    (tmp_path / "r.json").write_text(json.dumps({"schema": 1}))
    assert run("report", tmp_path / "r.json", "-o", page).exit_code == 1
    assert page.read_text() == "before"
