"""`ganeval history`: one metric over many saved results, as a table, a line of bars, and a plot."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval.errors import UsageError
from ganeval_cli.console import note, out
from ganeval_cli.gating import failures_exit_2
from ganeval_cli.options import as_json
from ganeval_cli.saving import check_writable, to_json
from ganeval_cli.tables import measured, table

if TYPE_CHECKING:
    from ganeval.gate.history import History, HistoryEntry

# Changes are written out below so many times the value.
MOST = 1e6
PLOTS = (".svg", ".png", ".pdf")


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--metric", metavar="NAME", help="Which one.  [default: fid, or the first of the newest result]")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Also draw it: .svg, .png or .pdf.")
@as_json
def history(*, folder: Path, metric: str | None, plot: Path | None, format: str) -> None:
    """A metric over saved results, or over a training run.

    DIR holds results, which are shown oldest first, or is a run, whose steps are.

    Results that were measured otherwise than the newest are marked, and stay out of the line of bars.
    """
    with failures_exit_2():
        from ganeval.gate.history import read_history
        from ganeval_cli.history_run import course_document, course_text, is_run, read_course

        course = read_course(folder, metric) if is_run(folder) else None
        if course is not None:
            if plot is not None:
                raise UsageError(f"--plot draws saved results; `ganeval report --training {folder}` draws a run's log.")
            out(to_json(course_document(course)) if format == "json" else course_text(course))
            return
        if plot is not None:
            _check_plot(plot)
        found = read_history(folder, metric)
        if plot is not None:
            from ganeval_cli.history_plot import draw

            draw(found, plot)
        out(to_json(_document(found)) if format == "json" else _text(found))
        for reason in found.left_out:
            note(f"warning: left out: {reason}")


def _check_plot(plot: Path) -> None:
    from importlib.util import find_spec

    if plot.suffix.lower() not in PLOTS:
        raise UsageError(f"--plot draws {', '.join(PLOTS)}; found '{plot}'.")
    check_writable(plot)
    if find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib, which is not installed: pip install 'ganeval[report]'.")


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
            entry.name,
            measured(entry.value.value, entry.value.standard_error),
            _change(previous, entry),
            "otherwise: " + ", ".join(one.field for one in entry.mismatches) if entry.mismatches else "alike",
        )
        for previous, entry in zip(before, found.entries, strict=False)
    ]
    return f"{table(head, rows)}\n\n{found.metric}  {found.sparkline}"


def _change(previous: "HistoryEntry | None", entry: "HistoryEntry") -> str:
    """From one result to the next, where both may be compared with the newest, and so with each other."""
    if previous is None or previous.mismatches or entry.mismatches or previous.value.value == 0:
        return "-"
    change = (entry.value.value - previous.value.value) / abs(previous.value.value)
    return f"{change:+.1%}" if abs(change) < MOST else f"{100 * change:+.1e}%"
