"""The package under examples/ is installed, and its metric, extractor, source and model are found and usable."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples/ganeval-example"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed into it, offline."""
    folder = tmp_path_factory.mktemp("site")
    how = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *how, "--target", str(folder), str(EXAMPLE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def run(site: Path, *arguments: str) -> str:
    """Run a Python command that finds the package; return its output."""
    known = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(ROOT), str(ROOT / "cli"), str(site), *([known] if known else [])])
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ganeval(site: Path, *arguments: str) -> str:
    """Run one of ganeval's commands."""
    return run(site, "-m", "ganeval_cli", *arguments)


def test_everything_it_declares_is_listed(site: Path) -> None:
    """By name, in the listings of metrics, extractors and variants."""
    listed = json.loads(ganeval(site, "metrics", "--format", "json"))["metrics"]
    (row,) = [row for row in listed if row["name"] == "mean_distance"]
    assert (row["title"], row["options"]) == ("Distance of the mean features", "mean_distance.p=2.0")
    assert "Mean and spread of each colour" in ganeval(site, "extractors")
    assert "tiny-gan" in ganeval(site, "variants")


def test_the_command_line_scores_with_it_and_keeps_its_features(site: Path, tmp_path: Path) -> None:
    """The second run uses the cached features of the first, and gives the same numbers."""
    asked = ("score", "digits:test", "noise:16", "--metrics", "mean_distance,fid", "--extractor", "colours")
    options = ("--option", "mean_distance.p=1", "--num-samples", "60", "--format", "json")
    first, second = (json.loads(ganeval(site, *asked, *options)) for _ in range(2))
    assert first["metrics"] == second["metrics"]
    assert first["metrics"]["mean_distance"]["options"] == {"p": 1.0}
    assert first["provenance"]["extractor"] == "colours"
    assert len(first["provenance"]["weights_sha256"]) == 64
    assert [one["provenance"]["real"]["cached"] for one in (first, second)] == [False, True]
    result = tmp_path / "result.json"
    ganeval(site, *asked, "--num-samples", "60", "--report", str(tmp_path / "page.html"), "-o", str(result))
    assert "Distance of the mean features" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_its_gan_is_trained_and_scored(site: Path, tmp_path: Path) -> None:
    """Like every other variant, from the command line; its run is a source."""
    folder = str(tmp_path / "run")
    ganeval(site, "train", "--variant", "tiny-gan", "--preset", "quick", "-o", folder)
    found = json.loads(
        ganeval(
            *(site, "score", "digits:test", f"ckpt:{folder}", "--extractor", "colours", "--num-samples", "40"),
            *("--metrics", "mean_distance", "--format", "json"),
        )
    )
    assert found["metrics"]["mean_distance"]["n_fake"] == 40


def test_the_checks_of_ganeval_pass_on_it(site: Path) -> None:
    """A metric, an extractor, a source and a model each pass their check."""
    run(
        site,
        "-c",
        "from ganeval.testing import check_extractor, check_metric, check_source\n"
        "from reference_models.testing import check_model\n"
        "check_metric('mean_distance')\n"
        "check_extractor('colours')\n"
        "check_source('noise:8')\n"
        "check_model('tiny-gan')\n",
    )
