"""`ganeval baseline`: the result that later results are compared with."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval.errors import UsageError
from ganeval_cli.console import note, out
from ganeval_cli.gate_options import THRESHOLDS, GateExit, failures_exit_2
from ganeval_cli.io import LocalPath, check_apart, check_writable, same_file

if TYPE_CHECKING:
    from ganeval.gate import SavedResult
    from ganeval.results import Evaluation

_FORCE = "The baseline is unchanged; --force replaces it."


@click.group()
def baseline() -> None:
    """The result that later results are compared with."""


@baseline.command(params=[THRESHOLDS])
@click.argument("result", type=LocalPath())
@click.option("--baseline", type=LocalPath(), metavar="FILE", required=True, help="The file to write.")
@click.option("--force", is_flag=True, help="Even if RESULT does not pass, or lacks metrics of the old baseline.")
def update(*, result: Path, baseline: Path, thresholds: Path | None, force: bool) -> None:
    """Make the saved RESULT the baseline, and record who did, when, and at which commit.

    RESULT must pass against the old baseline, and a first one against itself. With the exit codes of `ganeval check`,
    a result that is worse (1), measured differently (3), lacks a metric (5) or cannot be tested (6) is refused.
    """
    with failures_exit_2():
        from ganeval.gate import read_result, write_baseline

        check_writable(baseline)
        check_apart((baseline,), (thresholds,))
        if same_file(result, baseline):
            raise UsageError(f"{result} is the baseline itself; write the result to another file, and name that.")
        evaluation = read_result(result).evaluation
        old = read_result(baseline) if baseline.exists() else None
        if force:
            write_baseline(evaluation, baseline)
        else:
            _update(evaluation, baseline, thresholds, result=result, old=old)
        declaration = read_result(baseline).declaration or {}
        commit = declaration.get("commit")
        at_commit = f" at commit {commit[:12]}" if commit else ""
        out(f"{baseline}: {', '.join(evaluation.metrics)}, by {declaration.get('by')}{at_commit}")
        if old is not None and (lost := [one for one in old.evaluation.metrics if one not in evaluation.metrics]):
            note(f"warning: the baseline no longer holds {', '.join(lost)}.")


def _update(
    evaluation: "Evaluation", baseline: Path, thresholds: Path | None, *, result: Path, old: "SavedResult | None"
) -> None:
    """Replace the baseline, or end with the reasons and the gate's exit code if the result must not replace it."""
    from ganeval.gate import find_thresholds, read_thresholds, to_text, update_baseline

    chosen = find_thresholds(Path()) if thresholds is None else read_thresholds(thresholds)
    check = update_baseline(evaluation, baseline, chosen)
    if code := check.exit_code():
        note(to_text(check, result=str(result), baseline=None if old is None else str(old)))
        note("There is no baseline yet; --force writes it." if old is None else _FORCE)
        raise GateExit(code)
