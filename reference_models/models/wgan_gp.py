"""Improved training of Wasserstein GANs (Gulrajani et al. 2017): a gradient penalty instead of the clip.

The CIFAR-10 network: residual blocks, all of one width; batch normalisation in the generator, none in the critic,
because the penalty needs the gradient for each image separately. Five critic updates per step, on 64 images; the
generator's update has 128. The paper monitors the critic's loss on held-out images for overfitting; `discriminate`
returns its outputs.

pytorch-gan-collections has a wider generator, and sums over positions where the paper takes the mean; its second, plain
network is also available.
"""

from typing import cast

import torch
from torch import Tensor

from reference_models.base import Logs
from reference_models.batches import Batch, Data
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN, logit_logs
from reference_models.blocks.collection import plain_discriminator, plain_generator
from reference_models.blocks.losses import OBJECTIVES, gradient_penalty
from reference_models.blocks.networks import ResidualCritic, ResidualGenerator, check_resolution
from reference_models.models.wgan_gp_recipes import Settings
from reference_models.recipes import Recipe


class WGANGP(GeneratorDiscriminatorGAN):
    """The residual network, or a plain one, with the Wasserstein loss and a gradient penalty."""

    objective = OBJECTIVES["wasserstein"]
    together = True

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = self.settings = cast(Settings, recipe.settings)
        self.generator_batch, self.noise = settings.generator_batch, settings.noise
        generator_width, critic_width, latent = settings.generator_width, settings.critic_width, recipe.latent.size
        if recipe.network == "collection":
            self.generator = plain_generator(latent, data.channels, data.resolution, width=generator_width)
            self.discriminator = plain_discriminator(data.channels, data.resolution, width=critic_width)
            return
        check_resolution("WGAN-GP's network", data.resolution)
        self.generator = ResidualGenerator(latent, data.channels, data.resolution, width=generator_width)
        self.discriminator = ResidualCritic(
            data.channels, data.resolution, width=critic_width, total=settings.pooling == "sum", spectral=False
        )

    def discriminator_updates(self, step: int) -> int:  # noqa: ARG002
        """Five in the paper."""
        return self.settings.critic_updates

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """f(G(z)) - f(x) + weight (slope - 1)^2, one loss and one step of the optimizer"""
        reals, images = self.reals(batch, rng), self.generate(self.latent(len(batch), rng=rng))
        real, fake = self.discriminate(reals, images)
        penalty = gradient_penalty(self.discriminator, reals, images, rng)
        loss = self.objective.discriminator(real, fake) + self.settings.penalty * penalty
        return loss, logit_logs(real, fake) | {"penalty": penalty}
