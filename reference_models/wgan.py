"""Wasserstein GAN (Arjovsky, Chintala, Bottou 2017): a critic whose weights are clipped, and who is trained well.

The network is DCGAN's as the authors used it: 4 x 4 convolutions, 64 channels, batch normalisation in both. The critic
moves five times a step, a hundred times in the first 25 steps and every 500th. RMSprop, because momentum hurts here.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from reference_models import losses
from reference_models.base import GAN, Batch, Data, Logs, Player
from reference_models.networks import check_resolution, conv_discriminator, conv_generator, draw_normal
from reference_models.pair import players_of, seen
from reference_models.presets.wgan import Settings
from reference_models.recipes import Recipe


class WGAN(GAN):
    """DCGAN's network under the Wasserstein distance, with every parameter of the critic kept within the clip."""

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        check_resolution("WGAN's network", data.resolution)
        self.settings = cast(Settings, recipe.settings)
        width = self.settings.width
        self.generator = conv_generator(recipe.latent.size, data.channels, data.resolution, width=width, kernel=4)
        self.discriminator = conv_discriminator(data.channels, data.resolution, width=width, kernel=4)
        draw_normal(self)

    def players(self) -> Sequence[Player]:
        """The critic, as often as the paper says, then the generator."""
        return players_of(self, self.critic_updates)

    def critic_updates(self, step: int) -> int:
        """How often the critic moves at a step, counted from 0."""
        settings = self.settings
        thorough = step < settings.warmup or step % settings.refresh == 0
        return settings.thorough_updates if thorough else settings.critic_updates

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R] in [-1, 1]"""
        images: Tensor = self.generator(z)
        return images

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """f(G(z)) - f(x)"""
        real = self.discriminator(batch.images)
        fake = self.discriminator(self.generate(self.latent(len(batch), rng=rng)))
        return losses.wasserstein_critic(real, fake), seen(real, fake)

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-f(G(z))"""
        fake = self.discriminator(self.generate(self.latent(len(batch), rng=rng)))
        return losses.wasserstein_generator(fake), {}

    def after(self, player: Player, logs: Logs) -> Logs:  # noqa: ARG002
        """Put every parameter of the critic back into the clip."""
        if player.name == "discriminator":
            clip_(player.parameters, self.settings.clip)
        return {}


@torch.no_grad()
def clip_(parameters: Sequence[Tensor], reach: float) -> None:
    """Clamp every number of these to [-reach, reach], in place."""
    for parameter in parameters:
        parameter.clamp_(-reach, reach)
