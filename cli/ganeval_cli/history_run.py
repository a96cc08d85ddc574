"""`ganeval history RUN`: one number of a training run's log over its steps."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from ganeval.gate import sparkline
from ganeval.tables import Table
from ganeval.wording import with_error

if TYPE_CHECKING:
    from reference_models import Curve

# Maximum number of rows and bars: from a longer log, lines at even distances.
MAX_ROWS = 40


def curve_text(curve: "Curve") -> str:
    """A table of the steps, and a line of bars."""
    step = -(-len(curve.points) // MAX_ROWS)
    # The last line is the current state of the run.
    shown = curve.points[::-1][::step][::-1]
    rows = [(str(one.step), with_error(one.value, one.standard_error)) for one in shown]
    return f"{Table(('step', curve.name), rows).text()}\n\n{curve.name}  {sparkline([one.value for one in shown])}"


def curve_document(curve: "Curve") -> dict[str, object]:
    """The whole curve, for JSON."""
    return {"metric": curve.name, "steps": [asdict(one) for one in curve.points]}
