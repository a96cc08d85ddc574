"""The row of a table of metrics that take more than features of images: of sequences, and of classifiers."""

from collections.abc import Callable
from dataclasses import dataclass

from ganeval.metrics import Direction, Estimate


@dataclass(frozen=True, slots=True)
class TaskMetric:
    """One row of a table of metrics that belong to a task: SEQUENCE_METRICS, CLASSIFIER_METRICS.

    Attributes:
        title: The metric's name, as listings and reports show it.
        compute: The function.
        needs: What it takes, in words.
        direction: Which values are better: "lower", "higher", or "closer" to the value of real data.
        source: The paper, as listings cite it.
        least: The smallest number of sequences or images, of the model and real, that it takes.
    """

    title: str
    compute: Callable[..., Estimate]
    needs: tuple[str, ...]
    direction: Direction
    source: str
    least: int = 2
