"""Two metrics, an extractor, a source and a GAN that ganeval finds once this package is installed."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ganeval.extractors import Request
from ganeval.ranges import ValueRange
from reference_models.batches import Data
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN
from reference_models.blocks.losses import OBJECTIVES
from reference_models.recipes import Adam, Latent, Recipe, Variant


def mean_distance(real: Tensor, fake: Tensor, *, p: float = 2.0) -> float:
    """Distance of the mean features."""
    return float((real.double().mean(0) - fake.double().mean(0)).norm(p))


def brightness(real: Tensor, fake: Tensor) -> Tensor:
    """Difference of brightness.

    Image pairs, uint8 [N, 3, H, W] each, to the value of each pair, [N].
    """
    return (real.double().mean((1, 2, 3)) - fake.double().mean((1, 2, 3))).abs()


class Colours(nn.Module):
    """Mean and spread of each colour: images [N, 3, H, W] in [0, 1] to features [N, 6]."""

    size = 16
    value_range = "[0,1]"

    def forward(self, images: Tensor) -> Tensor:
        """The features."""
        return torch.cat([images.mean((2, 3)), images.std((2, 3))], 1)


def open_colours(request: Request) -> nn.Module:  # noqa: ARG001, what every opener is given
    """Mean and spread of each colour."""
    return Colours()


@dataclass(frozen=True)
class Noise:
    """Uniform noise of so many pixels, drawn live."""

    size: int
    value_range = "[0,1]"
    num_samples = 100

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """n images."""
        return torch.rand(n, 3, self.size, self.size, generator=rng)


def open_noise(rest: str) -> Noise:
    """`noise:32` is uniform noise of 32 x 32 pixels."""
    return Noise(int(rest or 32))


class TinyGAN(GeneratorDiscriminatorGAN):
    """Two perceptrons with one hidden layer each."""

    value_range: ClassVar[ValueRange] = "[0,1]"
    objective = OBJECTIVES["non-saturating"]

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        shape = (data.channels, data.resolution, data.resolution)
        pixels = data.channels * data.resolution**2
        self.generator = nn.Sequential(
            *(nn.Linear(recipe.latent.size, 64), nn.ReLU()),
            *(nn.Linear(64, pixels), nn.Sigmoid(), nn.Unflatten(1, shape)),
        )
        self.discriminator = nn.Sequential(
            *(nn.Flatten(), nn.Linear(pixels, 64), nn.LeakyReLU(0.2)),
            *(nn.Linear(64, 1), nn.Flatten(0)),
        )


QUICK = Recipe(
    variant="tiny-gan",
    preset="quick",
    follows="nobody: it shows how a variant is added",
    data="digits:train",
    resolution=8,
    channels=1,
    latent=Latent(16, "normal"),
    batch=32,
    steps=20,
    optimizers={"discriminator": Adam(1e-3, (0.5, 0.999)), "generator": Adam(1e-3, (0.5, 0.999))},
)
TINY_GAN = Variant(
    name="tiny-gan",
    title="A GAN with as little as it can have",
    paper="none",
    task="images",
    model="ganeval_example:TinyGAN",
    recipes={"quick": QUICK},
    parameters={"discriminator": 4225, "generator": 5248},
)
