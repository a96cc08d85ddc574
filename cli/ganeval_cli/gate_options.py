"""Code shared by `ganeval check`, `score --check` and `baseline update`: options, printed verdicts, exit codes.

0  pass, improved, or inconclusive
1  regressed, and only that
2  usage, or a file that cannot be read
3  incomparable
4  inconclusive, with --strict
5  missing
6  untestable
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.exceptions import Exit

from ganeval.errors import ResultError, UsageError
from ganeval.places import Place
from ganeval.processes import processes
from ganeval_cli.console import note, out
from ganeval_cli.errors import foreseen_errors
from ganeval_cli.io import LocalPath, check_apart, check_writable, to_json, write_text
from ganeval_cli.options import OptionGroup, OutputOptions

if TYPE_CHECKING:
    from ganeval.gate import Check, SavedResult, Thresholds
    from ganeval.results import Evaluation

REGRESSED, UNUSABLE = 1, 2
FORMATS = ("table", "json", "junit", "markdown")
_FILE = LocalPath()

BASELINE = click.Option(
    ["--baseline"],
    type=_FILE,
    metavar="FILE",
    help="The saved result to compare with; `ganeval baseline update` writes it.",
)
THRESHOLDS = click.Option(
    ["--thresholds"],
    type=_FILE,
    metavar="FILE",
    help="Tolerances, in TOML.  [default: the nearest gan-thresholds.toml, or pyproject.toml with tolerances]",
)
STRICT = click.Option(["--strict"], is_flag=True, help="Exit with 4 instead of 0 if inconclusive.")
JUNIT = click.Option(["--junit"], type=_FILE, metavar="FILE", help="Also write JUnit XML to FILE.")


class GateExit(Exit):
    """The end of a command whose exit code is the verdict of a check."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The criteria for a result. thresholds: None if there are none; junit: a file for JUnit XML, if any."""

    baseline: "SavedResult | None"
    thresholds: "Thresholds | None"
    strict: bool
    junit: Path | None

    @classmethod
    def open(
        cls,
        baseline: Path | None,
        thresholds: Path | None,
        *,
        strict: bool = False,
        junit: Path | None = None,
        reads: Iterable[Path | None] = (),
        writes: Iterable[Place | None] = (),
    ) -> "Gate":
        """Read the files that the options name, and check that the JUnit file can be written.

        reads, writes: the other files of the command; no file may be in both.
        """
        from ganeval.gate import find_thresholds, read_result, read_thresholds

        check_apart((junit, *writes), (baseline, thresholds, *reads))
        check_writable(junit)
        saved = None if baseline is None else read_result(baseline)
        chosen = find_thresholds(Path()) if thresholds is None else read_thresholds(thresholds)
        if saved is None and chosen is None:
            raise UsageError(
                "There is nothing to check against: give --baseline, or --thresholds with max or min of a metric."
            )
        return cls(saved, chosen, strict, junit)

    def check(self, evaluation: "Evaluation") -> "Check":
        """The verdicts on a result; without thresholds, on every metric of the baseline."""
        from ganeval.gate import check

        return check(evaluation, None if self.baseline is None else self.baseline.evaluation, self.thresholds)

    def judge(self, evaluation: "Evaluation", *, result: str, format: str = "table", to_stdout: bool = True) -> None:
        """Check a result, report it, and end the command unless it passes. result: its name."""
        found = self.check(evaluation)
        self.report(found, result=result, format=format, to_stdout=to_stdout)
        if code := found.exit_code(strict=self.strict):
            raise GateExit(code)

    def hold(self, evaluation: "Evaluation", output: OutputOptions) -> None:
        """Check the result that a command has printed.

        The verdict goes below the table, or to standard error if standard output is machine-readable.
        """
        to_stdout = output.format == "table"
        if to_stdout:
            out("")
        self.judge(evaluation, result="the result" if output.path is None else str(output.path), to_stdout=to_stdout)

    def report(self, check: "Check", *, result: str, format: str, to_stdout: bool) -> None:
        """Print a check, write JUnit XML if requested, and annotate in GitHub Actions. result: its name."""
        from ganeval.gate import to_annotations, to_junit

        baseline = None if self.baseline is None else str(self.baseline)
        if self.junit is not None:
            write_text(self.junit, to_junit(check, result=result, strict=self.strict))
        show = out if to_stdout else note
        show(_formatted(check, format, result=result, baseline=baseline, strict=self.strict))
        _summarise(check, result=result, baseline=baseline)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in to_annotations(check, result=result, strict=self.strict):
                note(line)


@dataclass(frozen=True, slots=True)
class GateOptions:
    """`--check` and its options, for a command that evaluates."""

    check: bool
    baseline: Path | None
    thresholds: Path | None
    strict: bool
    junit: Path | None

    def exit_codes(self) -> AbstractContextManager[None]:
        """Within this context, with --check, the exit codes of the gate apply."""
        return failures_exit_2() if self.check else nullcontext()

    def open(self, *, writes: Iterable[Place | None], several: str | None = None) -> Gate | None:
        """The gate, or None without --check.

        writes: the other files that the command writes. several: how to choose one result, for the message, if there
        are several.
        """
        if not self.check:
            return None
        if several is not None:
            raise UsageError(f"--check compares one result with its baseline; choose one {several}.")
        return Gate.open(self.baseline, self.thresholds, strict=self.strict, junit=self.junit, writes=writes)


def _gate(
    *, check: bool, baseline: Path | None, thresholds: Path | None, strict: bool, junit: Path | None
) -> GateOptions:
    if not check and (strict or any(one is not None for one in (baseline, thresholds, junit))):
        raise UsageError("--baseline, --thresholds, --strict and --junit go with --check.")
    return GateOptions(check, baseline, thresholds, strict, junit)


GATE = OptionGroup(
    "gate",
    (
        click.Option(
            ["--check"],
            is_flag=True,
            help="Check the result against --thresholds and --baseline, with the exit codes of `ganeval check`.",
        ),
        BASELINE,
        THRESHOLDS,
        STRICT,
        JUNIT,
    ),
    _gate,
)


@contextmanager
def failures_exit_2() -> Iterator[None]:
    """Within this context, exit code 1 means only "regressed": other failures exit with 2."""
    try:
        with foreseen_errors():
            yield
    except GateExit:
        raise
    except Exit as ending:
        raise Exit(UNUSABLE if ending.exit_code == REGRESSED else ending.exit_code) from ending


def _formatted(check: "Check", format: str, *, result: str, baseline: str | None, strict: bool) -> str:
    from ganeval.gate import to_document, to_junit, to_markdown, to_text

    if format == "json":
        return to_json(to_document(check, result=result, baseline=baseline, strict=strict))
    if format == "junit":
        return to_junit(check, result=result, strict=strict).rstrip()
    if format == "markdown":
        return to_markdown(check, result=result, baseline=baseline).rstrip()
    return to_text(check, result=result, baseline=baseline)


def _summarise(check: "Check", *, result: str, baseline: str | None) -> None:
    """Add to the summary of a GitHub job, if there is one."""
    from ganeval.gate import to_markdown

    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path or not processes().first:
        return
    try:
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as summary:
            summary.write(to_markdown(check, result=result, baseline=baseline) + "\n")
    except OSError as error:
        raise ResultError(f"The job summary {path} cannot be written: {error.strerror or error}.") from error
