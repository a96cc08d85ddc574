"""Photo-realistic super-resolution (Ledig et al. 2017): a residual network, trained first on pixels and then
adversarially.

In the first phase (SRResNet) it minimises the mean squared error; in the second (SRGAN) a content loss and an
adversarial loss; the discriminator sees large images. As in the paper, the network gets inputs in [0, 1], and its
outputs are in [-1, 1], but unbounded; only translated images are clamped.
"""

from collections.abc import Sequence
from math import ceil, log2
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ganeval.errors import UsageError
from reference_models.base import Logs, Player, Translator, during
from reference_models.batches import Data, PairBatch
from reference_models.blocks.adversarial import logit_logs
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import SLOPE
from reference_models.blocks.vgg import feature_distance, vgg19
from reference_models.models.srgan_recipes import Settings
from reference_models.recipes import Recipe

SCALES = (2, 4)
# VGG's features are divided by this, so that their squared differences have about the size of those of pixels.
FEATURE_SCALE = 12.75


class SRGAN(Translator):
    """The residual network, and the discriminator of the second phase."""

    objective = OBJECTIVES["non-saturating"]
    multiple = 1

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = self.settings = cast(Settings, recipe.settings)
        _check(settings, data)
        self.pretrained = round(settings.pretraining * recipe.steps)
        self.generator = SRResNet(
            data.channels, scale=settings.scale, blocks=settings.blocks, width=settings.width, skip=settings.skip
        )
        self.discriminator = Discriminator(
            data.channels, data.resolution, width=settings.critic_width, dense=settings.dense
        )

    @classmethod
    def data_for(cls, recipe: Recipe, classes: int | None = None) -> Data:
        """Inputs are smaller by `settings.scale`."""
        side = recipe.resolution // cast(Settings, recipe.settings).scale
        return Data(recipe.channels, recipe.resolution, classes, input_channels=recipe.channels, input_resolution=side)

    def players(self) -> Sequence[Player]:
        """The generator in the first phase; the discriminator, and the generator again, in the second."""
        rates, generator = self.recipe.optimizers, tuple(self.generator.parameters())
        discriminator, later = tuple(self.discriminator.parameters()), during(self.pretrained)
        return (
            Player("srresnet", generator, rates["srresnet"], self.loss_srresnet, during(0, self.pretrained)),
            Player("discriminator", discriminator, rates["discriminator"], self.loss_discriminator, later),
            Player("generator", generator, rates["generator"], self.loss_generator, later),
        )

    def phase(self, step: int) -> str:
        """The phase of a step: "srresnet" or "adversarial"."""
        return "srresnet" if step < self.pretrained else "adversarial"

    def begin(self, step: int) -> None:  # noqa: ARG002
        """Report missing weights of VGG-19 before the first step, not after the first phase."""
        if self.pretrained < self.recipe.steps and self.settings.content == "vgg":
            self._vgg()

    def translate(self, inputs: Tensor, *, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """float32 [N, C, H, W] => float32 [N, C, scale H, scale W], both in [-1, 1]"""
        return self.enlarged(inputs).clamp(-1, 1)

    def enlarged(self, inputs: Tensor) -> Tensor:
        """The unclamped outputs, for the losses."""
        images: Tensor = self.generator((inputs + 1) / 2)
        return images

    def loss_srresnet(self, batch: PairBatch, rng: torch.Generator) -> tuple[Tensor, Logs]:  # noqa: ARG002
        """The mean squared error of pixels in [-1, 1]."""
        apart = _squares(self.enlarged(batch.inputs), batch.images)
        return apart.mean(), {"mse": apart}

    def loss_discriminator(self, batch: PairBatch, rng: torch.Generator) -> tuple[Tensor, Logs]:  # noqa: ARG002
        """Cross-entropy of large images and of enlarged ones."""
        with torch.no_grad():
            made = self.enlarged(batch.inputs)
        real, fake = self.discriminator(batch.images), self.discriminator(made)
        return self.objective.discriminator(real, fake), logit_logs(real, fake)

    def loss_generator(self, batch: PairBatch, rng: torch.Generator) -> tuple[Tensor, Logs]:  # noqa: ARG002
        """The content loss, and the weighted adversarial loss."""
        made = self.enlarged(batch.inputs)
        content = self.content(made, batch.images)
        loss = content.mean()
        if self.settings.adversarial:
            loss = loss + self.settings.adversarial * self.objective.generator(self.discriminator(made))
        return loss, {"content": content, "mse": _squares(made, batch.images)}

    def content(self, made: Tensor, images: Tensor) -> Tensor:
        """The content loss of each image, [N]."""
        if self.settings.content == "pixels":
            return _squares(made, images)
        return feature_distance(self._vgg(), made, images, scale=FEATURE_SCALE)

    def _vgg(self) -> nn.Module:
        # Not a submodule of the model: it is neither trained nor saved.
        return vgg19(self.settings.vgg, str(next(self.parameters()).device))


class SRResNet(nn.Module):
    """[N, C, H, W] in [0, 1] => [N, C, scale H, scale W], about in [-1, 1].

    skip: "bicubic" adds the enlarged input, and the last convolution begins at 0, so that training begins there.
    """

    def __init__(self, channels: int, *, scale: int, blocks: int, width: int, skip: str) -> None:
        super().__init__()
        self.scale, self.skip = scale, skip
        self.input = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)), *_convolution(width))
        ups = (
            (nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()) for _ in range(int(log2(scale)))
        )
        self.output = nn.Sequential(*(layer for up in ups for layer in up), nn.Conv2d(width, channels, 9, padding=4))
        if skip == "bicubic":
            last = cast(nn.Conv2d, self.output[-1])
            nn.init.zeros_(last.weight)
            nn.init.zeros_(cast(Tensor, last.bias))

    def forward(self, inputs: Tensor) -> Tensor:
        """float32 [N, C, H, W] in [0, 1] => float32 [N, C, scale H, scale W]"""
        seen = self.input(inputs)
        made: Tensor = self.output(seen + self.blocks(seen))
        return made + bicubic(2 * inputs - 1, self.scale) if self.skip == "bicubic" else made


