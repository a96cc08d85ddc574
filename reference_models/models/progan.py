"""Progressive growing of GANs (Karras et al. 2017): both networks begin with 4 x 4 pixels, and grow level by level.

A new level is faded in: its images are mixed with enlarged images of the level below, with a share that rises from 0 to
1; the reals are mixed with their own averages in the same way. All levels are built at once. The levels in use are a
function of the step, kept in a buffer for the average of the weights and for checkpoints.

Weights are drawn from N(0, 1) and scaled at run time (equalised learning rates), the generator normalises the features
of each pixel, and the discriminator sees the standard deviation over groups of images. Losses are those of WGAN-GP,
with a small penalty on the outputs for reals, against drift.
"""

import math
from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganeval.errors import UsageError
from reference_models.base import Logs
from reference_models.batches import Batch, Data
from reference_models.blocks.adversarial import GeneratorDiscriminatorGAN, logit_logs
from reference_models.blocks.losses import OBJECTIVES, gradient_penalty
from reference_models.blocks.networks import SLOPE, check_resolution, doublings
from reference_models.models.progan_recipes import Settings
from reference_models.recipes import Recipe
from reference_models.sharing import everyones, own_rows

RESOLUTIONS = (8, 16, 32, 64, 128, 256, 512, 1024)
SMALLEST = 4  # side of the images of level 0, and the smallest batch
EPSILON = 1e-8
GAIN = math.sqrt(2)


class EqualisedConv(nn.Conv2d):
    """A convolution that keeps the side; its weights are N(0, 1), times gain / sqrt(inputs) at run time.

    The bias begins at 0 and is not scaled.
    """

    def __init__(self, before: int, after: int, kernel: int, *, gain: float = GAIN) -> None:
        super().__init__(before, after, kernel, padding=kernel // 2)
        self.scale = gain / math.sqrt(before * kernel**2)
        nn.init.normal_(self.weight)
        nn.init.zeros_(cast(Tensor, self.bias))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, before, S, S] => float32 [N, after, S, S]"""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class EqualisedLinear(nn.Linear):
    """A linear layer with weights and bias as those of `EqualisedConv`."""

    def __init__(self, before: int, after: int, *, gain: float = GAIN, bias: bool = True) -> None:
        super().__init__(before, after, bias=bias)
        self.scale = gain / math.sqrt(before)
        nn.init.normal_(self.weight)
        if bias:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, before] => float32 [N, after]"""
        return F.linear(x, self.weight * self.scale, self.bias)


class LatentProjection(nn.Module):
    """Latents => feature maps of 4 x 4 pixels, with one bias per map."""

    def __init__(self, latent: int, maps: int) -> None:
        super().__init__()
        self.linear = EqualisedLinear(latent, maps * SMALLEST**2, gain=GAIN / 4, bias=False)
        self.bias = nn.Parameter(torch.zeros(maps))

    def forward(self, z: Tensor) -> Tensor:
        """float32 [N, latent] => float32 [N, maps, 4, 4]"""
        maps: Tensor = self.linear(z).view(len(z), -1, SMALLEST, SMALLEST)
        return maps + self.bias[:, None, None]


