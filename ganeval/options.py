"""Options of metric functions, and their values for a run, checked before anything is opened."""

from collections.abc import Callable, Mapping
from typing import Any

from ganeval.errors import UsageError, did_you_mean
from ganeval.metrics import METRICS, Metric
from ganeval.metrics.base import LABELS, Row, checked_value, defaults, parameters
from ganeval.protocols import Protocol
from ganeval.registry import Registry
from ganeval.settings import MetricOptions

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
    return name in parameters(compute)


def options_key(name: str, metric: Row) -> str:
    """The name under which a metric's options are given: its family's, or its own.

    Args:
        name: The metric's name.
        metric: Its row.

    Returns:
        The key.
    """
    return metric.family or name


def resolve_options(name: str, metric: Metric, asked: MetricOptions, protocol: Protocol) -> dict[str, object]:
    """All options of a metric: its defaults, overridden by the protocol, then by the requested values.

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
        The options by family, or by name for a metric without one; whole numbers become floats if the option is a
        float.

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
                    f"'{said[key, option]}' is {others[option]!r} and '{where}' is {checked!r}, and both are one "
                    f"option: the metrics of '{key}' are measured together. Give one of them."
                )
            others[option], said[key, option] = checked, where
    return found


def _checked(where: str, option: str, value: object, compute: Callable[..., object]) -> object:
    """The value of an option, as a float if the option is one; UsageError if it is not allowed."""
    known = defaults(compute)
    if option not in known:
        hint = did_you_mean(str(option), list(known)) if known else "this metric has no options."
        raise UsageError(f"Unknown option '{where}'; {hint}")
    return checked_value(where, option, value, compute)
