"""`ganeval history RUN`: one number of a training run's log over its steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ganeval.errors import UsageError, did_you_mean
from ganeval.gate import sparkline
from ganeval.tables import Table
from ganeval.wording import with_error
from reference_models import read_log

# Rows of the table, and bars: of a longer log so many lines, at even distances.
MAX_ROWS = 40


@dataclass(frozen=True, slots=True)
class Course:
    """A number of the log. points: (step, value, standard error or None), in order."""

    name: str
    points: Sequence[tuple[int, float, float | None]]


def read_course(folder: Path, metric: str | None) -> Course | None:
    """A metric that was scored while training (fid), or a key of the log (loss/generator); None for fid, or the first.

    None for a log without it where the run was scored at its end; UsageError where it was not, with what the log has.
    """
    lines = read_log(folder)
    known = list(dict.fromkeys(key for line in lines for key in line if key not in ("step", "alarm", "text", "final")))
    scores = [key for key in known if key.startswith("score/")]
    wanted = metric or ("fid" if "score/fid" in scores or not scores else scores[0].removeprefix("score/"))
    key = f"score/{wanted}" if f"score/{wanted}" in known else wanted
    if key not in known and (folder / "result.json").is_file():
        return None
    if key not in known:
        shown = [one.removeprefix("score/") for one in known if not one.startswith("error/")]
        hint = did_you_mean(wanted, shown) if shown else "it is empty"
        raise UsageError(
            f"{folder} is a training run, and its log holds no '{wanted}': {hint} "
            "Scores are in the log of `ganeval train --score-every N`; saved results are kept in a folder of their own."
        )
    error = f"error/{key.removeprefix('score/')}"
    return Course(wanted, [(line["step"], line[key], line.get(error)) for line in lines if key in line])


def course_text(course: Course) -> str:
    """A table of the steps, and a line of bars."""
    step = -(-len(course.points) // MAX_ROWS)
    # The last line is where the run is.
    shown = course.points[::-1][::step][::-1]
    rows = [(str(at), with_error(value, error)) for at, value, error in shown]
    return (
        f"{Table(('step', course.name), rows).text()}\n\n{course.name}  {sparkline([value for _, value, _ in shown])}"
    )


def course_document(course: Course) -> dict[str, object]:
    """All of it, for JSON."""
    points = [{"step": step, "value": value, "standard_error": error} for step, value, error in course.points]
    return {"metric": course.name, "steps": points}
