"""One number of a run's log over its steps: a score, a loss, or any other that the log holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ganeval.errors import UsageError, did_you_mean
from reference_models.engine.folder import Folder


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A number of the log at one step.

    Attributes:
        step: The step.
        value: The number.
        standard_error: Of a score, and of a mean over the images of a step; None where the log has none.
    """

    step: int
    value: float
    standard_error: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """A number of a run's log over its steps.

    Attributes:
        name: What it is: "fid", "loss/generator".
        points: In the order of the steps; at least one.
    """

    name: str
    points: tuple[CurvePoint, ...]


def read_curve(run: str | Path, name: str | None = None) -> Curve:
    """Read one number of a run's log over the steps.

    Args:
        run: The run's folder.
        name: A metric that was scored during the training ("fid"), or a key of the log ("loss/generator"); None for
            fid, or the first metric that was scored if that was another one.

    Returns:
        The number at every step that logged it.

    Raises:
        UsageError: The folder is no run, or the log does not hold the number; the message lists what it holds.

    >>> import reference_models, tempfile
    >>> folder = tempfile.mkdtemp() + "/run"
    >>> small = {"steps": 4, "resolution": 8, "settings.hidden": 16}
    >>> often = reference_models.Intervals(log_every=2)
    >>> _ = reference_models.train("gan", folder, chosen=small, device="cpu", intervals=often)
    >>> [point.step for point in reference_models.read_curve(folder, "loss/generator").points]
    [2, 4]
    """
    folder = Folder(Path(run))
    if not folder.log.is_file():
        # UsageError if it is not a run.
        folder.read_config()
    lines = [_numbers(line) for line in folder.lines()]
    known = list(dict.fromkeys(key for line in lines for key in line if key != "step"))
    scores = [key for key in known if key.startswith("score/")]
    wanted = name or ("fid" if "score/fid" in scores or not scores else scores[0].removeprefix("score/"))
    key = f"score/{wanted}" if f"score/{wanted}" in known else wanted
    if key not in known:
        shown = [one.removeprefix("score/") for one in known if not one.startswith("error/")]
        hint = did_you_mean(wanted, shown) if shown else "it is empty."
        raise UsageError(
            f"{run} is a training run, but its log has no '{wanted}': {hint} "
            "Scores are in the log of `ganeval train --score-every N`; saved results are kept in a folder of their own."
        )
    error = f"error/{key.removeprefix('score/')}"
    return Curve(
        wanted, tuple(CurvePoint(int(line["step"]), line[key], line.get(error)) for line in lines if key in line)
    )


def _numbers(line: Mapping[str, object]) -> dict[str, float]:
    """The numbers in a line of the log, without an alarm's text."""
    return {key: value for key, value in line.items() if isinstance(value, int | float) and not isinstance(value, bool)}
