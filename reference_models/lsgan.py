"""Least squares GANs (Mao et al. 2017): the discriminator regresses to 1 and 0, the generator to 1.

The paper has several networks for its several data sets; this is DCGAN's, which the figures quoted for LSGAN on faces
were measured with.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from reference_models import losses
from reference_models.base import GAN, Batch, Data, Logs, Player
from reference_models.networks import check_resolution, conv_discriminator, conv_generator, draw_normal
from reference_models.pair import players_of, seen
from reference_models.presets.lsgan import Settings
from reference_models.recipes import Recipe


class LSGAN(GAN):
    """DCGAN's network under squares; the discriminator's output is a number, not a logit."""

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        check_resolution("LSGAN's network", data.resolution)
        width = cast(Settings, recipe.settings).width
        self.generator = conv_generator(recipe.latent.size, data.channels, data.resolution, width=width, kernel=5)
        self.discriminator = conv_discriminator(data.channels, data.resolution, width=width, kernel=5)
        draw_normal(self)

    def players(self) -> Sequence[Player]:
        """The discriminator, then the generator."""
        return players_of(self)

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R] in [-1, 1]"""
        images: Tensor = self.generator(z)
        return images

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """(D(x) - 1)^2 / 2 + D(G(z))^2 / 2"""
        real = self.discriminator(batch.images)
        fake = self.discriminator(self.generate(self.latent(len(batch), rng=rng)))
        return losses.least_squares_discriminator(real, fake), seen(real, fake)

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """(D(G(z)) - 1)^2 / 2"""
        fake = self.discriminator(self.generate(self.latent(len(batch), rng=rng)))
        return losses.least_squares_generator(fake), {}
