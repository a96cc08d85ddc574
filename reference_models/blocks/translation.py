"""Networks that translate images: U-Net, residual network of style transfer, patch discriminator.

Images are float32 [N, C, S, S] in [-1, 1]; sides are halved and doubled again, so they must be divisible.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from ganeval.errors import UsageError
from reference_models.blocks.networks import SLOPE

# "batch" always normalises by the statistics of the given images, also in evaluation, as the authors do.
Norm = Literal["batch", "instance", "none"]


def normalisation(kind: Norm, width: int) -> nn.Module:
    """Batch normalisation without running statistics, instance normalisation without gain and shift, or nothing."""
    match kind:
        case "batch":
            return nn.BatchNorm2d(width, track_running_stats=False)
        case "instance":
            return nn.InstanceNorm2d(width)
        case "none":
            return nn.Identity()


class UNet(nn.Module):
    """Strided convolutions down to 1 x 1 and up again, with skip connections between equal sizes (Isola et al. 2017).

    levels: how often the side is halved; width: of the first level, and at most eight times that. Dropout of 0.5 in the
    first `dropped` levels on the way up, which is the only noise, also in evaluation.
    """

    def __init__(
        self, inputs: int, outputs: int, *, levels: int, width: int, norm: Norm, dropped: int = 3, drop: float = 0.5
    ) -> None:
        super().__init__()
        widths = [width * min(8, 2**level) for level in range(levels)]
        bias = norm != "batch"
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, after in enumerate(widths):
            before = inputs if level == 0 else widths[level - 1]
            layers: list[nn.Module] = [] if level == 0 else [nn.LeakyReLU(SLOPE)]
            layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=bias))
            # Normalised by its own statistics, a 1 x 1 image would be 0.
            if 0 < level < levels - 1:
                layers.append(normalisation(norm, after))
            self.down.append(nn.Sequential(*layers))
        for level in reversed(range(levels)):
            before = widths[level] * (1 if level == levels - 1 else 2)
            if level == 0:
                self.up.append(nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(before, outputs, 4, 2, 1), nn.Tanh()))
                continue
            after = widths[level - 1]
            self.up.append(
                nn.Sequential(
                    nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=bias), normalisation(norm, after)
                )
            )
        self._dropped = min(dropped, levels - 1)
        self._drop = drop

    def forward(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """float32 [N, inputs, S, S] => float32 [N, outputs, S, S] in [-1, 1]; rng: of the dropout."""
        seen = [images]
        for block in self.down:
            seen.append(block(seen[-1]))
        found = seen.pop()
        for number, block in enumerate(self.up):
            found = block(found if number == 0 else torch.cat([seen.pop(), found], 1))
            if number < self._dropped and self._drop:
                kept = torch.rand(found.shape, generator=rng, device=found.device) >= self._drop
                found = found * kept / (1 - self._drop)
        return found


class ResidualTranslator(nn.Sequential):
    """Two strided convolutions, residual blocks, and two fractionally-strided ones (Johnson 2016, Zhu et al. 2017)."""

    def __init__(self, inputs: int, outputs: int, *, width: int, blocks: int, norm: Norm) -> None:
        bias = norm != "batch"

        def convolution(before: int, after: int, kernel: int, stride: int) -> list[nn.Module]:
            padding = (kernel - 1) // 2 if stride > 1 else 0
            conv = nn.Conv2d(before, after, kernel, stride, padding, bias=bias)
            return [conv, normalisation(norm, after), nn.ReLU()]

        def enlarged(before: int, after: int) -> list[nn.Module]:
            conv = nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1, bias=bias)
            return [conv, normalisation(norm, after), nn.ReLU()]

        super().__init__(
            *(nn.ReflectionPad2d(3), *convolution(inputs, width, 7, 1)),
            *(*convolution(width, 2 * width, 3, 2), *convolution(2 * width, 4 * width, 3, 2)),
            *(ReflectedBlock(4 * width, norm) for _ in range(blocks)),
            *(*enlarged(4 * width, 2 * width), *enlarged(2 * width, width)),
            *(nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh()),
        )


class ReflectedBlock(nn.Module):
    """[N, width, S, S] => the same shape: two padded convolutions and an identity; no ReLU after the sum."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        bias = norm != "batch"
        self.residual = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), normalisation(norm, width), nn.ReLU()),
            *(nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), normalisation(norm, width)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, width, S, S] => the same"""
        total: Tensor = x + self.residual(x)
        return total


class PatchDiscriminator(nn.Sequential):
    """A logit per overlapping patch (Isola et al. 2017).

    layers: strided convolutions but for the first; patches of 16, 34, 70, 142 pixels for 1, 2, 3, 4, and single pixels
    for 0.
    """

    def __init__(self, channels: int, *, width: int, layers: int, norm: Norm) -> None:
        bias = norm != "batch"
        if layers == 0:
            super().__init__(
                *(nn.Conv2d(channels, width, 1), nn.LeakyReLU(SLOPE), nn.Conv2d(width, 2 * width, 1, bias=bias)),
                *(normalisation(norm, 2 * width), nn.LeakyReLU(SLOPE), nn.Conv2d(2 * width, 1, 1, bias=bias)),
            )
            return
        parts: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        before = width
        for layer in range(1, layers + 1):
            after = width * min(8, 2**layer)
            conv = nn.Conv2d(before, after, 4, 2 if layer < layers else 1, 1, bias=bias)
            parts += [conv, normalisation(norm, after), nn.LeakyReLU(SLOPE)]
            before = after
        super().__init__(*parts, nn.Conv2d(before, 1, 4, 1, 1))


def receptive_field(layers: int) -> int:
    """The side of the patch that one logit of a `PatchDiscriminator` sees, in pixels."""
    if layers == 0:
        return 1
    side = 1
    for stride in (1, 1, *[2] * layers):
        side = (side - 1) * stride + 4
    return side


def check_divisible(name: str, side: int | None, by: int, *, setting: str) -> None:
    """UsageError for inputs whose side cannot be halved as often as a network does."""
    if side is None or side < by or side % by:
        raise UsageError(
            f"{name} halves its images until {by} pixels are one, so their side must be a multiple of {by}, not "
            f"{side}; choose another --resolution, or a smaller {setting} (--set)."
        )
