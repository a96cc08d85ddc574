"""Are GANs created equal? (Lucic et al. 2018): one network, so that only the loss differs.

InfoGAN's: the generator is dense, 1024, 128 x (R/4)^2, then two fractionally-strided 4 x 4 convolutions, 64 wide and
the image's channels, sigmoid; the discriminator two strided convolutions, 64 and 128 wide, dense 1024, one output.
Leaky ReLU everywhere; z uniform in [-1, 1]^64. Seven losses: minimax, non-saturating, least squares, Wasserstein
with clipping and with gradient penalty, DRAGAN, and BEGAN with an auto-encoder of the same parts.

Everything follows the study's code (google/compare_gan from 2018-02 to 2018-10), which differs from the losses' papers:
least squares are of probabilities, not of logits; DRAGAN's slope is that of the probability, between an image and a
noisy, brighter copy; a slope is the square root of the squared gradient plus 0.0001; BEGAN's k_t is updated with every
update of the auto-encoder, and is not clamped to [0, 1].
"""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ganeval.ranges import ValueRange
from reference_models.base import Logs, Player
from reference_models.batches import Batch, Data
from reference_models.blocks import losses
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN, logit_logs
from reference_models.blocks.losses import clip_
from reference_models.blocks.networks import SLOPE, check_resolution, draw_normal
from reference_models.models.began import Balanced
from reference_models.models.lucic2018_recipes import BoundarySettings, Settings
from reference_models.recipes import Recipe

RESOLUTIONS = (16, 28, 32, 64, 128)
CODE = 64  # size of the auto-encoder's code
EPSILON = 1e-3  # of batch normalisation
ADDED = 1e-4  # added to squared slopes


class Lucic2018(GeneratorDiscriminatorGAN):
    """The common network with a loss of logits, and a penalty, a clip, or neither."""

    value_range: ClassVar[ValueRange] = "[0,1]"

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        check_resolution("The network of Lucic et al. 2018", data.resolution, RESOLUTIONS)
        settings = self.settings = cast(Settings, recipe.settings)
        self.objective = losses.OBJECTIVES[settings.objective]
        self.generator = infogan_generator(recipe.latent.size, data, settings)
        momentum = settings.momentum if settings.normalised else None
        self.discriminator = nn.Sequential(
            *_halved(data.channels, settings.width),
            *_halved(settings.width, settings.width * 2, momentum),
            nn.Flatten(),
            *_dense(settings.width * 2 * (data.resolution // 4) ** 2, settings.dense, momentum),
            *(nn.Linear(settings.dense, 1), nn.Flatten(0)),
        )
        _draw(self)

    def discriminator_updates(self, step: int) -> int:  # noqa: ARG002
        """The number of updates that the loss needs."""
        return self.settings.updates

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """The objective's loss, plus the weighted penalty."""
        images = self.generate(self.latent(len(batch), rng=rng))
        real, fake = self.discriminate(batch.images, images)
        loss, logs = self.objective.discriminator(real, fake), logit_logs(real, fake)
        if self.settings.penalty is None:
            return loss, logs
        if self.settings.penalty == "between":
            penalty = losses.gradient_penalty(self.discriminator, batch.images, images, rng, added=ADDED)
        else:
            penalty = losses.local_penalty(self.probability, batch.images, rng, added=ADDED)
        return loss + self.settings.weight * penalty, logs | {"penalty": penalty}

    def probability(self, images: Tensor) -> Tensor:
        """float32 [N, C, R, R] => float32 [N], the discriminator's probability that an image is real"""
        logits: Tensor = self.discriminator(images)
        return logits.sigmoid()

    def after(self, player: Player, logs: Logs) -> Logs:  # noqa: ARG002
        """Clip the critic's weights, if the settings have a clip."""
        if player.name == "discriminator" and self.settings.clip is not None:
            clip_(player.parameters, self.settings.clip)
        return {}


class Lucic2018BEGAN(Balanced):
    """The common generator with an auto-encoder of the common discriminator's size, balanced as in BEGAN.

    k_t is updated from the errors before each update of the auto-encoder, in the study's code from those after it.
    """

    value_range: ClassVar[ValueRange] = "[0,1]"
    bounded: ClassVar[bool] = False

    def __init__(self, data: Data, recipe: Recipe) -> None:
        settings = cast(BoundarySettings, recipe.settings)
        super().__init__(data, recipe, gamma=settings.gamma, rate=settings.rate)
        self.settings = settings
        check_resolution("The network of Lucic et al. 2018", data.resolution, RESOLUTIONS)
        self.generator = infogan_generator(recipe.latent.size, data, settings)
        self.discriminator = auto_encoder(data.channels, data.resolution, width=settings.width)
        _draw(self)

    def discriminator_updates(self, step: int) -> int:  # noqa: ARG002
        """The number of updates that the loss needs."""
        return self.settings.updates

    def after(self, player: Player, logs: Logs) -> Logs:
        """After each update of the auto-encoder, k_t+1 and M_global from its errors."""
        if player.name != "discriminator":
            return {}
        return self.balance(cast(Tensor, logs["error/real"]), cast(Tensor, logs["error/fake"]))


def infogan_generator(latent: int, data: Data, settings: Settings | BoundarySettings) -> nn.Sequential:
    """z => images in [0, 1], through two dense and two convolutional layers."""
    quarter, width, momentum = data.resolution // 4, settings.width, settings.momentum
    return nn.Sequential(
        *_dense(latent, settings.dense, momentum),
        *_dense(settings.dense, width * 2 * quarter**2, momentum),
        nn.Unflatten(1, (width * 2, quarter, quarter)),
        *(_doubled(width * 2, width), nn.BatchNorm2d(width, EPSILON, momentum), nn.LeakyReLU(SLOPE)),
        *(_doubled(width, data.channels), nn.Sigmoid()),
    )


def auto_encoder(channels: int, resolution: int, *, width: int) -> nn.Sequential:
    """Images => images in [0, 1], through a code of 64 numbers."""
    quarter = resolution // 4
    flat = width * 2 * quarter**2
    return nn.Sequential(
        *_halved(channels, width),
        *(nn.Conv2d(width, width * 2, 4, stride=2, padding=1), nn.Flatten()),
        *_dense(flat, CODE),
        *_dense(CODE, flat),
        nn.Unflatten(1, (width * 2, quarter, quarter)),
        *(_doubled(width * 2, width), nn.LeakyReLU(SLOPE), _doubled(width, channels), nn.Sigmoid()),
    )


def _halved(before: int, after: int, momentum: float | None = None) -> list[nn.Module]:
    """momentum: of the normalisation's running statistics, None for no normalisation."""
    normalisation = [] if momentum is None else [nn.BatchNorm2d(after, EPSILON, momentum)]
    return [nn.Conv2d(before, after, 4, stride=2, padding=1), *normalisation, nn.LeakyReLU(SLOPE)]


def _doubled(before: int, after: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)


def _dense(before: int, after: int, momentum: float | None = None) -> list[nn.Module]:
    """momentum: of the normalisation's running statistics, None for no normalisation."""
    normalisation = [] if momentum is None else [nn.BatchNorm1d(after, EPSILON, momentum)]
    return [nn.Linear(before, after), *normalisation, nn.LeakyReLU(SLOPE)]


def _draw(network: nn.Module) -> None:
    """Weights N(0, 0.02), truncated at two standard deviations in strided convolutions; gains 1, biases 0."""
    draw_normal(network, gains=0.0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, 0.0, 0.02, -0.04, 0.04)
