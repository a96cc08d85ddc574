"""Mean absolute difference of image pairs."""

from torch import Tensor

from ganeval.metrics.base import PairMetric
from ganeval.metrics.image_pairs import PEAK, check_pairs, means


def l1(real: Tensor, fake: Tensor) -> Tensor:
    """Mean absolute difference of each pair, over all pixels and channels, on 0..1.

    For images with levels from 0 to 255::

        l1 = mean |real - fake| / 255

    Args:
        real: The real images, ``[N, C, H, W]`` with 1 or 3 channels, uint8 or floats on 0..1.
        fake: The image that belongs to each, of the same shape.

    Returns:
        float64 ``[N]`` from 0 to 1, lower is better. Multiplied by 255 it is in levels of uint8; multiplied by 2 it is
        the loss of networks whose images are on -1..1, such as pix2pix.

    Raises:
        MetricError: The shapes or values are not those of image pairs.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import l1
        >>> real = torch.full((1, 3, 8, 8), 100, dtype=torch.uint8)
        >>> l1(real, real + 51).item()
        0.2
    """
    real, fake = check_pairs(real, fake)
    return means((real - fake).abs()) / PEAK


L1 = PairMetric(title="Mean absolute difference of pixels, on 0..1", compute=l1, direction="lower", source="")
