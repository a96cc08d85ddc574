"""Custom metrics: a function of feature arrays, or a Metric, as a row of the METRICS table."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar, cast, get_args

from torch import Tensor

from ganeval.errors import MetricError, UsageError, raised_as
from ganeval.metrics.base import PLAIN, Direction, Metric, PairMetric, defaults, is_plain
from ganeval.metrics.moments import check_features, check_pair
from ganeval.outputs import Output
from ganeval.uncertainty import Estimate

_Found = TypeVar("_Found")


def as_metric(
    name: str,
    metric: object,
    *,
    title: str | None = None,
    output: Output = "features",
    direction: Direction = "lower",
    ideal: float | None = None,
    source: str = "",
) -> Metric:
    """The row of a function of feature arrays; a `Metric` is a row already.

    Args:
        name: How the metric is called in results.
        metric: A function ``metric(real, fake)`` of tensors [N, D] and [M, D], or ``metric(fake)`` if it does not use
            the reals, with keyword-only options, that returns a number or an Estimate. Or a Metric.
        title: Title in listings; by default the first line of the function's docstring, or the name.
        output: The extractor's output that is computed for both sets.
        direction: Which values are better: "lower", "higher", or "closer" to `ideal`.
        ideal: The best value, where `direction` is "closer".
        source: The paper, for listings.

    Raises:
        UsageError: The object cannot be a metric.
    """
    if not isinstance(metric, Metric):
        metric = _row(name, metric, title=title, output=output, direction=direction, ideal=ideal, source=source)
    outputs, directions = get_args(Output), get_args(Direction)
    if (
        {metric.real, metric.fake} - {None, *outputs}
        or metric.direction not in directions
        or (metric.direction == "closer") != (metric.ideal is not None)
    ):
        raise UsageError(
            f"The metric '{name}' uses the outputs {metric.real} and {metric.fake}, has the direction "
            f"'{metric.direction}' and the ideal {metric.ideal}; outputs are {', '.join(outputs)}, directions are "
            f"{', '.join(directions)}, and only 'closer' has an ideal."
        )
    # The defaults are those of the wrapper: an object with __call__ may not be hashable.
    found = replace(metric, compute=_checked(name, metric.compute))
    _check_defaults(name, found.compute)
    return found


def as_pair_metric(name: str, metric: object) -> PairMetric:
    """The row of a function of image pairs, uint8 [N, 3, H, W] each, that returns the value of each pair [N].

    A `PairMetric` is a row already. For a function, lower values are better. UsageError if it cannot be a metric.
    """
    if isinstance(metric, PairMetric):
        found = replace(metric, compute=_guarded(metric.compute))
        _check_defaults(name, found.compute)
        return found
    if not callable(metric) or inspect.isclass(metric):
        raise UsageError(
            f"The metric '{name}' must be a function of image pairs, metric(real, fake), or a "
            f"ganeval.metrics.PairMetric; found {metric!r}."
        )
    compute = _guarded(cast("Callable[..., Tensor]", metric))
    _check_defaults(name, compute)
    return PairMetric(title=_first_line(metric) or name, compute=compute, direction="lower", source="")


def _check_defaults(name: str, compute: Callable[..., object]) -> None:
    """UsageError for an option without a default, or with one that a result cannot hold."""
    for option, value in defaults(compute).items():
        if value is inspect.Parameter.empty:
            raise UsageError(f"The option '{name}.{option}' has no default; give it one.")
        if not is_plain(value):
            where = f"The default of the option '{name}.{option}'"
            raise UsageError(f"{where} must be {PLAIN}, which a result can hold; found {value!r}.")


def _first_line(metric: object) -> str | None:
    """The first line of a function's docstring; None if it has none."""
    lines = (inspect.getdoc(metric) or "").splitlines() if inspect.isroutine(metric) else []
    return lines[0].rstrip(".") if lines else None


