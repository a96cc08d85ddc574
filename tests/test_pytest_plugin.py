"""The pytest plugin, in nested runs of pytest: outcomes, output, and the files written."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gate_helpers import evaluation, metric

from ganeval.results import Evaluation

pytest_plugins = ("pytester",)
LOADED = ("-p", "ganeval_cli.pytest_plugin", "-p", "no:cacheprovider")
TEST = """
def test_generator(ganeval):
    assert ganeval.score("real", "fake", seed=1) in ganeval.tolerance
"""


class Measured:
    """A stand-in for evaluation: the next result, and the arguments it was called with."""

    result: Evaluation
    asked: tuple[object, ...]

    def __call__(self, real: object, fake: object, **options: object) -> Evaluation:
        """ganeval.evaluate, without images."""
        self.asked = (real, fake, options)
        return self.result


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Scores are made up; nested runs load the plugin from this checkout, installed or not."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("CI", raising=False)
    stand_in = Measured()
    stand_in.result = evaluation()
    # In place of the module: inner runs forget what they imported, and libraries in C cannot be imported twice.
    monkeypatch.setitem(sys.modules, "ganeval.evaluation", SimpleNamespace(evaluate=stand_in))
    return stand_in


@pytest.fixture
def project(pytester: pytest.Pytester, measured: Measured) -> pytest.Pytester:
    """A test of a generator, and thresholds, at the root of a project."""
    pytester.makepyfile(test_gan=TEST)
    pytester.makefile(".toml", **{"gan-thresholds": "[fid]\nworse_by = 1\nsignificance = 0.01\n"})
    return pytester


def baseline(project: pytest.Pytester, name: str = "test_generator") -> Path:
    """The path of a test's baseline."""
    return project.path / f"ganeval-baselines/test_gan/{name}.json"


def test_a_first_run_says_how_to_get_a_baseline(project: pytest.Pytester) -> None:
    """Without a baseline the test fails, and names the file and the option that writes it."""
    found = project.runpytest_inprocess(*LOADED)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(
        ["*there is no baseline ganeval-baselines/test_gan/test_generator.json yet; pytest --ganeval-update writes it"]
    )
    assert not baseline(project).exists()


def test_an_update_writes_what_later_runs_compare_with(project: pytest.Pytester, measured: Measured) -> None:
    """--ganeval-update writes a dated result and says so; the same result passes, and a worse one shows the table."""
    found = project.runpytest_inprocess(*LOADED, "--ganeval-update")
    found.assert_outcomes(passed=1)
    found.stdout.fnmatch_lines(
        ["*= ganeval =*", "*test_generator: wrote ganeval-baselines/test_gan/test_generator.json"]
    )
    assert set(json.loads(baseline(project).read_text(encoding="utf-8"))["baseline"]) == {"by", "at", "commit"}

    project.runpytest_inprocess(*LOADED).assert_outcomes(passed=1)

    measured.result = evaluation({"fid": metric(13.0)})
    worse = project.runpytest_inprocess(*LOADED)
    worse.assert_outcomes(failed=1)
    worse.stdout.fnmatch_lines(
        [
            '>*assert ganeval.score("real", "fake", seed=1) in ganeval.tolerance',
            "E*assert result in tolerance, by *gan-thresholds.toml",
            "E *fid regressed: worse by 3; noise explains 0.987 (significance 0.01), 1 is allowed.",
            "*- Captured ganeval call -*",
            "metric  outcome    baseline      now           change              allowed",
            "fid     regressed  10.00 ± 0.30  13.00 ± 0.30  3.000 ± 0.42 worse  worse_by 1, significance 0.01",
            "regressed: the result against *test_generator.json (by *",
        ]
    )
    before = baseline(project).read_bytes()
    project.runpytest_inprocess(*LOADED, "--ganeval-update").assert_outcomes(passed=1)
    assert baseline(project).read_bytes() != before


