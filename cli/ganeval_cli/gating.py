"""What `ganeval check`, `score --check` and `baseline update` share: options, verdicts on the screen, exit codes.

0  pass, improved, or inconclusive
1  regressed, and nothing else
2  usage, or a file that cannot be read
3  incomparable
4  inconclusive, with --strict
5  missing
6  untestable
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import Exit

from ganeval.errors import ResultError, UsageError
from ganeval_cli.console import note, out
from ganeval_cli.faults import answered
from ganeval_cli.options import View
from ganeval_cli.saving import check_apart, check_writable, to_json, write_text
from ganeval_cli.tables import measured, table

if TYPE_CHECKING:
    from ganeval.gate import Check, MetricCheck, SavedResult, Thresholds
    from ganeval.results import Evaluation

REGRESSED, UNUSABLE = 1, 2
FORMATS = ("table", "json", "junit", "markdown")
_FILE = click.Path(path_type=Path)

baseline_option = click.option(
    "--baseline", type=_FILE, metavar="FILE", help="The saved result to compare with; `ganeval baseline` writes it."
)
thresholds_option = click.option(
    "--thresholds",
    type=_FILE,
    metavar="FILE",
    help="Tolerances, in TOML.  [default: the nearest gan-thresholds.toml, or pyproject.toml that has any]",
)
strict_option = click.option("--strict", is_flag=True, help="Inconclusive exits with 4 instead of 0.")
junit_option = click.option("--junit", type=_FILE, metavar="FILE", help="Also write JUnit XML to FILE.")


class GateExit(Exit):
    """The end of a command whose exit code is what a check came to."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a result is held to. thresholds: None where nobody wrote any; junit: where JUnit XML is to go, too."""

    baseline: "SavedResult | None"
    thresholds: "Thresholds | None"
    strict: bool
    junit: Path | None

    @classmethod
    def opened(
        cls,
        baseline: Path | None,
        thresholds: Path | None,
        *,
        strict: bool = False,
        junit: Path | None = None,
        reads: Iterable[Path | None] = (),
        writes: Iterable[Path | None] = (),
        alone: bool = False,
    ) -> "Gate":
        """Read what the options name, and find out whether the file can be written.

        reads, writes: what else the command reads and writes, for no file may be both. alone: whether there may be
        neither baseline nor thresholds.
        """
        from ganeval.gate import find_thresholds, read_result, read_thresholds

        check_apart((junit, *writes), (baseline, thresholds, *reads))
        if junit is not None:
            check_writable(junit)
        saved = None if baseline is None else read_result(baseline)
        chosen = find_thresholds(Path()) if thresholds is None else read_thresholds(thresholds)
        if saved is None and chosen is None and not alone:
            raise UsageError(
                "There is nothing to check against: give --baseline, or --thresholds with max or min of a metric."
            )
        return cls(saved, chosen, strict, junit)

    def check(self, evaluation: "Evaluation") -> "Check":
        """The verdicts on a result; without thresholds, on every metric of the baseline."""
        from ganeval.gate import check

        return check(evaluation, None if self.baseline is None else self.baseline.evaluation, self.thresholds)

    def judge(self, evaluation: "Evaluation", *, result: str, format: str = "table", to_stdout: bool = True) -> None:
        """Check a result, report it, and end the command if the verdict is no pass. result: what it is called."""
        found = self.check(evaluation)
        self.report(found, result=result, format=format, to_stdout=to_stdout)
        if code := found.exit_code(strict=self.strict):
            raise GateExit(code)

    def report(self, check: "Check", *, result: str, format: str, to_stdout: bool) -> None:
        """Show a check, write JUnit XML where asked to, and tell GitHub where it listens. result: what it is called."""
        from ganeval.gate.formats import annotations, junit

        baseline = None if self.baseline is None else str(self.baseline)
        if self.junit is not None:
            write_text(self.junit, junit(check, result=result, strict=self.strict))
        show = out if to_stdout else note
        show(_formatted(check, format, result=result, baseline=baseline, strict=self.strict))
        _summarise(check, result=result, baseline=baseline)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in annotations(check, result=result, strict=self.strict):
                note(line)


