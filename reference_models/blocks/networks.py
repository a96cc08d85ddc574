"""Networks that more than one paper uses: DCGAN's convolutions, the residual networks of WGAN-GP and SNGAN, maxout.

Generators map float32 [N, latent size] to [N, C, R, R] through a tanh; discriminators map images to logits [N]. A
network for resolution R doubles its 4 x 4 start until it reaches R, so R is a power of two.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganeval.errors import UsageError

RESOLUTIONS = (16, 32, 64, 128)
SLOPE = 0.2  # negative slope of every leaky ReLU


def check_resolution(name: str, resolution: int, allowed: Sequence[int] = RESOLUTIONS, *, otherwise: str = "") -> None:
    """UsageError for a resolution that the network does not support. otherwise: another remedy, for the message."""
    if resolution not in allowed:
        near = min(allowed, key=lambda size: (abs(size - resolution), size))
        listed = f"{', '.join(map(str, allowed[:-1]))} or {allowed[-1]}"
        raise UsageError(
            f"{name} makes images of {listed} pixels, not of {resolution}; choose one of these, "
            f"such as {near} (--resolution {near} on the command line){otherwise}."
        )


def doublings(resolution: int, start: int) -> int:
    """The number of doublings from `start` to a resolution; both are powers of two."""
    return (resolution // start).bit_length() - 1


def draw_normal(network: nn.Module, deviation: float = 0.02, *, gains: float = 0.02) -> None:
    """Weights N(0, deviation), gains of normalisation N(1, gains), biases 0 (Radford et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, deviation)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, gains)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def draw_uniform(network: nn.Module, reach: float) -> None:
    """Weights of linear layers uniform in [-reach, reach], biases 0 (Goodfellow et al. 2014)."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.uniform_(module.weight, -reach, reach)
            nn.init.zeros_(module.bias)


class Maxout(nn.Module):
    """[N, features] => [N, units]: each unit is the maximum of `pieces` linear functions."""

    def __init__(self, features: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, units * pieces)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, features] => float32 [N, units]"""
        pieces: Tensor = self.linear(x)
        return pieces.view(len(x), -1, self.pieces).amax(2)


def enlarge(before: int, after: int, kernel: int) -> nn.ConvTranspose2d:
    """A fractionally-strided convolution that doubles the side."""
    return nn.ConvTranspose2d(
        before, after, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=kernel % 2, bias=False
    )


def shrink(before: int, after: int, kernel: int) -> nn.Conv2d:
    """A strided convolution that halves the side."""
    return nn.Conv2d(before, after, kernel, stride=2, padding=(kernel - 1) // 2, bias=False)


def conv_generator(latent: int, channels: int, resolution: int, *, width: int, kernel: int) -> nn.Sequential:
    """DCGAN's generator: a 4 x 4 projection, then fractionally-strided convolutions, each half as wide as the last.

    width: channels of the last hidden layer. Batch normalisation and ReLU everywhere except at the output, a tanh.
    """
    ups = doublings(resolution, 4)
    widths = [width * 2**level for level in reversed(range(ups))]
    layers: list[nn.Module] = [nn.Linear(latent, widths[0] * 4 * 4, bias=False), nn.Unflatten(1, (widths[0], 4, 4))]
    for before, after in pairwise(widths):
        layers += [nn.BatchNorm2d(before), nn.ReLU(), enlarge(before, after, kernel)]
    layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(), enlarge(widths[-1], channels, kernel), nn.Tanh()]
    return nn.Sequential(*layers)


def conv_discriminator(channels: int, resolution: int, *, width: int, kernel: int) -> nn.Sequential:
    """DCGAN's discriminator: strided convolutions down to 4 x 4, each twice as wide as the last, and one output.

    width: channels of the first layer. Leaky ReLU everywhere, batch normalisation everywhere except on the images.
    """
    widths = [width * 2**level for level in range(doublings(resolution, 4))]
    layers: list[nn.Module] = [shrink(channels, width, kernel), nn.LeakyReLU(SLOPE)]
    for before, after in pairwise(widths):
        layers += [shrink(before, after, kernel), nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE)]
    layers += [nn.Conv2d(widths[-1], 1, 4, bias=False), nn.Flatten(0)]
    return nn.Sequential(*layers)