def test_a_long_table_is_shown_whole(project: pytest.Pytester, measured: Measured, monkeypatch: Any) -> None:
    """pytest truncates long explanations except on CI, and the table still has one line per metric."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    names = [f"metric{number}" for number in range(12)]
    project.makefile(".toml", **{"gan-thresholds": "\n".join(f"[{name}]\nworse_by = 1" for name in names)})
    measured.result = evaluation({name: metric(10.0) for name in names})
    project.runpytest_inprocess(*LOADED, "--ganeval-update").assert_outcomes(passed=1)
    measured.result = evaluation({name: metric(13.0) for name in names})
    found = project.runpytest_inprocess(*LOADED)
    found.stdout.fnmatch_lines([f"{name} *regressed  10.00 ± 0.30  13.00 ± 0.30*" for name in names])


def test_inconclusive_passes_and_is_told(project: pytest.Pytester, measured: Measured) -> None:
    """An inconclusive test passes, and is listed at the end of the run."""
    project.runpytest_inprocess(*LOADED, "--ganeval-update")
    measured.result = evaluation({"fid": metric(10.9)})
    found = project.runpytest_inprocess(*LOADED)
    found.assert_outcomes(passed=1)
    found.stdout.fnmatch_lines(["*::test_generator: inconclusive: worse by 0.9; *would settle it."])


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (evaluation({"kid": metric()}), "fid missing: the baseline holds it, and the result does not;*"),
        (evaluation({"fid": metric(1e6, None)}), "fid untestable: the result has no error bar *"),
        (evaluation({"fid": metric(1e6, 1e300)}), "fid untestable: the result's error bar says nothing of its value:*"),
    ],
)
def test_what_went_missing_or_cannot_be_tested_fails(
    project: pytest.Pytester, measured: Measured, result: Evaluation, words: str
) -> None:
    """A broken measurement fails, and the assertion names the metric and the outcome."""
    project.runpytest_inprocess(*LOADED, "--ganeval-update")
    measured.result = result
    found = project.runpytest_inprocess(*LOADED)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines([f"E *{words}"])


def test_an_update_drops_no_metric(project: pytest.Pytester, measured: Measured) -> None:
    """--ganeval-update with a result that lacks a metric of the old baseline fails, and leaves the file unchanged."""
    measured.result = evaluation({"fid": metric(), "kid": metric()})
    project.runpytest_inprocess(*LOADED, "--ganeval-update").assert_outcomes(passed=1)
    before = baseline(project).read_bytes()
    measured.result = evaluation()
    found = project.runpytest_inprocess(*LOADED, "--ganeval-update")
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["E *test_generator.json holds kid, but the result does not; remove the file first"])
    assert baseline(project).read_bytes() == before


@pytest.mark.parametrize(("value", "refused"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_continuous_integration_updates_nothing(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, value: str, refused: bool
) -> None:
    """Where CI is set, --ganeval-update is an error, as it would make every test pass."""
    monkeypatch.setenv("CI", value)
    found = project.runpytest_inprocess(*LOADED, "--ganeval-update")
    assert (found.ret == pytest.ExitCode.USAGE_ERROR, baseline(project).exists()) == (refused, not refused)
    if refused:
        found.stderr.fnmatch_lines(["ERROR: --ganeval-update writes baselines instead of comparing*unset CI*"])
    project.runpytest_inprocess(*LOADED).assert_outcomes(passed=1 - refused, failed=refused)


def test_a_test_that_forgets_its_baseline_fails(project: pytest.Pytester) -> None:
    """A test that has a baseline but makes no comparison fails; one without a baseline gets a message."""
    forgetful = project.makepyfile(test_gan="def test_generator(ganeval):\n    ganeval.score('real', 'fake')\n")
    found = project.runpytest_inprocess(*LOADED)
    found.assert_outcomes(passed=1)
    found.stdout.fnmatch_lines(["*::test_generator: no result was compared with a tolerance"])
    text = forgetful.read_text()
    forgetful.write_text(TEST)
    project.runpytest_inprocess(*LOADED, "--ganeval-update").assert_outcomes(passed=1)
    forgetful.write_text(text)
    found = project.runpytest_inprocess(*LOADED)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(
        ["ganeval: the test has a baseline, *test_generator.json, but compared no result with it *"]
    )


def test_an_assertion_without_a_result_or_a_test_without_an_assertion_is_told(
    project: pytest.Pytester, measured: Measured
) -> None:
    """`assert ganeval.tolerance` is an error; an unasserted result out of tolerance is listed at the end."""
    project.runpytest_inprocess(*LOADED, "--ganeval-update")
    project.makepyfile(
        test_gan="""
        def test_generator(ganeval):
            ganeval.score("real", "fake") in ganeval.tolerance

        def test_limits(ganeval):
            assert ganeval.tolerance

        def test_worse(ganeval):
            assert ganeval.score("real", "fake") not in ganeval.within({"fid": {"max": 9}})
        """
    )
    measured.result = evaluation({"fid": metric(13.0)})
    found = project.runpytest_inprocess(*LOADED)
    found.assert_outcomes(passed=2, failed=1)
    found.stdout.fnmatch_lines(["E *TypeError: A tolerance alone is neither true nor false; write: assert result in *"])
    found.stdout.fnmatch_lines(["*::test_generator: regressed, but the test passed"])


def test_warnings_of_a_check_are_told(project: pytest.Pytester, measured: Measured) -> None:
    """A result that is older than the baseline passes, with a warning at the end of the run."""
    measured.result = evaluation(created="2026-02-01T00:00:00+00:00")
    project.runpytest_inprocess(*LOADED, "--ganeval-update")
    measured.result = evaluation({"fid": metric(9.9)})
    found = project.runpytest_inprocess(*LOADED)
    found.assert_outcomes(passed=1)
    found.stdout.fnmatch_lines(["*::test_generator: warning: The result (2026-01-01*) is older than the baseline *"])


def test_incomparable_fails(project: pytest.Pytester, measured: Measured) -> None:
    """A result of another protocol fails."""
    project.runpytest_inprocess(*LOADED, "--ganeval-update")
    measured.result = evaluation(protocol="clean")
    found = project.runpytest_inprocess(*LOADED)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["E*fid incomparable: measured otherwise than the baseline: protocol (clean, *"])


def test_metrics_are_those_that_have_a_tolerance(project: pytest.Pytester, measured: Measured) -> None:
    """`score` computes the metrics with tolerances, or those requested, and passes its settings on."""
    project.runpytest_inprocess(*LOADED)
    assert measured.asked == ("real", "fake", {"metrics": ["fid"], "options": None, "seed": 1})
    project.makefile(".toml", **{"gan-thresholds": "[is]\nmin = 1\n[kid]\nmax = 1\n"})
    project.runpytest_inprocess(*LOADED)
    assert measured.asked == ("real", "fake", {"metrics": ["is", "kid"], "options": None, "seed": 1})
    (project.path / "gan-thresholds.toml").unlink()
    project.runpytest_inprocess(*LOADED)
    assert measured.asked == ("real", "fake", {"metrics": ["fid"], "options": None, "seed": 1})


def test_bounds_alone_need_no_baseline(project: pytest.Pytester, measured: Measured) -> None:
    """`within` compares a result with the test's own bounds; an update then writes no file."""
    project.makepyfile(
        test_gan="""
        def test_generator(ganeval):
            result = ganeval.score("real", "fake", metrics=["fid"])
            assert result["fid"].value == 10
            assert result in ganeval.within({"fid": {"max": 12}})
            assert result in ganeval.within({"fid": {"max": 9}})
        """
    )
    for options in ((), ("--ganeval-update",)):
        found = project.runpytest_inprocess(*LOADED, *options)
        found.assert_outcomes(failed=1)
        found.stdout.fnmatch_lines(["E *fid regressed: 10 is above the max of 9."])
    assert not baseline(project, "test_generator-2").exists()


