"""Fréchet distance between the small patches of reals and of fakes: do fakes have the texture of reals?"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import PairMetric, check_options
from ganeval.metrics.fid import frechet_distance
from ganeval.metrics.image_pairs import PEAK, check_pairs
from ganeval.metrics.pooled import Pooled
from ganeval.uncertainty import Estimate


def patch_frechet(real: Tensor, fake: Tensor, *, size: int = 5, stride: int = 2) -> Estimate:
    """Fréchet distance between the patches of all reals and those of all fakes.

    Every patch of size x size pixels, on 0..1, is a vector of D = C size^2 numbers. With mean m and covariance S of the
    patches of each set::

        distance = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

    It compares textures, and not which patch is where: blurred images have a large distance although their PSNR is
    high, and sharp images with invented detail have a small one.

    Args:
        real: The real images, ``[N, C, H, W]`` with 1 or 3 channels, uint8 or floats on 0..1.
        fake: The image that belongs to each, of the same shape.
        size: Side of a patch in pixels, from 1 to 11.
        stride: Pixels from one patch to the next.

    Returns:
        The distance, 0 or more, lower is better. Its standard error is the jackknife's, over pairs up to 32 pairs and
        over 32 groups of pairs above; None for one pair.

    Raises:
        MetricError: The shapes or values are not those of image pairs, the images are smaller than a patch, or an
            option is out of range.

    References:
        The distance is that of Heusel et al. 2017, of pixels in place of features; no published value is comparable.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import patch_frechet
        >>> real = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) / 2
        >>> round(patch_frechet(real, real + 0.1, size=1, stride=1).value, 4)
        0.03
    """
    check_options(patch_frechet, locals())
    pooled = Pooled()
    for statistic in _patch_sums(real, fake, size=size, stride=stride):
        pooled.add(statistic)
    return pooled.estimate(_distance)


def _patch_sums(real: Tensor, fake: Tensor, *, size: int = 5, stride: int = 2) -> Tensor:
    """Number, sum and products of the patches of each pair, float64 [N, 2, 1 + D, 1 + D]."""
    check_options(patch_frechet, locals())
    real, fake = check_pairs(real, fake)
    if not 1 <= size <= 11 or stride < 1:
        raise MetricError(f"The size of a patch must be 1 to 11 and the stride 1 or more, found {size} and {stride}.")
    height, width = real.shape[2:]
    if min(height, width) < size:
        raise MetricError(f"Patches of {size} x {size} pixels do not fit into images of {width} x {height} pixels.")
    # Relative to the middle of the range, so that products of nearly equal values keep their digits.
    sides = [[_products(image / PEAK - 0.5, size, stride) for image in side] for side in (real, fake)]
    return torch.stack([torch.stack(pair) for pair in zip(*sides, strict=True)])


def _products(image: Tensor, size: int, stride: int) -> Tensor:
    """Products of the patches of an image [C, H, W], each preceded by a 1."""
    patches = F.unfold(image[None], size, stride=stride)[0]
    rows = torch.cat((patches.new_ones(1, patches.shape[1]), patches))
    return rows @ rows.T


def _distance(sums: Tensor) -> float:
    """The distance from the sums [2, 1 + D, 1 + D] over pairs."""
    moments = []
    for side in sums:
        count, mean = float(side[0, 0]), side[0, 1:] / side[0, 0]
        covariance = side[1:, 1:] / count - torch.outer(mean, mean)
        moments += [mean, (covariance + covariance.T) / 2]
    return frechet_distance(*moments)


PATCH_FRECHET = PairMetric(
    title="Fréchet distance of patches, on 0..1",
    compute=_patch_sums,
    pool=_distance,
    direction="lower",
    source="Heusel et al. 2017",
)
