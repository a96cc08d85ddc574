"""Share the rows of a batch between processes: each computes its own rows, and together they are one batch.

Every process draws the random numbers of the whole batch and takes those of its own rows, so that they depend only on
the row's position in the batch, and random states are equal in all processes. Normalisation over a batch uses the
statistics of all rows. A layer or a loss that uses other rows calls `everyones`, which waits for the other processes:
all make the same calls in the same order. With one process, none of this has an effect.

Rows may be several concatenated batches, such as reals and fakes that pass a network together: if this process has r
rows of a batch, n rows are n / r batches.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ganeval.errors import UsageError
from ganeval.processes import Processes, processes


@dataclass(frozen=True, slots=True)
class OwnRows:
    """The rows of a batch that a process computes: from `start` to before `stop`, of `total`."""

    team: Processes
    total: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def groups(self, count: int) -> int:
        """The number of batches that this many rows of this process form; UsageError if they do not form batches."""
        if count % len(self):
            raise UsageError(
                f"{self.team.size} processes share a batch, but {count} rows of a tensor are not a multiple of this "
                f"one's {len(self)}: the first axis must be that of the images. Train in one process."
            )
        return count // len(self)

    def own(self, whole: Tensor) -> Tensor:
        """This process's rows of one or more batches."""
        batches = whole.reshape(-1, self.total, *whole.shape[1:])
        return batches[:, self.start : self.stop].flatten(0, 1)

    def gathered(self, own: Tensor) -> Tensor:
        """The rows of all processes; dtypes of low precision are widened."""
        exact = _widened(own)
        whole = exact.new_zeros(self.groups(len(own)) * self.total, *own.shape[1:])
        batches = whole.view(-1, self.total, *own.shape[1:])
        batches[:, self.start : self.stop] = exact.reshape(-1, len(self), *own.shape[1:])
        self.team.add(whole)
        return whole.to(own.dtype)


_rows: ContextVar[OwnRows | None] = ContextVar("rows", default=None)


