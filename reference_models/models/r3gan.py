"""The GAN is dead; long live the GAN! A modern GAN baseline (Huang et al. 2024): R3GAN.

The discriminator compares each real with a fake: softplus(-(D(x) - D(G(z)))) plus gamma / 2 (R1 + R2), where R1 and R2
are the squared gradients at reals and at fakes, in every step. The generator minimises softplus(-(D(G(z)) - D(x))).
Each player draws its own reals and latents.

Both networks are stages from 4 x 4 to the resolution, all of one width: residual blocks of a 1 x 1, a grouped 3 x 3 and
a 1 x 1 convolution, the last of which begins at 0; resampling by [1, 2, 1]; at 4 x 4 a learned basis. There is no
normalisation, and no function at the output, so images of the generator may leave the range: losses use them unclamped,
and `generate` clamps them.

Learning rate, the second beta of Adam, gamma and the half-life of the average all follow half a cosine over the run.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganeval.errors import UsageError
from reference_models.base import GAN, Logs, Player
from reference_models.batches import Batch, Data
from reference_models.blocks.adversarial import logit_logs, require_labels
from reference_models.blocks.losses import OBJECTIVES
from reference_models.blocks.networks import SLOPE, check_resolution, doublings, one_hot
from reference_models.models.r3gan_recipes import Settings
from reference_models.recipes import Cosine, Recipe

RESOLUTIONS = (8, 16, 32, 64, 128, 256)
START = 4  # pixels of the first feature maps
EXPANSION = 2  # width inside a block, relative to the stage
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # of the leaky ReLU, as in He et al. 2015
HIDDEN = 3  # hidden layers of the perceptrons

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


class Block(nn.Module):
    """[N, width, S, S] => the same: 1 x 1, grouped 3 x 3 and 1 x 1 convolutions around an identity shortcut.

    The last is initialised to 0, so that the block starts as the identity, and the others with gain depth^(-1/4), the
    Fixup initialisation for three layers (Zhang et al. 2019). depth: blocks in the network.
    """

    def __init__(self, width: int, groups: int, depth: int) -> None:
        super().__init__()
        inside, gain = EXPANSION * width, GAIN * depth**-0.25
        self.residual = nn.Sequential(
            *(_drawn(nn.Conv2d(width, inside, 1), gain), nn.LeakyReLU(SLOPE)),
            *(_drawn(nn.Conv2d(inside, inside, 3, padding=1, groups=groups), gain), nn.LeakyReLU(SLOPE)),
            _drawn(nn.Conv2d(inside, width, 1, bias=False), 0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, width, S, S] => the same"""
        total: Tensor = x + self.residual(x)
        return total


class Resampling(nn.Module):
    """Doubles or halves the side, with the filter [1, 2, 1] around each pixel of the larger image, and zero padding."""

    def __init__(self) -> None:
        super().__init__()
        # [1, 2, 1] and the two pixels of a box.
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", (line[:, None] * line)[None, None], persistent=False)

    def _kernels(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.kernel).expand(x.shape[1], -1, -1, -1)


class Up(Resampling):
    """[N, C, S, S] => [N, C, 2S, 2S]"""

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, C, S, S] => float32 [N, C, 2S, 2S]"""
        return F.conv_transpose2d(x, 4 * self._kernels(x), stride=2, padding=1, groups=x.shape[1])


class Down(Resampling):
    """[N, C, S, S] => [N, C, S/2, S/2]"""

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, C, S, S] => float32 [N, C, S/2, S/2]"""
        return F.conv2d(x, self._kernels(x), stride=2, padding=1, groups=x.shape[1])


