"""The row types of the METRICS and PAIR_METRICS tables: what a metric needs, and which direction is better."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from ganeval.uncertainty import Estimate

Direction = Literal["lower", "higher", "closer"]
# The arrays that an extractor may compute from a set of images, [N, D] each.
Array = Literal["features", "logits", "spatial", "images"]


class Row(Protocol):
    """What the rows of both tables have, as far as names and options go."""

    @property
    def compute(self) -> Callable[..., object]: ...

    @property
    def family(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the METRICS table.

    Attributes:
        title: The metric's name, as listings show it.
        compute: The function. It is called with the arrays of the reals and the fakes, in this order and without those
            that are None, and with keyword options. It returns an Estimate, or several by name where metrics share
            their work. A function with the keywords ``real_labels``, ``fake_labels`` and ``class_names`` is also given
            the class of every image (int64 ``[N]``) and the names of the classes by number.
        real: The extractor's output that is needed of the reals, ``[N, D]``; None if the reals are not used.
        fake: The extractor's output that is needed of the fakes, ``[M, D]``.
        direction: Which values are better: "lower", "higher", or "closer" to ``ideal``.
        source: The paper, as listings cite it.
        takes_moments: Whether the metric depends on mean and covariance alone, so that stored statistics can replace
            the real features. Such a metric has the option ``ddof``, which the protocol sets.
        family: The name under which metrics that share one function are computed once and take their options; None for
            a metric with a function of its own.
        ideal: The best value where ``direction`` is "closer"; None otherwise.
    """

    title: str
    compute: Callable[..., Estimate | Mapping[str, Estimate]]
    real: Array | None
    fake: Array
    direction: Direction
    source: str
    takes_moments: bool = False
    family: str | None = None
    ideal: float | None = None


@dataclass(frozen=True, slots=True)
class PairMetric:
    """One row of the PAIR_METRICS table: a metric of a real image and the fake that belongs to it.

    Attributes:
        title: The metric's name, as listings show it.
        compute: The function. It is called with the reals and the fakes, uint8 ``[N, 3, H, W]`` each, and with keyword
            options. It returns the value of each pair, float64 ``[N]``; with ``pool``, a statistic of each pair,
            float64 ``[N, ...]``.
        direction: Which values are better: "lower", "higher", or "closer" to ``ideal``.
        source: The paper, as listings cite it.
        pool: Makes the value of a set of pairs from the sum of their statistics, where that is not the mean of values
            of single pairs; None for the mean.
        family: The name under which metrics that share one function are computed once and take their options; None for
            a metric with a function of its own.
        ideal: The best value where ``direction`` is "closer"; None otherwise.
        infinite: What to do about pairs with an infinite value, which have no mean; None where no value is infinite.
    """

    title: str
    compute: Callable[..., Tensor]
    direction: Direction
    source: str
    pool: Callable[[Tensor], float] | None = None
    family: str | None = None
    ideal: float | None = None
    infinite: str | None = None
