"""Are GANs created equal? (Lucic et al. 2018): one network, so that only the loss differs.

InfoGAN's: the generator is dense, 1024, 128 x (R/4)^2, then two fractionally-strided 4 x 4 convolutions, 64 wide and
the image's channels, sigmoid; the discriminator two strided convolutions, 64 and 128 wide, dense 1024, one output.
Leaky ReLU everywhere; z uniform in [-1, 1]^64. Under seven losses: minimax, non-saturating, least squares, Wasserstein
with clipping and with gradient penalty, DRAGAN, and BEGAN with an auto-encoder of the same parts.
"""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ganeval.ranges import ValueRange
from reference_models import losses
from reference_models.base import Batch, Data, Logs, Player
from reference_models.began import Balanced
from reference_models.networks import SLOPE, check_resolution, draw_normal, enlarge, shrink
from reference_models.pair import Pair, seen
from reference_models.presets.yardstick import BoundarySettings, Settings
from reference_models.recipes import Recipe
from reference_models.wgan import clip_

RESOLUTIONS = (16, 28, 32, 64, 128)
CODE = 64  # numbers in the auto-encoder's middle


class Yardstick(Pair):
    """The common network under a loss of logits, with a penalty, a clip, or neither."""

    value_range: ClassVar[ValueRange] = "[0,1]"

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        check_resolution("The yardstick's network", data.resolution, RESOLUTIONS)
        settings = self.settings = cast(Settings, recipe.settings)
        self.objective = losses.OBJECTIVES[settings.objective]
        self.generator = yardstick_generator(
            recipe.latent.size, data.channels, data.resolution, width=settings.width, dense=settings.dense
        )
        self.discriminator = nn.Sequential(
            *_halved(data.channels, settings.width, normalised=False),
            *_halved(settings.width, settings.width * 2, normalised=settings.normalised),
            nn.Flatten(),
            *_dense(settings.width * 2 * (data.resolution // 4) ** 2, settings.dense, normalised=settings.normalised),
            *(nn.Linear(settings.dense, 1), nn.Flatten(0)),
        )
        draw_normal(self)

    def discriminator_updates(self, step: int) -> int:  # noqa: ARG002
        """As often as its loss wants."""
        return self.settings.updates

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """The objective's, and the penalty's share."""
        images = self.generate(self.latent(len(batch), rng=rng))
        real, fake = self.judge(batch.images, images)
        loss, logs = self.objective.discriminator(real, fake), seen(real, fake)
        if self.settings.penalty is None:
            return loss, logs
        if self.settings.penalty == "between":
            penalty = losses.gradient_penalty(self.discriminator, batch.images, images, rng)
        else:
            penalty = losses.local_penalty(self.discriminator, batch.images, rng)
        return loss + self.settings.weight * penalty, logs | {"penalty": penalty}

    def after(self, player: Player, logs: Logs) -> Logs:  # noqa: ARG002
        """Clip the critic's weights, where its loss wants that."""
        if player.name == "discriminator" and self.settings.clip is not None:
            clip_(player.parameters, self.settings.clip)
        return {}


class YardstickBEGAN(Balanced):
    """The common generator before an auto-encoder of the common discriminator's size, balanced as in BEGAN."""

    value_range: ClassVar[ValueRange] = "[0,1]"

    def __init__(self, data: Data, recipe: Recipe) -> None:
        settings = cast(BoundarySettings, recipe.settings)
        super().__init__(data, recipe, gamma=settings.gamma, rate=settings.rate)
        self.settings = settings
        check_resolution("The yardstick's network", data.resolution, RESOLUTIONS)
        self.generator = yardstick_generator(
            recipe.latent.size, data.channels, data.resolution, width=settings.width, dense=settings.dense
        )
        self.discriminator = auto_encoder(data.channels, data.resolution, width=settings.width)
        draw_normal(self)

    def discriminator_updates(self, step: int) -> int:  # noqa: ARG002
        """As often as its loss wants."""
        return self.settings.updates


def yardstick_generator(latent: int, channels: int, resolution: int, *, width: int, dense: int) -> nn.Sequential:
    """z => images in [0, 1], by two dense and two convolutional layers."""
    quarter = resolution // 4
    return nn.Sequential(
        *_dense(latent, dense, normalised=True),
        *_dense(dense, width * 2 * quarter**2, normalised=True),
        nn.Unflatten(1, (width * 2, quarter, quarter)),
        *(enlarge(width * 2, width, 4), nn.BatchNorm2d(width), nn.LeakyReLU(SLOPE)),
        *(enlarge(width, channels, 4), nn.Sigmoid()),
    )


def auto_encoder(channels: int, resolution: int, *, width: int) -> nn.Sequential:
    """Images => images in [0, 1], through 64 numbers."""
    quarter = resolution // 4
    flat = width * 2 * quarter**2
    return nn.Sequential(
        *_halved(channels, width, normalised=False),
        *(shrink(width, width * 2, 4), nn.Flatten()),
        *_dense(flat, CODE, normalised=False),
        *_dense(CODE, flat, normalised=False),
        nn.Unflatten(1, (width * 2, quarter, quarter)),
        *(enlarge(width * 2, width, 4), nn.LeakyReLU(SLOPE), enlarge(width, channels, 4), nn.Sigmoid()),
    )


def _halved(before: int, after: int, *, normalised: bool) -> list[nn.Module]:
    normalisation: list[nn.Module] = [nn.BatchNorm2d(after)] if normalised else []
    return [shrink(before, after, 4), *normalisation, nn.LeakyReLU(SLOPE)]


def _dense(before: int, after: int, *, normalised: bool) -> list[nn.Module]:
    normalisation: list[nn.Module] = [nn.BatchNorm1d(after)] if normalised else []
    return [nn.Linear(before, after), *normalisation, nn.LeakyReLU(SLOPE)]