class Generator(nn.Module):
    """Latents [N, size], with classes [N, K] if it is conditional => images [N, C, R, R]."""

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__()
        settings, inputs = cast(Settings, recipe.settings), recipe.latent.size
        if settings.conditional:
            self.embedding = _drawn(nn.Linear(cast(int, data.classes), settings.embedding, bias=False), 1.0)
            inputs += settings.embedding
        self.basis = nn.Parameter(torch.randn(settings.width, START, START))
        self.strengths = _drawn(nn.Linear(inputs, settings.width, bias=False), 1.0)
        self.stages = _stages(settings, data.resolution, Up)
        self.output = _drawn(nn.Conv2d(settings.width, data.channels, 1, bias=False), 1.0)

    def forward(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """float32 [N, size], float32 [N, K] => float32 [N, C, R, R]"""
        inputs = z if classes is None else torch.cat([z, self.embedding(classes)], 1)
        images: Tensor = self.output(self.stages(self.basis * self.strengths(inputs)[:, :, None, None]))
        return images


class Discriminator(nn.Module):
    """Images [N, C, R, R], with classes [N, K] if it is conditional => outputs [N]."""

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__()
        settings = cast(Settings, recipe.settings)
        width, outputs = settings.width, settings.width if settings.conditional else 1
        if settings.conditional:
            self.embedding = _drawn(nn.Linear(cast(int, data.classes), outputs, bias=False), outputs**-0.5)
        self.input = _drawn(nn.Conv2d(data.channels, width, 1, bias=False), 1.0)
        self.stages = _stages(settings, data.resolution, Down)
        # A depthwise convolution to 1 x 1; written as a product, its second derivative needs no loop over channels.
        self.basis = nn.Parameter(torch.randn(width, START, START) / START)
        self.output = _drawn(nn.Linear(width, outputs, bias=False), 1.0)

    def forward(self, images: Tensor, classes: Tensor | None = None) -> Tensor:
        """float32 [N, C, R, R], float32 [N, K] => float32 [N]"""
        outputs: Tensor = self.output((self.stages(self.input(images)) * self.basis).sum((2, 3)))
        return outputs[:, 0] if classes is None else (outputs * self.embedding(classes)).sum(1)


class R3GAN(GAN):
    """The paper's GAN for images of a power of two from 8 pixels, or a perceptron for points and images of any size."""

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = self.settings = cast(Settings, recipe.settings)
        if settings.conditional and recipe.network == "perceptron":
            raise UsageError("R3GAN's perceptron learns without labels; leave settings.conditional out.")
        if recipe.network == "perceptron":
            pixels, shape = data.channels * data.resolution**2, (data.channels, data.resolution, data.resolution)
            self.generator: nn.Module = nn.Sequential(
                *_perceptron(recipe.latent.size, settings.width, pixels), nn.Unflatten(1, shape)
            )
            self.discriminator: nn.Module = nn.Sequential(
                nn.Flatten(), *_perceptron(pixels, settings.width, 1), nn.Flatten(0)
            )
        else:
            check_resolution("R3GAN's network", data.resolution, RESOLUTIONS)
            self.generator, self.discriminator = Generator(data, recipe), Discriminator(data, recipe)
        self.begin(0)

    @property
    def conditional(self) -> bool:
        """Set by the recipe."""
        return cast(Settings, self.recipe.settings).conditional

    def players(self) -> Sequence[Player]:
        """The discriminator, then the generator, each with its own reals."""
        rates = self.recipe.optimizers
        discriminator, generator = tuple(self.discriminator.parameters()), tuple(self.generator.parameters())
        return (
            Player("discriminator", discriminator, rates["discriminator"], self.loss_discriminator),
            Player("generator", generator, rates["generator"], self.loss_generator, shares=False),
        )

    def begin(self, step: int) -> None:
        """Set the weight of the penalties for this step."""
        self.gamma = Cosine(self.settings.gamma, self.settings.gamma_end).at(step, self.recipe.steps)

    def decay(self, updates: int) -> float:
        """The half-life rises from 0 to that of the recipe's decay; 0.5^(1/half-life) is ema^(1/share of it)."""
        share = Cosine(0.0, 1.0).at(updates - 1, self.recipe.steps)
        return (self.recipe.ema or 0.0) ** (1 / share) if share else 0.0

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """float32 [N, latent size], and int64 [N] if conditional => float32 [N, C, R, R], clamped to [-1, 1]"""
        return self._made(z, labels).clamp(-1.0, 1.0)

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """softplus(-(D(x) - D(G(z)))) + gamma / 2 (|grad D(x)|^2 + |grad D(G(z))|^2)"""
        with torch.no_grad():
            fakes = self._made(self.latent(len(batch), rng=rng), batch.labels)
        # No layer mixes images, so reals and fakes pass as one batch, and one gradient call gives all their gradients.
        images = torch.cat([batch.images, fakes]).requires_grad_()
        outputs = self._judged(images, None if batch.labels is None else batch.labels.repeat(2))
        real, fake = outputs.chunk(2)
        (gradients,) = torch.autograd.grad(outputs.sum(), images, create_graph=True)
        r1, r2 = gradients.float().flatten(1).square().sum(1).chunk(2)
        penalty = {"both": r1 + r2, "reals": r1, "fakes": r2}[self.settings.penalty]
        adversarial = (
            F.softplus(fake - real).mean()
            if self.settings.loss == "relativistic"
            else OBJECTIVES["non-saturating"].discriminator(real, fake)
        )
        return adversarial + self.gamma / 2 * penalty.mean(), logit_logs(real, fake) | {"penalty": penalty}

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """softplus(-(D(G(z)) - D(x)))"""
        fakes = self._made(self.latent(len(batch), rng=rng), batch.labels)
        fake = self._judged(fakes, batch.labels)
        if self.settings.loss == "non-saturating":
            return OBJECTIVES["non-saturating"].generator(fake), {}
        with torch.no_grad():
            real = self._judged(batch.images, batch.labels)
        return F.softplus(real - fake).mean(), {}

    def _made(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """The generator's unclamped images."""
        images: Tensor = self.generator(z, *self._classes(labels))
        return images

    def _judged(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """The discriminator's outputs [N]."""
        outputs: Tensor = self.discriminator(images, *self._classes(labels))
        return outputs

    def _classes(self, labels: Tensor | None) -> tuple[Tensor, ...]:
        """Further inputs of the networks: none, or classes; UsageError if they are missing."""
        if not self.conditional:
            return ()
        return (one_hot(require_labels(labels, self.recipe.variant), cast(int, self.data.classes)),)


def _stages(settings: Settings, resolution: int, between: type[Resampling]) -> nn.Sequential:
    """Blocks of each size, with resampling between sizes."""
    sizes = doublings(resolution, START) + 1
    layers: list[nn.Module] = []
    for stage in range(sizes):
        layers += [between()] if stage else []
        depth = sizes * settings.blocks
        layers += [Block(settings.width, settings.groups, depth) for _ in range(settings.blocks)]
    return nn.Sequential(*layers)


def _perceptron(inputs: int, width: int, outputs: int) -> list[nn.Module]:
    """Dense layers, leaky ReLU between them."""
    widths = [inputs, *[width] * HIDDEN]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [_drawn(nn.Linear(before, after), GAIN), nn.LeakyReLU(SLOPE)]
    return [*layers, _drawn(nn.Linear(width, outputs), 1.0)]


def _drawn(layer: Layer, gain: float) -> Layer:
    """Weights N(0, gain / sqrt(fan in)), biases 0."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
