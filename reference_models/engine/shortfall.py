"""A trained model's scores beside the floor, what real images score in the place of fakes: what falls plainly short.

Held to the floor once, at the end, so that a verdict never contradicts the table of scores: less than half of what real
images have, where more is better, by more than the error bars; or, where less is better, more than ten times as much,
or ten times the floor's standard error where that is larger, and further from the floor than the error bars.
"""

from collections.abc import Iterator

from ganeval.results import Evaluation, MetricResult
from reference_models.engine.alarm_rules import FALLEN, beyond

# What tells how many kinds of images there are; other metrics tell how good they are, or both at once.
KINDS = ("recall", "diversity", "mode_coverage")
# Of metrics that are better lower: FID, KID and their kin, whose floor is near 0.
FAR = 10.0


def shortfalls(evaluation: Evaluation, floor: Evaluation) -> Iterator[tuple[str, str]]:
    """(alarm, what was seen) of each alarm that the scores raise: "collapse" for too few kinds, "quality" for the rest.

    Metrics that the floor lacks, or that have an ideal value in the middle, are not judged.
    """
    short = {
        name: f"{name} {one.value:.3g} ({floor[name].value:.3g})"
        for name, one in evaluation.metrics.items()
        if name in floor.metrics and _falls_short(one, floor[name])
    }
    for alarm, names in (("collapse", [*filter(KINDS.__contains__, short)]), ("quality", [*short.keys() - {*KINDS}])):
        if names:
            told = ", ".join(short[name] for name in short if name in names)
            yield alarm, f"Final scores far from those of real images: {told}."


def _falls_short(found: MetricResult, floor: MetricResult) -> bool:
    error, floor_error = found.standard_error or 0.0, floor.standard_error or 0.0
    if found.direction == "higher":
        return beyond(FALLEN * floor.value - found.value, FALLEN * floor_error, error)
    # A floor near 0 or below is one by chance: what it could be is what its error says.
    far = found.value > FAR * max(floor.value, floor_error)
    return found.direction == "lower" and far and beyond(found.value - floor.value, floor_error, error)
