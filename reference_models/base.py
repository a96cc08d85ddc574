"""What every reference GAN is: players that take turns. The step is written here, once, for all of them.

A subclass is one paper: it builds its networks, names its players, and writes one loss a player. What it must remember
(BEGAN's k_t) is a buffer, so that it is saved and restored with the weights.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from ganeval.autocast import Precision, autocast
from ganeval.errors import UsageError
from ganeval.ranges import ValueRange
from reference_models.recipes import SGD, Adam, Optimizer, Recipe, RMSprop, value_at

# What a step reports: floats or tensors, left on their device. A loss may give a number per image, [N]; of that a step
# reports the mean, and its standard error over the batch as error/<key>. Reserved keys: loss/<player>, grad/<player>,
# rate/<player> (the learning rate), logit/real, logit/fake, penalty, M, k.
Logs = dict[str, float | Tensor]


@dataclass(frozen=True, slots=True)
class Data:
    """The images a model is built for.

    classes: how many, None where images have no labels. class_names: of classes 0, 1, ..., None where unknown.
    """

    channels: int
    resolution: int
    classes: int | None = None
    class_names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Training images: float32 [N, C, H, W] in the model's range; labels: int64 [N], None where there are none.

    A model that learns from more (pairs, sentences) reads a subclass with more tensors.
    """

    images: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def split(self, parts: int) -> list[Self]:
        """The same rows as so many smaller batches, of equal size but for the last."""
        if parts == 1:
            return [self]
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        present = {name: tensor.chunk(parts) for name, tensor in tensors.items() if tensor is not None}
        return [
            replace(self, **dict(zip(present, chunks, strict=True))) for chunks in zip(*present.values(), strict=True)
        ]


Loss = Callable[[Batch, torch.Generator], tuple[Tensor, Logs]]


@dataclass(frozen=True, slots=True)
class Player:
    """One side of the game: what it may change, how, how often, and what it wants.

    loss: (batch, rng) => a scalar to go down, and what else to log.
    updates: how many a step; a function of the step (counted from 0) where the paper says so.
    """

    name: str
    parameters: tuple[nn.Parameter, ...]
    optimizer: Optimizer
    loss: Loss
    updates: int | Callable[[int], int] = 1

    def turns(self, step: int) -> int:
        """How many updates this player makes at a step."""
        return self.updates if isinstance(self.updates, int) else self.updates(step)


@dataclass(frozen=True, slots=True)
class Tools:
    """What a step works with; `tools_for` makes it for a model.

    draw: gives a fresh batch. rng: all of the losses' randomness, on the model's device.
    accumulate: the parts a batch is processed in, to save memory. precision: of products (`ganeval.autocast`).
    """

    players: tuple[Player, ...]
    optimizers: Mapping[str, torch.optim.Optimizer]
    draw: Callable[[], Batch]
    rng: torch.Generator
    accumulate: int = 1
    precision: Precision = "fp32"


