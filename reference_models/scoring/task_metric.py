"""The row type for metrics that take more than image features: of sequences, and of classifiers."""

from collections.abc import Callable
from dataclasses import dataclass

from ganeval.metrics import Direction, Estimate


@dataclass(frozen=True, slots=True)
class TaskMetric:
    """One row of a table of metrics for a task: SEQUENCE_METRICS, CLASSIFIER_METRICS.

    Attributes:
        title: The metric's name, as listings and reports show it.
        compute: The function.
        needs: What it takes, as a phrase.
        direction: Which values are better: "lower", "higher", or "closer" to the value of real data.
        source: The paper, as listings cite it.
        least: The minimum number of sequences or images, for both the model's and real ones.
    """

    title: str
    compute: Callable[..., Estimate]
    needs: tuple[str, ...]
    direction: Direction
    source: str
    least: int = 2