def bicubic(images: Tensor, scale: int) -> Tensor:
    """Images enlarged by Pillow's bicubic filter, before rounding and clamping."""
    # Without `antialias`, torch uses another filter.
    return interpolate(images, scale_factor=scale, mode="bicubic", antialias=True)


class Block(nn.Module):
    """[N, width, H, W] => the same shape: two normalised convolutions and an identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(*_convolution(width), nn.PReLU(), *_convolution(width))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, width, H, W] => the same"""
        total: Tensor = x + self.residual(x)
        return total


def _convolution(width: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)


class Discriminator(nn.Sequential):
    """[N, C, R, R] => logits [N]: eight convolutions, every second with stride 2, and two dense layers."""

    def __init__(self, channels: int, resolution: int, *, width: int, dense: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(SLOPE)]
        before, side = width, resolution
        for number in range(1, 8):
            after, stride = width * 2 ** (number // 2), 1 + number % 2
            layers += [nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE)]
            before, side = after, ceil(side / stride)
        super().__init__(
            *layers,
            *(nn.Flatten(), nn.Linear(before * side**2, dense), nn.LeakyReLU(SLOPE)),
            *(nn.Linear(dense, 1), nn.Flatten(0)),
        )


def _squares(made: Tensor, images: Tensor) -> Tensor:
    """The mean squared error of each image, [N]."""
    return (made - images).square().mean((1, 2, 3))


def _check(settings: Settings, data: Data) -> None:
    """UsageError for impossible settings, and for images that do not fit them."""
    if settings.scale not in SCALES:
        raise UsageError(f"srgan makes images larger by 2 or 4 times, not by {settings.scale} (settings.scale).")
    if settings.pretraining > 1:
        raise UsageError(
            f"pretraining is {settings.pretraining:g}; it is the share of the steps that train SRResNet, from 0 to 1."
        )
    small, large = data.input_resolution, data.resolution
    if small is None or small * settings.scale != large:
        raise UsageError(
            f"srgan makes images larger by {settings.scale} times here, but these have {small} pixels per side with "
            f"targets of {large}; give lowres:SOURCE,{settings.scale}, choose settings.scale, or a --resolution that "
            f"{settings.scale} divides."
        )
    if data.input_channels != data.channels:
        raise UsageError(
            f"srgan's inputs and targets must have the same channels, but these have {data.input_channels} and "
            f"{data.channels}; give both in colour, or both in grey."
        )
