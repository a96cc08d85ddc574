"""FWD, the Fréchet wavelet distance: the mean Fréchet distance of the wavelet packets of two sets of images.

Haar packets of level L are the Walsh-Hadamard transform of blocks of 2^L x 2^L pixels: a packet has one coefficient of
every block and channel. Packets are computed in 2^L groups, so this takes little memory compared with the images.

The value is a mean of Fréchet distances of the same images, so the influence of an image on it is the mean of its
influences on these (fid.py), and the standard error follows from the influences.
"""

import math

import torch
from scipy.linalg import hadamard
from torch import Tensor

from ganeval.distances import slices
from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.fid import FrechetSide, expand
from ganeval.metrics.moments import check_pair
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

# Bytes of the images that are transformed at a time.
PIECE = 1 << 26
# Packets of this level need images of at least 4096 pixels.
HIGHEST = 12


def fwd(real: Tensor, fake: Tensor, *, level: int = 4) -> Estimate:
    """Fréchet wavelet distance between two sets of images, with its standard error.

    The images' Haar wavelet packets of a level are compared one by one, by their means and covariances::

        FWD = mean_p |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

    A packet p is a band of frequencies in both directions: at level 4, one of 256, and its coefficients at every place
    and in every channel are the features. There is no network, and hence no training set that the images could differ
    from. All bands count equally, so FWD notices what networks ignore (noise, grids, a lack of detail), and it does not
    notice what an image shows.

    Args:
        real: The real images, ``[N, 3 * S * S]`` of any floating dtype, on 0..1; channel by channel, as the extractor
            ``pixels`` gives them.
        fake: The generated images, ``[M, 3 * S * S]``.
        level: Level of the packets, 4 as in the paper. Each level needs images that can be halved once more; otherwise
            the highest possible level is used, and a note says so.

    Returns:
        FWD, 0 or more; lower is better. It is biased upwards, like FID, and depends on the size of the images.
        ``details`` has the numbers of "level", "packets" and "pixels" (S).

    Raises:
        MetricError: The images are not square with three channels, have an odd number of pixels along a side, ``level``
            is below 1, a set has fewer than 2 images, the sizes differ, or values are not finite.

    References:
        Veeramacheneni, Wolter, Kuehne and Gall 2025, "Fréchet Wavelet Distance: A Domain-Agnostic Metric for Image
        Generation". The published code pads images that cannot be halved by reflection.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import fwd
        >>> rng = torch.Generator().manual_seed(0)
        >>> real = torch.rand(200, 3 * 16 * 16, generator=rng)
        >>> fake = torch.rand(200, 3 * 16 * 16, generator=rng) + 0.25
        >>> estimate = fwd(real, fake)
        >>> print(f"{estimate.value:.2f}, {estimate.details['packets']:.0f} packets")
        0.19, 256 packets
    """
    check_options(fwd, locals())
    real, fake = check_pair(real, fake)
    size, used = _size(real.shape[1], level)
    if min(len(real), len(fake)) < 2:
        raise MetricError(f"FWD needs at least 2 real and 2 fake images, found {len(real)} and {len(fake)}.")
    packets, value = 4**used, 0.0
    by_real, by_fake = (torch.zeros(len(side), dtype=torch.float64, device=side.device) for side in (real, fake))
    for row in range(2**used):
        groups = (_packets(side, size, used, row) for side in (real, fake))
        for x, y in zip(*groups, strict=True):
            found = expand(FrechetSide(x, 1, "real"), FrechetSide(y, 1, "fake"))
            assert found.real is not None
            assert found.fake is not None
            value += found.value / packets
            by_real += found.real / packets
            by_fake += found.fake / packets
    error = math.hypot(*(float(side.std()) / math.sqrt(len(side)) for side in (by_real, by_fake)))
    notes: tuple[str, ...] = ()
    if used < level:
        notes = (
            f"Level {used} instead of {level}: images of {size} x {size} pixels can be halved {used} times. Compare "
            f"only values of the same level; for level {level}, resize to a multiple of {2**level} pixels.",
        )
    return Estimate(
        value,
        error,
        normal_interval(value, error, minimum=0.0),
        "influence function",
        {"level": float(used), "packets": float(packets), "pixels": float(size)},
        notes,
        shared_by_influence(by_real.cpu().numpy()),
    )


def _size(width: int, level: int) -> tuple[int, int]:
    """The side of square images [N, 3 * S * S], and the level that they allow; MetricError for others."""
    if not 1 <= level <= HIGHEST:
        raise MetricError(f"The level of FWD must be from 1 to {HIGHEST}, found {level}; the paper's is 4.")
    size = math.isqrt(width // 3)
    if not size or 3 * size**2 != width:
        raise MetricError(
            f"FWD needs square images of three channels, and {width} values do not form one; choose a size, for "
            "example pixels:256."
        )
    if size % 2:
        raise MetricError(
            f"FWD needs images that can be halved, found {size} x {size} pixels; choose a size that is a multiple of "
            "16, for example pixels:256."
        )
    # The lowest bit of the size is the largest power of two that divides it.
    return size, min(level, (size & -size).bit_length() - 1)


def _packets(side: Tensor, size: int, level: int, row: int) -> Tensor:
    """The 2^level packets of one vertical frequency, float64 [2^level, N, 3 * (size / 2^level)^2]."""
    block = 2**level
    few = size // block
    waves = torch.from_numpy(hadamard(block) / math.sqrt(block)).to(side.device)
    found = torch.empty(block, len(side), 3 * few**2, dtype=torch.float64, device=side.device)
    for part in slices(len(side), max(1, PIECE // (8 * side.shape[1]))):
        images = side[part].double().reshape(-1, 3, few, block, size)
        vertical = torch.einsum("b,ncibj->ncij", waves[row], images)
        horizontal = vertical.reshape(-1, few**2 * 3, block) @ waves
        found[:, part] = horizontal.permute(2, 0, 1)
    return found


FWD = Metric(
    title="Fréchet wavelet distance",
    compute=fwd,
    real="images",
    fake="images",
    direction="lower",
    source="Veeramacheneni et al. 2025",
)