def _row(
    name: str,
    metric: object,
    *,
    title: str | None,
    output: Output,
    direction: Direction,
    ideal: float | None,
    source: str,
) -> Metric:
    """The row of a function; UsageError if it is not a function."""
    if not callable(metric) or inspect.isclass(metric):
        of_class = f"the class {metric.__name__}" if inspect.isclass(metric) else None
        raise UsageError(
            f"The metric '{name}' must be a function of feature arrays, metric(real, fake) or metric(fake), or a "
            f"ganeval.metrics.Metric; found {of_class or f'an object of type {type(metric).__name__}'}."
        )
    return Metric(
        title=title or _first_line(metric) or name,
        compute=cast("Callable[..., Estimate]", metric),
        real=output if _arrays(name, metric) == 2 else None,
        fake=output,
        direction=direction,
        source=source,
        ideal=ideal,
    )


def _arrays(name: str, function: Callable[..., object]) -> int:
    """How many arrays a function takes: 2 (real and fake) or 1 (fake)."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # A C function without a signature.
        return 2
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    needed = [one for one in positional if one.default is one.empty]
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return 2
    unknown = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.default is one.empty]
    optional = [one.name for one in positional[2:] if one not in needed]
    if len(needed) not in (1, 2) or optional or set(unknown) - {"real_labels", "fake_labels"}:
        raise UsageError(
            f"The metric '{name}' takes {inspect.signature(function)}; expected (real, fake) or (fake), and options "
            "after a *, each with a default."
        )
    return len(needed)


def _checked(name: str, function: Callable[..., object]) -> Callable[..., Estimate | Mapping[str, Estimate]]:
    """The function, with its arrays checked and its result converted to an Estimate, or to several by name."""

    guarded = _guarded(function)

    @functools.wraps(function)
    def compute(*arrays: object, **options: object) -> Estimate | Mapping[str, Estimate]:
        if all(isinstance(array, Tensor) for array in arrays):
            tensors = cast("tuple[Tensor, ...]", arrays)
            arrays = check_pair(*tensors) if len(tensors) == 2 else tuple(map(check_features, tensors))
        found = guarded(*arrays, **options)
        if isinstance(found, Mapping) and name not in found:
            raise MetricError(
                f"The function returned several values by name ({', '.join(map(str, found)) or 'none'}), and none is "
                f"called '{name}'; return a number or an Estimate."
            )
        if isinstance(found, Mapping):
            return {str(key): _estimate(value) for key, value in found.items()}
        return _estimate(found)

    return compute


def _guarded(function: Callable[..., _Found]) -> Callable[..., _Found]:
    """The function, with any error in it raised as a MetricError."""

    @functools.wraps(function)
    def compute(*arrays: object, **options: object) -> _Found:
        with raised_as(MetricError, "The function"):
            return function(*arrays, **options)

    return compute


def _of_numbers(found: Estimate) -> Estimate:
    """The Estimate with Python's numbers, which a result can hold; MetricError for values that are not numbers."""
    # A note given as a text instead of a tuple would be split into letters.
    notes: object = found.notes
    notes = (notes,) if isinstance(notes, str) else found.notes
    try:
        return replace(
            found,
            value=float(found.value),
            standard_error=None if found.standard_error is None else float(found.standard_error),
            interval=None if found.interval is None else (float(found.interval[0]), float(found.interval[1])),
            details={str(key): float(value) for key, value in found.details.items()},
            notes=tuple(map(str, notes)),
        )
    except (TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise MetricError(f"The function returned an Estimate with fields that are not numbers: {error}") from error


def _estimate(found: object) -> Estimate:
    """A number as an Estimate without an error bar; MetricError if it is not a finite number."""
    if isinstance(found, Estimate):
        return _of_numbers(found)
    if isinstance(found, Tensor) and found.numel() == 1:
        found = found.item()
    try:
        value = float(found)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise MetricError(f"The function returned {type(found).__name__}; expected a number or an Estimate.") from None
    if not math.isfinite(value):
        raise MetricError(
            f"The function returned {value} for these sets; if it is undefined, raise a MetricError with the reason."
        )
    return Estimate(value, None, None, "the function's value; the function gives no standard error")
