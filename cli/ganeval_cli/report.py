"""`ganeval report`: saved results as one page that opens anywhere."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval_cli.console import note
from ganeval_cli.io import LocalPath, check_apart, check_page, write_text
from ganeval_cli.options import QUIET, command

if TYPE_CHECKING:
    from ganeval.gate import Check
    from ganeval.report import ReportInputs

_FILE = LocalPath()


@command(QUIET)
@click.argument("results", nargs=-1, required=True, type=_FILE, metavar="RESULT.json...")
@click.option("-o", "--output", type=_FILE, required=True, metavar="FILE.html", help="The page to write.")
@click.option(
    "--floor",
    type=_FILE,
    metavar="FILE",
    help="A result of `ganeval noise-floor` that the page shows next to the values.",
)
@click.option("--baseline", type=_FILE, metavar="FILE", help="Also show the gate's verdict against this result.")
@click.option(
    "--thresholds", type=_FILE, metavar="FILE", help="The gate's tolerances.  [default: as for `ganeval check`]"
)
@click.option(
    "--training", type=_FILE, multiple=True, metavar="RUN", help="Also show the curves of a training run. Repeatable."
)
@click.option("--title", metavar="TEXT", help="The page's title.  [default: the names of the results]")
def report(
    *,
    results: tuple[Path, ...],
    output: Path,
    floor: Path | None,
    baseline: Path | None,
    thresholds: Path | None,
    training: tuple[Path, ...],
    title: str | None,
    quiet: bool,
) -> None:
    """Show saved results as one HTML page.

    The page is a single file without scripts, and loads nothing from the network. Results measured with --report-data
    come with pictures and curves; several results, and those of `ganeval compare`, are shown next to each other with
    their differences.
    """
    from ganeval.report import check_installed, read_floor, read_inputs, read_run, render

    check_installed()
    check_page(output)
    check_apart((output,), (*results, floor, baseline, thresholds))
    inputs = read_inputs(results)
    inputs = replace(
        inputs,
        floor=None if floor is None else read_floor(floor),
        runs=tuple(read_run(path) for path in training),
    )
    if baseline is not None or thresholds is not None:
        inputs = replace(inputs, checks=_checks(inputs, baseline, thresholds))
    page = render(inputs, title=title)
    write_text(output, page)
    if not quiet:
        for subject in inputs.subjects:
            if subject.data is None:
                note(f"{subject.name}: {subject.why}")


def _checks(inputs: "ReportInputs", baseline: Path | None, thresholds: Path | None) -> "dict[str, Check]":
    """The gate's verdict on every result."""
    from ganeval.gate import check, find_thresholds, read_thresholds
    from ganeval.report import read_evaluation

    base = None if baseline is None else read_evaluation(baseline)
    tolerances = find_thresholds(Path.cwd()) if thresholds is None else read_thresholds(thresholds)
    return {one.name: check(one.evaluation, base, tolerances) for one in inputs.subjects}