def test_every_use_and_every_parameter_has_a_baseline_of_its_own(project: pytest.Pytester) -> None:
    """Two assertions in a test, and a test's parameters, have separate baselines with valid file names."""
    project.makepyfile(
        test_gan="""
        import pytest

        @pytest.mark.parametrize("data", ["digits:train", "a/b"])
        def test_generator(ganeval, data):
            assert ganeval.score(data, "fake") in ganeval.tolerance
            assert ganeval.score(data, "other") in ganeval.within({"fid": {"worse_by": "5%"}})
        """
    )
    project.runpytest_inprocess(*LOADED, "--ganeval-update").assert_outcomes(passed=2)
    names = sorted(path.name for path in baseline(project).parent.iterdir())
    assert names == [
        "test_generator-a-b-2.json",
        "test_generator-a-b.json",
        "test_generator-digits-train-2.json",
        "test_generator-digits-train.json",
    ]
    project.runpytest_inprocess(*LOADED).assert_outcomes(passed=2)


def test_without_thresholds_noise_is_what_is_allowed(project: pytest.Pytester, measured: Measured) -> None:
    """The default significance applies, and a result without error bars is untestable, which is not a pass."""
    (project.path / "gan-thresholds.toml").unlink()
    project.runpytest_inprocess(*LOADED, "--ganeval-update").assert_outcomes(passed=1)
    measured.result = evaluation({"fid": metric(12.0)})
    project.runpytest_inprocess(*LOADED).assert_outcomes(failed=1)
    measured.result = evaluation({"fid": metric(error=None)})
    found = project.runpytest_inprocess(*LOADED)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["E *fid untestable: the result has no error bar *"])


def test_a_mistake_in_a_test_is_explained(project: pytest.Pytester) -> None:
    """A misspelt key in a test's own tolerances is an error with a hint."""
    project.makepyfile(test_gan="def test_generator(ganeval):\n    ganeval.within({'fid': {'mx': 1}})\n")
    found = project.runpytest_inprocess(*LOADED)
    found.stdout.fnmatch_lines(["*UsageError: *unknown key 'mx' in *fid*; did you mean 'max'?"])


def test_other_assertions_look_as_ever(project: pytest.Pytester) -> None:
    """The plugin does not change other comparisons."""
    project.makepyfile(test_gan="def test_generator():\n    assert 'a' in 'bc'\n")
    project.runpytest_inprocess(*LOADED).stdout.fnmatch_lines(["E *AssertionError: assert 'a' in 'bc'"])
