"""Gaussian kernels of features: bandwidth, matrix, random Fourier features that approximate it, and images of modes.

Unless a bandwidth is given, it is half the root mean square distance between two reals, sqrt(2 tr S) / 2 with S their
covariance: it follows the scale of the features, is the same for all generators that are compared with these reals, and
is computed from all of them. The reals are a sample, so the bandwidth has an error, which the metrics add to their own.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import squares_of_all
from ganeval.errors import MetricError
from ganeval.linalg import EPS, TOO_LARGE, chunks
from ganeval.spool import spooled
from ganeval.uncertainty import shared_by_influence

# The bandwidth relative to the root mean square distance between two reals.
FACTOR = 0.5
# The step of the numerical derivative by log sigma.
STEP = 1e-3
# Images of each set that are compared. If their distances, in bandwidths, are all below NEAREST, the images are
# practically equal (1 - k is less than 1e-8); if all are above FARTHEST, no two are similar (k is 0, also for pairs a
# tenth as far apart).
SAMPLE_ROWS = 100
NEAREST, FARTHEST = 1e-4, 85.0
# Eigenvalues of kernel covariances (of trace 1) and of their differences are rounding errors up to this size.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """sigma: the standard deviation of the kernel.

    influences: float64 [N], the influence of each real on its logarithm; None where sigma was given.
    """

    sigma: float
    influences: Tensor | None

    def spread(self, slope: float) -> NDArray[np.float64]:
        """`Estimate.shared` of a value with this derivative by log sigma; its length is the standard error."""
        if self.influences is None:
            return np.zeros(1)
        return shared_by_influence(slope * self.influences.cpu().numpy())

    def spread_of(self, score: Callable[[float], float]) -> NDArray[np.float64]:
        """`Estimate.shared` of a score that is a function of the bandwidth, by its numerical derivative."""
        if self.influences is None:
            return self.spread(0.0)
        after, before = (score(self.sigma * math.exp(step)) for step in (STEP, -STEP))
        return self.spread((after - before) / (2 * STEP))


def bandwidth(real: Tensor, fake: Tensor, sigma: float | None, metric: str) -> Bandwidth:
    """The given sigma, or that of the reals [N, D]; MetricError, with the metric's name, if it cannot be used."""
    if sigma is not None:
        check_sigma(sigma, (real, fake), metric)
        return Bandwidth(sigma, None)
    centre = torch.stack([part.sum(0) for part in chunks(real)]).sum(0) / len(real)
    lengths = torch.cat([(part - centre).square().sum(1) for part in chunks(real)])
    trace = float(lengths.mean())
    # If all rows are equal, only the rounding error of their mean is left.
    if len(real) < 2 or trace <= (100 * EPS) ** 2 * float(centre.square().sum()):
        raise MetricError(
            f"{metric} takes its bandwidth from the distances between reals, which are all equal; set its option sigma."
        )
    unbiased = trace * len(real) / (len(real) - 1)
    if not math.isfinite(unbiased):
        raise MetricError(f"{metric} cannot be computed: squared distances between reals exceed float64.")
    return Bandwidth(FACTOR * math.sqrt(2 * unbiased), (lengths / trace - 1) / 2)


def check_sigma(sigma: float, sets: Sequence[Tensor], metric: str, *, nearest: float = NEAREST) -> None:
    """MetricError for a bandwidth that is not above 0, or far from all distances within and between the sets.

    nearest: the distances, in bandwidths, below which the metric cannot distinguish images.
    """
    if not 0 < sigma < math.inf:
        raise MetricError(f"The bandwidth sigma of {metric} must be above 0 and finite, found {sigma:g}.")
    some = torch.cat([side[:: -(-len(side) // SAMPLE_ROWS)].double() for side in sets])
    # Relative to the largest, as squares of very small and very large numbers are out of range.
    scale = float((some - some[0]).abs().max())
    if scale == 0:
        return
    distances = torch.pdist(some / scale)
    least, largest = (float(one) * (scale / sigma) for one in (distances.min(), distances.max()))
    if largest < nearest or least > FARTHEST:
        raise MetricError(
            f"The bandwidth sigma of {metric} is {sigma:g}, and the distance between two images about "
            f"{float(distances.square().mean().sqrt()) * scale:.3g}: "
            + ("no two images are similar" if least > FARTHEST else "all images are practically equal")
            + " in float64. Set the option sigma to about that distance."
        )


def kernel_matrix(rows: Tensor, sigma: float) -> Tensor:
    """exp(-|x - y|^2 / (2 sigma^2)) of all pairs of rows [N, D], float64 [N, N]."""
    scaled = rows.double() / sigma
    scaled -= scaled.mean(0)
    lengths = _lengths(scaled)
    matrix = squares_of_all(scaled, scaled, lengths, lengths).clamp_(min=0).mul_(-0.5).exp_()
    return matrix.fill_diagonal_(1)


def kernel_between(first: Tensor, second: Tensor, sigma: float) -> Tensor:
    """exp(-|x - y|^2 / (2 sigma^2)) of rows x [N, D] and y [M, D], float64 [N, M]."""
    mine, theirs = first.double() / sigma, second.double() / sigma
    centre = mine.mean(0)
    mine, theirs = mine - centre, theirs - centre
    lengths = (_lengths(side) for side in (mine, theirs))
    return squares_of_all(mine, theirs, *lengths).clamp_(min=0).mul_(-0.5).exp_()


def _lengths(rows: Tensor) -> Tensor:
    """Squared lengths [N] of rows [N, D]; MetricError if float64 cannot hold one."""
    lengths = rows.square().sum(1)
    if not lengths.isfinite().all():
        raise MetricError(TOO_LARGE)
    return lengths


def clearest(along: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The images that show a mode best, by the components [N] of their unit features along its eigenvector.

    Returns:
        int64 [K], K <= count, the images that lie furthest along it, and float64 [K], the squares of their components.
    """
    # The sign of an eigenvector is arbitrary; that of most of its weight is taken.
    along = along * (1 if float(along.pow(3).sum()) >= 0 else -1)
    # Rounded, so that equal images keep their order.
    order = along.round(decimals=9).argsort(descending=True, stable=True)[:count]
    order = order[along[order] > 0]
    return order, along[order].square()


def fourier_features(rows: Tensor, sigma: float, count: int, seed: int) -> Tensor:
    """Unit rows float64 [N, 2 count] whose inner products approximate the kernel of the rows [N, D].

    [cos, sin](x.w) / sqrt(count), w ~ N(0, 1 / sigma^2) (Rahimi and Recht 2007); the seed determines w.
    """
    # Drawn on the CPU, so that they do not depend on the device of the features.
    rng = torch.Generator().manual_seed(int(seed))
    drawn = torch.randn(rows.shape[1], count, generator=rng, dtype=torch.float64, device="cpu")
    frequencies = drawn.to(rows.device) / sigma
    return spooled((_circle(part @ frequencies) for part in chunks(rows)), len(rows))


def _circle(phases: Tensor) -> Tensor:
    """[cos, sin](phases) of [N, R] as unit rows [N, 2 R]."""
    count = phases.shape[1]
    found = phases.new_empty(len(phases), 2 * count)
    torch.cos(phases, out=found[:, :count])
    torch.sin(phases, out=found[:, count:])
    return found.div_(math.sqrt(count))
