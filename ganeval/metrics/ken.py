"""KEN: the modes of the fakes that the reals lack, by the eigenvalues of the difference of two kernel covariances.

With unit features p(x) whose inner products are a Gaussian kernel, C_x = mean p(x) p(x)' says how common each direction
is in a set. A positive eigenvalue of C_fake - eta C_real belongs to a mode that is more than eta times as common among
the fakes. The features are exact where the sets are small (the square root of their kernel matrix),
and random Fourier features otherwise.

The standard error is the delta method's: with l the positive eigenvalues, S their sum and v their eigenvectors, a fake
moves the score by the sum of log(S / l) (p(x).v)^2 over them, up to a constant, and a real by -eta times that. The
error of the bandwidth is added: the numerical derivative by its logarithm times the influence of each real.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import EPS, chunks, gram
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.gaussian_kernel import ROUNDING, Bandwidth, bandwidth, clearest, fourier_features, kernel_matrix
from ganeval.metrics.moments import check_pair
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence


def ken(
    real: Tensor, fake: Tensor, *, eta: float = 1.0, sigma: float | None = None, features: int = 500, seed: int = 0
) -> Estimate:
    """Kernel entropy novelty of the fakes: how many modes they have that the reals lack, and how common these are.

    The positive eigenvalues l of the difference of the two sets' kernel covariances, with sum S and entropy H::

        KEN = S H(l / S) = sum_i l_i log(S / l_i),    l = positive eigenvalues of C_fake - eta C_real

    in nats, for ``k(x, y) = exp(-|x - y|^2 / (2 sigma^2))``. It is 0 if every mode of the fakes is as common among the
    reals. It grows with the share of novel fakes and with their diversity. The score does not say whether novelty is
    good: new realistic images and unrealistic ones both raise it. `novel_modes` finds the images.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        eta: How many times as common among the fakes a mode must be to count, above 0; 1 as in the paper's score.
        sigma: Bandwidth of the kernel, in units of the features. None takes half the root mean square distance between
            two reals.
        features: Number r of random frequencies of the Fourier features. The kernel is exact where there are no more
            than 2 r images in both sets together; with more images the score is some percent lower, and closer for
            larger r.
        seed: Seed of the frequencies.

    Returns:
        KEN, 0 or more; lower means fewer novel modes. It is biased upwards, like FID: compare only equal numbers of
        images. ``details`` has "sigma", the "mass" S (the share of novel fakes), and "exact": 1 if the kernel is exact,
        0 otherwise.

    Raises:
        MetricError: A set has fewer than 2 images, an option is not above 0, all reals are equal and ``sigma`` is None,
            the dimensions differ, or the features are not finite floating tensors of two axes.

    References:
        Zhang, Li and Farnia 2024, "An Interpretable Evaluation of Entropy-based Novelty of Generative Models"; Zhang,
        Jalali, Li and Farnia 2024, "Unveiling Differences in Generative Models: A Scalable Differential Clustering
        Approach" (with Fourier features).

    Examples:
        >>> import torch
        >>> from ganeval.metrics import ken
        >>> real, fake = 9 * torch.eye(4)[:3].repeat(100, 1), 9 * torch.eye(4).repeat(100, 1)
        >>> found = ken(real, fake)
        >>> print(f"{found.details['mass']:.2f}")
        0.25
    """
    check_options(ken, locals())
    difference, found = _difference(real, fake, eta=eta, sigma=sigma, features=features, seed=seed)
    values, vectors = difference.novel()
    value = _score(values)
    details = {"sigma": found.sigma, "mass": float(values.sum()), "exact": float(difference.exact)}
    weights = (values.sum() / values).log()
    by_fake, by_real = (_forms(side, vectors, weights) for side in (difference.fake, difference.real))

    def score(given: float) -> float:
        return _score(KernelDifference.of(real, fake, given, eta=eta, features=features, seed=seed).novel()[0])

    shared = shared_by_influence(-eta * by_real.cpu().numpy()) + found.spread_of(score)
    error = math.hypot(float(np.linalg.norm(shared)), float(by_fake.std()) / math.sqrt(len(by_fake)))
    return Estimate(
        value,
        error,
        normal_interval(value, error, minimum=0.0),
        "influence function" + ("" if difference.exact else ", for these frequencies"),
        details,
        shared=shared,
    )


@dataclass(frozen=True, slots=True)
class NovelMode:
    """A mode that one set has and the other lacks.

    Attributes:
        excess: By how much the mode's share of one set exceeds its share of the other (times eta).
        images: int64 ``[K]``, row numbers of the images that belong to it most, the clearest first.
        loadings: float64 ``[K]``, how far each of them lies in the mode, from 0 to 1.
    """

    excess: float
    images: Tensor
    loadings: Tensor


def novel_modes(
    real: Tensor,
    fake: Tensor,
    *,
    modes: int = 8,
    count: int = 12,
    eta: float = 1.0,
    sigma: float | None = None,
    features: int = 500,
    seed: int = 0,
) -> list[NovelMode]:
    """The modes of the fakes that the reals lack, which `ken` counts, with the images that show each mode best.

    Exchange the sets for the modes of the reals that the fakes lack.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        modes: Maximum number of modes, the most common first.
        count: Maximum number of images per mode.
        eta: As in `ken`.
        sigma: As in `ken`.
        features: As in `ken`.
        seed: As in `ken`.

    Returns:
        The modes, by decreasing excess.

    Raises:
        MetricError: As by `ken`.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import novel_modes
        >>> real, fake = 9 * torch.eye(4)[:3].repeat(100, 1), 9 * torch.eye(4).repeat(100, 1)
        >>> found = novel_modes(real, fake, modes=1, count=3)[0]
        >>> round(found.excess, 2), found.images.tolist()
        (0.25, [3, 7, 11])
    """
    check_options(novel_modes, locals())
    difference, _ = _difference(real, fake, eta=eta, sigma=sigma, features=features, seed=seed)
    values, vectors = difference.novel()
    found = []
    for place in range(len(values) - 1, max(-1, len(values) - 1 - modes), -1):
        found.append(NovelMode(float(values[place]), *clearest(difference.fake @ vectors[:, place], count)))
    return found


@dataclass(frozen=True, slots=True)
class KernelDifference:
    """Kernel features float64 of both sets, [N, R] and [M, R]; exact: whether their inner products are the kernel."""

    real: Tensor
    fake: Tensor
    eta: float
    exact: bool

    @classmethod
    def of(
        cls, real: Tensor, fake: Tensor, sigma: float, *, eta: float, features: int, seed: int
    ) -> "KernelDifference":
        """Exact features for at most 2 * `features` images of both sets, and random ones otherwise."""
        if len(real) + len(fake) > 2 * features:
            mine, theirs = (fourier_features(side, sigma, features, seed) for side in (real, fake))
            return cls(mine, theirs, eta, False)
        values, vectors = torch.linalg.eigh(kernel_matrix(torch.cat([real.double(), fake.double()]), sigma))
        kept = values > EPS * len(values) * values[-1]
        both = vectors[:, kept] * values[kept].sqrt()
        return cls(both[: len(real)], both[len(real) :], eta, True)

    def novel(self) -> tuple[Tensor, Tensor]:
        """The positive eigenvalues, ascending, and their vectors as columns."""
        fake, real = (_covariance(side) for side in (self.fake, self.real))
        values, vectors = torch.linalg.eigh(fake - self.eta * real)
        kept = values > ROUNDING
        return values[kept], vectors[:, kept]


def _difference(
    real: Tensor, fake: Tensor, *, eta: float, sigma: float | None, features: int, seed: int
) -> tuple[KernelDifference, Bandwidth]:
    """The kernel features of both sets, and the bandwidth; MetricError for sets and options that do not allow them."""
    real, fake = check_pair(real, fake)
    if min(len(real), len(fake)) < 2:
        raise MetricError(f"KEN needs at least 2 real and 2 fake images, found {len(real)} and {len(fake)}.")
    if not 0 < eta < math.inf:
        raise MetricError(f"KEN's eta must be above 0 and finite, found {eta:g}; 1 is the paper's.")
    if features < 1:
        raise MetricError(f"KEN needs at least 1 random frequency (option features), found {features}.")
    found = bandwidth(real, fake, sigma, "KEN")
    return KernelDifference.of(real, fake, found.sigma, eta=eta, features=features, seed=seed), found


def _covariance(rows: Tensor) -> Tensor:
    """The mean of p p' over rows p."""
    return gram(rows) / len(rows)


def _score(values: Tensor) -> float:
    """S log S - sum l log l of positive eigenvalues l."""
    return float((values * (values.sum() / values).log()).sum())


def _forms(rows: Tensor, vectors: Tensor, weights: Tensor) -> Tensor:
    """For each row, the sum over eigenvectors of its squared component times their weights, [N]."""
    return torch.cat([(part @ vectors).square() @ weights for part in chunks(rows)])


KEN = Metric(
    title="KEN: novelty of the fakes, by modes that the reals lack",
    compute=ken,
    real="features",
    fake="features",
    direction="lower",
    source="Zhang et al. 2024",
)