class Normalised(nn.Module):
    """Leaky ReLU, then the features of each pixel are divided by the root of their mean square."""

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, C, S, S], unchanged in shape."""
        return pixel_norm(F.leaky_relu(x, SLOPE))


def pixel_norm(x: Tensor) -> Tensor:
    """Divide values by the root of their mean square in dimension 1: [N, C, ...], unchanged in shape."""
    return x * (x.square().mean(1, keepdim=True) + EPSILON).rsqrt()


def with_deviation(x: Tensor, group: int) -> Tensor:
    """Append one feature map: the standard deviation over the image's group, averaged over all features and pixels.

    A group has every (N / group)-th image. If N is not a multiple of `group`, groups have the largest smaller size that
    divides N.

    Args:
        x: float32 [N, C, S, S].
        group: Images per group.

    Returns:
        float32 [N, C + 1, S, S].
    """
    whole = everyones(x)
    count, _, height, width = whole.shape
    size = next(size for size in range(min(group, count), 0, -1) if count % size == 0)
    groups = whole.float().view(size, -1, *x.shape[1:])
    deviations = (groups.var(0, correction=0) + EPSILON).sqrt().mean((1, 2, 3))
    own = own_rows(deviations.repeat(size))
    return torch.cat([x, own.view(-1, 1, 1, 1).expand(-1, 1, height, width).to(x.dtype)], 1)


def enlarged(images: Tensor, times: int = 2) -> Tensor:
    """Each pixel repeated: [N, C, S, S] => [N, C, S times, S times]."""
    return F.interpolate(images, scale_factor=float(times)) if times > 1 else images


class GrowingGenerator(nn.Module):
    """All levels of the generator.

    Args:
        latent: Dimensions of the latent.
        channels: Of the images.
        widths: Feature maps of each level, from 4 x 4 pixels on.
    """

    def __init__(self, latent: int, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        first = nn.Sequential(
            *(LatentProjection(latent, widths[0]), Normalised(), EqualisedConv(widths[0], widths[0], 3), Normalised())
        )
        others = (
            nn.Sequential(
                *(nn.Upsample(scale_factor=2), EqualisedConv(before, after, 3), Normalised()),
                *(EqualisedConv(after, after, 3), Normalised()),
            )
            for before, after in pairwise(widths)
        )
        self.blocks = nn.ModuleList([first, *others])
        self.to_images = nn.ModuleList(EqualisedConv(width, channels, 1, gain=1.0) for width in widths)

    def forward(self, z: Tensor, level: int, alpha: float) -> Tensor:
        """Images of a level.

        Args:
            z: float32 [N, latent]; it is normalised, so its norm does not matter.
            level: The last level that is used.
            alpha: Its share; the rest is the enlarged image of the level below.

        Returns:
            float32 [N, channels, S, S] with S = 4 * 2^level, not bounded.
        """
        x, below = pixel_norm(z), z
        for block in self.blocks[: level + 1]:
            x, below = block(x), x
        images: Tensor = self.to_images[level](x)
        if level == 0 or alpha == 1.0:
            return images
        return torch.lerp(enlarged(self.to_images[level - 1](below)), images, alpha)


class GrowingDiscriminator(nn.Module):
    """All levels of the discriminator.

    Args:
        channels: Of the images.
        widths: Feature maps of each level, from 4 x 4 pixels on.
        dense: Units of the layer before the last.
        group: Images over which standard deviations are computed; 0 for none.
    """

    def __init__(self, channels: int, widths: Sequence[int], *, dense: int, group: int) -> None:
        super().__init__()
        self.group = group
        self.from_images = nn.ModuleList(
            nn.Sequential(EqualisedConv(channels, width, 1), nn.LeakyReLU(SLOPE)) for width in widths
        )
        # For levels 1, 2, ...; for level 0 it is `last`.
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(EqualisedConv(width, width, 3), nn.LeakyReLU(SLOPE)),
                *(EqualisedConv(width, below, 3), nn.LeakyReLU(SLOPE), nn.AvgPool2d(2)),
            )
            for below, width in pairwise(widths)
        )
        self.last = nn.Sequential(
            *(EqualisedConv(widths[0] + (group > 0), widths[0], 3), nn.LeakyReLU(SLOPE), nn.Flatten()),
            *(EqualisedLinear(widths[0] * SMALLEST**2, dense), nn.LeakyReLU(SLOPE)),
            *(EqualisedLinear(dense, 1, gain=1.0), nn.Flatten(0)),
        )

    def forward(self, images: Tensor, level: int, alpha: float) -> Tensor:
        """Outputs for images of a level.

        Args:
            images: float32 [N, channels, S, S] with S = 4 * 2^level.
            level: The first level that is used.
            alpha: Its share in the features of the level below; the rest comes from images of half the side.

        Returns:
            float32 [N].
        """
        x: Tensor = self.from_images[level](images)
        for number in range(level, 0, -1):
            x = self.blocks[number - 1](x)
            if number == level and alpha < 1.0:
                x = torch.lerp(self.from_images[level - 1](F.avg_pool2d(images, 2)), x, alpha)
        outputs: Tensor = self.last(with_deviation(x, self.group) if self.group else x)
        return outputs


def spans(levels: int, last: float, rows: Sequence[int]) -> tuple[float, ...]:
    """The share of a run's steps in each phase: level 0, then for each further level its fade and its training.

    All phases except the last have equally many images.

    Args:
        levels: How many levels the run has.
        last: The share of the run's images in the last phase.
        rows: Images per batch of each level.

    Returns:
        2 * levels - 1 shares, with the sum 1.
    """
    fades = levels - 1
    images = [(1 - last) / (2 * fades)] * (2 * fades) + [last] if fades else [1.0]
    steps = [share / rows[(phase + 1) // 2] for phase, share in enumerate(images)]
    return tuple(one / sum(steps) for one in steps)


class ProGAN(GeneratorDiscriminatorGAN):
    """Networks that grow with the step. A new model has its full size until `begin` sets its step."""

    objective = OBJECTIVES["wasserstein"]
    # The level, and the share of its images: 1 except in a fade.
    growth: Tensor

    def __init__(self, data: Data, recipe: Recipe) -> None:
        super().__init__(data, recipe)
        settings = self.settings = cast(Settings, recipe.settings)
        check_resolution("ProGAN's network", data.resolution, RESOLUTIONS)
        sides = [side for side in (SMALLEST, *RESOLUTIONS) if side <= data.resolution]
        if settings.start not in sides:
            allowed = ", ".join(map(str, sides))
            raise UsageError(
                f"start is {settings.start}; images of {data.resolution} pixels can grow from one of these: {allowed}."
            )
        if not settings.last < 1.0:
            raise UsageError(f"last is {settings.last}; it is the share of a run after the last fade, and below 1.")
        self.top, self.first = doublings(data.resolution, SMALLEST), doublings(settings.start, SMALLEST)
        widths = [min(settings.maps // 2 ** (level + 1), settings.widest) for level in range(self.top + 1)]
        dense = min(settings.maps, settings.widest)
        if min(widths) < 1:
            raise UsageError(
                f"maps is {settings.maps}, which leaves no feature map at {data.resolution} pixels; "
                f"choose {2 ** (self.top + 1)} or more."
            )
        self.generator = GrowingGenerator(recipe.latent.size, data.channels, widths)
        self.discriminator = GrowingDiscriminator(data.channels, widths, dense=dense, group=settings.group)
        self.register_buffer("growth", torch.tensor([float(self.top), 1.0]))
        self._batches: list[int] = [
            max(min(SMALLEST, recipe.batch), recipe.batch * settings.halved_from // max(side, settings.halved_from))
            for side in (SMALLEST * 2**level for level in range(self.top + 1))
        ]
        shares = spans(self.top - self.first + 1, settings.last, self._batches[self.first :])
        # Steps at which phases begin, followed by the end of the run.
        self._begins = [0, *(round(share * recipe.steps) for share in accumulate(shares))]

    def grown(self, step: int) -> float:
        """How far the networks have grown: the level, or a value between two levels during a fade.

        Args:
            step: The number of the step, from 0.

        Returns:
            The level, for example 1.25 if a quarter of level 2 has faded in.
        """
        phase = min(bisect_right(self._begins, step) - 1, len(self._begins) - 2)
        level = self.first + phase // 2
        begin, end = self._begins[phase : phase + 2]
        return level + (step - begin) / (end - begin) if phase % 2 else float(level)

    def phase(self, step: int) -> str:
        """The phase of a step: "8 x 8", or "fade to 8 x 8"; "" for a model that does not grow."""
        if self.first == self.top:
            return ""
        grown = self.grown(step)
        side = SMALLEST * 2 ** math.ceil(grown)
        return f"{side} x {side}" if grown.is_integer() else f"fade to {side} x {side}"

    def begin(self, step: int) -> None:
        """Set the level and its share."""
        grown = self.grown(step)
        level = math.ceil(grown)
        self.growth.copy_(torch.tensor([level, grown - level + 1]))

    def resets(self, step: int) -> Collection[str]:
        """Both players, at the beginning and the end of a fade."""
        then, now = self.grown(max(0, step - 1)), self.grown(step)
        changed = (math.floor(then), math.ceil(then)) != (math.floor(now), math.ceil(now))
        return ("discriminator", "generator") if changed else ()

    def rows(self, step: int) -> int | None:
        """The batch size of the level, smaller for larger images."""
        return self._batches[math.ceil(self.grown(step))]

    def state_of_growth(self) -> tuple[int, float]:
        """The level that the networks have grown to, and its share."""
        level, alpha = self.growth.tolist()
        return int(level), alpha

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """float32 [N, latent size] => float32 [N, C, R, R] of the full side, in `value_range`"""
        level, alpha = self.state_of_growth()
        images: Tensor = self.generator(z, level, alpha)
        return enlarged(images, 2 ** (self.top - level)).clamp(-1, 1)

    def seen(self, images: Tensor, level: int, alpha: float) -> Tensor:
        """Reals [N, C, R, R] at a level: averaged to its size, and mixed with their averages in a fade."""
        small = F.avg_pool2d(images, 2 ** (self.top - level)) if level < self.top else images
        if alpha == 1.0:
            return small
        return torch.lerp(enlarged(F.avg_pool2d(small, 2)), small, alpha)

    def loss_discriminator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """f(G(z)) - f(x) + penalty (slope / wanted - 1)^2 + drift f(x)^2"""
        level, alpha = self.state_of_growth()
        settings = self.settings

        def critic(images: Tensor) -> Tensor:
            outputs: Tensor = self.discriminator(images, level, alpha)
            return outputs

        reals = self.seen(batch.images, level, alpha)
        fakes = self.generator(self.latent(len(batch), rng=rng), level, alpha)
        real, fake = critic(reals), critic(fakes)
        penalty = gradient_penalty(critic, reals, fakes, rng, wanted=settings.slope)
        loss = self.objective.discriminator(real, fake) + settings.penalty * penalty
        loss = loss + settings.drift * real.square().mean()
        return loss, logit_logs(real, fake) | {"penalty": penalty, "level": level - 1 + alpha}

    def loss_generator(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Logs]:
        """-f(G(z))"""
        level, alpha = self.state_of_growth()
        fakes = self.generator(self.latent(len(batch), rng=rng), level, alpha)
        return self.objective.generator(self.discriminator(fakes, level, alpha)), {}
