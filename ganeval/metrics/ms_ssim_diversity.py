"""Diversity by structural similarity: the mean MS-SSIM of pairs of fakes, relative to that of pairs of reals.

The standard error of the ratio is the delta method's.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.moments import check_pair
from ganeval.metrics.random_pairs import FEWEST, Order, mean_of_pairs, square_size
from ganeval.metrics.ssim import WEIGHTS
from ganeval.precision import full_precision
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

# The smallest images for 1, 2, ... scales.
SMALLEST = (11, 22, 44, 99, 176)
# Numbers per batch of images, so that the convolutions stay in the processor's cache.
BATCH = 1 << 16


def ms_ssim_diversity(real: Tensor, fake: Tensor, *, pairs: int = 1000, seed: int = 0) -> Estimate:
    """Mean MS-SSIM between pairs of fakes, relative to that between pairs of reals.

    MS-SSIM compares two images by luminance, contrast and structure at several scales, each half the size of the one
    before::

        value = mean MS-SSIM of pairs of fakes / mean MS-SSIM of pairs of reals

    It has five scales, and its 11 x 11 window must fit into the smallest: images need at least 176 pixels. Smaller
    images use the scales that fit (4 from 99 pixels, 3 from 44, 2 from 22, 1 from 11), with their weights scaled to the
    sum of all five. Values at different image sizes or numbers of scales are not comparable.

    Args:
        real: Pixels of the real images on 0..1, ``[N, 3 * S * S]``, channel by channel, of any floating dtype.
        fake: Pixels of the generated images, ``[M, 3 * S * S]``.
        pairs: Approximate number of pairs in each set, or all pairs if there are fewer; 1000 determine the mean to
            about 1%.
        seed: Seed of the order that pairs images.

    Returns:
        The ratio, 0 or more; 1 is best. Above 1, fakes are more alike than reals (a collapsed generator); below 1, less
        alike. ``details`` has both means, "real" and "fake", and the numbers of "scales" and "pixels" (S).

    Raises:
        MetricError: The images are not square with three channels, are smaller than 11 x 11, or have values outside
            0..1; a set has fewer than 4 images; all paired reals have a similarity of 0; ``pairs`` is below 1; or
            torchmetrics is missing.

    References:
        Odena, Olah and Shlens 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs"; Wang, Simoncelli and
        Bovik 2003, "Multi-scale structural similarity for image quality assessment". torchmetrics computes MS-SSIM,
        with negative terms counted as 0.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import ms_ssim_diversity
        >>> rng = torch.Generator().manual_seed(0)
        >>> shade = torch.rand(60, 1, generator=rng)
        >>> real = (shade + 0.2 * torch.rand(60, 3 * 16 * 16, generator=rng)).clamp(0, 1)
        >>> estimate = ms_ssim_diversity(real, real[:1].repeat(60, 1), pairs=100)
        >>> estimate.value > 1, estimate.details["scales"]
        (True, 1.0)
    """
    check_options(ms_ssim_diversity, locals())
    real, fake = check_pair(real, fake)
    if min(len(real), len(fake)) < FEWEST:
        raise MetricError(f"MS-SSIM needs at least {FEWEST} images of each set, found {len(real)} and {len(fake)}.")
    if pairs < 1:
        raise MetricError(f"MS-SSIM needs at least 1 pair, found {pairs}.")
    size = square_size(real, fake, of="MS-SSIM", smallest=SMALLEST[0])
    scales = sum(size >= smallest for smallest in SMALLEST)
    rng = np.random.RandomState(seed)
    of_reals, of_fakes = (
        mean_of_pairs(len(side), pairs, rng, partial(_of_pairs, side, size, WEIGHTS[:scales])) for side in (real, fake)
    )
    if of_reals.mean == 0:
        raise MetricError("All paired reals have a similarity of 0, so the ratio to it is undefined.")
    value = of_fakes.mean / of_reals.mean
    from_reals = value**2 * of_reals.variance / of_reals.mean**2
    error = math.sqrt(of_fakes.variance / of_reals.mean**2 + from_reals)
    return Estimate(
        value,
        error,
        normal_interval(value, error, minimum=0.0),
        "variance of pairs that may share an image",
        {"real": of_reals.mean, "fake": of_fakes.mean, "scales": float(scales), "pixels": float(size)},
        shared=shared_by_influence(-of_reals.influences, variance=from_reals),
    )


def _of_pairs(side: Tensor, size: int, weights: Sequence[float], first: Order, second: Order) -> NDArray[np.float64]:
    """MS-SSIM between the images [N, 3 * size * size] at `first` and those at `second`."""
    similarity = _torchmetrics()
    betas = tuple(weight * (sum(WEIGHTS) / sum(weights)) for weight in weights)
    batch = max(1, BATCH // side.shape[1])
    found = []
    for start in range(0, len(first), batch):
        pair = [
            side[torch.from_numpy(order[start : start + batch]).to(side.device)].float().reshape(-1, 3, size, size)
            for order in (first, second)
        ]
        # If the channels are equal, one is enough: the mean over channels is the same.
        if all(bool((images == images[:, :1]).all()) for images in pair):
            pair = [images[:, :1] for images in pair]
        with full_precision(), torch.autocast(side.device.type, enabled=False):
            given = similarity(*pair, data_range=1.0, betas=betas, normalize="relu", reduction="none")
        found.append(given.reshape(-1).double().cpu().numpy())
    return np.concatenate(found)


def _torchmetrics() -> Callable[..., Tensor]:
    try:
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
    except ImportError as error:
        raise MetricError(
            "MS-SSIM is computed by torchmetrics, which is not installed: pip install 'ganeval[msssim]'."
        ) from error
    found: Callable[..., Tensor] = multiscale_structural_similarity_index_measure
    return found


MS_SSIM_DIVERSITY = Metric(
    title="Mean pairwise MS-SSIM of fakes, relative to reals",
    compute=ms_ssim_diversity,
    real="images",
    fake="images",
    direction="closer",
    source="Odena et al. 2017",
    ideal=1.0,
)
