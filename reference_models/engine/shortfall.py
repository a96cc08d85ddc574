"""Find final scores of a trained model that are far worse than the noise floor, the scores of real images or sequences.

They are compared once, at the end, so that the verdict never contradicts the table of scores. A score falls short if,
beyond the error bars, it is below half of the floor (if higher is better), or above ten times the floor, or ten times
its standard error if that is larger (if lower is better).
"""

from collections.abc import Iterator, Mapping

from ganeval.results import Evaluation, MetricResult
from reference_models.engine.alarm_rules import FALLEN, beyond

# Metrics of diversity; the others measure quality, or both.
KINDS = ("recall", "diversity", "mode_coverage")
# The factor for metrics where lower is better, such as FID and KID, whose floor is near 0.
FAR = 10.0
# Scores below this are rounding errors, and written as 0, as in tables.
ROUNDING = 1e-9


def shortfalls(evaluation: Evaluation, floor: Evaluation) -> Iterator[tuple[str, str]]:
    """(alarm, what was found) for each alarm that the scores raise: "collapse" for low diversity, else "quality".

    Metrics that the floor lacks, or that have an ideal value in the middle, are not judged.
    """
    short = {
        name: f"{name} {_shown(one)} ({_shown(floor[name])})"
        for name, one in evaluation.metrics.items()
        if name in floor.metrics and _falls_short(one, floor[name])
    }
    for alarm, names in (("collapse", [*filter(KINDS.__contains__, short)]), ("quality", [*short.keys() - {*KINDS}])):
        if names:
            told = ", ".join(short[name] for name in short if name in names)
            things = "sequences" if evaluation.provenance.get("protocol") == "sequences" else "images"
            yield alarm, f"Final scores far from those of real {things}: {told}."


def no_better(evaluation: Evaluation, trivial: Mapping[str, Evaluation]) -> Iterator[str]:
    """The finding if the first metric of translations is not better than that of a trivial method."""
    name, found = next(iter(evaluation.metrics.items()))
    beaten = {method: one[name] for method, one in trivial.items() if name in one.metrics}
    ahead = [
        f"{method} {_shown(other)}"
        for method, other in beaten.items()
        if found.to_minimise(found.value) >= found.to_minimise(other.value)
    ]
    if ahead:
        yield f"{name} is {_shown(found)}, no better than that of trivial methods ({', '.join(ahead)})."


def _shown(score: MetricResult) -> str:
    """A score to three digits."""
    return f"{0.0 if abs(score.value) < ROUNDING else score.value:.3g}"


def _falls_short(found: MetricResult, floor: MetricResult) -> bool:
    error, floor_error = found.standard_error or 0.0, floor.standard_error or 0.0
    if found.direction == "higher":
        return beyond(FALLEN * floor.value - found.value, FALLEN * floor_error, error)
    # An estimated floor can be near 0 or negative by chance, so its standard error counts as well.
    far = found.value > FAR * max(floor.value, floor_error)
    return found.direction == "lower" and far and beyond(found.value - floor.value, floor_error, error)
