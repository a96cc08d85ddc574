"""`ganeval report`: saved results as one self-contained HTML page."""

from pathlib import Path

import click

from ganeval_cli.console import note
from ganeval_cli.io import LocalPath, check_apart, check_page
from ganeval_cli.options import QUIET, command

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
    from ganeval.report import check_installed, read_inputs, write_page

    check_installed()
    check_page(output)
    check_apart((output,), (*results, floor, baseline, thresholds))
    inputs = read_inputs(results, floor=floor, baseline=baseline, thresholds=thresholds, training=training)
    write_page(inputs, output, title=title)
    if not quiet:
        for subject in inputs.subjects:
            if subject.data is None:
                note(f"{subject.name}: {subject.why}")
