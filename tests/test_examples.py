"""examples/ work unchanged: the workflow's steps under bash, the pre-merge script, the thresholds."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from gate_helpers import evaluation, metric, save

from ganeval.gate import find_thresholds

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
WORKFLOW = yaml.safe_load((EXAMPLES / "github-workflow.yml").read_text(encoding="utf-8"))
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
# Prints what `pip` and `ganeval` were asked; `ganeval score` takes a result that lies ready, for no images are needed.
STUBS = {
    "pip": 'echo "pip $*" >> asked.txt',
    "ganeval": f'echo "ganeval $*" >> asked.txt\nexec {sys.executable} ganeval_stub.py "$@"',
}
STUB = """
import shutil, sys
sys.path[:0] = {paths!r}
if sys.argv[1] == "score":
    shutil.copy("measured.json", sys.argv[sys.argv.index("--output") + 1])
else:
    from ganeval_cli.main import main
    main()
"""
GAN = (
    (ROOT / "docs/tutorials/training_loop.md")
    .read_text(encoding="utf-8")
    .split("```python file=gan.py\n")[1]
    .split("```")[0]
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project that copied the examples, with a baseline of 100 ± 1, and stubs in bin/ for pip and measuring."""
    for name in ("gan-thresholds.toml", "pre-merge.sh"):
        shutil.copy(EXAMPLES / name, tmp_path)
    (tmp_path / "bin").mkdir()
    for name, text in STUBS.items():
        (tmp_path / "bin" / name).write_text(f"#!/usr/bin/env bash\n{text}\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "ganeval_stub.py").write_text(STUB.format(paths=[str(ROOT), str(ROOT / "cli")]), encoding="utf-8")
    save(tmp_path / "gan-baseline.json", measured(100.0))
    return tmp_path


def measured(fid: float) -> Any:
    """A result of the metrics that the examples measure."""
    return evaluation({"fid": metric(fid, 1.0), "kid": metric(0.1, 0.001)})


def bash(
    script: Path, repository: Path, *, commands: str = "bin", **environment: str
) -> subprocess.CompletedProcess[str]:
    """A script as GitHub runs a step: bash, ending at the first failure, in the repository with these commands."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    variables = {**inherited, "PATH": f"{repository / commands}{os.pathsep}{os.environ['PATH']}", **environment}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    return subprocess.run(command, cwd=repository, env=variables, capture_output=True, text=True, check=False)


def steps(repository: Path) -> tuple[int, str]:
    """Every `run:` of the workflow in turn until one fails, in GitHub's environment; exit code and what was printed."""
    job = WORKFLOW["jobs"]["quality"]
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(repository / "summary.md")}
    printed = ""
    for number, step in enumerate(step for step in job["steps"] if "run" in step):
        script = repository / f"step-{number}.sh"
        script.write_text(step["run"], encoding="utf-8")
        done = bash(script, repository, **{key: str(value) for key, value in job["env"].items()}, **github)
        printed += done.stdout + done.stderr
        if done.returncode:
            return done.returncode, printed
    return 0, printed


@pytest.mark.parametrize(("fid", "code"), [(100.5, 0), (110.0, 1)])
def test_the_workflow_turns_red_when_it_should(repository: Path, fid: float, code: int) -> None:
    """Its steps install, measure and check; a worse result ends it, with annotation, summary and JUnit."""
    save(repository / "measured.json", measured(fid))
    assert steps(repository)[0] == code
    asked = (repository / "asked.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split()[:2] for line in asked] == [["pip", "install"], ["ganeval", "score"], ["ganeval", "check"]]
    assert "score digits:train py:gan.py:Blobs --extractor digits --num-samples 500 --metrics fid,kid" in asked[1]
    assert ("<failure" in (repository / "gan-junit.xml").read_text(encoding="utf-8")) == bool(code)
    summary = (repository / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith(f"### {'❌' if code else '✅'} ganeval")


def test_the_workflow_annotates_what_regressed(repository: Path) -> None:
    """GitHub sees an error with the metric's name."""
    save(repository / "measured.json", measured(110.0))
    assert "::error title=ganeval%3A fid regressed::gan-result.json: worse by 10;" in steps(repository)[1]


def test_the_workflow_is_one_that_github_takes() -> None:
    """It runs on pull requests with read access only, and every step uses an action or runs a script."""
    # YAML's own reading of the key `on` is "true".
    assert set(WORKFLOW[True]) == {"pull_request"}
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for step in WORKFLOW["jobs"]["quality"]["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/any@v1"))


def test_the_script_measures_a_generator_for_real(repository: Path, python: Sequence[str]) -> None:
    """Without a baseline it writes one of the tutorial's generator, and passes when compared with it."""
    (repository / "real").mkdir()
    command = repository / "real/ganeval"
    command.write_text(f'#!/usr/bin/env bash\nexec {shlex.join(python)} -m ganeval_cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    (repository / "gan-baseline.json").unlink()
    (repository / "gan.py").write_text(GAN, encoding="utf-8")
    job = {"REAL": "digits:train", "FAKE": "py:gan.py:Blobs", "OPTIONS": "--extractor digits --num-samples 500"}
    done = bash(repository / "pre-merge.sh", repository, commands="real", **job)
    assert (done.returncode, "this result is it now" in done.stdout) == (2, True), done.stderr
    written = json.loads((repository / "gan-baseline.json").read_text(encoding="utf-8"))
    jsonschema.validate(written, json.loads((ROOT / "docs/result.schema.json").read_text(encoding="utf-8")))
    (repository / "gan-result.json").rename(repository / "measured.json")
    again = bash(repository / "pre-merge.sh", repository, **job)
    assert (again.returncode, again.stdout.splitlines()[-1][:5]) == (0, "pass:"), again.stderr


@pytest.mark.parametrize(("fid", "code"), [(100.0, 0), (110.0, 1), (200.0, 1)])
def test_the_script_ends_as_the_check_does(repository: Path, fid: float, code: int) -> None:
    """Its exit code is that of the check."""
    save(repository / "measured.json", measured(fid))
    assert bash(repository / "pre-merge.sh", repository, REAL="r", FAKE="f").returncode == code


def test_the_script_tells_failure_from_regression(repository: Path) -> None:
    """Failed evaluations exit with 2, and an unset variable is named."""
    done = bash(repository / "pre-merge.sh", repository, REAL="r", FAKE="f")
    assert (done.returncode, "measured.json" in done.stderr) == (2, True)
    done = bash(repository / "pre-merge.sh", repository, REAL="r")
    assert (done.returncode != 0, "set FAKE" in done.stderr) == (True, True)


def test_the_thresholds_are_read(repository: Path) -> None:
    """The example is found in the root of a repository, and has every metric that is computed."""
    found = find_thresholds(repository)
    assert found is not None
    assert list(found.tolerances) == ["fid", "kid"]
