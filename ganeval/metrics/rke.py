"""RKE: the effective number of modes of the fakes, as the inverse of the mean squared similarity of two fakes.

It is Rényi's entropy of order 2 of the kernel matrix. The sum of squared eigenvalues is the sum of squared elements, so
no eigenvalue is computed, and blocks of the matrix are summed one at a time.

The standard error is that of the mean over pairs (ustatistics.py), by the delta method, and the error of the bandwidth
where the reals determine it: the derivative by its logarithm, from at most 2000 fakes, times the influence of each
real.
"""

import math

import torch
from torch import Tensor

from ganeval.distances import squares_of_all
from ganeval.errors import MetricError
from ganeval.linalg import chunks
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.gaussian_kernel import bandwidth
from ganeval.metrics.moments import check_pair
from ganeval.metrics.ustatistics import FEWEST, variance_of_mean, within
from ganeval.metrics.vendi import few_images
from ganeval.precision import outgrown
from ganeval.spool import spooled
from ganeval.uncertainty import Estimate, normal_interval

# Fakes from which the derivative by the bandwidth is computed.
SAMPLE_ROWS = 2000


def rke(real: Tensor, fake: Tensor, *, sigma: float | None = None) -> Estimate:
    """Rényi kernel entropy score of the fakes: their effective number of modes.

    The inverse of the mean squared similarity over all n^2 pairs of fakes::

        RKE = 1 / mean_ij k(y_i, y_j)^2,    k(x, y) = exp(-|x - y|^2 / (2 sigma^2))

    It is 1 for n copies of one image, and m for equally large groups of copies that are far from each other. It equals
    the Vendi score of order 2 with this kernel. Reals are used only for the bandwidth.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        sigma: Bandwidth of the kernel, in units of the features. None takes half the root mean square distance between
            two reals. Papers choose it by hand for each extractor.

    Returns:
        The score, from 1 to the number of fakes; higher is more diverse. ``details["sigma"]`` is the bandwidth that was
        used. The standard error is None for fewer than 4 fakes.

    Raises:
        MetricError: There are fewer than 2 fakes, all reals are equal and ``sigma`` is None, ``sigma`` is not above 0,
            the dimensions differ, or the features are not finite floating tensors of two axes.

    References:
        Jalali, Li and Farnia 2023, "An Information-Theoretic Evaluation of Generative Models in Learning Multi-modal
        Distributions" (RKE-MC). The published code draws pairs at random; here all are used.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import rke
        >>> print(f"{rke(torch.eye(4), 9 * torch.eye(4).repeat(100, 1)).value:.2f}")
        4.00
    """
    check_options(rke, locals())
    real, fake = check_pair(real, fake)
    count = len(fake)
    if count < 2:
        raise MetricError("RKE needs at least 2 fake images, found 1.")
    found = bandwidth(real, fake, sigma, "RKE")
    rows = _scaled(fake, found.sigma)
    pairs = within(rows, _squared_kernel)
    mean = (pairs.mean * (count - 1) + 1) / count
    value, details, notes = 1 / mean, {"sigma": found.sigma}, few_images(1 / mean, count)
    if count < FEWEST:
        return Estimate(value, None, None, f"fewer than {FEWEST} images: no error bar", details, notes)
    own = value**2 * (count - 1) / count * math.sqrt(variance_of_mean(pairs))
    shared = found.spread(0.0 if found.influences is None else -(value**2) * _slope(rows))
    error = math.hypot(own, float((shared**2).sum()) ** 0.5)
    low, high = normal_interval(value, error, minimum=1.0)
    return Estimate(
        value,
        error,
        (low, max(min(high, float(count)), value)),
        "U-statistic's variance" + ("" if found.influences is None else ", and the bandwidth's influence function"),
        details,
        notes,
        shared,
    )


def _scaled(rows: Tensor, sigma: float) -> Tensor:
    """Rows minus their mean, in bandwidths; float32 unless their differences need float64."""
    centre = torch.stack([part.sum(0) for part in chunks(rows)]).sum(0) / len(rows)
    exact = outgrown((rows[:: max(1, len(rows) // SAMPLE_ROWS)].double() - centre) / sigma)
    dtype = torch.float64 if exact else torch.promote_types(rows.dtype, torch.float32)
    return spooled((((part - centre) / sigma).to(dtype) for part in chunks(rows)), len(rows))


def _squared_kernel(first: Tensor, second: Tensor) -> Tensor:
    """exp(-|x - y|^2) of rows in bandwidths."""
    lengths = (side.square().sum(1) for side in (first, second))
    return squares_of_all(first, second, *lengths).clamp_(min=0).double().neg_().exp_()


def _slope(rows: Tensor) -> float:
    """The derivative of the mean squared kernel by the logarithm of the bandwidth, from some of the rows."""
    some = rows[:: -(-len(rows) // SAMPLE_ROWS)].double()
    lengths = some.square().sum(1)
    squares = squares_of_all(some, some, lengths, lengths).clamp_(min=0)
    return float((2 * squares * squares.neg().exp()).mean())


RKE = Metric(
    title="RKE: effective number of modes of the fakes",
    compute=rke,
    real="features",
    fake="features",
    direction="higher",
    source="Jalali et al. 2023",
)
