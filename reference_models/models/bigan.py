"""Adversarial feature learning (Donahue, Krähenbühl, Darrell 2017): an encoder learns to invert the generator.

The discriminator sees pairs, (x, E(x)) or (G(z), z), and encoder and generator are one player, trained so that it
mistakes each for the other; at the optimum, E inverts G. The permutation-invariant MNIST network of the authors'
code: perceptrons with two hidden layers of 1024 units, without biases; batch normalisation without gains and shifts,
but not in the first layer of E and D; z, uniform in [-1, 1]^50, enters the generator's first and second layer, and only
the discriminator's second; a code is the encoder's output after a sigmoid, rescaled to [-1, 1]. Weights are N(0, 0.02),
those of the discriminator's output 0. Losses are halved, as in that code.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ganeval.ranges import ValueRange
from reference_models.base import GAN, Logs, Player
from reference_models.batches import Batch, Data
from reference_models.blocks import losses
from reference_models.blocks.adversarial import logit_logs
from reference_models.blocks.networks import SLOPE, draw_normal
from reference_models.models.bigan_recipes import Settings
from reference_models.recipes import Recipe

HIDDEN = 1024


class Perceptron(nn.Module):
    """Two hidden layers, the second one normalised; z, if any, is an additional input of the second.

    normalised: whether the first layer is normalised, too. activation: makes the activation of either layer.
    """

    def __init__(
        self, inputs: int, outputs: int, *, normalised: bool, activation: Callable[[], nn.Module], latent: int = 0
    ) -> None:
        super().__init__()
        entry = [_normalisation()] if normalised else []
        self.first = nn.Sequential(nn.Linear(inputs, HIDDEN, bias=False), *entry, activation())
        self.second = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.joining = nn.Linear(latent, HIDDEN, bias=False) if latent else None
        self.last = nn.Sequential(_normalisation(), activation(), nn.Linear(HIDDEN, outputs, bias=False))

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """float32 [N, ...], float32 [N, latent size] => float32 [N, outputs]"""
        second = self.second(self.first(x.flatten(1)))
        if self.joining is not None:
            second = second + self.joining(z)
        outputs: Tensor = self.last(second)
        return outputs


class BiGAN(GAN):
    """The paper's GAN with an encoder, for images of any size, as vectors of pixels."""

    value_range: ClassVar[ValueRange] = "[0,1]"

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        self.objective = losses.OBJECTIVES[cast(Settings, recipe.settings).loss]
        latent, pixels = recipe.latent.size, data.channels * data.resolution**2
        self._shape = data.channels, data.resolution, data.resolution
        leaky = partial(nn.LeakyReLU, SLOPE)
        self.generator = Perceptron(latent, pixels, normalised=True, activation=nn.ReLU, latent=latent)
        self.encoder = Perceptron(pixels, latent, normalised=False, activation=leaky)
        self.discriminator = Perceptron(pixels, 1, normalised=False, activation=leaky, latent=latent)
        draw_normal(self)
        nn.init.zeros_(cast(Tensor, self.discriminator.last[-1].weight))

    def players(self) -> Sequence[Player]:
        """The discriminator, then the generator and the encoder as one."""
        rates = self.recipe.optimizers
        both = (*self.generator.parameters(), *self.encoder.parameters())
        discriminator = tuple(self.discriminator.parameters())
        return (
            Player("discriminator", discriminator, rates["discriminator"], self.loss_discriminator),
            Player("generator", both, rates["generator"], self.loss_generator),
        )

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R] in [0, 1]"""
        pixels: Tensor = self.generator(z, z)
        return pixels.sigmoid().view(-1, *self._shape)

    def encode(self, images: Tensor) -> Tensor:
        """float32 [N, C, R, R] in [0, 1] => float32 [N, latent size] in [-1, 1]"""
        return self.unbounded(images).sigmoid() * 2 - 1

    def unbounded(self, images: Tensor) -> Tensor:
        """float32 [N, C, R, R] in [0, 1] => float32 [N, latent size], the code before its sigmoid"""
        code: Tensor = self.encoder(images)
        return code

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """Half of -log D(x, E(x)) - log(1 - D(G(z), z))"""
        real, fake = self._pairs(batch, rng)
        return self.objective.discriminator(real, fake) / 2, logit_logs(real, fake)

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """Half of -log(1 - D(x, E(x))) - log D(G(z), z), or the opposite of the discriminator's"""
        real, fake = self._pairs(batch, rng)
        # The generator's loss of negated logits is that of real pairs: 1 - sigmoid(t) = sigmoid(-t).
        return (self.objective.generator(fake) + self.objective.generator(-real)) / 2, {}

    def _pairs(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        z = self.latent(len(batch), rng=rng)
        real = self.discriminator(batch.images, self.encode(batch.images))
        return real.flatten(), self.discriminator(self.generate(z), z).flatten()


@torch.no_grad()
def reconstruction_ratio(model: BiGAN, images: Tensor) -> float:
    """Ratio of the mean distance |x - G(E(x))| to that between x and another image's reconstruction: below 1 if E
    inverts G.

    images: float32 [N, C, R, R] in [0, 1], N of 2 or more. The paper's MNIST model has 5.95 / 9.60 = 0.62.
    """
    rebuilt = model.generate(model.encode(images))
    own = (images - rebuilt).flatten(1).norm(dim=1).mean()
    other = (images - rebuilt.roll(1, 0)).flatten(1).norm(dim=1).mean()
    return float(own / other)


@torch.no_grad()
def neighbour_accuracy(model: BiGAN, known: Batch, asked: Batch) -> float:
    """The share of `asked` whose nearest neighbour in `known` has the same class, by the code before its sigmoid.

    Both have labels.
    """
    if known.labels is None or asked.labels is None:
        raise ValueError("both batches must have labels")
    nearest = torch.cdist(model.unbounded(asked.images), model.unbounded(known.images)).argmin(dim=1)
    return float((known.labels[nearest] == asked.labels).float().mean())


def _normalisation() -> nn.BatchNorm1d:
    return nn.BatchNorm1d(HIDDEN, eps=1e-8, affine=False)
