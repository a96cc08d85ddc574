"""Denoising diffusion probabilistic models (Ho et al. 2020): one player, a U-Net that predicts the noise in an image.

Step t adds noise of variance beta_t, so that x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise, where a_t is the product of
1 - beta over steps 0 to t. The network is given x_t and t and learns the noise by its mean squared error. Images are
drawn from x_T, normal noise, by removing noise step by step:

- "ddim" (Song et al. 2021, eta 0): the predicted image and the predicted noise are mixed again at the next, lower
  level. There is no other randomness. As in its authors' code, predicted images are not clipped on the way.
- "ddpm": the mean of the posterior of the next level, and noise of the larger of the paper's variances ("fixedlarge";
  1 - a_t / a_s from level t to level s). Predicted images are clipped to [-1, 1].

The latent of an image is its x_T, so it has one number for each pixel and channel. For "ddpm", the noise of the steps
comes from a generator that is seeded by the digest of the image's latent: the latent determines the image, alone or in
a batch, but images of neighbouring latents are not similar, so interpolations are not continuous.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganeval.errors import UsageError
from reference_models.base import GAN, Logs, Player
from reference_models.batches import Batch, Data
from reference_models.models.ddpm_recipes import Settings
from reference_models.recipes import Recipe

# Epsilon of group normalisation, as in the authors' code (TensorFlow's default).
EPSILON = 1e-6
# Longest wavelength of the sinusoidal embedding of a step.
LONGEST = 10_000
# With quadratic spacing, the highest step lies at this share of T, as in the authors' code of DDIM.
QUADRATIC_END = 0.8


class DDPM(GAN):
    """A U-Net that predicts noise, and the samplers that draw images from it."""

    one_pass: ClassVar[bool] = False
    alpha_bars: Tensor

    def __init__(self, data: Data, recipe: Recipe) -> None:
        """UsageError for settings or a resolution that the U-Net or the sampler does not support."""
        size = data.channels * data.resolution**2
        super().__init__(data, replace(recipe, latent=replace(recipe.latent, size=size)))
        settings = self.settings = cast(Settings, recipe.settings)
        _check(settings, data)
        self.network = UNet(data, settings)
        betas = torch.linspace(settings.beta_start, settings.beta_end, settings.diffusion_steps, dtype=torch.float64)
        kept = (1 - betas).cumprod(0)
        self.register_buffer("alpha_bars", kept.float(), persistent=False)
        self._alpha_bars: list[float] = kept.tolist()

    def players(self) -> tuple[Player]:
        """Only the network."""
        optimizer = self.recipe.optimizers["generator"]
        return (Player("generator", tuple(self.network.parameters()), optimizer, self.loss_generator),)

    def diffuse(self, images: Tensor, steps: Tensor, noise: Tensor) -> Tensor:
        """Images [N, C, R, R] with the noise [N, C, R, R] of steps int64 [N], from 0 to T - 1."""
        kept = self.alpha_bars[steps][:, None, None, None]
        return kept.sqrt() * images + (1 - kept).sqrt() * noise

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """The mean squared error of the predicted noise, at a step drawn for each image."""
        steps = torch.randint(len(self.alpha_bars), (len(batch),), generator=rng, device=rng.device)
        noise = torch.randn(batch.images.shape, generator=rng, device=rng.device)
        predicted = self.network(self.diffuse(batch.images, steps, noise), steps)
        return F.mse_loss(predicted, noise), {}

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, C R R], x_T => float32 [N, C, R, R], clamped to [-1, 1]; drawn as in `settings`."""
        noisy = z.view(-1, self.data.channels, self.data.resolution, self.data.resolution)
        levels = self.levels(self.visited())
        source = _RowNoise(z) if self.settings.sampler == "ddpm" else None
        for (step, kept), (_, target) in zip(levels, [*levels[1:], (-1, 1.0)], strict=True):
            noise = self.network(noisy, torch.full((len(z),), step, device=z.device))
            image = (noisy - math.sqrt(1 - kept) * noise) / math.sqrt(kept)
            if source is None:
                noisy = math.sqrt(target) * image + math.sqrt(1 - target) * noise
                continue
            noisy = posterior_mean(image.clamp(-1, 1), noisy, kept, target)
            if target < 1:
                noisy = noisy + math.sqrt(1 - kept / target) * source.draw(noisy.shape[1:])
        return noisy.clamp(-1, 1)

    def visited(self) -> list[int]:
        """The steps that a sampler visits, from high to low and each once; the last is 0."""
        total, count = self.settings.diffusion_steps, self.settings.sampling_steps
        if self.settings.spacing == "linear":
            return [number * total // count for number in reversed(range(count))]
        roots = np.linspace(0, math.sqrt(QUADRATIC_END * total), count)
        return sorted({int(step) for step in roots**2}, reverse=True)

    def levels(self, steps: Sequence[int]) -> list[tuple[int, float]]:
        """Each step with its a_t, the share of the image's variance in x_t."""
        return [(step, self._alpha_bars[step]) for step in steps]


def posterior_mean(image: Tensor, noisy: Tensor, kept: float, target: float) -> Tensor:
    """The mean of x_s given x_0 and x_t, for a_t (`kept`) and a_s (`target`, the larger).

    For neighbouring steps it is the paper's equation 7; further apart, 1 - a_t / a_s replaces beta.
    """
    beta = 1 - kept / target
    of_image = math.sqrt(target) * beta / (1 - kept)
    of_noisy = math.sqrt(1 - beta) * (1 - target) / (1 - kept)
    return of_image * image + of_noisy * noisy


class _RowNoise:
    """Normal noise for each image of a batch, from a generator of its own, whose seed is the digest of its latent."""

    def __init__(self, z: Tensor) -> None:
        digests = [hashlib.blake2b(row.tobytes(), digest_size=4).digest() for row in z.detach().cpu().float().numpy()]
        self._generators = [torch.Generator().manual_seed(int.from_bytes(digest, "little")) for digest in digests]
        self._device = z.device

    def draw(self, shape: torch.Size) -> Tensor:
        """float32 [N, *shape]"""
        rows = [torch.randn(shape, generator=generator) for generator in self._generators]
        return torch.stack(rows).to(self._device)


class UNet(nn.Module):
    """Predicts the noise in images, given their steps: residual blocks down to the lowest resolution and up again.

    Every output on the way down is also an input of a block of the same resolution on the way up.
    """

    def __init__(self, data: Data, settings: Settings) -> None:
        super().__init__()
        width, self.width = settings.width, settings.width
        embedding = 4 * width
        self.embedding = nn.Sequential(_dense(width, embedding), nn.SiLU(), _dense(embedding, embedding), nn.SiLU())
        self.entry = _conv(data.channels, width)
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        # Channels of all outputs on the way down.
        kept = [width]

        def block(before: int, after: int, *, attends: bool) -> "Block":
            return Block(before, after, embedding, settings.groups, settings.dropout, attends=attends)

        for level in range(settings.levels):
            channels, attends = _channels(settings, level), data.resolution >> level == settings.attention
            for _ in range(settings.blocks):
                down.append(block(kept[-1], channels, attends=attends))
                kept.append(channels)
            if level < settings.levels - 1:
                down.append(Shrink(channels))
                kept.append(channels)
        lowest = kept[-1]
        self.down = nn.ModuleList(down)
        self.middle = nn.ModuleList([block(lowest, lowest, attends=True), block(lowest, lowest, attends=False)])
        now = lowest
        for level in reversed(range(settings.levels)):
            channels, attends = _channels(settings, level), data.resolution >> level == settings.attention
            for _ in range(settings.blocks + 1):
                up.append(block(now + kept.pop(), channels, attends=attends))
                now = channels
            if level:
                up.append(nn.Sequential(nn.Upsample(scale_factor=2), _conv(channels, channels)))
        self.up = nn.ModuleList(up)
        self.exit = nn.Sequential(_norm(settings.groups, width), nn.SiLU(), _zeroed(_conv(width, data.channels)))

    def forward(self, noisy: Tensor, steps: Tensor) -> Tensor:
        """float32 [N, C, R, R], int64 [N] => the noise, float32 [N, C, R, R]"""
        time: Tensor = self.embedding(sinusoids(steps, self.width))
        x = self.entry(noisy)
        kept = [x]
        for layer in self.down:
            x = layer(x, time) if isinstance(layer, Block) else layer(x)
            kept.append(x)
        for layer in self.middle:
            x = layer(x, time)
        for layer in self.up:
            x = layer(torch.cat([x, kept.pop()], 1), time) if isinstance(layer, Block) else layer(x)
        noise: Tensor = self.exit(x)
        return noise


class Block(nn.Module):
    """[N, before, S, S] => [N, after, S, S]: two convolutions, the step added between them, optional attention."""

    def __init__(self, before: int, after: int, embedding: int, groups: int, dropout: float, *, attends: bool) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(groups, before), nn.SiLU(), _conv(before, after))
        self.time = _dense(embedding, after)
        self.second = nn.Sequential(_norm(groups, after), nn.SiLU(), nn.Dropout(dropout), _zeroed(_conv(after, after)))
        self.shortcut = nn.Identity() if before == after else _drawn(nn.Conv2d(before, after, 1))
        self.attention = Attention(after, groups) if attends else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """float32 [N, before, S, S], the step's embedding [N, D] => float32 [N, after, S, S]"""
        inner = self.first(x) + self.time(time)[:, :, None, None]
        total: Tensor = self.attention(self.shortcut(x) + self.second(inner))
        return total


