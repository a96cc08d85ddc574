"""Structural similarity of image pairs, at one scale or at several, as four published tools compute it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import PairMetric, check_options
from ganeval.metrics.image_pairs import PEAK, Channel, check_pairs, seen

C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
SIGMA, RADIUS = 1.5, 5
# Wang et al.'s weights of the scales (their sum is 1.0001).
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# piq reduces larger images to about this size before SSIM.
PIQ_SIDE = 256


@dataclass(frozen=True, slots=True)
class _SSIMSettings:
    """How a tool computes SSIM.

    window: weights along one axis. sample: covariances over n - 1. reflected: the border is continued by reflection,
    so that the map is as large as the image; otherwise the window stays inside. reduced: large images are averaged
    over blocks first. padded: where an odd side gets one more pixel before it is halved for the next scale: at the
    "end", or at the "start" of both sides if one is odd; None cuts the last pixel off.
    """

    window: tuple[float, ...]
    sample: bool = False
    reflected: bool = False
    reduced: bool = False
    padded: Literal["end", "start"] | None = "end"


def _gaussian() -> tuple[float, ...]:
    weights = [math.exp(-((place / SIGMA) ** 2) / 2) for place in range(-RADIUS, RADIUS + 1)]
    return tuple(weight / math.fsum(weights) for weight in weights)


SSIMConvention = Literal["wang", "skimage", "torchmetrics", "piq"]
MultiscaleConvention = Literal["wang", "torchmetrics", "piq"]
CONVENTIONS: Mapping[str, _SSIMSettings] = MappingProxyType(
    {
        "wang": _SSIMSettings(_gaussian()),
        "skimage": _SSIMSettings((1 / 7,) * 7, sample=True),
        "torchmetrics": _SSIMSettings(_gaussian(), reflected=True, padded=None),
        "piq": _SSIMSettings(_gaussian(), reduced=True, padded="start"),
    }
)


def ssim(
    real: Tensor,
    fake: Tensor,
    *,
    convention: SSIMConvention = "wang",
    channel: Channel = "rgb",
    border: int = 0,
) -> Tensor:
    """Structural similarity of each pair: luminance, contrast and structure in a sliding window.

    With mean m, variance v and covariance c of the pixels x (real) and y (fake) in a window, on 0..255::

        SSIM = (2 mx my + C1) (2 c + C2) / ((mx^2 + my^2 + C1) (vx + vy + C2)),  C1 = 2.55^2, C2 = 7.65^2

    The value of a pair is the mean over all places of the window and over the channels.

    Args:
        real: The real images, ``[N, C, H, W]`` with 1 or 3 channels, uint8 or floats on 0..1.
        fake: The image that belongs to each, of the same shape.
        convention: "wang": an 11 x 11 Gaussian of sigma 1.5 that stays inside the image, as in the paper; BasicSR's
            value is this one with its channel and border. "skimage": a uniform 7 x 7 window and covariances over
            n - 1, scikit-image's default. "torchmetrics": Wang's window, and the image continued by reflection.
            "piq": Wang's after averaging over blocks of round(min(H, W) / 256) pixels, piq's default.
        channel: "rgb" for each channel as it is; "y" for the luma of `psnr`.
        border: Pixels to leave out at each side.

    Returns:
        float64 ``[N]`` from -1 to 1; 1 for equal images.

    Raises:
        MetricError: The shapes or values are not those of image pairs, or the window does not fit into the image.

    References:
        Wang, Bovik, Sheikh and Simoncelli 2004, "Image quality assessment: from error visibility to structural
        similarity".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import ssim
        >>> real = torch.full((1, 3, 16, 16), 100, dtype=torch.uint8)
        >>> round(ssim(real, 2 * real).item(), 4)
        0.8
    """
    check_options(ssim, locals())
    way = CONVENTIONS[convention]
    real, fake = (seen(side, channel=channel, border=border) for side in check_pairs(real, fake))
    if way.reduced:
        side = max(1, round(min(real.shape[2:]) / PIQ_SIDE))
        real, fake = (F.avg_pool2d(images, side) for images in (real, fake))
    _check_size(real, len(way.window), "SSIM")
    return torch.stack([_means(x, y, way)[0].mean() for x, y in zip(real, fake, strict=True)])


def ms_ssim(
    real: Tensor,
    fake: Tensor,
    *,
    convention: MultiscaleConvention = "wang",
    channel: Channel = "rgb",
    border: int = 0,
    scales: int = 5,
) -> Tensor:
    """Structural similarity of each pair at several scales, each half the size of the one before.

    With SSIM_s the mean of `ssim` at scale s, CS_s that of its second factor, (2 c + C2) / (vx + vy + C2), and w_s
    Wang's weights 0.0448, 0.2856, 0.3001, 0.2363, 0.1333::

        MS-SSIM = CS_1^w_1 ... CS_4^w_4 SSIM_5^w_5

    Means below 0 count as 0. Each channel has a value, and that of the pair is their mean.

    Args:
        real: The real images, ``[N, C, H, W]`` with 1 or 3 channels, uint8 or floats on 0..1.
        fake: The image that belongs to each, of the same shape.
        convention: "wang": the window stays inside the image; a scale is the mean of blocks of 2 x 2 pixels of the one
            before, an odd side being continued by its last pixel. "piq": the same, with the pixel added at the start.
            "torchmetrics": the image is continued by reflection (for CS the border is cut off again), an odd side
            loses its last pixel, and channels are averaged before the powers are taken.
        channel: "rgb" for each channel as it is; "y" for the luma of `psnr`.
        border: Pixels to leave out at each side.
        scales: 1 to 5. With fewer than five, the first weights are scaled to the sum of all; such values are not
            comparable with those of five.

    Returns:
        float64 ``[N]`` from 0 to 1; 1 for equal images.

    Raises:
        MetricError: The shapes or values are not those of image pairs, or the 11 x 11 window does not fit into the
            smallest scale (five scales need 161 pixels, with "torchmetrics" 176).

    References:
        Wang, Simoncelli and Bovik 2003, "Multi-scale structural similarity for image quality assessment".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import ms_ssim
        >>> real = torch.full((1, 3, 24, 24), 100, dtype=torch.uint8)
        >>> round(ms_ssim(real, 2 * real, scales=2).item(), 4)
        0.8246
    """
    check_options(ms_ssim, locals())
    way = CONVENTIONS[convention]
    if not 1 <= scales <= len(WEIGHTS):
        raise MetricError(f"scales is {scales}; choose 1 to {len(WEIGHTS)}.")
    real, fake = (seen(side, channel=channel, border=border) for side in check_pairs(real, fake))
    return torch.stack([_multiscale(x, y, way, scales) for x, y in zip(real, fake, strict=True)])


def _multiscale(x: Tensor, y: Tensor, way: _SSIMSettings, scales: int) -> Tensor:
    """MS-SSIM of images [C, H, W]."""
    value, whole = torch.ones((), dtype=torch.float64, device=x.device), x.shape
    for scale, weight in enumerate(WEIGHTS[:scales], start=1):
        if min(x.shape[1:]) < len(way.window):
            raise MetricError(
                f"MS-SSIM at {scales} scales needs larger images than {whole[2]} x {whole[1]} pixels: scale {scale} "
                f"has {x.shape[2]} x {x.shape[1]}, and the window 11 x 11. Choose fewer with the option scales "
                f"(--option ms_ssim.scales={scale - 1})."
                if scale > 1
                else f"MS-SSIM needs images of at least 11 x 11 pixels, found {whole[2]} x {whole[1]}."
            )
        similarity, contrast = _means(x, y, way)
        factor = similarity if scale == scales else contrast
        factor = (factor.mean() if way.reflected else factor).clamp(min=0)
        value = value * factor ** (weight * sum(WEIGHTS) / sum(WEIGHTS[:scales]))
        x, y = _halved(x, way), _halved(y, way)
    return value.mean()


def _halved(image: Tensor, way: _SSIMSettings) -> Tensor:
    """Means over blocks of 2 x 2 pixels of an image [C, H, W]."""
    height, width = (side % 2 for side in image.shape[1:])
    more = {"end": (0, width, 0, height), "start": (max(height, width), 0) * 2, None: (0, 0, 0, 0)}[way.padded]
    return F.avg_pool2d(F.pad(image[None], more, mode="replicate")[0], 2)


def _check_size(images: Tensor, least: int, what: str) -> None:
    height, width = images.shape[2:]
    if min(height, width) < least:
        raise MetricError(f"{what} needs images of at least {least} x {least} pixels, found {width} x {height}.")


def _means(x: Tensor, y: Tensor, way: _SSIMSettings) -> tuple[Tensor, Tensor]:
    """Mean SSIM, and mean contrast and structure, of each channel [C] of images [C, H, W], one after the other."""
    cut = len(way.window) // 2 if way.reflected else 0
    found = []
    for one, other in zip(x, y, strict=True):
        similarity, contrast = _maps(one, other, way)
        inner = contrast[cut : len(contrast) - cut, cut : contrast.shape[1] - cut]
        found.append(torch.stack((similarity.mean(), inner.mean())))
    similarities, contrasts = torch.stack(found).T
    return similarities, contrasts


def _maps(x: Tensor, y: Tensor, way: _SSIMSettings) -> tuple[Tensor, Tensor]:
    """SSIM and its factor of contrast and structure at every place of the window, for one channel [H, W]."""
    size = len(way.window)
    if way.reflected:
        pad = [size // 2] * 4
        x, y = (F.pad(channel[None, None], pad, mode="reflect")[0, 0] for channel in (x, y))
    mx, my, xx, yy, xy = _windowed(torch.stack((x, y, x * x, y * y, x * y)), way.window)
    over = size**2 / (size**2 - 1) if way.sample else 1.0
    vx, vy, covariance = over * (xx - mx * mx), over * (yy - my * my), over * (xy - mx * my)
    contrast = (2 * covariance + C2) / (vx + vy + C2)
    return (2 * mx * my + C1) / (mx * mx + my * my + C1) * contrast, contrast


def _windowed(maps: Tensor, window: tuple[float, ...]) -> Tensor:
    """Weighted means [..., H - s + 1, W - s + 1] over windows of maps [..., H, W]; sums in a fixed order."""
    for axis in (-2, -1):
        count = maps.shape[axis] - len(window) + 1
        total = maps.narrow(axis, 0, count) * window[0]
        for place, weight in enumerate(window[1:], start=1):
            total.add_(maps.narrow(axis, place, count), alpha=weight)
        maps = total
    return maps


SSIM = PairMetric(title="Structural similarity (SSIM)", compute=ssim, direction="higher", source="Wang et al. 2004")
MS_SSIM = PairMetric(
    title="Structural similarity at several scales (MS-SSIM)",
    compute=ms_ssim,
    direction="higher",
    source="Wang et al. 2003",
)
