"""Diversity by structural similarity: how alike pairs of fakes are, over how alike pairs of reals are.

    value = mean MS-SSIM of pairs of fakes / mean MS-SSIM of pairs of reals

1 when fakes are as unlike each other as reals, more when they are more alike (a collapsed generator), less when they
are less so (noise is). MS-SSIM compares two images by luminance, contrast and structure at several scales, each half as
large as the one before; torchmetrics computes it, negative terms counted as 0. It has five scales, and an 11 x 11
window that must fit into the last: from 176 pixels on. Smaller images get as many as fit (4 from 99, 3 from 44, 2 from
22, 1 from 11), with the weights of the first ones, scaled to add up to what all five do (Wang's own add up to 1.0001);
how many is in the details, and values of different sizes or scales are not comparable.

Pairs are neighbours on a circle of images in a seeded order: every image takes part in equally many. The variance of
their mean is made of that of one pair, and of what two pairs that share an image have in common; that of the ratio is
the delta method's.

Sources: Wang, Simoncelli and Bovik 2003; Odena, Olah and Shlens 2017, "Conditional Image Synthesis with Auxiliary
Classifier GANs" (pairs of fakes beside pairs of reals).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.moments import check_pair
from ganeval.precision import full_precision
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

# Wang et al.'s weights of the scales, and the smallest images for 1, 2, ... of them.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALLEST = (11, 22, 44, 99, 176)
# Numbers of a batch of images: what the convolutions hold stays in a processor's cache.
BATCH = 1 << 16
FEWEST = 4
Order = NDArray[np.int_]


def ms_ssim(real: Tensor, fake: Tensor, *, pairs: int = 1000, seed: int = 0) -> Estimate:
    """Mean MS-SSIM of pairs of fakes [M, 3 * S * S] over that of pairs of reals [N, 3 * S * S], both in the details.

    Images of S x S pixels on 0..1, channel by channel. pairs: about as many in each set, as far as there are. seed: of
    the order that pairs them. Raises MetricError for other images, ones under 11 x 11, fewer than 4, a value that is
    not finite, reals that have nothing in common, less than one pair, or without torchmetrics.
    """
    real, fake = check_pair(real, fake)
    if min(len(real), len(fake)) < FEWEST:
        raise MetricError(f"MS-SSIM needs at least {FEWEST} images of each set, found {len(real)} and {len(fake)}.")
    if pairs < 1:
        raise MetricError(f"MS-SSIM needs at least 1 pair, found {pairs}.")
    size = _size(real, fake)
    scales = sum(size >= smallest for smallest in SMALLEST)
    rng = np.random.RandomState(seed)
    of_reals, of_fakes = (_similarity(side, size, WEIGHTS[:scales], pairs, rng) for side in (real, fake))
    if of_reals.mean == 0:
        raise MetricError("No two of the reals that were paired have anything in common: MS-SSIM has no reference.")
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


@dataclass(frozen=True, slots=True)
class _Similarity:
    """The mean over pairs, its variance, and how each image moves it, float64 [N], up to a factor."""

    mean: float
    variance: float
    influences: NDArray[np.float64]


def _similarity(
    side: Tensor, size: int, weights: Sequence[float], pairs: int, rng: np.random.RandomState
) -> _Similarity:
    order = rng.permutation(len(side))[: max(pairs, FEWEST)]
    count = len(order)
    rounds = min(max(1, pairs // count), (count - 1) // 2)
    compared = count * rounds
    steps = range(1, rounds + 1)
    found = np.stack([_of_pairs(side, size, order, np.roll(order, -step), weights) for step in steps])
    mean = float(found.mean())
    # An image is the first of a pair with one some steps on, and the second of one with one as far back.
    around = found - mean
    sums, squares = np.zeros(count), np.zeros(count)
    for step, row in zip(steps, around, strict=True):
        sums += row + np.roll(row, step)
        squares += row**2 + np.roll(row**2, step)
    # Twice what all pairs of pairs with an image in common add; deviations are from the mean of these same pairs.
    common = max(float((sums**2 - squares).sum()), 0.0)
    spent = 2 * (2 * rounds - 1) / compared
    variance = (float(around.var(ddof=1)) / compared + common / compared**2) / (1 - spent)
    influences = np.zeros(len(side))
    influences[order] = sums
    return _Similarity(mean, variance, influences)


def _of_pairs(side: Tensor, size: int, first: Order, second: Order, weights: Sequence[float]) -> NDArray[np.float64]:
    """MS-SSIM of images [N, 3 * size * size] at `first` with those at `second`."""
    similarity = _torchmetrics()
    betas = tuple(weight * (sum(WEIGHTS) / sum(weights)) for weight in weights)
    batch = max(1, BATCH // side.shape[1])
    found = []
    for start in range(0, len(first), batch):
        pair = [
            side[torch.from_numpy(order[start : start + batch]).to(side.device)].float().reshape(-1, 3, size, size)
            for order in (first, second)
        ]
        # Equal channels are seen once: the mean over channels is the same.
        if all(bool((images == images[:, :1]).all()) for images in pair):
            pair = [images[:, :1] for images in pair]
        with full_precision():
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


def _size(real: Tensor, fake: Tensor) -> int:
    """The side of square images [N, 3 * S * S] on 0..1; MetricError for others."""
    width = real.shape[1]
    size = math.isqrt(width // 3)
    if 3 * size**2 != width:
        raise MetricError(
            f"MS-SSIM takes square images of three channels, and {width} numbers are none; name a size, for example "
            "pixels:32."
        )
    if size < SMALLEST[0]:
        raise MetricError(
            f"MS-SSIM needs images of at least {SMALLEST[0]} x {SMALLEST[0]} pixels, found {size} x {size}; name a "
            "larger size, for example pixels:32."
        )
    for side in (real, fake):
        low, high = (float(end) for end in torch.aminmax(side))
        if low < 0 or high > 1:
            raise MetricError(f"MS-SSIM needs pixels on 0..1, found values from {low:.4g} to {high:.4g}.")
    return size
