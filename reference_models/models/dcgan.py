"""Unsupervised representation learning with deep convolutional GANs (Radford, Metz, Chintala 2015).

The paper's network projects z to 1024 feature maps of 4 x 4 and upsamples four times with fractionally-strided
5 x 5 convolutions, to 512, 256, 128 and the image's channels; the discriminator mirrors it. Batch normalisation
everywhere except at the generator's output and the discriminator's input; ReLU and tanh; leaky ReLU 0.2; weights drawn
from N(0, 0.02).

The second network, widely used for 28 x 28 images, has nearest upsampling followed by convolutions; its discriminator
has dropout of 0.25. Its running statistics keep 0.8 of their value per step, which is momentum 0.2 in torch's terms
(and not an epsilon). The third is that of pytorch-gan-collections, in `collection.py`.
"""

from itertools import pairwise
from typing import cast

from torch import nn

from reference_models.batches import Data
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN
from reference_models.blocks.collection import narrow_discriminator, wide_generator
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import (
    SLOPE,
    check_resolution,
    conv_discriminator,
    conv_generator,
    draw_normal,
)
from reference_models.models.dcgan_recipes import Settings
from reference_models.recipes import Recipe

MOMENTUM = 0.2
UPSAMPLED = range(16, 129, 4)


class DCGAN(GeneratorDiscriminatorGAN):
    """The paper's GAN, the upsampling one, or the collection's, with the non-saturating loss.

    -log D(x) - log(1 - D(G(z))), and -log D(G(z)).
    """

    objective = OBJECTIVES["non-saturating"]

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = cast(Settings, recipe.settings)
        latent, width = recipe.latent.size, settings.width
        self.generator_batch = settings.generator_batch
        if recipe.network == "collection":
            self.generator = wide_generator(latent, data.channels, data.resolution, width=width)
            self.discriminator = narrow_discriminator(data.channels, data.resolution, width=width // 2)
            return
        if recipe.network == "upsample":
            check_resolution("The upsampling network", data.resolution, UPSAMPLED)
            self.generator = upsample_generator(latent, data.channels, data.resolution, width=width)
            self.discriminator = dropout_discriminator(data.channels, data.resolution, width=width // 4)
        else:
            fits = f", or the network that makes {data.resolution} x {data.resolution}: --network upsample"
            otherwise = fits if data.resolution in UPSAMPLED else ""
            check_resolution("DCGAN's network", data.resolution, otherwise=otherwise)
            self.generator = conv_generator(latent, data.channels, data.resolution, width=width, kernel=5)
            self.discriminator = conv_discriminator(data.channels, data.resolution, width=width, kernel=5)
        draw_normal(self)


def upsample_generator(latent: int, channels: int, resolution: int, *, width: int) -> nn.Sequential:
    """A dense layer to `width` feature maps of R/4 x R/4, two upsamplings with convolutions, a last convolution."""
    quarter = resolution // 4
    return nn.Sequential(
        *(nn.Linear(latent, width * quarter**2), nn.ReLU(), nn.Unflatten(1, (width, quarter, quarter))),
        *_upsampled(width, width),
        *_upsampled(width, width // 2),
        *(nn.Conv2d(width // 2, channels, 3, padding=1), nn.Tanh()),
    )


def dropout_discriminator(channels: int, resolution: int, *, width: int) -> nn.Sequential:
    """Four strided 3 x 3 convolutions, each twice as wide as the last, and one output."""
    widths = [width, width * 2, width * 4, width * 8]
    layers: list[nn.Module] = [*_dropped(channels, width)]
    for before, after in pairwise(widths):
        convolution, *rest = _dropped(before, after)
        layers += [convolution, nn.BatchNorm2d(after, momentum=MOMENTUM), *rest]
    side = -(-resolution // 16)
    layers += [nn.Flatten(), nn.Linear(widths[-1] * side**2, 1), nn.Flatten(0)]
    return nn.Sequential(*layers)


def _upsampled(before: int, after: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, after, 3, padding=1)
    return nn.Upsample(scale_factor=2), convolution, nn.BatchNorm2d(after, momentum=MOMENTUM), nn.ReLU()


def _dropped(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE), nn.Dropout2d(0.25)
