"""A history as a figure: values with their 95% intervals, and apart from them those that may not be compared.

Where an entry stands for several training runs, each of them is a dot next to their mean.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ganeval.atomic import atomic_write
from ganeval.errors import UsageError
from ganeval.gate import History, HistoryEntry
from ganeval.report.inputs import check_shown
from ganeval.wording import direction_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".svg", ".png", ".pdf")
# Names of results below the axis, before they would lie on one another.
MAX_NAMES = 25
ALIKE, OTHERWISE = "#1f6fb2", "#8a8a8a"


def plot_history(history: History, path: str | Path) -> None:
    """Draw a history as a figure: values with their 95% intervals, and apart from them those measured differently.

    Args:
        history: Of `ganeval.gate.read_history`.
        path: The file: .svg, .png or .pdf. The same history gives the same bytes.

    Raises:
        UsageError: The file has another ending, or matplotlib is missing.
        ResultError: A number is too large to be shown, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"A history is drawn as {', '.join(FORMATS)}; found '{path}'.")
    if find_spec("matplotlib") is None:
        raise UsageError("A plot needs matplotlib, which is not installed: pip install 'ganeval[report]'.")
    from matplotlib.figure import Figure

    for entry in history.entries:
        check_shown(entry.value, f"{history.metric} of {entry.name}")
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    numbered = list(enumerate(history.entries))
    _series(axes, [one for one in numbered if one[1].mismatches], OTHERWISE, "o", "measured otherwise")
    _series(axes, [one for one in numbered if not one[1].mismatches], ALIKE, "o-", "measured alike")
    better = history.entries[-1].value
    axes.set_ylabel(f"{history.metric} ({direction_text(better.direction, better.ideal)} is better)")
    axes.set_title(f"{history.metric} over {len(numbered)} results, with 95% intervals", parse_math=False)
    step = -(-len(numbered) // MAX_NAMES)
    shown = numbered[::step]
    axes.set_xticks([place for place, _ in shown], [_named(entry) for _, entry in shown], rotation=45, ha="right")
    for label in axes.get_xticklabels():
        # A file's name may hold dollar signs, which are no formula here.
        label.set_parse_math(False)
    axes.grid(axis="y", alpha=0.3)
    axes.legend()
    _write(figure, path)


def _series(axes: "Axes", numbered: list[tuple[int, HistoryEntry]], colour: str, style: str, label: str) -> None:
    if not numbered:
        return
    places = [place for place, _ in numbered]
    values = [entry.value.value for _, entry in numbered]
    bounds = [entry.value.interval or (entry.value.value, entry.value.value) for _, entry in numbered]
    below = [max(value - low, 0.0) for value, (low, _) in zip(values, bounds, strict=True)]
    above = [max(high - value, 0.0) for value, (_, high) in zip(values, bounds, strict=True)]
    for place, entry in numbered:
        axes.scatter([place] * len(entry.runs), entry.runs, s=14, color=colour, alpha=0.5, linewidths=0)
    axes.errorbar(places, values, yerr=[below, above], fmt=style, color=colour, capsize=3, label=label)


def _named(entry: HistoryEntry) -> str:
    # Bytes of a name that are no text have no glyphs.
    name = entry.name.removesuffix(".json").encode("utf-8", "backslashreplace").decode("utf-8")
    return name if len(name) <= 24 else f"{name[:21]}..."


def _write(figure: "Figure", path: Path) -> None:
    import matplotlib as mpl

    kind = path.suffix.lower().removeprefix(".")
    # No date and no random names, so that an unchanged history is an unchanged file.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with mpl.rc_context({"svg.hashsalt": "ganeval"}), atomic_write(path) as file:
        figure.savefig(file, format=kind, metadata=metadata)
