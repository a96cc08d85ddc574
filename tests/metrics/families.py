"""Rows of the table of metrics that share a function, for tests that run it once for all of them.

A test does the same with each row, and the function gives the estimates of all: the n-th call for another row has the
arguments of the n-th call for the first, and gets what that gave.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial, update_wrapper
from typing import Any

from torch import Tensor, uint8

from ganeval.errors import MetricError
from ganeval.metrics import METRICS, Metric


class Shared:
    """A metric's function for several rows in turn, called with equal arguments by each."""

    def __init__(self, compute: Callable[..., object]) -> None:
        self._compute = compute
        self._calls: list[tuple[object, object]] = []
        self._place = 0
        update_wrapper(self, compute)

    def again(self) -> "Shared":
        """Begin with the next row."""
        self._place = 0
        return self

    def __call__(self, *arrays: Any, **options: Any) -> Any:
        """What the function returns or refuses, of the first row that made this call."""
        key = [_described(one) for one in (*arrays, *options.items())]
        if self._calls[self._place : self._place + 1] == [] or self._calls[self._place][0] != key:
            del self._calls[self._place :]
            try:
                found: object = self._compute(*arrays, **options)
            except MetricError as error:
                found = error
            self._calls.append((key, found))
        self._place += 1
        found = self._calls[self._place - 1][1]
        if isinstance(found, MetricError):
            raise found
        return found


def _described(argument: object) -> object:
    """Values, type and layout in memory of an array; names and arrays of an option; else the object."""
    if isinstance(argument, tuple):
        return tuple(map(_described, argument))
    if not isinstance(argument, Tensor):
        return argument
    values = argument.detach().contiguous().view(uint8) if argument.ndim else argument.detach().clone()
    return (
        *(argument.dtype, argument.device, argument.shape, argument.stride()),
        *(argument.requires_grad, argument.is_inference(), values.cpu().numpy().tobytes()),
    )


def families(named: Sequence[str] = tuple(METRICS)) -> Mapping[str, Sequence[str]]:
    """The names of these rows that share a function, by the first of them."""
    found: dict[object, list[str]] = {}
    for name in named:
        found.setdefault(METRICS[name].compute, []).append(name)
    return {names[0]: names for names in found.values()}


def members(names: Sequence[str], options: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[str, Metric]]:
    """The rows of a family with the function that they share; options: of rows, by name, that it is called with."""
    compute = METRICS[names[0]].compute
    shared = Shared(partial(compute, **options[names[0]]) if names[0] in options else compute)
    for name in names:
        yield name, replace(METRICS[name], compute=shared.again())
