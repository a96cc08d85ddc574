"""Which metrics to compute, with which options: checked against the METRICS table before anything is opened."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ganeval.errors import UsageError, did_you_mean
from ganeval.metrics import METRICS, Array, Metric
from ganeval.metrics.custom import as_metric
from ganeval.protocols import Protocol

# Options by metric or family, then by name.
Options = Mapping[str, Mapping[str, object]]
# Metrics by name, as functions of feature arrays or as rows; "all" that can be computed, or None for the usual ones.
Names = Sequence[str | Metric | Callable[..., object]] | Literal["all"] | None
# The metrics computed when none are named, as far as the extractor and the sets allow.
USUAL = ("fid", "kid", "is", "precision", "recall", "density", "coverage")
ALL = "all"
# Keyword arguments of metrics that are filled from the data, and are not user options; the last two may be left out.
LABELS, CLASS_NAMES, COPIES = ("real_labels", "fake_labels"), "class_names", "copies"
# Options that seed numpy's RandomState, and the end of its range.
SEEDS, SEED_END = ("seed", "shuffle_seed"), 2**32
EXAMPLE = "{'prdc': {'k': 3}}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Metrics and their options.

    Attributes:
        metrics: By name.
        options: What was asked for, by `options_key`.
        lenient: Nobody named the metrics, so those that the inputs do not allow are left out with a warning.
        also: Extractor outputs to keep besides those that metrics need, as far as the extractor has them.
        left_out: Why metrics were left out before anything was computed; None where none were.
    """

    metrics: Mapping[str, Metric]
    options: Options
    lenient: bool = False
    also: frozenset[Array] = frozenset()
    left_out: str | None = None

    def options_of(self, name: str, protocol: Protocol) -> dict[str, object]:
        """All options of a metric: its defaults, what the protocol fixes, and what was asked for.

        Args:
            name: A metric of the selection.
            protocol: The protocol.

        Returns:
            Values by the name of the option.
        """
        metric = self.metrics[name]
        key, known = options_key(name, metric), defaults(metric.compute)
        fixed: dict[str, object] = {"ddof": protocol.ddof} if "ddof" in known else {}
        return {**known, **fixed, **protocol.options.get(key, {}), **self.options.get(key, {})}

    def without(self, reasons: Mapping[str, str]) -> "Selection":
        """The same selection without the metrics that have a reason against them.

        Args:
            reasons: Why, by metric.

        Returns:
            The selection, whose `left_out` has the reasons.

        Raises:
            UsageError: No metric remains.
        """
        if not reasons:
            return self
        names: dict[str, list[str]] = {}
        for name, reason in reasons.items():
            names.setdefault(reason, []).append(name)
        listed = "; ".join(f"{', '.join(some)} ({reason})" for reason, some in names.items())
        metrics = {name: metric for name, metric in self.metrics.items() if name not in reasons}
        if not metrics:
            raise UsageError(
                f"None of the requested metrics can be computed for these inputs with this extractor: {listed}."
            )
        before = "" if self.left_out is None else f"{self.left_out} "
        return replace(self, metrics=metrics, left_out=f"{before}Left out: {listed}.")


def select_metrics(names: Names, options: Options | None = None, also: Iterable[Array] = ()) -> Selection:
    """Select metrics with their options.

    Args:
        names: Names, functions or rows; "all" for all that can be computed, None for the usual ones.
        options: Options by metric, as in {"prdc": {"k": 3}}.
        also: Outputs of the extractor to keep besides those that metrics need.

    Returns:
        The selection, lenient where no metric was named.

    Raises:
        UsageError: A name or option is unknown, an option is of a metric that is not selected, or this cannot be a
            metric.
    """
    if isinstance(names, str) and names == ALL:
        metrics: Mapping[str, Metric] = METRICS.usable()
        left_out = " ".join(METRICS.problems()) or None
    else:
        metrics, left_out = find_metrics(USUAL if names is None else names), None
    lenient = names is None or isinstance(names, str)
    return Selection(metrics, checked_options(options or {}, metrics), lenient, frozenset(also), left_out)


def find_metrics(wanted: Sequence[str | Metric | Callable[..., object]]) -> Mapping[str, Metric]:
    """Look metrics up; a function is called by its own name.

    Args:
        wanted: Names, functions and rows.

    Returns:
        Rows by name.

    Raises:
        UsageError: No metric was given, a name is unknown, or this cannot be a metric.
    """
    if isinstance(wanted, str):
        raise UsageError(f"metrics is a list of names, found the text '{wanted}'; write metrics=['{wanted}'].")
    if not isinstance(wanted, Iterable) or isinstance(wanted, Mapping):
        raise UsageError(
            f"metrics is a list of names or functions of feature arrays, found {type(wanted).__name__}; write "
            "metrics=['fid']."
        )
    found: dict[str, Metric] = {}
    for one in wanted:
        name, row = _named(one)
        if inspect.unwrap(found.get(name, row).compute) is not inspect.unwrap(row.compute):
            raise UsageError(f"Two of the metrics are called '{name}', and results are by name: rename one function.")
        found[name] = row
    if not found:
        raise UsageError(f"No metric was asked for; choose from: {', '.join(METRICS)}.")
    return found


