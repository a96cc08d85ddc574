"""What most papers share: a discriminator that moves first, a generator that follows."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from ganeval.errors import UsageError
from reference_models.base import Batch, Logs, Player
from reference_models.recipes import Recipe


class Pair(Protocol):
    """A model of two networks, and what each of them wants."""

    recipe: Recipe

    @property
    def generator(self) -> nn.Module:
        """Latents => images."""

    @property
    def discriminator(self) -> nn.Module:
        """Images => logits."""

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """What the discriminator makes smaller, and what to log."""

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """What the generator makes smaller, and what to log."""


def players_of(model: Pair, updates: int | Callable[[int], int] = 1) -> tuple[Player, Player]:
    """The discriminator with so many updates a step, then the generator with one."""
    rates = model.recipe.optimizers
    judge, maker = tuple(model.discriminator.parameters()), tuple(model.generator.parameters())
    return (
        Player("discriminator", judge, rates["discriminator"], model.loss_discriminator, updates),
        Player("generator", maker, rates["generator"], model.loss_generator),
    )


def seen(real: Tensor, fake: Tensor) -> Logs:
    """The discriminator's mean outputs, under their reserved names."""
    return {"logit/real": real.mean(), "logit/fake": fake.mean()}


def needed(labels: Tensor | None, variant: str) -> Tensor:
    """The labels; UsageError where a conditional model was given none."""
    if labels is None:
        raise UsageError(f"{variant} makes images of a class you name; pass labels, int64 [N].")
    return labels