class GAN(nn.Module):
    """A reference GAN. `generate` gives images in `value_range`; a conditional model needs labels."""

    value_range: ClassVar[ValueRange] = "[-1,1]"
    conditional: ClassVar[bool] = False

    def __init__(self, data: Data, recipe: Recipe) -> None:
        """UsageError for a conditional model without classes."""
        super().__init__()
        if self.conditional and data.classes is None:
            raise UsageError(
                f"{recipe.variant} learns from labels, and these images have none; "
                "use a folder with a subfolder for each of two or more classes, a labelled data set, or a variant "
                "without labels."
            )
        self.data = data
        self.recipe = recipe

    @abstractmethod
    def players(self) -> Sequence[Player]:
        """Who plays, in the order of their turns."""

    @abstractmethod
    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """float32 [N, latent size], int64 [N] => float32 [N, C, H, W] in `value_range`."""

    def latent(self, n: int, *, rng: torch.Generator) -> Tensor:
        """=> float32 [n, latent size] by the recipe's law, on the generator's device."""
        latent = self.recipe.latent
        if latent.law == "normal":
            return torch.randn(n, latent.size, generator=rng, device=rng.device)
        low, high = latent.interval
        return torch.rand(n, latent.size, generator=rng, device=rng.device) * (high - low) + low

    def begin(self, step: int) -> None:
        """A hook before each step, for a model that changes as it learns."""

    def after(self, player: Player, logs: Logs) -> Logs:  # noqa: ARG002
        """A hook after each update of a player, for clipping and balance; gives what else to log."""
        return {}

    def step(self, number: int, tools: Tools) -> Logs:
        """One step of every player, in turn. number: counted from 0, of the recipe's steps.

        The first update draws a batch, and so does every further turn of the same player: a critic never sees one batch
        twice in a row, and who plays once sees what was just played with.
        """
        self.begin(number)
        logs: Logs = {}
        batch: Batch | None = None
        for player in tools.players:
            optimizer = tools.optimizers[player.name]
            logs[f"rate/{player.name}"] = _schedule(optimizer, player.optimizer, number, self.recipe.steps)
            for turn in range(player.turns(number)):
                batch = tools.draw() if batch is None or turn else batch
                logs |= self.update(player, batch, optimizer, tools)
        return logs

    def update(self, player: Player, batch: Batch, optimizer: torch.optim.Optimizer, tools: Tools) -> Logs:
        """One update of one player, and of nothing else: every other parameter is a constant to its loss."""
        parts = batch.split(tools.accumulate)
        logs: Logs = {}
        optimizer.zero_grad()
        with _only(player, self):
            for part in parts:
                with autocast(batch.images.device.type, tools.precision):
                    loss, seen = player.loss(part, tools.rng)
                share = len(part) / len(batch)
                (loss * share).backward()  # type: ignore[no-untyped-call]
                _add(logs, {f"loss/{player.name}": loss, **seen}, share)
        gradients = [parameter.grad for parameter in player.parameters if parameter.grad is not None]
        norm = logs[f"grad/{player.name}"] = get_total_norm(gradients)
        # NaN would spread to every weight; on a CPU, which may be asked for free, it stays where it arose.
        if norm.device.type != "cpu" or bool(norm.isfinite()):
            optimizer.step()
        return logs | self.after(player, logs)


def tools_for(
    model: GAN,
    *,
    draw: Callable[[], Batch],
    rng: torch.Generator,
    accumulate: int = 1,
    precision: Precision = "fp32",
) -> Tools:
    """A model's players with new optimizers, and where its batches come from."""
    players = tuple(model.players())
    optimizers = {player.name: _optimizer(player) for player in players}
    return Tools(players, optimizers, draw, rng, accumulate, precision)


def _optimizer(player: Player) -> torch.optim.Optimizer:
    settings, lr = player.optimizer, value_at(player.optimizer.lr, 0, 1)
    match settings:
        case Adam():
            return torch.optim.Adam(
                player.parameters, lr, settings.betas, weight_decay=settings.weight_decay, fused=True
            )
        case SGD():
            return torch.optim.SGD(player.parameters, lr, value_at(settings.momentum, 0, 1), fused=True)
        case RMSprop():
            return torch.optim.RMSprop(player.parameters, lr, settings.alpha, foreach=True)


def _add(logs: Logs, seen: Logs, share: float) -> None:
    """Add a part's share of what was seen in it."""
    for name, value in means(seen).items():
        logs[name] = logs.get(name, 0.0) + value * share


def means(seen: Logs) -> Logs:
    """Without graph or axes: numbers per image [N] => their mean, and its standard error under error/<key>."""
    found: Logs = {}
    for name, value in seen.items():
        if not isinstance(value, Tensor):
            found[name] = value
            continue
        plain = value.detach().float()
        found[name] = plain.mean()
        if plain.ndim:
            # A single image has no spread to tell of.
            found[f"error/{name}"] = plain.std(correction=min(1, len(plain) - 1)) / len(plain) ** 0.5
    return found


def _schedule(optimizer: torch.optim.Optimizer, settings: Optimizer, step: int, steps: int) -> float:
    """Set the rate and the momentum of a step; gives the rate."""
    rate = value_at(settings.lr, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
        if isinstance(settings, SGD):
            group["momentum"] = value_at(settings.momentum, step, steps)
    return rate


@contextmanager
def _only(player: Player, model: nn.Module) -> Iterator[None]:
    """Inside, only this player's parameters have gradients: nothing is computed that would be thrown away."""
    own = {id(parameter) for parameter in player.parameters}
    others = [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) not in own]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)
