"""`ganeval check`: a saved result against a baseline and tolerances, with an exit code that can stop a merge."""

from pathlib import Path

import click

from ganeval.errors import UsageError
from ganeval_cli.gate_options import BASELINE, FORMATS, JUNIT, STRICT, THRESHOLDS, Gate, failures_exit_2
from ganeval_cli.io import LocalPath, same_file
from ganeval_cli.options import command

EPILOG = """\b
Exit codes:
  0  pass, improved, or inconclusive
  1  regressed
  2  usage, or a file that cannot be read
  3  incomparable: measured differently from the baseline
  4  inconclusive, with --strict
  5  missing: the baseline holds a metric that the result lacks
  6  untestable: an error bar is missing where one is needed, or too large
"""


FORMAT = click.Option(
    ["--format"],
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="json and junit print one document and nothing else on standard output.",
)


@command(BASELINE, THRESHOLDS, STRICT, FORMAT, JUNIT, epilog=EPILOG)
@click.argument("result", type=LocalPath())
def check(
    *, result: Path, baseline: Path | None, thresholds: Path | None, strict: bool, format: str, junit: Path | None
) -> None:
    """Compare the saved RESULT with a baseline and tolerances.

    RESULT is a file that a command wrote with --output. Without thresholds, a metric of the baseline fails when it is
    worse than in the baseline at a significance of 0.01, and when it cannot be tested. In GitHub Actions, the command
    also writes annotations and adds to the job's summary.
    """
    with failures_exit_2():
        from ganeval.gate import read_result

        if baseline is not None and same_file(result, baseline):
            raise UsageError(f"{result} is the baseline itself, so nothing would be compared; give another result.")
        gate = Gate.open(baseline, thresholds, strict=strict, junit=junit, reads=(result,))
        saved = read_result(result)
        gate.judge(saved.evaluation, result=saved.name, format=format)