class UpBlock(nn.Module):
    """[N, before, S, S] => [N, after, 2S, 2S]: batch normalisation, ReLU, nearest upsampling, convolution, twice."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *(nn.BatchNorm2d(before), nn.ReLU(), nn.Upsample(scale_factor=2), _conv(before, after)),
            *(nn.BatchNorm2d(after), nn.ReLU(), _conv(after, after)),
        )
        # A 1 x 1 convolution and nearest upsampling commute; in this order the convolution costs a quarter as much.
        self.shortcut = nn.Sequential(_pointwise(before, after), nn.Upsample(scale_factor=2))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, before, S, S] => float32 [N, after, 2S, 2S]"""
        total: Tensor = self.residual(x) + self.shortcut(x)
        return total


class DownBlock(nn.Module):
    """[N, before, S, S] => [N, after, S/2, S/2]: two convolutions and mean pooling; no normalisation of activations.

    first: whether it is the first block, whose input is images, without ReLU.
    """

    def __init__(self, before: int, after: int, *, first: bool = False) -> None:
        super().__init__()
        middle = after if first else before
        entry: tuple[nn.Module, ...] = () if first else (nn.ReLU(),)
        self.residual = nn.Sequential(*entry, _conv(before, middle), nn.ReLU(), _conv(middle, after), nn.AvgPool2d(2))
        # Mean pooling and a 1 x 1 convolution commute, too.
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), _pointwise(before, after))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, before, S, S] => float32 [N, after, S/2, S/2]"""
        total: Tensor = self.residual(x) + self.shortcut(x)
        return total


class FlatBlock(nn.Module):
    """[N, width, S, S] => the same shape: two convolutions and an identity shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, width, S, S] => the same"""
        total: Tensor = x + self.residual(x)
        return total


class ResidualGenerator(nn.Sequential):
    """A 4 x 4 projection, then `UpBlock`s to the resolution, all of one width (Gulrajani et al. 2017, appendix C)."""

    def __init__(self, latent: int, channels: int, resolution: int, *, width: int) -> None:
        start = nn.Linear(latent, width * 4 * 4)
        nn.init.xavier_uniform_(start.weight)
        nn.init.zeros_(start.bias)
        super().__init__(
            *(start, nn.Unflatten(1, (width, 4, 4))),
            *(UpBlock(width, width) for _ in range(doublings(resolution, 4))),
            *(nn.BatchNorm2d(width), nn.ReLU(), _conv(width, channels, gain=1.0), nn.Tanh()),
        )


class ResidualCritic(nn.Module):
    """`DownBlock`s to 8 x 8, two `FlatBlock`s, the mean or sum over places, one output (Gulrajani 2017, Miyato 2018).

    It has no normalisation of activations. total: the sum instead of the mean. spectral: every weight is divided by its
    largest singular value, and the output has no bias.
    """

    def __init__(self, channels: int, resolution: int, *, width: int, total: bool, spectral: bool) -> None:
        super().__init__()
        further = doublings(resolution, 8) - 1
        self.blocks = nn.Sequential(
            DownBlock(channels, width, first=True),
            *(DownBlock(width, width) for _ in range(further)),
            *(FlatBlock(width), FlatBlock(width), nn.ReLU()),
        )
        self.output = nn.Linear(width, 1, bias=not spectral)
        self.total = total
        nn.init.xavier_uniform_(self.output.weight)
        if spectral:
            normalise_spectra(self)
        else:
            nn.init.zeros_(self.output.bias)

    def forward(self, images: Tensor) -> Tensor:
        """float32 [N, C, R, R] => logits [N]"""
        places: Tensor = self.blocks(images)
        pooled = places.sum((2, 3)) if self.total else places.mean((2, 3))
        logits: Tensor = self.output(pooled)
        return logits.flatten()


def normalise_spectra(network: nn.Module) -> None:
    """Divide each weight by its largest singular value: one power iteration per forward pass (Miyato et al. 2018)."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            spectral_norm(module)


def _conv(before: int, after: int, *, gain: float = 2**0.5) -> nn.Conv2d:
    """3 x 3, weights uniform with variance 2 gain^2 / (fan in + fan out), biases 0."""
    return _drawn(nn.Conv2d(before, after, 3, padding=1), gain)


def _pointwise(before: int, after: int) -> nn.Conv2d:
    return _drawn(nn.Conv2d(before, after, 1), 1.0)


def _drawn(layer: nn.Conv2d, gain: float) -> nn.Conv2d:
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """int64 [N] => float32 [N, classes]"""
    return torch.nn.functional.one_hot(labels, classes).float()
