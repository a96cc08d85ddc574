"""`ganeval history`: one metric over many saved results, as a table, a line of bars, and a plot."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval.errors import UsageError
from ganeval.tables import Table
from ganeval.wording import NONE, four_digits, result_text
from ganeval_cli.console import note, out
from ganeval_cli.gate_options import failures_exit_2
from ganeval_cli.io import LocalPath, check_writable, to_json
from ganeval_cli.options import FORMAT, QUIET, command

if TYPE_CHECKING:
    from ganeval.gate import History, HistoryEntry
    from reference_models import Curve

# A change of at least this many times the value is written with an exponent.
LARGE_CHANGE = 1e6


@command(FORMAT, QUIET)
@click.argument("folder", metavar="DIR", type=LocalPath())
@click.option("--metric", metavar="NAME", help="The metric.  [default: fid, or the first of the newest result]")
@click.option("--plot", type=LocalPath(), metavar="FILE", help="Also draw a plot: .svg, .png or .pdf.")
def history(*, folder: Path, metric: str | None, plot: Path | None, format: str, quiet: bool) -> None:
    """A metric over saved results, or over a training run.

    DIR is a folder of saved results, shown oldest first, or a training run, shown by its steps.

    Results that were measured differently from the newest one are marked, and left out of the bars below the table. The
    runs of `ganeval train-and-score --seeds` are one line: their mean, its standard error, and their range.
    """
    with failures_exit_2():
        from ganeval.gate import read_history
        from ganeval_cli.history_run import curve_document, curve_text

        curve = _curve(folder, metric)
        if curve is not None:
            if plot is not None:
                raise UsageError(f"--plot draws saved results; `ganeval report --training {folder}` draws a run's log.")
            out(to_json(curve_document(curve)) if format == "json" else curve_text(curve))
            return
        check_writable(plot)
        found = read_history(folder, metric)
        if plot is not None:
            from ganeval.report import plot_history

            plot_history(found, plot)
        out(to_json(_document(found)) if format == "json" else _text(found))
        for reason in () if quiet else found.left_out:
            note(f"warning: left out: {reason}")


def _curve(folder: Path, metric: str | None) -> "Curve | None":
    """The curve of a run's log; None for saved results, and for a run that was scored only at its end."""
    from reference_models import is_run, read_curve

    if not is_run(folder):
        return None
    try:
        return read_curve(folder, metric)
    except UsageError:
        if (folder / "result.json").is_file():
            return None
        raise


def _document(found: "History") -> dict[str, object]:
    return {
        "metric": found.metric,
        "entries": [
            {
                "name": entry.name,
                "created": entry.created,
                "value": entry.value.value,
                "standard_error": entry.value.standard_error,
                "differences": [str(one) for one in entry.mismatches],
                "runs": list(entry.runs),
            }
            for entry in found.entries
        ],
        "left_out": list(found.left_out),
    }


def _text(found: "History") -> str:
    head = ("created", "result", found.metric, "change", "measured")
    before = [None, *found.entries]
    rows = [
        (
            entry.created,
            entry.name + _range(entry),
            result_text(entry.value),
            _change(previous, entry),
            "otherwise: " + ", ".join(one.field for one in entry.mismatches) if entry.mismatches else "alike",
        )
        for previous, entry in zip(before, found.entries, strict=False)
    ]
    return f"{Table(head, rows).text()}\n\n{found.metric}  {found.sparkline}"


def _range(entry: "HistoryEntry") -> str:
    """The number of training runs in an entry, and their range; empty for a single result."""
    if not entry.runs:
        return ""
    low, high = (four_digits(value) for value in (min(entry.runs), max(entry.runs)))
    return f" ({len(entry.runs)} runs, {low} to {high})"


def _change(previous: "HistoryEntry | None", entry: "HistoryEntry") -> str:
    """The relative change between two results, if both are comparable with the newest one."""
    if previous is None or previous.mismatches or entry.mismatches or previous.value.value == 0:
        return NONE
    change = (entry.value.value - previous.value.value) / abs(previous.value.value)
    return f"{change:+.1%}" if abs(change) < LARGE_CHANGE else f"{100 * change:+.1e}%"