def checking(command: Callable[..., None]) -> Callable[..., None]:
    """`--check` and its options for a command that measures; the command gets `gate`, None without --check.

    It stands next to the command, below `measuring` and `showing`, and the command hands its results to `hold`.
    """

    @wraps(command)
    def parsed(
        *, check: bool, baseline: Path | None, thresholds: Path | None, strict: bool, junit: Path | None, **given: Any
    ) -> None:
        if not check:
            if strict or any(one is not None for one in (baseline, thresholds, junit)):
                raise UsageError("--baseline, --thresholds, --strict and --junit go with --check.")
            command(gate=None, **given)
            return
        with failures_exit_2():
            if given["choices"].every_protocol:
                raise UsageError("--check holds one result to its baseline; choose one protocol.")
            writes = (given["output"], given["report_options"].report)
            command(gate=Gate.opened(baseline, thresholds, strict=strict, junit=junit, writes=writes), **given)

    for option in (junit_option, strict_option, thresholds_option, baseline_option):
        parsed = option(parsed)
    flag = click.option("--check", is_flag=True, help="Hold the result to --thresholds and --baseline; see `check`.")
    return flag(parsed)


def hold(gate: Gate | None, evaluations: "Mapping[str, Evaluation]", *, view: View, output: Path | None) -> None:
    """Hold what a command has measured and shown to its gate, if it has one.

    The verdict goes below the table, or to standard error where standard output is a document for machines.
    """
    if gate is None:
        return
    (evaluation,) = evaluations.values()
    to_stdout = view.format == "table"
    if to_stdout:
        out("")
    gate.judge(evaluation, result="the result" if output is None else str(output), to_stdout=to_stdout)


@contextmanager
def failures_exit_2() -> Iterator[None]:
    """Inside, exit code 1 means regressed and nothing else: what could not be read or measured exits with 2."""
    try:
        with answered():
            yield
    except GateExit:
        raise
    except Exit as ending:
        raise Exit(UNUSABLE if ending.exit_code == REGRESSED else ending.exit_code) from ending


def check_text(check: "Check", *, result: str, baseline: str | None) -> str:
    """The table of a check, the reasons, and what it comes to."""
    head = ("metric", "verdict", "baseline", "now", "change", "allowed")
    reasons = [f"{one.metric}: {one.reason}" for one in check.metrics]
    against = "" if baseline is None else f" against {baseline}"
    parts = [
        table(head, (_row(one) for one in check.metrics)),
        "\n".join([*reasons, *check.notes, *(f"warning: {text}" for text in check.warnings)]),
        f"{check.outcome}: {result}{against}, by {check.thresholds}",
    ]
    return "\n\n".join(parts)


def _row(one: "MetricCheck") -> tuple[str, ...]:
    sides = ("-" if side is None else measured(side.value, side.standard_error) for side in (one.was, one.now))
    return (one.metric, one.outcome, *sides, _change(one), str(one.tolerance) or "-")


def _change(one: "MetricCheck") -> str:
    if one.change is None:
        return "-"
    if one.change.worse == 0:
        return "none"
    word = "worse" if one.change.worse > 0 else "better"
    return f"{measured(abs(one.change.worse), one.change.noise)} {word}"


def _formatted(check: "Check", format: str, *, result: str, baseline: str | None, strict: bool) -> str:
    from ganeval.gate.formats import document, junit, markdown

    if format == "json":
        return to_json(document(check, result=result, baseline=baseline, strict=strict))
    if format == "junit":
        return junit(check, result=result, strict=strict).rstrip()
    if format == "markdown":
        return markdown(check, result=result, baseline=baseline).rstrip()
    return check_text(check, result=result, baseline=baseline)


def _summarise(check: "Check", *, result: str, baseline: str | None) -> None:
    """Add to the summary of a GitHub job, where there is one."""
    from ganeval.gate.formats import markdown

    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as summary:
            summary.write(markdown(check, result=result, baseline=baseline) + "\n")
    except OSError as error:
        raise ResultError(f"The job summary {path} cannot be written: {error.strerror or error}.") from error
