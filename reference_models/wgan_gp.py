"""Improved training of Wasserstein GANs (Gulrajani et al. 2017): a gradient penalty instead of the clip.

The CIFAR-10 network: residual blocks, all of one width; batch normalisation in the generator, none in the critic, whose
slope the penalty measures image by image. Five critic updates a step, on 64 images; the generator learns from 128.
The critic's loss on held-out images is what the paper watches for overfitting; `judge` gives it.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from reference_models import losses
from reference_models.base import GAN, Batch, Data, Logs, Player
from reference_models.networks import ResidualCritic, ResidualGenerator, check_resolution
from reference_models.pair import players_of, seen
from reference_models.presets.wgan_gp import Settings
from reference_models.recipes import Recipe


class WGANGP(GAN):
    """The residual network under the Wasserstein distance with gradient penalty."""

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        check_resolution("WGAN-GP's network", data.resolution)
        self.settings = cast(Settings, recipe.settings)
        maker, judge = self.settings.generator_width, self.settings.critic_width
        self.generator = ResidualGenerator(recipe.latent.size, data.channels, data.resolution, width=maker)
        self.discriminator = ResidualCritic(data.channels, data.resolution, width=judge, total=False, spectral=False)

    def players(self) -> Sequence[Player]:
        """The critic, five times in the paper, then the generator."""
        return players_of(self, self.settings.critic_updates)

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R] in [-1, 1]"""
        images: Tensor = self.generator(z)
        return images

    def judge(self, images: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The critic's outputs for as many reals and fakes, from one pass: it does not mix a batch."""
        real, false = self.discriminator(torch.cat([images, fake])).chunk(2)
        return real, false

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """f(G(z)) - f(x) + weight (slope - 1)^2, one loss and one step of the optimizer"""
        images = self.generate(self.latent(len(batch), rng=rng))
        real, fake = self.judge(batch.images, images)
        penalty = losses.gradient_penalty(self.discriminator, batch.images, images, rng)
        loss = losses.wasserstein_critic(real, fake) + self.settings.penalty * penalty
        return loss, seen(real, fake) | {"penalty": penalty}

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-f(G(z))"""
        count = len(batch) * self.settings.generator_batch
        fake = self.discriminator(self.generate(self.latent(count, rng=rng)))
        return losses.wasserstein_generator(fake), {}
