"""Conditional generative adversarial nets (Mirza, Osindero 2014): both players are conditioned on the class.

Perceptrons, as in the 2014 GAN. The generator maps z to 200 and y to 1000 units, joins them in 1200, and has sigmoid
pixels in [0, 1]. The discriminator has maxout layers for x (240 units of 5 pieces), for y (50 of 5) and for both (240
of 4). Half of the hidden units are dropped in both networks.
"""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ganeval.ranges import ValueRange
from reference_models.base import Logs
from reference_models.batches import Batch, Data
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN, logit_logs, require_labels
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import Maxout, draw_uniform, one_hot
from reference_models.recipes import Recipe


class ConditionalGenerator(nn.Module):
    """z [N, latent size] and one-hot y [N, classes] => pixels [N, count] in [0, 1]."""

    def __init__(self, latent: int, classes: int, pixels: int) -> None:
        super().__init__()
        self.from_z = nn.Sequential(nn.Linear(latent, 200), nn.ReLU(), nn.Dropout(0.5))
        self.from_y = nn.Sequential(nn.Linear(classes, 1000), nn.ReLU(), nn.Dropout(0.5))
        self.joint = nn.Sequential(
            nn.Linear(1200, 1200), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1200, pixels), nn.Sigmoid()
        )

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """float32 [N, latent size], float32 [N, classes] => float32 [N, count]"""
        pixels: Tensor = self.joint(torch.cat([self.from_z(z), self.from_y(y)], dim=1))
        return pixels


class ConditionalDiscriminator(nn.Module):
    """Images [N, C, R, R] and one-hot y [N, classes] => logits [N]."""

    def __init__(self, pixels: int, classes: int) -> None:
        super().__init__()
        self.from_x = nn.Sequential(nn.Flatten(), Maxout(pixels, 240, 5), nn.Dropout(0.5))
        self.from_y = nn.Sequential(Maxout(classes, 50, 5), nn.Dropout(0.5))
        self.joint = nn.Sequential(Maxout(290, 240, 4), nn.Dropout(0.5), nn.Linear(240, 1), nn.Flatten(0))

    def forward(self, images: Tensor, y: Tensor) -> Tensor:
        """float32 [N, C, R, R], float32 [N, classes] => float32 [N]"""
        logits: Tensor = self.joint(torch.cat([self.from_x(images), self.from_y(y)], dim=1))
        return logits


class ConditionalGAN(GeneratorDiscriminatorGAN):
    """The paper's model, for images of any size, as vectors of pixels."""

    value_range: ClassVar[ValueRange] = "[0,1]"
    conditional: ClassVar[bool] = True
    objective = OBJECTIVES["non-saturating"]

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.classes = cast(int, data.classes)
        pixels = data.channels * data.resolution**2
        self.generator = ConditionalGenerator(recipe.latent.size, self.classes, pixels)
        self.discriminator = ConditionalDiscriminator(pixels, self.classes)
        draw_uniform(self.generator, 0.05)
        draw_uniform(self.discriminator, 0.005)

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """float32 [N, latent size], int64 [N] => float32 [N, C, R, R] in [0, 1]"""
        pixels: Tensor = self.generator(z, one_hot(require_labels(labels, self.recipe.variant), self.classes))
        return pixels.view(-1, self.data.channels, self.data.resolution, self.data.resolution)

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-log D(x|y) - log(1 - D(G(z|y)|y)), with the batch's own classes"""
        labels = require_labels(batch.labels, self.recipe.variant)
        y = one_hot(labels, self.classes)
        real = self.discriminator(batch.images, y)
        fake = self.discriminator(self.generate(self.latent(len(batch), rng=rng), labels), y)
        return self.objective.discriminator(real, fake), logit_logs(real, fake)

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-log D(G(z|y)|y)"""
        labels = require_labels(batch.labels, self.recipe.variant)
        images = self.generate(self.latent(len(batch), rng=rng), labels)
        return self.objective.generator(self.discriminator(images, one_hot(labels, self.classes))), {}
