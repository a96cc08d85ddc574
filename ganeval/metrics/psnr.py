"""Peak signal-to-noise ratio of image pairs."""

import math

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import PairMetric, check_options
from ganeval.metrics.image_pairs import PEAK, Channel, check_pairs, means, seen


def psnr(real: Tensor, fake: Tensor, *, channel: Channel = "rgb", border: int = 0, cap: float | None = None) -> Tensor:
    """Peak signal-to-noise ratio of each pair, in dB.

    With MSE the mean squared difference over all pixels and channels of a pair, on 0..255::

        PSNR = 10 log10(255^2 / MSE)

    Equal images have an MSE of 0 and an infinite PSNR. A mean over pairs with an infinite value does not exist:
    `ganeval.evaluate_pairs` then raises an error unless there is a ``cap``.

    Args:
        real: The real images, ``[N, C, H, W]`` with 1 or 3 channels, uint8 or floats on 0..1.
        fake: The image that belongs to each, of the same shape.
        channel: "rgb" for all channels as they are; "y" for the luma of ITU-R BT.601, 16 + (65.481 R + 128.553 G +
            24.966 B) / 255, not rounded, as BasicSR and MATLAB code of super-resolution have it.
        border: Pixels to leave out at each side; in super-resolution usually the scale factor.
        cap: The largest value, in dB; None for no limit. piq adds 1e-8 to the MSE on 0..1, which is nearly a cap of 80.

    Returns:
        float64 ``[N]``, higher is better; infinity for equal images without a cap.

    Raises:
        MetricError: The shapes or values are not those of image pairs, the border leaves no pixels, or the cap is not
            above 0.

    References:
        Published code differs: torchmetrics pools the MSE over all pairs by default, scikit-image takes the range from
        the dtype, piq adds 1e-8 to the MSE.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import psnr
        >>> real = torch.full((1, 3, 8, 8), 100, dtype=torch.uint8)
        >>> round(psnr(real, real + 16).item(), 4)
        24.0484
    """
    check_options(psnr, locals())
    if cap is not None and not cap > 0:
        raise MetricError(f"The cap of PSNR must be above 0 dB, found {cap}.")
    real, fake = (seen(side, channel=channel, border=border) for side in check_pairs(real, fake))
    errors = means((real - fake).square())
    values = 10 * torch.log10(PEAK**2 / errors)
    return values.clamp(max=math.inf if cap is None else cap)


PSNR = PairMetric(
    title="Peak signal-to-noise ratio, in dB",
    compute=psnr,
    direction="higher",
    source="",
    infinite="Equal images have an infinite PSNR. Leave these pairs out, or cut their value off with the option cap "
    "(--option psnr.cap=80).",
)
