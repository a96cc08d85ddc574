"""Which metrics to compute, with which options: checked against the METRICS table before anything is opened."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ganeval.errors import UsageError
from ganeval.metrics import METRICS, Metric
from ganeval.metrics.lookup import ALL, find_metrics
from ganeval.options import checked_options
from ganeval.outputs import Output
from ganeval.settings import MetricOptions

# Metrics by name, as functions of feature arrays or as rows; "all" for all that can be computed, None for the usual
# ones.
MetricNames = Sequence[str | Metric | Callable[..., object]] | Literal["all"] | None
# The metrics computed when none are named, as far as the extractor and the sets allow.
USUAL = ("fid", "kid", "is", "precision", "recall", "density", "coverage")


@dataclass(frozen=True, slots=True)
class Selection:
    """The metrics of an evaluation, with their options.

    Attributes:
        metrics: By name.
        options: The requested options, from `checked_options`.
        lenient: Metrics that the inputs do not allow are left out with a warning, because none was named.
        also: Extractor outputs to keep in addition to those that metrics need, if the extractor has them.
        left_out: Why metrics were left out before anything was computed; None if none were.
    """

    metrics: Mapping[str, Metric]
    options: MetricOptions
    lenient: bool = False
    also: frozenset[Output] = frozenset()
    left_out: str | None = None

    def outputs(self, *, real: bool) -> frozenset[Output]:
        """The extractor outputs that the metrics take of one side.

        Args:
            real: True for the reals, False for the fakes.

        Returns:
            Names of outputs.
        """
        found = (metric.real if real else metric.fake for metric in self.metrics.values())
        return frozenset(output for output in found if output is not None)


def select_metrics(names: MetricNames, options: MetricOptions | None = None, also: Iterable[Output] = ()) -> Selection:
    """Find metrics and check their options.

    Args:
        names: Names, functions or rows; "all" for every metric, None for the usual ones.
        options: Of the selected metrics, as in {"prdc": {"k": 3}}.
        also: Extractor outputs to keep in addition.

    Returns:
        The selection; lenient if no metric was named.

    Raises:
        UsageError: A metric, option or output does not exist, an option is of a metric that is not selected, or an
            object cannot be a metric.

    >>> list(select_metrics(["fid", "kid"]).metrics)
    ['fid', 'kid']
    """
    if isinstance(names, str) and names == ALL:
        metrics: Mapping[str, Metric] = METRICS.usable()
        left_out = " ".join(METRICS.problems()) or None
    else:
        metrics, left_out = find_metrics(USUAL if names is None else names), None
    lenient = names is None or isinstance(names, str)
    return Selection(metrics, checked_options(options or {}, metrics), lenient, _outputs(also), left_out)


def _outputs(also: object) -> frozenset[Output]:
    """Outputs to keep in addition; UsageError for anything but a collection of their names."""
    known = get_args(Output)
    given = None if isinstance(also, str) or not isinstance(also, Iterable) else [*also]
    if given is None or any(one not in known for one in given):
        raise UsageError(f"also is a list of outputs out of {', '.join(known)}, found {also!r}.")
    return frozenset(given)
