"""`ganeval baseline`: the result that later ones are compared with."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval_cli.console import note, out
from ganeval_cli.gating import REGRESSED, Gate, Verdict, check_text, failures_exit_2, thresholds_option
from ganeval_cli.saving import check_writable, to_json, write_text

if TYPE_CHECKING:
    from ganeval.gate import Saved
    from ganeval.results import Evaluation

INCOMPARABLE = 3
_FORCE = "The baseline is as it was; --force replaces it."


@click.group()
def baseline() -> None:
    """The result that later ones are compared with."""


@baseline.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--baseline", type=click.Path(path_type=Path), metavar="FILE", required=True, help="The file to write.")
@thresholds_option
@click.option("--force", is_flag=True, help="Also when RESULT is worse than the old baseline, or measured otherwise.")
def update(*, result: Path, baseline: Path, thresholds: Path | None, force: bool) -> None:
    """Declare the saved RESULT the baseline, and note who did, when, and at which commit.

    An old baseline is replaced, unless RESULT is worse than it (exit code 1), was measured otherwise, or lacks one of
    its metrics (3).
    """
    with failures_exit_2():
        from ganeval.gate import read_result, stamped

        check_writable(baseline)
        evaluation = read_result(result).evaluation
        if baseline.exists():
            gate = Gate.opened(baseline, thresholds, strict=False, junit=None)
            if gate.baseline is not None and not force:
                _refuse_other(gate.baseline, evaluation)
                _refuse_worse(gate, result, evaluation)
        document = stamped(evaluation, baseline.absolute().parent)
        write_text(baseline, to_json(document) + "\n")
        stamp = document["baseline"]
        at_commit = f" at commit {stamp['commit'][:12]}" if stamp["commit"] else ""
        out(f"{baseline}: {', '.join(evaluation.metrics)}, by {stamp['by']}{at_commit}")


def _refuse_other(old: "Saved", evaluation: "Evaluation") -> None:
    """Exit code 3 where a metric of the old baseline is missing, or was measured otherwise."""
    from ganeval.gate import differences

    found = {metric: differences(metric, evaluation, old.evaluation) for metric in old.evaluation.metrics}
    for metric, fields in found.items():
        if fields:
            note(f"error: {metric} is incomparable with {old.name}: {'; '.join(map(str, fields))}.")
    if any(found.values()):
        note(_FORCE)
        raise Verdict(INCOMPARABLE)


def _refuse_worse(gate: Gate, result: Path, evaluation: "Evaluation") -> None:
    """Exit code 1 where it would not pass the gate itself."""
    check = gate.check(evaluation)
    if check.verdict == "regressed":
        note(check_text(check, result=str(result), baseline=str(gate.baseline)))
        note(_FORCE)
        raise Verdict(REGRESSED)
