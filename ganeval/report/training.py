"""A training run as its log tells it: curves over the steps, and the alarms that were raised."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from ganeval.documents import DocumentError, parse_json, read_text
from ganeval.errors import ResultError

LOG = "log.jsonl"
MAX_BYTES = 1 << 30
# Beyond it figures have no ticks; a log's number is then a gap, as NaN is.
LARGEST = 1e100
# Points a curve: more cannot be seen. Panels a run, and curves a panel.
MAX_POINTS, MAX_PANELS, MAX_CURVES = 400, 12, 6
# Speed says nothing of how the training went, and errors belong to their scores.
IGNORED = ("images", "error")
# What comes before a slash, and what a page calls it, in the order of the page.
GROUPS: Mapping[str, str] = {
    "loss": "loss",
    "grad": "norm of the gradient",
    "rate": "learning rate",
    "logit": "discriminator's output (logit)",
    "score": "score",
}

# What is made has the colour of fakes, which is the first.
FIRST = ("generator", "fake")

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm of the training's diagnostics. text: what was seen, what it usually means, what to try."""

    name: str
    step: float
    text: str


@dataclass(frozen=True, slots=True)
class TrainingLog:
    """The log of a training run.

    Attributes:
        name: The folder.
        panels: Curves by name, of numbers that share an axis, by the label of that axis.
        alarms: The alarms that were raised.
    """

    name: str
    panels: Mapping[str, Mapping[str, Points]]
    alarms: tuple[Alarm, ...]


def read_run(path: Path) -> TrainingLog:
    """Read the log of a training run: one JSON object per line, with a "step".

    A last line that was cut off is left out.

    Args:
        path: The run's folder, or the log.

    Returns:
        The curves and alarms.

    Raises:
        ResultError: The log is missing, empty, damaged or no log.
    """
    log = path / LOG if path.is_dir() else path
    try:
        lines = read_text(log, most=MAX_BYTES).splitlines()
    except OSError as error:
        raise ResultError(f"{log} cannot be read: {error.strerror or error}.") from error
    except DocumentError as error:
        raise ResultError(f"{log} {error}") from error
    rows = list(_rows(lines, log))
    if not rows:
        raise ResultError(f"{log} holds no line of a training log.")
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name != "step" and _is_number(value):
                curves.setdefault(name, []).append((row["step"], float(value)))
    alarms = tuple(Alarm(str(row["alarm"]), row["step"], str(row.get("text", ""))) for row in rows if "alarm" in row)
    resolved = path.resolve()
    name = resolved.parent.name if resolved.name == LOG else resolved.name
    return TrainingLog(name, _panels(curves), alarms)


def _rows(lines: Sequence[str], log: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            row = parse_json(line, finite=False)
        except DocumentError as error:
            if number == len(lines):
                return
            raise ResultError(f"{log}, line {number}, {error}") from error
        if not isinstance(row, dict) or not _is_number(row.get("step")):
            raise ResultError(f"{log}, line {number}, is not a line of a training log: it has no number 'step'.")
        yield row


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _panels(curves: Mapping[str, Points]) -> dict[str, dict[str, Points]]:
    """Curves that share an axis together; scores, and what belongs to no group, each alone."""
    panels: dict[str, dict[str, Points]] = {title: {} for group, title in GROUPS.items() if group != "score"}
    for name in sorted(curves, key=lambda name: name.rpartition("/")[2] not in FIRST):
        group, _, rest = name.partition("/")
        if group in IGNORED:
            continue
        shared = rest and group in GROUPS and group != "score"
        panel = panels.setdefault(GROUPS[group] if shared else rest or name, {})
        if len(panel) < MAX_CURVES:
            panel[rest or name] = _thinned(curves[name])
    return dict([(title, panel) for title, panel in panels.items() if panel][:MAX_PANELS])


def _thinned(points: Points) -> Points:
    """Means of as many neighbouring points as leave no more than MAX_POINTS."""
    size = math.ceil(len(points) / MAX_POINTS)
    parts = (points[start : start + size] for start in range(0, len(points), size))
    return [(part[-1][0], fmean(y for _, y in part)) for part in parts]
