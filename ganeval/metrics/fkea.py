"""FKEA: the Vendi score with a Gaussian kernel, from random Fourier features.

The kernel matrix of n images is approximated by inner products of 2 r features, so its eigenvalues are those of a
matrix of 2 r x 2 r, in time proportional to n. The standard error is that of the Vendi score (vendi.py) for these
random features, and the error of the bandwidth where the reals determine it: the numerical derivative by its logarithm
times the influence of each real.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import gram
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.gaussian_kernel import ROUNDING, Bandwidth, bandwidth, clearest, fourier_features
from ganeval.metrics.moments import check_pair
from ganeval.metrics.vendi import check_order, spectral_score, spectral_value
from ganeval.uncertainty import Estimate, normal_interval


def fkea(
    real: Tensor,
    fake: Tensor,
    *,
    order: float = 1.0,
    sigma: float | None = None,
    features: int = 500,
    seed: int = 0,
) -> Estimate:
    """Fourier-based kernel entropy approximation: the Vendi score of the fakes with a Gaussian kernel.

    The exponential of the entropy of the eigenvalues of the matrix of ``k(x, y) = exp(-|x - y|^2 / (2 sigma^2))``,
    approximated by random Fourier features::

        FKEA = exp H(l),    l = eigenvalues of mean_j p(y_j) p(y_j)',    p(y) = [cos, sin](y.w) / sqrt(r)

    with r frequencies w ~ N(0, 1 / sigma^2). H is Shannon's entropy, or Rényi's of order q. Time and memory are
    proportional to the number of images. `vendi` with ``sigma`` is the score without the approximation, and `rke` that
    of order 2. Reals are used only for the bandwidth. `common_modes` returns the modes that are counted.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        order: Order q of the entropy, above 0; 1 is Shannon's, ``math.inf`` uses the largest eigenvalue alone.
        sigma: Bandwidth of the kernel, in units of the features. None takes half the root mean square distance between
            two reals.
        features: Number r of random frequencies. The score is at most 2 r, and relative to that of the kernel it is too
            low by about the score / (2 r); the authors take 4000 for 50,000 images.
        seed: Seed of the frequencies, and of the groups of the jackknife where it is used.

    Returns:
        The score, from 1 to the number of fakes; higher is more diverse. ``details["sigma"]`` is the bandwidth that was
        used. The standard error is for the frequencies that were drawn.

    Raises:
        MetricError: There are fewer than 2 fakes, ``order``, ``sigma`` or ``features`` is not above 0, all reals are
            equal and ``sigma`` is None, the dimensions differ, or the features are not finite floating tensors of two
            axes.

    References:
        Ospanov, Zhang, Jalali, Cao, Bogdanov and Farnia 2024, "Towards a Scalable Reference-Free Evaluation of
        Generative Models"; Rahimi and Recht 2007 (random Fourier features).

    Examples:
        >>> import torch
        >>> from ganeval.metrics import fkea
        >>> print(f"{fkea(torch.eye(4), 9 * torch.eye(4).repeat(100, 1)).value:.2f}")
        3.99
    """
    check_options(fkea, locals())
    check_order(order, "FKEA")
    fake, found = _checked(real, fake, sigma, features)
    score = spectral_score(fourier_features(fake, found.sigma, features, seed), order, seed)
    details, notes = {"sigma": found.sigma}, (*score.notes, *_limited(score.value, features))
    if score.standard_error is None:
        return Estimate(score.value, None, None, score.method, details, notes)
    shared = found.spread_of(lambda given: spectral_value(fourier_features(fake, given, features, seed), order))
    error = math.hypot(score.standard_error, float((shared**2).sum()) ** 0.5)
    low, high = normal_interval(score.value, error, minimum=1.0)
    return Estimate(
        score.value,
        error,
        (low, max(min(high, float(len(fake))), score.value)),
        f"{score.method}, for these frequencies"
        + ("" if found.influences is None else "; and the bandwidth's influence function"),
        details,
        notes,
        shared,
    )


@dataclass(frozen=True, slots=True)
class CommonMode:
    """A mode of one set: images that are alike.

    Attributes:
        share: The eigenvalue, which is the share of the images that are in the mode.
        images: int64 ``[K]``, row numbers of the images that belong to it most, the clearest first.
        loadings: float64 ``[K]``, how far each of them lies in the mode, from 0 to 1.
    """

    share: float
    images: Tensor
    loadings: Tensor


def common_modes(
    real: Tensor,
    fake: Tensor,
    *,
    modes: int = 8,
    count: int = 12,
    sigma: float | None = None,
    features: int = 500,
    seed: int = 0,
) -> list[CommonMode]:
    """The most common modes of the fakes, which `fkea` counts, with the images that show each mode best.

    A mode is an eigenvector of the matrix from whose eigenvalues `fkea` computes the entropy. How far an image belongs
    to it is given by the component of its Fourier features along this vector. If all images are somewhat alike at this
    bandwidth, the first mode is what they have in common, and its images are those in the middle of the set. Modes of
    equal share are determined only up to a rotation. For the modes of the reals, pass the reals as fakes too.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype; used only for the bandwidth.
        fake: Features of the generated images, ``[M, D]``.
        modes: Maximum number of modes, the most common first.
        count: Maximum number of images per mode.
        sigma: As in `fkea`.
        features: As in `fkea`.
        seed: As in `fkea`.

    Returns:
        The modes, by decreasing share. The shares of all modes, including those not returned, sum to 1.

    Raises:
        MetricError: As by `fkea`.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import common_modes
        >>> fake = 9 * torch.eye(4)[[0, 1, 1, 1, 2, 2]].repeat(50, 1)
        >>> for mode in common_modes(fake, fake, modes=3, count=3, sigma=2.0):
        ...     print(round(mode.share, 2), mode.images.tolist())
        0.5 [1, 2, 3]
        0.33 [4, 5, 10]
        0.17 [0, 6, 12]
    """
    check_options(common_modes, locals())
    fake, found = _checked(real, fake, sigma, features)
    rows = fourier_features(fake, found.sigma, features, seed)
    # The smaller of two matrices with the same eigenvalues.
    few = len(rows) <= rows.shape[1]
    values, vectors = torch.linalg.eigh(gram(rows.T if few else rows) / len(rows))
    shares, vectors = values.flip(0)[:modes], vectors.flip(1)[:, :modes]
    along = vectors * (len(rows) * shares.clamp(min=0)).sqrt() if few else rows @ vectors
    return [
        CommonMode(share, *clearest(along[:, place], count))
        for place, share in enumerate(shares.tolist())
        if share > ROUNDING
    ]


def _checked(real: Tensor, fake: Tensor, sigma: float | None, features: int) -> tuple[Tensor, Bandwidth]:
    """The fakes, and the bandwidth; MetricError if it cannot be determined, or an option is not allowed."""
    real, fake = check_pair(real, fake)
    if len(fake) < 2:
        raise MetricError("FKEA needs at least 2 fake images, found 1.")
    if features < 1:
        raise MetricError(f"FKEA needs at least 1 random frequency (option features), found {features}.")
    return fake, bandwidth(real, fake, sigma, "FKEA")


def _limited(value: float, features: int) -> tuple[str, ...]:
    """A note if the score is near the largest possible with this number of frequencies."""
    if value <= features / 5:
        return ()
    return (
        f"A score of {value:.0f} from {2 * features} Fourier features is limited by their number: set the option "
        f"features to {math.ceil(5 * value / 1000) * 1000} or more.",
    )


FKEA = Metric(
    title="FKEA: effective number of distinct fakes, with a Gaussian kernel",
    compute=fkea,
    real="features",
    fake="features",
    direction="higher",
    source="Ospanov et al. 2024",
)
