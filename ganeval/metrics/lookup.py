"""Find metrics: rows of a table by name, by function, or as they are."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ganeval.errors import UsageError, did_you_mean
from ganeval.metrics import METRICS, PAIR_METRICS, Metric, PairMetric
from ganeval.metrics.base import Row
from ganeval.registry import Registry

# In place of names, selects every metric.
ALL = "all"
AnyRow = TypeVar("AnyRow", bound=Row)


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
        raise UsageError(f"No metric was requested; choose from: {', '.join(table)}.")
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
        # Some of ganeval's functions have another name than their metric, or compute several.
        names = [known for known, row in table.usable().items() if inspect.unwrap(row.compute) is compute]
        if len(names) > 1:
            raise UsageError(f"{name}() gives several metrics: write one or more of {names} in place of the function.")
        if names:
            return names[0], table[names[0]]
        other: Registry[Any] = METRICS if table is PAIR_METRICS else PAIR_METRICS
        if any(inspect.unwrap(row.compute) is compute for row in other.usable().values()):
            raise UsageError(f"{name}() is not a metric of this kind; {_hint(name, table)}")
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
    """UsageError for a function of ganeval that is for direct calls, if either table has metrics of its name."""
    members = [known for known, row in table.usable().items() if name in (known, row.family)]
    if members:
        raise UsageError(f"{name}() is for direct calls: write one or more of {members} in its place.")
    strangers = [known for known, row in other.usable().items() if name in (known, row.family)]
    if strangers:
        raise UsageError(f"{name}() is not a metric of this kind; {_hint(strangers[0], table)}")


def _hint(name: str, table: Registry[AnyRow]) -> str:
    """A suggestion for an unknown name of a metric."""
    if name == ALL:
        return f"'{ALL}' cannot be combined with other names."
    if table is not PAIR_METRICS and name in PAIR_METRICS:
        return "it is a metric of pairs of images: ganeval pairs REAL FAKE (ganeval.evaluate_pairs)."
    if table is not METRICS and name in METRICS:
        return "it is a metric of sets of images: ganeval score REAL FAKE (ganeval.evaluate)."
    members = [one for one, metric in table.usable().items() if metric.family == name or one.startswith(f"{name}_")]
    return f"give one or more of {','.join(members)}." if members else did_you_mean(str(name), list(table))
