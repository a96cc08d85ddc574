"""BEGAN: boundary equilibrium GANs (Berthelot, Schumm, Metz 2017): the discriminator is an auto-encoder.

The discriminator encodes an image into as many numbers as the generator's latent has and decodes it again; L is the
mean absolute error. Its decoder and the generator have the same architecture: 3 x 3 convolutions, all of one width,
ELU, nearest upsampling, no normalisation. k_t balances the two players, so that L(G(z)) stays at gamma times L(x), and
M_global measures convergence.
"""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from reference_models.base import Logs, Player
from reference_models.batches import Batch, Data
from reference_models.blocks import losses
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN
from reference_models.blocks.networks import check_resolution, doublings
from reference_models.models.began_recipes import Settings
from reference_models.recipes import Recipe

START = 8  # the side of the smallest feature maps


class Balanced(GeneratorDiscriminatorGAN):
    """A generator and an auto-encoder as discriminator, kept in balance; a subclass adds the networks.

    gamma: the target ratio of L(G(z)) to L(x). rate: the step size of k_t.
    """

    k: Tensor
    # Whether k_t is clamped to [0, 1].
    bounded: ClassVar[bool] = True

    def __init__(self, data: Data, recipe: Recipe, *, gamma: float, rate: float) -> None:
        super().__init__(data, recipe)
        self._gamma, self._rate = gamma, rate
        self.register_buffer("k", torch.zeros(()))
        self._real = torch.zeros(())

    def error(self, images: Tensor) -> Tensor:
        """L: the mean absolute error of the auto-encoder."""
        rebuilt: Tensor = self.discriminator(images)
        return (rebuilt - images).abs().mean()

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """L(x) - k_t L(G(z))"""
        real = self.error(batch.images)
        fake = self.error(self.generator(self.latent(len(batch), rng=rng)))
        return real - self.k * fake, {"error/real": real, "error/fake": fake}

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """L(G(z))"""
        return self.error(self.generator(self.latent(len(batch), rng=rng))), {}

    def after(self, player: Player, logs: Logs) -> Logs:
        """After the generator's update, k_t+1 and M_global from the errors of both updates."""
        if player.name == "discriminator":
            self._real = cast(Tensor, logs["error/real"])
            return {}
        return self.balance(self._real, cast(Tensor, logs["loss/generator"]))

    def balance(self, real: Tensor, fake: Tensor) -> Logs:
        """Update k_t from the errors of reals and fakes."""
        k, measure = losses.equilibrium(self.k, real, fake, gamma=self._gamma, rate=self._rate, bounded=self.bounded)
        self.k.copy_(k)
        return {"k": k, "M": measure}


class BEGAN(Balanced):
    """The paper's GAN. k_t is a buffer, and therefore in every checkpoint."""

    def __init__(self, data: Data, recipe: Recipe) -> None:
        settings = cast(Settings, recipe.settings)
        super().__init__(data, recipe, gamma=settings.gamma, rate=settings.rate)
        self.settings = settings
        check_resolution("BEGAN's network", data.resolution)
        latent, width = recipe.latent.size, settings.width
        self.generator = decoder(latent, data.channels, data.resolution, width=width)
        self.discriminator = nn.Sequential(
            encoder(data.channels, data.resolution, latent, width=width),
            decoder(latent, data.channels, data.resolution, width=width),
        )
        _draw(self)

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R], clamped to [-1, 1]: the network's output is linear"""
        images: Tensor = self.generator(z)
        return images.clamp(-1, 1)


def encoder(channels: int, resolution: int, latent: int, *, width: int) -> nn.Sequential:
    """Pairs of convolutions down to 8 x 8, each level wider by `width` than the last, and a linear map to the code."""
    downs = doublings(resolution, START)
    layers: list[nn.Module] = [*_convolution(channels, width)]
    for level in range(1, downs + 1):
        layers += [*_convolution(width * level, width * level), *_convolution(width * level, width * level)]
        layers += [nn.Conv2d(width * level, width * (level + 1), 3, stride=2, padding=1), nn.ELU()]
    wide = width * (downs + 1)
    layers += [*_convolution(wide, wide), *_convolution(wide, wide)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(wide * START**2, latent))


def decoder(latent: int, channels: int, resolution: int, *, width: int) -> nn.Sequential:
    """A linear map to 8 x 8, and pairs of convolutions with upsampling between them; the output is linear."""
    layers: list[nn.Module] = [nn.Linear(latent, width * START**2), nn.Unflatten(1, (width, START, START))]
    for _ in range(doublings(resolution, START)):
        layers += [*_convolution(width, width), *_convolution(width, width), nn.Upsample(scale_factor=2)]
    layers += [*_convolution(width, width), *_convolution(width, width), nn.Conv2d(width, channels, 3, padding=1)]
    return nn.Sequential(*layers)


def _draw(network: nn.Module) -> None:
    """Weights uniform with variance 2 / (fan in + fan out), biases 0, as there is no normalisation."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _convolution(before: int, after: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(before, after, 3, padding=1), nn.ELU()
