"""The rows of the METRICS and PAIR_METRICS tables, and the options of their functions.

A row says what a metric needs, and which direction is better. Options are checked against the annotations of the
function: by `ganeval.evaluate` before anything is opened, and by the function itself.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

import numpy as np
from torch import Tensor

from ganeval.errors import MetricError, UsageError
from ganeval.metrics.moments import Gaussian
from ganeval.outputs import Output
from ganeval.uncertainty import Estimate

_Found = TypeVar("_Found")

Direction = Literal["lower", "higher", "closer"]
# Keyword arguments of metrics that are filled from the data, and are not user options; the last two are optional.
LABELS, CLASS_NAMES, COPIES = ("real_labels", "fake_labels"), "class_names", "copies"
PLAIN = "a number, a text, true or false, null, a list or dictionary of these, or a function"
# Types whose subclasses are not accepted.
_EXACT = (int, float, bool, str, NoneType)
# Options that seed numpy's RandomState, and the end of the range of its seeds.
SEEDS, SEED_END = ("seed", "shuffle_seed"), 2**32


class Row(Protocol):
    """The attributes that the rows of both tables share, for names and options."""

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
        real: The extractor's output that is computed for the reals, ``[N, D]``; None if the reals are not used.
        fake: The extractor's output that is computed for the fakes, ``[M, D]``.
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
    real: Output | None
    fake: Output
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


def _kept(find: Callable[[Callable[..., object]], _Found]) -> Callable[[Callable[..., object]], _Found]:
    """Cache results per function, by weak references: a user's function may hold a model."""
    known: WeakKeyDictionary[Callable[..., object], _Found] = WeakKeyDictionary()

    @wraps(find)
    def found(compute: Callable[..., object]) -> _Found:
        if compute not in known:
            known[compute] = find(compute)
        return known[compute]

    return found


@_kept
def defaults(compute: Callable[..., object]) -> Mapping[str, object]:
    """Every option of a metric's function, with its default.

    Args:
        compute: The function.

    Returns:
        The defaults by option, without the arguments that are filled from the data, such as labels.
    """
    given = (*LABELS, CLASS_NAMES, COPIES)
    known = parameters(compute).values()
    return {one.name: one.default for one in known if one.kind is one.KEYWORD_ONLY and one.name not in given}


def parameters(compute: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a function by name; empty for a C function without a signature."""
    try:
        return inspect.signature(compute).parameters
    except (TypeError, ValueError):
        return {}


def check_options(compute: Callable[..., object], arguments: Mapping[str, object]) -> None:
    """MetricError if a call of a metric's function has an option that is not allowed. arguments: all of the call."""
    for option in defaults(compute):
        try:
            checked_value(option, option, arguments[option], compute)
        except UsageError as error:
            raise MetricError(str(error)) from None


def checked_value(where: str, option: str, value: object, compute: Callable[..., object]) -> object:
    """The value of an option, as a float if a float is wanted; UsageError if it is not allowed.

    where: the option's name in messages.
    """
    # Functions of other packages may have no annotations; the default's type then decides.
    default = defaults(compute)[option]
    wanted = _types(compute).get(option, Callable if callable(default) else type(default))
    if isinstance(value, np.int64 | np.float64):
        # Numbers from np.arange and np.linspace equal Python's; numpy's shorter types would compute less precisely.
        value = value.item()
    # A whole number is accepted where a float is wanted.
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and float in _members(wanted)
        and int not in _members(wanted)
    ):
        value = float(value)
    # If only a default of None is known, any value is accepted.
    if wanted is not NoneType and not _fits(value, wanted):
        scalar = "; convert it with .item()" if isinstance(value, np.generic) else ""
        raise UsageError(f"The option '{where}' must be {_described(wanted)}, found {value!r}{scalar}.")
    if not is_plain(value):
        raise UsageError(f"The option '{where}' must be {PLAIN}, which a result can hold; found {value!r}.")
    if isinstance(value, float) and math.isnan(value):
        raise UsageError(f"The option '{where}' must be a number, found NaN.")
    if option in SEEDS and isinstance(value, int) and not 0 <= value < SEED_END:
        raise UsageError(f"The option '{where}' must be from 0 to {SEED_END - 1}, found {value}.")
    return value


@_kept
def _types(compute: Callable[..., object]) -> dict[str, Any]:
    """The types of a function's options, without those that cannot be resolved (names for type checkers only)."""
    found: dict[str, Any] = {}
    names = getattr(inspect.unwrap(compute), "__globals__", {})
    for option in defaults(compute):
        annotation = parameters(compute)[option].annotation
        if annotation is not inspect.Parameter.empty:
            with suppress(NameError, AttributeError, TypeError, SyntaxError):
                found |= get_type_hints(SimpleNamespace(__annotations__={option: annotation}), names)
    return found


def is_plain(value: object) -> bool:
    """Whether a result can hold an option: a JSON value, or a function, which is stored by its name."""
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(is_plain, value.values()))
    return value is None or isinstance(value, bool | int | float | str) or callable(value)


def _members(wanted: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself."""
    return get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)


def _fits(value: object, wanted: Any) -> bool:
    """Whether a value is of the annotated type or one of the literals; True if this cannot be checked, as for Any."""
    for member in _members(wanted):
        kind = get_origin(member) or member
        if kind is Literal:
            # The types are compared too, as 1.0 and True equal 1.
            if any(type(value) is type(choice) and value == choice for choice in get_args(member)):
                return True
        elif kind in _EXACT:
            # bool is a subclass of int, but True is not meant as 1.
            if type(value) is kind:
                return True
        elif kind is Callable or getattr(kind, "_is_protocol", False):
            called = kind is Callable or any("__call__" in vars(base) for base in kind.__mro__)
            if not called or (callable(value) and not isinstance(value, str)):
                return True
        elif not isinstance(kind, type) or kind is Any or isinstance(value, kind):
            return True
    return False


def _described(wanted: Any) -> str:
    """The annotation in words, for messages."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "null"}
    parts: list[str] = []
    for member in _members(wanted):
        literal, function = get_origin(member) is Literal, Callable in (member, get_origin(member))
        name = "a function" if function else words.get(member, str(getattr(member, "__name__", member)))
        parts += map(repr, get_args(member)) if literal else [name]
    return " or ".join(parts)


def check_estimates(estimates: Mapping[str, Estimate], data: Sequence[Tensor | Gaussian]) -> Mapping[str, Estimate]:
    """The estimates; MetricError if one is NaN or infinite, or has its interval reversed."""
    for name, one in estimates.items():
        error, interval = one.standard_error, one.interval
        known = (one.value, 0.0 if error is None else error, *(interval or ()), *one.details.values())
        if not all(map(math.isfinite, known)):
            raise MetricError(
                f"{name} of values as large as {max(map(_largest, data)):.3g} is beyond what float64 can hold. Give "
                "an extractor whose features are smaller, or leave out those that are so large."
            )
        if interval is not None and interval[0] > interval[1]:
            raise MetricError(f"{name} returned the interval {interval}; the lower end must come first.")
    return estimates


def _largest(data: Tensor | Gaussian) -> float:
    """The largest value of an array; of moments, the largest mean or standard deviation."""
    if isinstance(data, Gaussian):
        return max(float(data.mean.abs().max()), float(data.covariance.diagonal().max().sqrt()))
    return float(data.abs().max())
