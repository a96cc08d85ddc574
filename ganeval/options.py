"""Options of metric functions: which there are, and the values of a run, checked before anything is opened."""

import inspect
import math
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ganeval.errors import UsageError, did_you_mean
from ganeval.metrics import METRICS, Metric
from ganeval.metrics.base import Row
from ganeval.protocols import Protocol
from ganeval.registry import Registry

# Options by metric or family, then by name.
Options = Mapping[str, Mapping[str, object]]
# Keyword arguments of metrics that are filled from the data, and are not user options; the last two may be left out.
LABELS, CLASS_NAMES, COPIES = ("real_labels", "fake_labels"), "class_names", "copies"
# Options that seed numpy's RandomState, and the end of its range.
SEEDS, SEED_END = ("seed", "shuffle_seed"), 2**32
EXAMPLE = "{'prdc': {'k': 3}}"


def needs_labels(metric: Metric) -> bool:
    """Whether a metric takes the class of every image.

    Args:
        metric: The metric.

    Returns:
        True if its function has an argument for labels.
    """
    return any(takes(metric.compute, name) for name in LABELS)


def takes(compute: Callable[..., object], name: str) -> bool:
    """Whether a metric's function has a keyword argument of this name."""
    return name in inspect.signature(compute).parameters


def options_key(name: str, metric: Row) -> str:
    """The name under which a metric's options are given: its family's, or its own.

    Args:
        name: The metric's name.
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


def resolve_options(name: str, metric: Metric, asked: Options, protocol: Protocol) -> dict[str, object]:
    """All options of a metric: its defaults, overridden by the protocol, then by what was asked for.

    Args:
        name: The metric's name.
        metric: Its row.
        asked: From `checked_options`.
        protocol: Fixes `ddof`, and options of some metrics.

    >>> from ganeval.protocols import find_protocol
    >>> resolve_options("fid", METRICS["fid"], {}, find_protocol("clean"))["ddof"]
    1
    """
    key, known = options_key(name, metric), defaults(metric.compute)
    fixed: dict[str, object] = {"ddof": protocol.ddof} if "ddof" in known else {}
    return {**known, **fixed, **protocol.options.get(key, {}), **asked.get(key, {})}


def checked_options(
    asked: object, rows: Mapping[str, Row], table: Registry[Any] = METRICS
) -> dict[str, dict[str, object]]:
    """Validate options and sort them by `options_key`.

    Args:
        asked: By metric or family, then by option; the name of a member stands for its family.
        rows: The selected metrics.
        table: All metrics of their kind.

    Returns:
        The options by family, or by name for a metric without one; whole numbers become floats where an option is one.

    Raises:
        UsageError: A metric is unknown or not selected, an option does not exist, a value is not allowed, or values
            for one family contradict each other.

    >>> checked_options({"precision": {"k": 5}}, {"precision": METRICS["precision"]})
    {'prdc': {'k': 5}}
    """
    if not isinstance(asked, Mapping):
        raise UsageError(f"Options are by metric, as in {EXAMPLE}; found {asked!r}.")
    found: dict[str, dict[str, object]] = {}
    said: dict[tuple[str, str], str] = {}
    known = {**table.usable(), **rows} if asked else rows
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
    """The value of an option, as a float where a float is wanted; UsageError where it is not allowed."""
    known = defaults(compute)
    if option not in known:
        hint = did_you_mean(str(option), list(known)) if known else "this metric has no options."
        raise UsageError(f"Unknown option '{where}'; {hint}")
    # Functions of other packages may have no annotations; the default's type then decides.
    wanted = _types(compute).get(option, type(known[option]))
    # A whole number is accepted where a float is wanted.
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
    """The annotations of a function; empty for a callable without any."""
    return get_type_hints(compute) if hasattr(compute, "__annotations__") else {}


def _members(wanted: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself."""
    return get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)


def _fits(value: object, wanted: Any) -> bool:
    """Whether a value has exactly the annotated type, or is one of the literals."""
    for member in _members(wanted):
        if get_origin(member) is Literal:
            # 1.0 and True equal 1.
            if any(type(value) is type(choice) and value == choice for choice in get_args(member)):
                return True
        elif get_origin(member) is Callable or getattr(member, "_is_protocol", False):
            if callable(value) and not isinstance(value, str):
                return True
        elif type(value) is member:
            return True
    return False


def _described(wanted: Any) -> str:
    """The annotation in words, for messages."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "null"}
    parts: list[str] = []
    for member in _members(wanted):
        literal, function = get_origin(member) is Literal, get_origin(member) is Callable
        name = "a function" if function else words.get(member, str(getattr(member, "__name__", member)))
        parts += map(repr, get_args(member)) if literal else [name]
    return " or ".join(parts)
