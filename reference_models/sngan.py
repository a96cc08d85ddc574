"""Spectral normalization for GANs (Miyato et al. 2018): every layer of the discriminator has spectral norm 1.

The CIFAR-10 network: residual blocks, 256 wide in the generator and 128 in the discriminator, whose features are summed
over places; the hinge loss; five updates of the discriminator a step.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from reference_models import losses
from reference_models.base import GAN, Batch, Data, Logs, Player
from reference_models.networks import ResidualCritic, ResidualGenerator, check_resolution
from reference_models.pair import players_of, seen
from reference_models.presets.sngan import Settings
from reference_models.recipes import Recipe


class SNGAN(GAN):
    """The residual network under the hinge loss, its discriminator spectrally normalised."""

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        check_resolution("SNGAN's network", data.resolution)
        self.settings = cast(Settings, recipe.settings)
        maker, judge = self.settings.generator_width, self.settings.discriminator_width
        self.generator = ResidualGenerator(recipe.latent.size, data.channels, data.resolution, width=maker)
        self.discriminator = ResidualCritic(data.channels, data.resolution, width=judge, total=True, spectral=True)

    def players(self) -> Sequence[Player]:
        """The discriminator, five times in the paper, then the generator."""
        return players_of(self, self.settings.discriminator_updates)

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R] in [-1, 1]"""
        images: Tensor = self.generator(z)
        return images

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """max(0, 1 - D(x)) + max(0, 1 + D(G(z)))"""
        images = self.generate(self.latent(len(batch), rng=rng))
        # One pass serves both, as nothing in the discriminator mixes a batch.
        real, fake = self.discriminator(torch.cat([batch.images, images])).chunk(2)
        return losses.hinge_discriminator(real, fake), seen(real, fake)

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-D(G(z))"""
        count = len(batch) * self.settings.generator_batch
        fake = self.discriminator(self.generate(self.latent(count, rng=rng)))
        return losses.wasserstein_generator(fake), {}
