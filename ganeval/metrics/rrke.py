"""RRKE: how far the modes of two sets are apart, by the nuclear norm of the similarities between reals and fakes.

With unit features p(x) whose inner products are a Gaussian kernel, the nuclear norm of K_xy / sqrt(n m) is the fidelity
tr sqrt(sqrt(C_x) C_y sqrt(C_x)) of the kernel covariances C_x = mean p(x) p(x)' and C_y, and RRKE is their Rényi
divergence of order 1/2. The similarities are exact where the sets are small, and random Fourier features otherwise, as
for KEN (ken.py).

The standard error is the delta method's. With K_xy / sqrt(n m) = U S V', a real moves the score by
1 - n (U S U')_ii / tr S, and a fake by 1 - m (V S V')_jj / tr S. The error of the bandwidth is added: the numerical
derivative by its logarithm times the influence of each real.
"""

import math

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.gaussian_kernel import bandwidth, fourier_features, kernel_between
from ganeval.metrics.moments import check_pair
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence


def rrke(real: Tensor, fake: Tensor, *, sigma: float | None = None, features: int = 500, seed: int = 0) -> Estimate:
    """Relative Rényi kernel entropy: the divergence of the fakes' modes from those of the reals.

    From the nuclear norm (the sum of singular values) of the similarities between the n reals and the m fakes::

        RRKE = -2 log |K_xy / sqrt(n m)|_*,    k(x, y) = exp(-|x - y|^2 / (2 sigma^2))

    in nats. It is 0 if both sets have the same modes equally often, and log(a / b) if the fakes have b of the a equally
    common modes of the reals. Blurred, missing and new modes all raise it; `ken` measures new ones alone.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        sigma: Bandwidth of the kernel, in units of the features. None takes half the root mean square distance between
            two reals.
        features: Number r of random frequencies of the Fourier features. The kernel is exact where there are no more
            than 2 r images in both sets together; with more images the score is lower, and closer for larger r.
        seed: Seed of the frequencies.

    Returns:
        RRKE, 0 or more; lower is better. It is biased upwards, like FID: compare only equal numbers of images.
        ``details`` has "sigma", and "exact": 1 if the kernel is exact, 0 otherwise.

    Raises:
        MetricError: A set has fewer than 2 images, no real is similar to any fake, an option is not above 0, all reals
            are equal and ``sigma`` is None, ``sigma`` is far from all distances between images, the dimensions differ,
            or the features are not finite floating tensors of two axes.

    References:
        Jalali, Li and Farnia 2023, "An Information-Theoretic Evaluation of Generative Models in Learning Multi-modal
        Distributions" (RRKE). The published code has only the exact kernel.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import rrke
        >>> real, fake = torch.eye(4).repeat(50, 1), torch.eye(4)[:2].repeat(100, 1)
        >>> print(f"{rrke(real, fake, sigma=0.1).value:.2f}, log 2 = {math.log(2):.2f}")
        0.69, log 2 = 0.69
    """
    check_options(rrke, locals())
    real, fake = check_pair(real, fake)
    if min(len(real), len(fake)) < 2:
        raise MetricError(f"RRKE needs at least 2 real and 2 fake images, found {len(real)} and {len(fake)}.")
    if features < 1:
        raise MetricError(f"RRKE needs at least 1 random frequency (option features), found {features}.")
    found = bandwidth(real, fake, sigma, "RRKE")
    exact = len(real) + len(fake) <= 2 * features

    def score(given: float) -> float:
        if exact:
            return _score(torch.linalg.svdvals(kernel_between(real, fake, given)), real, fake)
        upper, lower = (
            torch.linalg.qr(fourier_features(side, given, features, seed), mode="r").R for side in (real, fake)
        )
        return _score(torch.linalg.svdvals(upper @ lower.T), real, fake)

    if exact:
        left, values, right = torch.linalg.svd(kernel_between(real, fake, found.sigma), full_matrices=False)
        right = right.T
    else:
        left, values, right = _decomposed(
            *(fourier_features(side, found.sigma, features, seed) for side in (real, fake))
        )
    # Negative values are rounding errors, for equal sets.
    value = max(_score(values, real, fake), 0.0)
    by_real, by_fake = (1 - len(side) * (side.square() @ values) / values.sum() for side in (left, right))
    shared = shared_by_influence(by_real.cpu().numpy()) + found.spread_of(score)
    error = math.hypot(float(np.linalg.norm(shared)), float(by_fake.std()) / math.sqrt(len(fake)))
    return Estimate(
        value,
        error,
        normal_interval(value, error, minimum=0.0),
        "influence function" + ("" if exact else ", for these frequencies"),
        {"sigma": found.sigma, "exact": float(exact)},
        shared=shared,
    )


def _decomposed(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and V of the inner products U diag(S) V' of rows [N, R] and [M, R], without the [N, M] matrix."""
    mine, theirs = torch.linalg.qr(real), torch.linalg.qr(fake)
    left, values, right = torch.linalg.svd(mine.R @ theirs.R.T, full_matrices=False)
    return mine.Q @ left, values, theirs.Q @ right.T


def _score(values: Tensor, real: Tensor, fake: Tensor) -> float:
    """RRKE by the singular values of the similarities."""
    norm = float(values.sum())
    if not norm > 0:
        raise MetricError("RRKE is infinite: no real is similar to any fake at this bandwidth; set a larger sigma.")
    return math.log(len(real) * len(fake)) - 2 * math.log(norm)


RRKE = Metric(
    title="RRKE: divergence of the fakes' modes from the reals'",
    compute=rrke,
    real="features",
    fake="features",
    direction="lower",
    source="Jalali et al. 2023",
)
