"""What the metrics of image pairs share: checked pixels on 0..255, luma, and the crop of a border."""

from typing import Literal

import torch
from torch import Tensor

from ganeval.errors import MetricError

Channel = Literal["rgb", "y"]
# The largest value of a pixel: the metrics compute on 0..255.
PEAK = 255.0
# Weights of R, G and B in ITU-R BT.601 luma of studio range, 16 to 235, for values on 0..255.
LUMA, LUMA_OFFSET = (65.481, 128.553, 24.966), 16.0


def check_pairs(real: object, fake: object) -> tuple[Tensor, Tensor]:
    """Pairs of images as float64 [N, C, H, W] on 0..255; MetricError for anything else.

    real, fake: of one shape, with one or three channels; uint8, or floats on 0..1.
    """
    real, fake = check_tensor(real, "reals of image pairs"), check_tensor(fake, "fakes of image pairs")
    for side, images in (("reals", real), ("fakes", fake)):
        if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
            raise MetricError(
                f"The {side} of image pairs must be [N, C, height, width] with 1 or 3 channels, found "
                f"{list(images.shape)}."
            )
    if real.shape != fake.shape:
        raise MetricError(
            f"The images of a pair must have one size, found reals {list(real.shape)} and fakes {list(fake.shape)}."
        )
    return _on_255(real, "reals"), _on_255(fake, "fakes")


def check_tensor(values: object, what: str) -> Tensor:
    """A tensor; MetricError for arrays, lists and anything else."""
    if not isinstance(values, Tensor):
        raise MetricError(
            f"The {what} must be a torch tensor, found {type(values).__name__}; convert arrays and lists with "
            "torch.as_tensor."
        )
    return values


def _on_255(images: Tensor, side: str) -> Tensor:
    if images.dtype == torch.uint8:
        return images.double()
    if not images.is_floating_point():
        name = str(images.dtype).removeprefix("torch.")
        raise MetricError(f"The {side} of image pairs must be uint8, or floats on 0..1, found {name}.")
    values = images.detach().double()
    low, high = (float(end) for end in torch.aminmax(values))
    # NaN fails both comparisons.
    if not (low >= 0 and high <= 1):
        raise MetricError(
            f"The {side} of image pairs must be uint8, or floats on 0..1, found values from {low:.4g} to {high:.4g}."
        )
    return values * PEAK


def seen(images: Tensor, *, channel: Channel, border: int) -> Tensor:
    """The part of images [N, C, H, W] that a metric uses: without a border of `border` pixels, as RGB or luma."""
    height, width = images.shape[2:]
    if border < 0 or 2 * border >= min(height, width):
        raise MetricError(
            f"A border of {border} pixels leaves nothing of images of {width} x {height} pixels; choose one from 0 to "
            f"{(min(height, width) - 1) // 2}."
        )
    images = images[:, :, border : height - border, border : width - border]
    if channel == "rgb":
        return images
    if images.shape[1] != 3:
        raise MetricError("The channel y is computed from red, green and blue, and these images have one channel.")
    weights = torch.tensor(LUMA, dtype=torch.float64, device=images.device).reshape(1, 3, 1, 1) / PEAK
    return LUMA_OFFSET + (images * weights).sum(1, keepdim=True)


def means(values: Tensor) -> Tensor:
    """The mean over each image [N, ...], bit for bit independent of the number of images."""
    return torch.stack([image.flatten().mean() for image in values.contiguous()])
