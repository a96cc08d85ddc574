"""Conditional image synthesis with auxiliary classifier GANs (Odena, Olah, Shlens 2017): D also predicts the class.

The CIFAR-10 network: z and the one-hot class to 384 feature maps of 4 x 4, then 5 x 5 fractionally-strided
convolutions to 192, 96 and the image's channels; a discriminator of six 3 x 3 convolutions, 16 to 512 wide, with
dropout of one half after each. Its class head returns logits; only the cross-entropy applies the softmax.
"""

from itertools import pairwise
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reference_models.base import Logs
from reference_models.batches import Batch, Data
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN, logit_logs, require_labels
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import SLOPE, check_resolution, doublings, draw_normal, enlarge, one_hot
from reference_models.models.acgan_recipes import Settings
from reference_models.recipes import Recipe


class ClassifyingDiscriminator(nn.Module):
    """Images [N, C, R, R] => logits of being real [N] and of the classes [N, classes]."""

    def __init__(self, channels: int, resolution: int, classes: int, *, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(6)]
        layers: list[nn.Module] = [*_convolution(channels, width, stride=2)]
        for level, (before, after) in enumerate(pairwise(widths), start=1):
            convolution, *rest = _convolution(before, after, stride=1 if level % 2 else 2)
            layers += [convolution, nn.BatchNorm2d(after), *rest]
        self.features = nn.Sequential(*layers, nn.Flatten())
        places = (resolution // 8) ** 2
        self.real = nn.Linear(widths[-1] * places, 1)
        self.classes = nn.Linear(widths[-1] * places, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """float32 [N, C, R, R] => float32 [N], float32 [N, classes]"""
        features = self.features(images)
        return self.real(features).flatten(), self.classes(features)


class ACGAN(GeneratorDiscriminatorGAN):
    """The paper's GAN, with the non-saturating loss."""

    conditional: ClassVar[bool] = True
    objective = OBJECTIVES["non-saturating"]

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        check_resolution("AC-GAN's network", data.resolution)
        settings, self.classes = cast(Settings, recipe.settings), cast(int, data.classes)
        inputs, width = recipe.latent.size + self.classes, settings.generator_width
        self.generator = class_generator(inputs, data.channels, data.resolution, width=width)
        self.discriminator = ClassifyingDiscriminator(
            data.channels, data.resolution, self.classes, width=settings.discriminator_width
        )
        draw_normal(self)

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """float32 [N, latent size], int64 [N] => float32 [N, C, R, R] in [-1, 1]"""
        y = one_hot(require_labels(labels, self.recipe.variant), self.classes)
        images: Tensor = self.generator(torch.cat([z, y], dim=1))
        return images

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-L_S - L_C: real or fake, and the class, for reals and fakes"""
        labels = require_labels(batch.labels, self.recipe.variant)
        images, asked = self._drawn(len(batch), rng)
        real, real_classes = self.discriminator(batch.images)
        fake, fake_classes = self.discriminator(images)
        classes = F.cross_entropy(real_classes, labels) + F.cross_entropy(fake_classes, asked)
        logs = logit_logs(real, fake) | {"loss/class": classes}
        return self.objective.discriminator(real, fake) + classes, logs

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """L_S - L_C: appear real, and of the requested class"""
        images, asked = self._drawn(len(batch), rng)
        fake, classes = self.discriminator(images)
        return self.objective.generator(fake) + F.cross_entropy(classes, asked), {}

    def _drawn(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images of random classes, and the classes."""
        z = self.latent(n, rng=rng)
        asked = torch.randint(self.classes, (n,), generator=rng, device=rng.device)
        return self.generate(z, asked), asked


def class_generator(inputs: int, channels: int, resolution: int, *, width: int) -> nn.Sequential:
    """Dense to 4 x 4, `width` channels and ReLU; then enlarged, each time half as wide, with batch normalisation."""
    ups = doublings(resolution, 4)
    widths = [width // 2**level for level in range(ups)]
    layers: list[nn.Module] = [nn.Linear(inputs, width * 4 * 4), nn.ReLU(), nn.Unflatten(1, (width, 4, 4))]
    for before, after in pairwise(widths):
        layers += [enlarge(before, after, 5), nn.BatchNorm2d(after), nn.ReLU()]
    layers += [enlarge(widths[-1], channels, 5), nn.Tanh()]
    return nn.Sequential(*layers)


def _convolution(before: int, after: int, *, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, stride, padding=1), nn.LeakyReLU(SLOPE), nn.Dropout(0.5)
