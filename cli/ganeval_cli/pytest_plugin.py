"""The pytest plugin: a `ganeval` fixture, and `--ganeval-update`. pytest loads this file on every start: no torch here.

    def test_no_worse(ganeval):
        assert ganeval.score("digits:train", "samples/", extractor="digits") in ganeval.tolerance

A failing assertion says why, and the gate's table is shown below it. Tolerances are those that `ganeval check` would
find in pytest's root folder; the baseline of a test is next to its file, in ganeval-baselines/, and
`pytest --ganeval-update` writes it. A test fails if it has a baseline and compares nothing with it.
"""

import os
import re
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import pytest

if TYPE_CHECKING:
    from ganeval.gate import Check, Thresholds
    from ganeval.pipeline import MetricNames, MetricOptions
    from ganeval.results import Evaluation
    from ganeval.settings import SettingsKeywords

UPDATE = "--ganeval-update"
FOLDER = "ganeval-baselines"
PROPERTY = "ganeval"
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
# Set by GitHub, GitLab and most others.
CI = "CI"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--ganeval-update`."""
    text = "Write the baselines of the tests that use the fixture ganeval, instead of comparing with the old ones."
    parser.getgroup("ganeval").addoption(UPDATE, action="store_true", default=False, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """UsageError for an update in CI, because baselines would not be committed there and every test would pass."""
    if config.getoption(UPDATE) and os.environ.get(CI, "").lower() not in ("", "0", "false"):
        raise pytest.UsageError(
            f"{UPDATE} writes baselines instead of comparing with them, and the environment variable {CI} is set; "
            f"update them on a machine from which they are committed, or unset {CI} in a job that is meant to update."
        )


@pytest.fixture(name="ganeval")
def _ganeval(request: pytest.FixtureRequest) -> "Bench":
    """Evaluates generators, and compares the results with tolerances and with this test's own baselines."""
    bench = Bench(request)
    request.node.stash[_BENCH] = bench
    return bench


class Bench:
    """The fixture `ganeval` of a test."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._limits_made: list[Limits] = []

    def score(
        self,
        real: object,
        fake: object,
        *,
        metrics: "MetricNames" = None,
        options: "MetricOptions | None" = None,
        **settings: "Unpack[SettingsKeywords]",
    ) -> "Evaluation":
        """Measure `fake` against `real`; arguments as of `ganeval.evaluate`.

        metrics: None for those that have a tolerance, or fid if none has.
        """
        from ganeval import evaluate

        if metrics is None:
            found = self._thresholds()
            metrics = ["fid"] if found is None or not found.asked else list(found.asked)
        return evaluate(real, fake, metrics=metrics, options=options, **settings)

    @property
    def tolerance(self) -> "Limits":
        """The tolerances of the thresholds file; without one, a change that is not significant."""
        return self._limits(self._thresholds())

    def within(self, tolerances: Mapping[str, Mapping[str, object]]) -> "Limits":
        """These tolerances, written as in the file: {"fid": {"max": 12, "worse_by": "5%"}}."""
        from ganeval.gate import Thresholds, parse_tolerance

        read = {metric: parse_tolerance(table, name=metric) for metric, table in tolerances.items()}
        return self._limits(Thresholds(read, "the test's tolerances", {}))

    def _thresholds(self) -> "Thresholds | None":
        from ganeval.gate import find_thresholds

        return find_thresholds(self._request.config.rootpath)

    def _limits(self, thresholds: "Thresholds | None") -> "Limits":
        limits = Limits(thresholds, self._baseline(len(self._limits_made) + 1), self._request)
        self._limits_made.append(limits)
        return limits

    def _baseline(self, use: int) -> Path:
        test = _NOT_IN_NAMES.sub("-", self._request.node.name).strip("-")
        file = f"{test}.json" if use == 1 else f"{test}-{use}.json"
        return self._request.path.parent / FOLDER / self._request.path.stem / file

    def passed_over(self) -> str | None:
        """Why the test should fail: it has a baseline, but compared nothing with it."""
        used = [limits for limits in self._limits_made if limits.used]
        if used or not self._baseline(1).exists():
            return None
        return (
            f"the test has a baseline, {_short(self._baseline(1), self._request)}, but compared no result with it "
            "(assert result in ganeval.tolerance); remove the file if this is intended"
        )

    def remarks(self) -> list[str]:
        """Remarks on a test that passed: results outside their limits, and results compared with nothing."""
        if not any(limits.used for limits in self._limits_made):
            return ["no result was compared with a tolerance"]
        return [f"{one.failed}, but the test passed" for one in self._limits_made if one.failed]


class Limits:
    """Tolerances and a baseline: `assert result in limits`."""

    def __init__(self, thresholds: "Thresholds | None", path: Path, request: pytest.FixtureRequest) -> None:
        self._thresholds = thresholds
        self._path = path
        self._request = request
        self.lines: list[str] = []
        self.used = False
        self.failed: str | None = None

    def __bool__(self) -> bool:
        """TypeError: limits have no truth value without a result."""
        raise TypeError("A tolerance alone is neither true nor false; write: assert result in ganeval.tolerance")

    def __repr__(self) -> str:
        return f"tolerance, by {'the usual thresholds' if self._thresholds is None else self._thresholds.name}"

    def __contains__(self, result: "Evaluation") -> bool:
        """Whether a result passes the gate; inconclusive passes, and is reported at the end of the run."""
        from ganeval.gate import check, read_result

        self.used = True
        if self._request.config.getoption(UPDATE):
            return self._updated(result)
        baseline = read_result(self._path) if self._path.exists() else None
        if baseline is None and (self._thresholds is None or self._thresholds.compares):
            self.lines = [f"there is no baseline {self._short()} yet; pytest {UPDATE} writes it"]
            self.failed = self.lines[0]
            return False
        found = check(result, None if baseline is None else baseline.evaluation, self._thresholds)
        self._show(found, None if baseline is None else str(baseline))
        if found.outcome == "inconclusive":
            self._tell("inconclusive: " + " ".join(one.reason for one in found.metrics if one.images))
        for warning in found.warnings:
            self._tell(f"warning: {warning}")
        self.failed = found.outcome if found.exit_code() else None
        return self.failed is None

    def _updated(self, result: "Evaluation") -> bool:
        """Write the baseline, unless the result lacks a metric of the old one, or would not pass against itself."""
        from ganeval.gate import check, read_result, write_baseline

        old = read_result(self._path).evaluation.metrics if self._path.exists() else {}
        if lost := [metric for metric in old if metric not in result.metrics]:
            self.lines = [f"{self._short()} holds {', '.join(lost)}, but the result does not; remove the file first"]
            return False
        found = check(result, result, self._thresholds)
        if found.exit_code() != 0:
            self._show(found, None)
            return False
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_baseline(result, self._path)
        self._tell(f"wrote {self._short()}")
        return True

    def _show(self, found: "Check", baseline: str | None) -> None:
        """The reasons go into the assertion, which pytest shortens if it is long, and the whole table below it."""
        from ganeval.gate import to_text

        self.lines = [f"{one.metric} {one.outcome}: {one.reason}" for one in found.metrics if one.outcome != "pass"]
        shown = to_text(found, result="the result", baseline=baseline)
        self._request.node.add_report_section("call", PROPERTY, shown)

    def _tell(self, text: str) -> None:
        # Reports carry these from a worker process to the process that prints.
        self._request.node.user_properties.append((PROPERTY, f"{self._request.node.nodeid}: {text}"))

    def _short(self) -> str:
        return _short(self._path, self._request)


def _short(path: Path, request: pytest.FixtureRequest) -> str:
    root = request.config.rootpath
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


_BENCH = pytest.StashKey[Bench]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that passed without using its baseline, and collect remarks on tests that passed."""
    report = yield
    bench = item.stash.get(_BENCH, None)
    if bench is None or report.when != "call" or not report.passed:
        return report
    if reason := bench.passed_over():
        report.outcome, report.longrepr = "failed", f"ganeval: {reason}"
    else:
        report.user_properties += [(PROPERTY, f"{item.nodeid}: {text}") for text in bench.remarks()]
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:  # noqa: ARG001, pytest's names
    """The gate's reasons for `assert result in ganeval.tolerance`; None for other assertions."""
    if op == "in" and isinstance(right, Limits):
        return [f"result in {right!r}", *right.lines]
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print remarks on tests that passed: inconclusive verdicts, baselines that were written."""
    told = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for key, value in report.user_properties
        if key == PROPERTY
    ]
    if told:
        terminalreporter.section("ganeval")
        for line in told:
            terminalreporter.line(line)