def _named(one: object) -> tuple[str, Metric]:
    """A metric that was asked for: its name and its row."""
    if isinstance(one, str):
        if one not in METRICS:
            raise UsageError(f"Unknown metric '{one}'; {_hint(one)}")
        return one, METRICS[one]
    known = next((name for name, row in METRICS.usable().items() if row is one), None)
    if isinstance(one, Metric) and known is not None:
        return known, one
    compute = one.compute if isinstance(one, Metric) else one
    name = getattr(compute, "__name__", type(compute).__name__)
    if name in METRICS and inspect.unwrap(METRICS[name].compute) is compute:
        return name, METRICS[name]
    if not name.isidentifier() or name in METRICS:
        why = "which has no name" if name == "<lambda>" else f"whose name '{name}' is that of another metric"
        raise UsageError(
            f"A metric was given as a function {why}: results are by name. Define it with def and a name of its own, "
            "or give it one with ganeval.register_metric(name, function)."
        )
    return name, as_metric(name, one)


def _hint(name: str) -> str:
    """What may have been meant by a word that is no metric."""
    if name == ALL:
        return f"'{ALL}' stands alone, without names beside it."
    members = [one for one, metric in METRICS.usable().items() if metric.family == name or one.startswith(f"{name}_")]
    return f"give one or more of {','.join(members)}." if members else did_you_mean(str(name), list(METRICS))


def needs_labels(metric: Metric) -> bool:
    """Whether a metric takes the class of every image.

    Args:
        metric: The metric.

    Returns:
        True where its function has an argument for labels.
    """
    return any(takes(metric.compute, name) for name in LABELS)


def takes(compute: Callable[..., object], name: str) -> bool:
    """Whether a metric's function has a keyword argument of this name."""
    return name in inspect.signature(compute).parameters


def options_key(name: str, metric: Metric) -> str:
    """The name under which a metric's options are given: its family's, or its own.

    Args:
        name: The metric.
        metric: Its row.

    Returns:
        The key.
    """
    return metric.family or name


@cache
def defaults(compute: Callable[..., object]) -> Mapping[str, object]:
    """Every option of a metric's function, with its default."""
    parameters = inspect.signature(compute).parameters.values()
    given = (*LABELS, CLASS_NAMES, COPIES)
    return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY and one.name not in given}


def checked_options(asked: object, rows: Mapping[str, Metric]) -> dict[str, dict[str, object]]:
    """`Options` of the rows that are measured, by `options_key`; a member's name stands for its family.

    UsageError for a metric that is unknown or not measured, an option it has not, a value that cannot be, and values
    that contradict each other.
    """
    if not isinstance(asked, Mapping):
        raise UsageError(f"Options are by metric, as in {EXAMPLE}; found {asked!r}.")
    found: dict[str, dict[str, object]] = {}
    said: dict[tuple[str, str], str] = {}
    known = {**METRICS.usable(), **rows} if asked else rows
    keys = {word: options_key(name, row) for name, row in known.items() for word in (name, options_key(name, row))}
    measured = {options_key(name, row): row for name, row in rows.items()}
    for word, options in asked.items():
        if word not in keys:
            metric, dot, option = str(word).partition(".")
            nested = f"write {{'{metric}': {{'{option}': {options!r}}}}}." if dot and metric in keys else ""
            hint = nested or did_you_mean(str(word), list(keys))
            raise UsageError(f"There are options for an unknown metric '{word}'; {hint}")
        key = keys[word]
        if key not in measured:
            raise UsageError(f"There are options for '{word}', which is not measured; measured are {', '.join(rows)}.")
        if not isinstance(options, Mapping):
            raise UsageError(f"The options of '{word}' must be by name, as in {EXAMPLE}; found {options!r}.")
        for option, value in options.items():
            where = f"{word}.{option}"
            checked, others = _checked(where, option, value, measured[key].compute), found.setdefault(key, {})
            if others.get(option, checked) != checked:
                raise UsageError(
                    f"'{said[key, option]}' is {others[option]!r} and '{where}' is {checked!r}, and they are one "
                    f"option: the metrics of '{key}' are measured together. Give one of them."
                )
            others[option], said[key, option] = checked, where
    return found


def _checked(where: str, option: str, value: object, compute: Callable[..., object]) -> object:
    known = defaults(compute)
    if option not in known:
        hint = did_you_mean(str(option), list(known)) if known else "this metric has no options."
        raise UsageError(f"Unknown option '{where}'; {hint}")
    # Other people's functions need not say their types: then a value is of the default's.
    wanted = _types(compute).get(option, type(known[option]))
    # A whole number will do where any number is asked for.
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and float in _members(wanted)
        and int not in _members(wanted)
    ):
        value = float(value)
    if not _fits(value, wanted):
        raise UsageError(f"The option '{where}' must be {_described(wanted)}, found {value!r}.")
    if isinstance(value, float) and math.isnan(value):
        raise UsageError(f"The option '{where}' must be a number, found NaN.")
    if option in SEEDS and isinstance(value, int) and not 0 <= value < SEED_END:
        raise UsageError(f"The option '{where}' must be from 0 to {SEED_END - 1}, found {value}.")
    return value


def _types(compute: Callable[..., object]) -> dict[str, Any]:
    return get_type_hints(compute) if hasattr(compute, "__annotations__") else {}


def _members(wanted: Any) -> tuple[Any, ...]:
    return get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)


def _fits(value: object, wanted: Any) -> bool:
    for member in _members(wanted):
        if get_origin(member) is Literal:
            # 1.0 and True equal 1.
            if any(type(value) is type(choice) and value == choice for choice in get_args(member)):
                return True
        elif type(value) is member:
            return True
    return False


def _described(wanted: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "null"}
    parts: list[str] = []
    for member in _members(wanted):
        literal = get_origin(member) is Literal
        parts += map(repr, get_args(member)) if literal else [words.get(member, str(member))]
    return " or ".join(parts)
