"""Options of metrics: what a user asked for, checked against the keyword arguments of the metric's function."""

import inspect
import math
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ganeval.errors import UsageError, did_you_mean
from ganeval.metrics import METRICS, Metric

# By metric or family, then by option.
Options = Mapping[str, Mapping[str, object]]
# Keyword arguments that are data of the sets, not choices; what classes are called, and which fakes equal a real, may
# be left out.
DATA = ("real_labels", "fake_labels")
CALLED, COPIES = "class_names", "copies"
# What numpy's RandomState is seeded by, and with.
SEEDS, SEED_END = ("seed", "shuffle_seed"), 2**32
EXAMPLE = "{'prdc': {'k': 3}}"


@cache
def defaults(compute: Callable[..., object]) -> Mapping[str, object]:
    """Every option of a metric's function, with its default."""
    parameters = inspect.signature(compute).parameters.values()
    given = (*DATA, CALLED, COPIES)
    return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY and one.name not in given}


def takes(compute: Callable[..., object], name: str) -> bool:
    """Whether a metric's function has a keyword argument of this name."""
    return name in inspect.signature(compute).parameters


def options_key(name: str, row: Metric) -> str:
    """What a metric's options are found under: its family's name, which it may share, or its own."""
    return row.family or name


def checked_options(asked: object, rows: Mapping[str, Metric]) -> dict[str, dict[str, object]]:
    """`Options` of the rows that are measured, by `options_key`; a member's name stands for its family.

    UsageError for a metric that is unknown or not measured, an option it has not, a value that cannot be, and values
    that contradict each other.
    """
    if not isinstance(asked, Mapping):
        raise UsageError(f"Options are by metric, as in {EXAMPLE}; found {asked!r}.")
    found: dict[str, dict[str, object]] = {}
    said: dict[tuple[str, str], str] = {}
    keys = {word: options_key(name, row) for name, row in METRICS.items() for word in (name, options_key(name, row))}
    measured = {options_key(name, row): row for name, row in rows.items()}
    for word, options in asked.items():
        if word not in keys:
            raise UsageError(f"There are options for an unknown metric '{word}'; {did_you_mean(str(word), list(keys))}")
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
    wanted = get_type_hints(compute)[option]
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
        parts += [repr(choice) for choice in get_args(member)] if get_origin(member) is Literal else [words[member]]
    return " or ".join(parts)
