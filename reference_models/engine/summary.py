"""A model's layers and their sizes, as its losses run through them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from reference_models.base import Model
from reference_models.data.batches import BatchStream
from reference_models.data.placeholder import placeholder


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One layer. shape: of its output, without the batch dimension. parameters: their number."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


def count_parameters(model: Model) -> dict[str, int]:
    """The number of parameters of each player."""
    return {player.name: sum(parameter.numel() for parameter in player.parameters) for player in model.players()}


def layers(model: Model) -> list[LayerSummary]:
    """Every layer that the players' losses run through, in module order, with the shape of its first output."""
    shapes: dict[str, tuple[int, ...]] = {}
    leaves = dict(_leaves(model))
    hooks = [leaf.register_forward_hook(_note(shapes, name)) for name, leaf in leaves.items()]
    try:
        _pass_through(model)
    finally:
        for hook in hooks:
            hook.remove()
    return [
        LayerSummary(name, type(leaf).__name__.removeprefix("Parametrized"), shapes[name], _size(leaf))
        for name, leaf in leaves.items()
        if name in shapes
    ]


def _pass_through(model: Model) -> None:
    """Compute every player's loss on two rows of placeholder data; the CPU's random state is not changed."""
    parts = model.parts(placeholder(model, 2), replace(model.recipe, batch=2), 0)
    batch = BatchStream(parts, model.batch_type, seed=0, device="cpu", to=model.value_range, flips=False)()
    with torch.random.fork_rng([]):
        for player in model.players():
            player.loss(batch, torch.Generator().manual_seed(0))


def _leaves(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules without submodules, except for parametrizations of their own weights."""
    for name, module in model.named_modules():
        if (
            name
            and "parametrizations" not in name
            and not (dict(module.named_children()).keys() - {"parametrizations"})
        ):
            yield name, module


def _note(shapes: dict[str, tuple[int, ...]], name: str) -> Callable[[nn.Module, object, Tensor], None]:
    """A hook that records the shape of a module's first output."""

    def note(_module: nn.Module, _given: object, output: Tensor) -> None:
        shapes.setdefault(name, tuple(output.shape[1:]))

    return note


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
