"""`ganeval check`: a saved result against a baseline and tolerances, with an exit code that can stop a merge."""

from pathlib import Path

import click

from ganeval.errors import UsageError
from ganeval_cli.gating import (
    FORMATS,
    Gate,
    baseline_option,
    failures_exit_2,
    junit_option,
    strict_option,
    thresholds_option,
)
from ganeval_cli.saving import same_file

EPILOG = """\b
Exit codes:
  0  pass, improved, or inconclusive
  1  regressed
  2  usage, or a file that cannot be read
  3  incomparable: measured otherwise than the baseline
  4  inconclusive, with --strict
  5  missing: the baseline holds a metric that the result lacks
  6  untestable: no error bar where one is needed, or one that hides everything
"""


@click.command(epilog=EPILOG)
@click.argument("result", type=click.Path(path_type=Path))
@baseline_option
@thresholds_option
@strict_option
@click.option("--format", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print.")
@junit_option
def check(
    *, result: Path, baseline: Path | None, thresholds: Path | None, strict: bool, format: str, junit: Path | None
) -> None:
    """Hold the saved RESULT to a baseline and tolerances.

    RESULT is what --output of a measurement wrote. Without any thresholds, each metric of the baseline fails when it is
    worse than there by more than noise explains, at a significance of 0.01, and when it cannot be tested. In GitHub
    Actions it also annotates, and adds to the job's summary.
    """
    with failures_exit_2():
        from ganeval.gate import read_result

        if baseline is not None and same_file(result, baseline):
            raise UsageError(f"{result} is the baseline itself, so nothing would be compared; give a result.")
        gate = Gate.opened(baseline, thresholds, strict=strict, junit=junit, reads=(result,))
        saved = read_result(result)
        gate.judge(saved.evaluation, result=saved.name, format=format)