def rows_of(total: int) -> OwnRows:
    """The rows of a batch that this process computes; UsageError for fewer rows than processes."""
    team = processes()
    if total < team.size:
        raise UsageError(
            f"{team.size} processes cannot share a batch, or a part of one, of {total} rows; choose a larger --batch, "
            "a smaller --accumulate, or fewer processes."
        )
    return OwnRows(team, total, total * team.rank // team.size, total * (team.rank + 1) // team.size)


@contextmanager
def sharing(rows: OwnRows) -> Iterator[None]:
    """Within this context, a loss is computed for these rows of a batch."""
    if rows.team.size == 1:
        yield
        return
    before = _rows.set(rows)
    try:
        with _WholeBatch(rows):
            yield
    finally:
        _rows.reset(before)


def everyones(own: Tensor) -> Tensor:
    """The rows of all processes that share a batch, in the order of the batch; differentiable.

    Args:
        own: ``[n, ...]``, a row for each of this process's images, of one or more batches.

    Returns:
        ``[N, ...]``; `own` itself where a process has the whole batch.
    """
    rows = _rows.get()
    return own if rows is None else cast(Tensor, _Gathered.apply(own, rows))


def own_rows(whole: Tensor) -> Tensor:
    """The rows of this process, of a tensor that has those of all processes, as `everyones` gives them.

    Args:
        whole: ``[N, ...]``

    Returns:
        ``[n, ...]``; `whole` itself where a process has the whole batch.
    """
    rows = _rows.get()
    return whole if rows is None else rows.own(whole)


def add_up(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over the processes."""
    team = processes()
    if team.size == 1 or not tensors:
        return
    flat = torch.cat([_widened(tensor.detach().flatten()) for tensor in tensors])
    team.add(flat)
    for tensor, found in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(found.view_as(tensor))


def logged(seen: Mapping[str, float | Tensor], rows: OwnRows) -> dict[str, float | Tensor]:
    """The logs of a loss for all rows: values per row are concatenated, other tensors are averaged over rows."""
    if rows.team.size == 1:
        return dict(seen)
    tensors = {name: _widened(value.detach()) for name, value in seen.items() if isinstance(value, Tensor)}
    places = {name: value.flatten(1).mean(1) if value.ndim > 1 else value for name, value in tensors.items()}
    wholes = {
        name: value * (len(rows) / rows.total)
        if not value.ndim
        else value.new_zeros(rows.groups(len(value)) * rows.total)
        for name, value in places.items()
    }
    for name, whole in wholes.items():
        if whole.ndim:
            whole.view(-1, rows.total)[:, rows.start : rows.stop] = places[name].view(-1, len(rows))
    add_up(list(wholes.values()))
    return {**seen, **wholes}


def _widened(numbers: Tensor) -> Tensor:
    """Convert to a precision that is high enough for sums."""
    return numbers.float() if numbers.dtype in (torch.float16, torch.bfloat16) else numbers


class _Gathered(torch.autograd.Function):
    """own rows => the rows of all processes; the gradient of a row is the sum of its gradients in all processes."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, rows: OwnRows) -> Tensor:
        ctx.rows = rows
        return rows.gathered(own)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Summed.apply(gradient, ctx.rows), None


class _Summed(torch.autograd.Function):
    """The rows of all, in every process => own rows of the sum over processes: the transpose of `_Gathered`."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, rows: OwnRows) -> Tensor:
        ctx.rows = rows
        total = _widened(whole).clone(memory_format=torch.contiguous_format)
        rows.team.add(total)
        return rows.own(total).to(whole.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Gathered.apply(gradient, ctx.rows), None


class _WholeBatch(TorchFunctionMode):
    """Within this context, torch draws random numbers and normalises for the whole batch."""

    def __init__(self, rows: OwnRows) -> None:
        super().__init__()
        self._rows = rows

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if (ours := _OF_BATCHES.get(func)) is not None:
            return ours(self._rows, func, *args, **kwargs)
        if getattr(func, "__name__", "") in _OTHER_DRAWS:
            raise UsageError(
                f"Processes cannot share the numbers that {func.__name__} draws for a batch; draw with torch.rand, "
                "torch.randn or torch.randint, or train in one process."
            )
        return func(*args, **kwargs)


def _drawn(rows: OwnRows, draw: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """torch.rand and similar functions, for a shape whose first axis is rows; a single number is the same for all."""
    *before, shape = args if not isinstance(args[-1], int) else (args,)
    if len(shape) == 0:
        return draw(*before, shape, **kwargs)
    return rows.own(draw(*before, (rows.groups(shape[0]) * rows.total, *shape[1:]), **kwargs))


def _like(rows: OwnRows, draw: Callable[..., Tensor], rows_like: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """torch.randn_like and similar functions."""
    return rows.own(draw(_whole_ones(rows, rows_like), *args, **kwargs))


def _dropout(  # noqa: PLR0917, torch's arguments
    rows: OwnRows,
    drop: Callable[..., Tensor],
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> Tensor:
    """F.dropout and similar functions: their output for ones is the factor of each number."""
    if not training:
        return drop(input, p, training, inplace)
    return input * rows.own(drop(_whole_ones(rows, input), p, training))


def _whole_ones(rows: OwnRows, own: Tensor) -> Tensor:
    """Ones for all rows, in the memory layout of this process's rows: torch draws numbers in memory order."""
    strides = own.stride()
    order = sorted(range(own.ndim), key=lambda axis: (-strides[axis], axis))
    shape = (rows.groups(len(own)) * rows.total, *own.shape[1:])
    return torch.empty_permuted(shape, order, dtype=own.dtype, device=own.device).fill_(1)


def _batch_norm(  # noqa: PLR0917, torch's arguments
    rows: OwnRows,
    norm: Callable[..., Tensor],
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """F.batch_norm, in training with the mean and the variance of all rows."""
    if not training:
        return norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    exact = _widened(input)
    output, mean, variance = cast(tuple[Tensor, ...], _BatchNorm.apply(exact, weight, bias, eps, rows))
    if running_mean is not None and running_var is not None:
        count = exact.numel() // exact.shape[1] // len(rows) * rows.total
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((variance * (count / max(count - 1, 1))).to(running_var.dtype), momentum)
    return output.to(input.dtype)


class _BatchNorm(torch.autograd.Function):
    """Input, gains and shifts => the normalised input, and the mean and the variance of all rows."""

    @staticmethod
    def forward(  # noqa: PLR0917, of a function of torch
        ctx: Any, given: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, rows: OwnRows
    ) -> tuple[Tensor, Tensor, Tensor]:
        found = torch.batch_norm_update_stats(given, None, None, 0.0)
        mean, variance = _of_all(torch.stack(found), rows)
        ctx.eps, ctx.rows = eps, rows
        ctx.save_for_backward(given, weight, bias, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(given, mean, variance, weight, bias, False, 0.0, eps), mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        given, weight, bias, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():
            # Second derivatives are needed.
            needed = [
                one if needs else None
                for one, needs in zip((given, weight, bias), ctx.needs_input_grad[:3], strict=True)
            ]
            wanted = [one for one in needed if one is not None]
            again = _normalised(given, weight, bias, ctx.eps, ctx.rows)
            found = iter(torch.autograd.grad(again, wanted, gradient, create_graph=True))
            return *(None if one is None else next(found) for one in needed), None, None
        scale = (variance + ctx.eps).rsqrt()
        # The gradient for constant mean and variance, corrected by sums of the gradient and of its product with the
        # normalised input.
        direct, products, sums = torch.ops.aten.native_batch_norm_backward(
            gradient, given, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        means = torch.stack([products, sums]) * (
            1 / (given.numel() // given.shape[1] // len(ctx.rows) * ctx.rows.total)
        )
        ctx.rows.team.add(means)
        gain = scale if weight is None else scale * weight
        slope = -gain * scale * means[0]
        shape = (1, -1, *[1] * (given.ndim - 2))
        direct.addcmul_(given, slope.view(shape)).sub_((gain * means[1] + slope * mean).view(shape))
        return direct, None if weight is None else products, None if bias is None else sums, None, None


def _normalised(given: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, rows: OwnRows) -> Tensor:
    """The result of `_BatchNorm`, by functions that can be differentiated any number of times."""
    axes, shape = [axis for axis in range(given.ndim) if axis != 1], (1, -1, *[1] * (given.ndim - 2))
    variance, mean = torch.var_mean(given, axes, correction=0)
    mean, variance = _of_all(torch.stack([mean, variance]), rows)
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return torch.addcmul(shift.view(shape), given, scale.view(shape))


def _of_all(found: Tensor, rows: OwnRows) -> tuple[Tensor, Tensor]:
    """Means and variances of this process's rows, [2, C] => those of all rows."""
    means, variances = cast(Tensor, _Gathered.apply(found[None], _one_each(rows))).unbind(1)
    shares = torch.tensor(_shares(rows), dtype=found.dtype, device=found.device)[:, None]
    mean = (shares * means).sum(0)
    return mean, (shares * (variances + (means - mean).square())).sum(0)


def _one_each(rows: OwnRows) -> OwnRows:
    """A row for each process."""
    return OwnRows(rows.team, rows.team.size, rows.team.rank, rows.team.rank + 1)


def _shares(rows: OwnRows) -> list[float]:
    """The share of a batch's rows that each process has."""
    size, total = rows.team.size, rows.total
    return [(total * (rank + 1) // size - total * rank // size) / total for rank in range(size)]


# Replacements of torch's functions for shared batches.
_OF_BATCHES: Mapping[Any, Callable[..., Tensor]] = {
    **dict.fromkeys((torch.rand, torch.randn, torch.randint), _drawn),
    **dict.fromkeys((torch.rand_like, torch.randn_like, torch.randint_like), _like),
    **dict.fromkeys((F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, torch.dropout, torch.feature_dropout), _dropout),
    F.batch_norm: _batch_norm,
}
# Other random functions, which would return the same numbers in every process.
_OTHER_DRAWS = frozenset(
    (
        *("bernoulli", "bernoulli_", "exponential_", "multinomial", "normal", "normal_", "poisson", "random_"),
        *("randperm", "uniform_", "alpha_dropout", "feature_alpha_dropout", "gumbel_softmax", "rrelu"),
    )
)
