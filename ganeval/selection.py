"""Which metrics to compute, with which options: checked against the METRICS table before anything is opened."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from ganeval.errors import UsageError, did_you_mean
from ganeval.metrics import METRICS, PAIR_METRICS, Array, Metric, PairMetric
from ganeval.metrics.base import Row
from ganeval.options import Options, checked_options
from ganeval.registry import Registry

# Metrics by name, as functions of feature arrays or as rows; "all" that can be computed, or None for the usual ones.
Names = Sequence[str | Metric | Callable[..., object]] | Literal["all"] | None
# The metrics computed when none are named, as far as the extractor and the sets allow.
USUAL = ("fid", "kid", "is", "precision", "recall", "density", "coverage")
ALL = "all"
AnyRow = TypeVar("AnyRow", bound=Row)


@dataclass(frozen=True, slots=True)
class Selection:
    """The metrics of an evaluation, with their options.

    Attributes:
        metrics: By name.
        options: Those that were asked for, from `checked_options`.
        lenient: Metrics that the inputs do not allow are left out with a warning, because nobody named them.
        also: Extractor outputs to keep in addition to those that metrics need, if the extractor has them.
        left_out: Why metrics were left out before anything was computed; None if none were.
    """

    metrics: Mapping[str, Metric]
    options: Options
    lenient: bool = False
    also: frozenset[Array] = frozenset()
    left_out: str | None = None

    def outputs(self, *, real: bool) -> frozenset[Array]:
        """The extractor outputs that the metrics take of one side.

        Args:
            real: True for the reals, False for the fakes.

        Returns:
            Names of outputs.
        """
        found = (metric.real if real else metric.fake for metric in self.metrics.values())
        return frozenset(output for output in found if output is not None)


def select_metrics(names: Names, options: Options | None = None, also: Iterable[Array] = ()) -> Selection:
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


def _outputs(also: object) -> frozenset[Array]:
    """Outputs to keep in addition; UsageError for what is not a collection of their names."""
    known = get_args(Array)
    given = None if isinstance(also, str) or not isinstance(also, Iterable) else [*also]
    if given is None or any(one not in known for one in given):
        raise UsageError(f"also is a list of outputs out of {', '.join(known)}, found {also!r}.")
    return frozenset(given)


def find_metrics(wanted: Sequence[str | Metric | Callable[..., object]]) -> Mapping[str, Metric]:
    """The rows of metrics by name; a function has its own name.

    Args:
        wanted: Names, functions and rows.

    Returns:
        Rows by name.

    Raises:
        UsageError: There is no metric, a name is unknown, or an object cannot be a metric.
    """
    return find_rows(wanted, METRICS)


def find_rows(wanted: Sequence[str | AnyRow | Callable[..., object]], table: Registry[AnyRow]) -> Mapping[str, AnyRow]:
    """As `find_metrics`, in METRICS or PAIR_METRICS."""
    if isinstance(wanted, str):
        raise UsageError(f"metrics is a list of names, found the text '{wanted}'; write metrics=['{wanted}'].")
    if not isinstance(wanted, Iterable) or isinstance(wanted, Mapping):
        raise UsageError(
            f"metrics is a list of names or functions, found {type(wanted).__name__}; write "
            f"metrics=['{next(iter(table))}']."
        )
    found: dict[str, AnyRow] = {}
    for one in wanted:
        name, row = _named(one, table)
        if inspect.unwrap(found.get(name, row).compute) is not inspect.unwrap(row.compute):
            raise UsageError(f"Two of the metrics are called '{name}', and results are by name: rename one function.")
        found[name] = row
    if not found:
        raise UsageError(f"No metric was asked for; choose from: {', '.join(table)}.")
    return found


def _named(one: object, table: Registry[AnyRow]) -> tuple[str, AnyRow]:
    """The name and row of a metric given by name, as a function, or as a row."""
    if isinstance(one, str):
        if one not in table:
            raise UsageError(f"Unknown metric '{one}'; {_hint(one, table)}")
        return one, table[one]
    known = next((name for name, row in table.usable().items() if row is one), None)
    if known is not None:
        return known, table[known]
    compute = one.compute if isinstance(one, Metric | PairMetric) else one
    name = getattr(compute, "__name__", type(compute).__name__)
    if name in table and inspect.unwrap(table[name].compute) is compute:
        return name, table[name]
    if compute is one:
        # Some functions of ours have another name than their metric, or give several.
        names = [known for known, row in table.usable().items() if inspect.unwrap(row.compute) is compute]
        if len(names) > 1:
            raise UsageError(f"{name}() gives several metrics: write one or more of {names} in place of the function.")
        if names:
            return names[0], table[names[0]]
        other: Registry[Any] = METRICS if table is PAIR_METRICS else PAIR_METRICS
        if any(inspect.unwrap(row.compute) is compute for row in other.usable().values()):
            raise UsageError(f"{name}() is no metric of this kind; {_hint(name, table)}")
        if (getattr(compute, "__module__", None) or "").startswith("ganeval.metrics."):
            _check_for_evaluations(name, table, other)
    if not name.isidentifier() or name in table:
        why = "which has no name" if name == "<lambda>" else f"whose name '{name}' is that of another metric"
        raise UsageError(
            f"A metric was given as a function {why}: results are by name. Define it with def and a name of its own, "
            "or give it one with ganeval.register_metric(name, function)."
        )
    return name, table.accept(name, one)


def _check_for_evaluations(name: str, table: Registry[AnyRow], other: Registry[Any]) -> None:
    """UsageError for a function of ours that is for direct calls, while the table has another one of its metrics."""
    members = [known for known, row in table.usable().items() if name in (known, row.family)]
    if members:
        raise UsageError(f"{name}() is for direct calls: write one or more of {members} in its place.")
    strangers = [known for known, row in other.usable().items() if name in (known, row.family)]
    if strangers:
        raise UsageError(f"{name}() is no metric of this kind; {_hint(strangers[0], table)}")


def _hint(name: str, table: Registry[AnyRow]) -> str:
    """A suggestion for an unknown name of a metric."""
    if name == ALL:
        return f"'{ALL}' stands alone, without other names."
    if table is not PAIR_METRICS and name in PAIR_METRICS:
        return "it is a metric of pairs of images: ganeval pairs REAL FAKE (ganeval.evaluate_pairs)."
    if table is not METRICS and name in METRICS:
        return "it is a metric of sets of images: ganeval score REAL FAKE (ganeval.evaluate)."
    members = [one for one, metric in table.usable().items() if metric.family == name or one.startswith(f"{name}_")]
    return f"give one or more of {','.join(members)}." if members else did_you_mean(str(name), list(table))
