"""The package under examples/ is installed, and its metrics, extractor, source and model are found and usable."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
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


# Runs commands one after another in one process.
COMMANDS = """
import json, sys
from click.testing import CliRunner
from ganeval_cli.main import cli
outputs = []
for arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(cli, arguments, prog_name="ganeval", catch_exceptions=False)
    if done.exit_code:
        sys.exit(f"{arguments}: {done.output}")
    outputs.append(done.stdout)
print(json.dumps(outputs))
"""


def run(python: Sequence[str], site: Path, *arguments: str) -> str:
    """Run a Python command that finds the package; return its output."""
    known = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(ROOT), str(ROOT / "cli"), str(site), *([known] if known else [])])
    done = subprocess.run(
        [*python, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ganeval(python: Sequence[str], site: Path, *commands: Sequence[str]) -> list[str]:
    """Run some of ganeval's commands, and return their outputs."""
    return json.loads(run(python, site, "-c", COMMANDS, json.dumps(commands)))


def test_everything_it_declares_is_listed(python: Sequence[str], site: Path) -> None:
    """By name, in the listings of metrics, extractors and variants."""
    metrics, extractors, variants = ganeval(python, site, ["metrics", "--format", "json"], ["extractors"], ["variants"])
    (row,) = [row for row in json.loads(metrics)["metrics"] if row["name"] == "mean_distance"]
    assert (row["title"], row["options"]) == ("Distance of the mean features", "mean_distance.p=2.0")
    (row,) = [row for row in json.loads(metrics)["metrics"] if row["name"] == "brightness"]
    assert (row["title"], row["needs"]) == ("Difference of brightness", "pairs")
    assert "Mean and spread of each" in extractors
    assert "tiny-gan" in variants


def test_the_command_line_scores_with_it_and_keeps_its_features(
    python: Sequence[str], site: Path, tmp_path: Path
) -> None:
    """The second run uses the cached features of the first, and gives the same numbers."""
    asked = ("score", "digits:test", "noise:16", "--metrics", "mean_distance,fid", "--extractor", "colours")
    options = ("--option", "mean_distance.p=1", "--num-samples", "60", "--format", "json")
    page, result = tmp_path / "page.html", tmp_path / "result.json"
    reported = (*asked, "--num-samples", "60", "--report", str(page), "-o", str(result))
    first, second = map(json.loads, ganeval(python, site, (*asked, *options), (*asked, *options), reported)[:2])
    assert first["metrics"] == second["metrics"]
    assert first["metrics"]["mean_distance"]["options"] == {"p": 1.0}
    assert first["provenance"]["extractor"] == "colours"
    assert len(first["provenance"]["weights_sha256"]) == 64
    assert [one["provenance"]["real"]["cached"] for one in (first, second)] == [False, True]
    assert "Distance of the mean features" in page.read_text(encoding="utf-8")


def test_its_metric_of_pairs_is_measured(python: Sequence[str], site: Path) -> None:
    """By `ganeval pairs`, with its standard error; degraded images are darker where they have a hole."""
    asked = ("pairs", "digits:test", "hole:digits:test", "--metrics", "brightness", "--format", "json")
    found = json.loads(ganeval(python, site, asked)[0])["metrics"]["brightness"]
    assert found["value"] > 0
    assert found["standard_error"] > 0


def test_its_gan_is_trained_and_scored(python: Sequence[str], site: Path, tmp_path: Path) -> None:
    """Like every other variant, from the command line; its run is a source."""
    folder = str(tmp_path / "run")
    trained = ("train", "--variant", "tiny-gan", "--preset", "quick", "-o", folder)
    asked = ("score", "digits:test", f"ckpt:{folder}", "--extractor", "colours", "--num-samples", "40")
    found = json.loads(ganeval(python, site, trained, (*asked, "--metrics", "mean_distance", "--format", "json"))[1])
    assert found["metrics"]["mean_distance"]["n_fake"] == 40


def test_the_checks_of_ganeval_pass_on_it(python: Sequence[str], site: Path) -> None:
    """Metrics of both kinds, an extractor, a source and a model each pass their check."""
    run(
        python,
        site,
        "-c",
        "from ganeval.testing import check_extractor, check_metric, check_pair_metric, check_source\n"
        "from reference_models.testing import check_model\n"
        "check_metric('mean_distance')\n"
        "check_pair_metric('brightness')\n"
        "check_extractor('colours')\n"
        "check_source('noise:8')\n"
        "check_model('tiny-gan')\n",
    )
