"""CMMD: the squared maximum mean discrepancy with a Gaussian kernel between two sets of unit rows.

The kernel is computed as its difference from 1, which cancels in the discrepancy and would cost digits: with a
bandwidth of 10, all values of the kernel of unit rows lie between 0.98 and 1. Blocks of the kernel matrices are summed
one at a time, so memory is a few blocks for any number of images.

The standard error is that of the unbiased estimator (mmd.py). The bias, the mean over images of 1 - k(x, x') divided by
their number, hardly varies.
"""

import math
from functools import partial

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.directions import unit_rows
from ganeval.metrics.gaussian_kernel import check_sigma
from ganeval.metrics.mmd import KernelSums
from ganeval.metrics.moments import check_pair
from ganeval.metrics.ustatistics import FEWEST
from ganeval.precision import full_precision, outgrown
from ganeval.uncertainty import Estimate, normal_interval

# The factor by which the discrepancy is reported.
SCALE = 1000
# At this size the kernel's difference from 1 is still accurate, but its fourth power underflows to 0.
UNDERFLOW = 1e-70


def cmmd(real: Tensor, fake: Tensor, *, sigma: float = 10.0) -> Estimate:
    """CMMD between two sets of features, with its standard error.

    The squared maximum mean discrepancy of features scaled to unit rows, with a Gaussian kernel::

        CMMD = 1000 ( mean k(x, x') + mean k(y, y') - 2 mean k(x, y) ),    k(x, y) = exp(-|x - y|^2 / (2 sigma^2))

    over all pairs of reals, all pairs of fakes (both including the pairs of each image with itself), and all pairs of a
    real and a fake. With these means CMMD is never negative, and is biased upwards by about 1 / n: compare only equal
    numbers.

    The bandwidth of 10 is far above the distances of unit rows, which are at most 2. So the kernel is almost linear,
    and CMMD is almost 10 times the squared distance between the mean directions of the two sets.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype. The paper uses CLIP embeddings; any
            extractor can be used, but values of different extractors cannot be compared.
        fake: Features of the generated images, ``[M, D]``.
        sigma: Bandwidth of the kernel, above 0; 10 as in the paper.

    Returns:
        CMMD, 0 or more; lower is better. The standard error is None for fewer than 4 images of a set.
        ``details["unbiased"]`` is the value without the pairs of each image with itself.

    Raises:
        MetricError: A set has fewer than 2 images, ``sigma`` is not above 0, the dimensions differ, an image has only
            zeros, or the features are not finite floating tensors of two axes.

    References:
        Jayasumana et al. 2024, "Rethinking FID: Towards a Better Evaluation Metric for Image Generation". The
        published code computes the same in float32, and keeps whole kernel matrices.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import cmmd
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), torch.randn(500, 4, generator=rng) + 1
        >>> estimate = cmmd(real, fake)
        >>> print(f"{estimate.value:.2f} ± {estimate.standard_error:.2f}")
        4.89 ± 0.34
    """
    check_options(cmmd, locals())
    real, fake = check_pair(real, fake)
    if min(len(real), len(fake)) < 2:
        raise MetricError(f"CMMD needs at least 2 real and 2 fake images, found {len(real)} and {len(fake)}.")
    # Nearly equal rows need float64.
    exact = outgrown(real, fake)
    mine, theirs = (unit_rows(side.double() if exact else side, "CMMD") for side in (real, fake))
    check_sigma(sigma, (mine, theirs), "CMMD", nearest=UNDERFLOW)
    sums = KernelSums.of(mine, theirs, partial(_kernel, sigma))
    value, parts = max(SCALE * sums.biased, 0.0), sums.parts
    details = {"unbiased": SCALE * sums.value}
    if parts is None:
        return Estimate(value, None, None, f"fewer than {FEWEST} images: no error bar", details)
    error = SCALE * math.sqrt(parts.variance(len(real), len(fake)))
    shared = sums.shared
    return Estimate(
        value,
        error,
        normal_interval(value, error, minimum=0.0),
        "U-statistic's variance",
        details,
        shared=None if shared is None else SCALE * shared,
    )


def _kernel(sigma: float, first: Tensor, second: Tensor) -> Tensor:
    """exp(-|x - y|^2 / (2 sigma^2)) - 1 of unit rows."""
    with full_precision(), torch.autocast(first.device.type, enabled=False):
        products = (first @ second.T).double()
    return products.sub_(1).div_(sigma**2).expm1_()


CMMD = Metric(
    title="CMMD: maximum mean discrepancy of unit-length features with a Gaussian kernel",
    compute=cmmd,
    real="features",
    fake="features",
    direction="lower",
    source="Jayasumana et al. 2024",
)
