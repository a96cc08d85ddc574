"""Adversarial feature learning (Donahue, Krähenbühl, Darrell 2017): an encoder learns to undo the generator.

The discriminator sees pairs, (x, E(x)) or (G(z), z), and the encoder and the generator are one player who wants it to
mistake each for the other; where it succeeds, E inverts G. The permutation-invariant MNIST network: perceptrons with
two hidden layers of 1024 units; batch normalisation but for the first layer of E and D; z uniform in [-1, 1]^50.
"""

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ganeval.ranges import ValueRange
from reference_models import losses
from reference_models.base import GAN, Batch, Data, Logs, Player
from reference_models.networks import SLOPE, draw_normal
from reference_models.pair import seen
from reference_models.presets.bigan import Settings
from reference_models.recipes import Recipe

HIDDEN = 1024


class JointDiscriminator(nn.Module):
    """Images [N, C, R, R] and latents [N, latent size] => logits [N]."""

    def __init__(self, pixels: int, latent: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_leaky_perceptron(pixels + latent, 1), nn.Flatten(0))

    def forward(self, images: Tensor, z: Tensor) -> Tensor:
        """float32 [N, C, R, R], float32 [N, latent size] => float32 [N]"""
        logits: Tensor = self.layers(torch.cat([images.flatten(1), z], dim=1))
        return logits


class BiGAN(GAN):
    """The paper's GAN with an encoder, for images of any size: to a perceptron they are rows of pixels."""

    value_range: ClassVar[ValueRange] = "[0,1]"

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.objective = losses.OBJECTIVES[cast(Settings, recipe.settings).loss]
        latent, pixels = recipe.latent.size, data.channels * data.resolution**2
        shape = (data.channels, data.resolution, data.resolution)
        self.generator = nn.Sequential(
            *(nn.Linear(latent, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU()),
            *(nn.Linear(HIDDEN, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU()),
            *(nn.Linear(HIDDEN, pixels), nn.Sigmoid(), nn.Unflatten(1, shape)),
        )
        self.encoder = nn.Sequential(nn.Flatten(), *_leaky_perceptron(pixels, latent))
        self.discriminator = JointDiscriminator(pixels, latent)
        draw_normal(self)

    def players(self) -> Sequence[Player]:
        """The discriminator, then the generator and the encoder as one."""
        rates = self.recipe.optimizers
        both = (*self.generator.parameters(), *self.encoder.parameters())
        judge = tuple(self.discriminator.parameters())
        return (
            Player("discriminator", judge, rates["discriminator"], self.loss_discriminator),
            Player("generator", both, rates["generator"], self.loss_generator),
        )

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R] in [0, 1]"""
        images: Tensor = self.generator(z)
        return images

    def encode(self, images: Tensor) -> Tensor:
        """float32 [N, C, R, R] in [0, 1] => float32 [N, latent size]"""
        z: Tensor = self.encoder(images)
        return z

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-log D(x, E(x)) - log(1 - D(G(z), z))"""
        real, fake = self._pairs(batch, rng)
        return self.objective.discriminator(real, fake), seen(real, fake)

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-log(1 - D(x, E(x))) - log D(G(z), z), or the opposite of the discriminator's"""
        real, fake = self._pairs(batch, rng)
        # log(1 - D) of real pairs is what the generator's loss is to the other side: 1 - sigmoid(t) = sigmoid(-t).
        return self.objective.generator(fake) + self.objective.generator(-real), {}

    def _pairs(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        z = self.latent(len(batch), rng=rng)
        return self.discriminator(batch.images, self.encode(batch.images)), self.discriminator(self.generate(z), z)


@torch.no_grad()
def reconstruction_ratio(model: BiGAN, images: Tensor) -> float:
    """Mean distance |x - G(E(x))| over that of x to another image's reconstruction: below 1 when E inverts G.

    images: float32 [N, C, R, R] in [0, 1], N of 2 or more. The paper's MNIST model has 5.95 / 9.60 = 0.62.
    """
    rebuilt = model.generate(model.encode(images))
    own = (images - rebuilt).flatten(1).norm(dim=1).mean()
    other = (images - rebuilt.roll(1, 0)).flatten(1).norm(dim=1).mean()
    return float(own / other)


@torch.no_grad()
def neighbour_accuracy(model: BiGAN, known: Batch, asked: Batch) -> float:
    """The share of `asked` whose nearest neighbour in `known`, by encoding, is of its class. Both have labels."""
    if known.labels is None or asked.labels is None:
        raise ValueError("both batches must have labels")
    nearest = torch.cdist(model.encode(asked.images), model.encode(known.images)).argmin(dim=1)
    return float((known.labels[nearest] == asked.labels).float().mean())


def _leaky_perceptron(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """Two hidden layers, leaky ReLU; batch normalisation of the second."""
    return (
        *(nn.Linear(inputs, HIDDEN), nn.LeakyReLU(SLOPE)),
        *(nn.Linear(HIDDEN, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.LeakyReLU(SLOPE)),
        nn.Linear(HIDDEN, outputs),
    )