class Attention(nn.Module):
    """[N, width, S, S] => the same: self-attention over all positions, with one head."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = _norm(groups, width)
        # One layer for queries, keys and values; each third is initialised as a separate layer.
        self.inputs = nn.Conv2d(width, 3 * width, 1)
        for part in self.inputs.weight.data.chunk(3):
            nn.init.xavier_uniform_(part)
        nn.init.zeros_(cast(Tensor, self.inputs.bias))
        self.output = _zeroed(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, width, S, S] => the same"""
        queries, keys, values = (
            part.flatten(2).transpose(1, 2)[:, None] for part in self.inputs(self.norm(x)).chunk(3, 1)
        )
        seen = F.scaled_dot_product_attention(queries, keys, values)[:, 0]
        total: Tensor = x + self.output(seen.transpose(1, 2).reshape(x.shape))
        return total


class Shrink(nn.Module):
    """[N, width, S, S] => [N, width, S/2, S/2]: a strided convolution, padded right and below as in TensorFlow."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = _drawn(nn.Conv2d(width, width, 3, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, width, S, S] => float32 [N, width, S/2, S/2]"""
        halved: Tensor = self.convolution(F.pad(x, (0, 1, 0, 1)))
        return halved


def sinusoids(steps: Tensor, width: int) -> Tensor:
    """int64 [N] => float32 [N, width]: sines, then cosines, with wavelengths from 2 pi to 2 pi LONGEST."""
    half = width // 2
    rates = torch.exp(-math.log(LONGEST) / (half - 1) * torch.arange(half, device=steps.device))
    angles = steps[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


def _check(settings: Settings, data: Data) -> None:
    """UsageError for settings that the U-Net or the sampler does not support."""
    smallest = 2 ** (settings.levels - 1)
    if data.resolution % smallest:
        near = max(1, round(data.resolution / smallest)) * smallest
        raise UsageError(
            f"DDPM's network halves images {settings.levels - 1} times, and {data.resolution} pixels cannot be halved "
            f"so often; choose a multiple of {smallest}, such as {near} (--resolution {near} on the command line)."
        )
    # With one channel per group, normalisation would remove the step's embedding.
    if settings.width % (2 * settings.groups):
        raise UsageError(
            f"settings.width is {settings.width} and settings.groups is {settings.groups}; every group of the "
            "normalisation must have the same number of channels, and two or more, so choose a width that is a "
            f"multiple of {2 * settings.groups}."
        )
    if not settings.beta_start <= settings.beta_end < 1:
        raise UsageError(
            f"settings.beta_start is {settings.beta_start:g} and settings.beta_end {settings.beta_end:g}; they are "
            "variances that rise, and stay below 1."
        )
    if not 2 <= settings.sampling_steps <= settings.diffusion_steps:
        raise UsageError(
            f"settings.sampling_steps is {settings.sampling_steps}; it must be from 2 to the "
            f"{settings.diffusion_steps} of settings.diffusion_steps."
        )


def _channels(settings: Settings, level: int) -> int:
    return settings.width * (2 if level else 1)


def _norm(groups: int, width: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups, width, eps=EPSILON)


def _dense(before: int, after: int) -> nn.Linear:
    return _drawn(nn.Linear(before, after))


def _conv(before: int, after: int) -> nn.Conv2d:
    return _drawn(nn.Conv2d(before, after, 3, padding=1))


Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def _drawn(layer: Layer) -> Layer:
    """Weights uniform with variance 2 / (fan in + fan out), biases 0."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(cast(Tensor, layer.bias))
    return layer


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(cast(Tensor, layer.bias))
    return layer
