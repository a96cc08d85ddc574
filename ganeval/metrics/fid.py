"""Fréchet inception distance: the squared Wasserstein-2 distance between Gaussians fitted to two sets of features.

The trace of the matrix square root is computed as a nuclear norm (linalg.py). This is exact for any number of images,
and with fewer images than dimensions it costs only a decomposition of the size of the smaller set.

The standard error is the delta method's. FID is a smooth functional of two distributions. With T the optimal transport
map between the two Gaussians, the influence of a real image x is

    2 (m1 - m2).(x - m1) + (x - m1)'(I - T)(x - m1) - its mean,

and that of a fake is the same with the roles exchanged and T^(-1) for T. With fewer images than dimensions, T is
defined on the span of the samples, and the influence is the derivative with respect to the samples' weights (the
infinitesimal jackknife), so no resampling is needed.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import TOO_LARGE, Covariance, check_semidefinite, chunks, root_trace, transport
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.moments import Gaussian, Moments, check_count, check_features
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

# Negative values up to this size, relative to the traces, are rounding errors (float32 covariances cause -3e-8).
ROUNDING = 1e-6
ASYMMETRY = 1e-6
# With this many images per dimension, the bias is small compared with the differences that papers report.
ENOUGH = 10


Moment = Tensor | NDArray[Any]


def frechet_distance(mu1: Moment, sigma1: Moment, mu2: Moment, sigma2: Moment) -> float:
    """FID of stored moments: the squared Wasserstein-2 distance between two Gaussians.

    The formula, computed in float64::

        |mu1 - mu2|^2 + tr sigma1 + tr sigma2 - 2 tr (sigma1 sigma2)^(1/2)

    Args:
        mu1: Mean of the first Gaussian, ``[D]``; a tensor or numpy array of any real dtype, as are the others.
        sigma1: Covariance of the first Gaussian, ``[D, D]``.
        mu2: Mean of the second Gaussian, ``[D]``.
        sigma2: Covariance of the second Gaussian, ``[D, D]``.

    Returns:
        The distance, in squared units of the features; 0 or more, lower is better.

    Raises:
        MetricError: Shapes do not match, a value is not finite, or a covariance is not symmetric positive semidefinite
            up to rounding.

    References:
        Dowson and Landau 1982, "The Fréchet distance between multivariate normal distributions".

    Examples:
        >>> import numpy as np
        >>> import ganeval
        >>> ganeval.frechet_distance(np.zeros(2), np.eye(2), np.array([3.0, 4.0]), 4 * np.eye(2))
        27.0
    """
    (m1, s1), (m2, s2) = _checked(mu1, sigma1, "first"), _checked(mu2, sigma2, "second")
    if m1.shape != m2.shape:
        raise MetricError(f"The two means have {len(m1)} and {len(m2)} dimensions; the numbers must be equal.")
    first, second = Covariance(matrix=s1), Covariance(matrix=s2)
    return _distance(m1 - m2, first, second, root_trace(first, second))


def fid(real: Tensor | Gaussian, fake: Tensor | Gaussian, *, ddof: Literal[0, 1] = 1) -> Estimate:
    """Fréchet inception distance between two sets of features, with its standard error.

    The squared Wasserstein-2 distance between Gaussians with the means and covariances of the two sets::

        FID = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

    FID is biased upwards, and the bias depends on the numbers of images: compare only values of equal numbers. The
    interval is for FID at these numbers, bias included.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype, or a Gaussian that holds their mean and
            covariance. A Gaussian without features is taken as exact.
        fake: Features of the generated images, ``[M, D]``, or a Gaussian.
        ddof: Covariances are over n - ddof. 1 as in nearly all published code; 0 as in StyleGAN's. Not applied to a
            Gaussian, whose covariance is taken as it is.

    Returns:
        FID in squared units of the features; 0 or more, lower is better. The standard error is None if both sets are
        Gaussians without features. A note warns of fewer than 10 images per dimension.

    Raises:
        MetricError: A set has fewer than 2 images, the dimensions differ, the features are not finite floating tensors
            of two axes, or ``ddof`` is neither 0 nor 1.

    References:
        Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium"; Efron
        1982 (the infinitesimal jackknife of the standard error). Published code takes the root with
        ``scipy.linalg.sqrtm`` and adds 1e-6 to the diagonals where that fails; here the root is exact and nothing is
        added.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import fid
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(1000, 4, generator=rng), torch.randn(1000, 4, generator=rng) + 1
        >>> estimate = fid(real, fake)
        >>> print(f"{estimate.value:.2f} ± {estimate.standard_error:.2f}")
        4.01 ± 0.18
    """
    check_options(fid, locals())
    sides = FrechetSide(real, ddof, "real"), FrechetSide(fake, ddof, "fake")
    found = expand(*sides)
    errors = [_error_of_mean(one) for one in (found.real, found.fake) if one is not None]
    notes = _notes(sides)
    if not errors:
        method = "two sets of stored statistics: no images, so no error bar"
        return Estimate(found.value, None, None, method, notes=notes)
    error, method = math.hypot(*errors), "influence function"
    if len(errors) == 1:
        method += " of the images; stored statistics are taken as exact"
    interval = normal_interval(found.value, error, minimum=0.0)
    return Estimate(found.value, error, interval, method, notes=notes, shared=found.shared())


@dataclass(frozen=True, slots=True)
class Expansion:
    """The value of FID and its first-order dependence on the images.

    Attributes:
        value: FID.
        real: float64 ``[N]``, the influence of each real image on FID, up to a constant; None for moments alone.
        fake: float64 ``[M]``, the same for the fakes.
    """

    value: float
    real: Tensor | None
    fake: Tensor | None

    def shared(self) -> NDArray[np.float64] | None:
        """`Estimate.shared`; None where only the moments of the reals are known."""
        return None if self.real is None else shared_by_influence(self.real.cpu().numpy())


def expand(real: "FrechetSide", fake: "FrechetSide") -> Expansion:
    """FID of two sets, and the influence of every image on it; MetricError if their dimensions differ."""
    first, second = _by_rank(real, fake)
    gap = first.mean - second.mean
    moved = transport(first.covariance, second.covariance)
    value = _distance(gap, first.covariance, second.covariance, float(moved.values.sum()))
    influences = _influence(first, gap, moved.first_forms), _influence(second, -gap, moved.second_forms)
    return Expansion(value, *(influences if first is real else reversed(influences)))


def value_of(real: "FrechetSide", fake: "FrechetSide") -> float:
    """FID alone, without the singular vectors that influences need; MetricError if the dimensions differ."""
    first, second = _by_rank(real, fake)
    trace_of_root = root_trace(first.covariance, second.covariance)
    return _distance(first.mean - second.mean, first.covariance, second.covariance, trace_of_root)


class FrechetSide:
    """One set: its mean, and its covariance in the smaller of its two forms."""

    def __init__(self, data: Tensor | Gaussian, ddof: int, which: str) -> None:
        """Take features [N, D] (covariance over N - ddof) or their Gaussian; which: "real" or "fake", for messages."""
        if not isinstance(data, Gaussian):
            data = check_features(data)
            check_count(len(data), ddof, f"{which} images")
            if len(data) > data.shape[1]:
                data = Moments.of(data).gaussian(ddof=ddof, features=data)
        if isinstance(data, Gaussian):
            self.mean, self.features, self.count = data.mean, data.features, data.count
            self.covariance = Covariance(matrix=data.covariance)
            self.rank = len(data.mean)
        else:
            samples = data.double()
            self.mean, self.features, self.count = samples.mean(0), data, len(data)
            self.covariance = Covariance(samples=samples - self.mean, divisor=self.count - ddof)
            self.rank = self.count

    @property
    def dimensions(self) -> int:
        return len(self.mean)

    def centred(self) -> Iterator[Tensor]:
        """The features minus their mean, in pieces; in one piece if the covariance is represented by them."""
        if self.covariance.samples is not None:
            yield self.covariance.samples
        elif self.features is not None:
            for part in chunks(self.features):
                yield part - self.mean


def _distance(gap: Tensor, first: Covariance, second: Covariance, trace_of_root: float) -> float:
    spread = first.trace + second.trace
    value = float(gap @ gap) + spread - 2 * trace_of_root
    if not math.isfinite(value):
        raise MetricError(TOO_LARGE)
    if value < -ROUNDING * spread:
        raise MetricError(
            f"The distance comes out at {value:.3g}, but it cannot be negative: the covariances are too inexact."
        )
    return max(value, 0.0)


def _error_of_mean(values: Tensor) -> float:
    """The standard error of the mean; safe for values as large as float64 holds."""
    # Scaling by a power of two rounds nothing and keeps squares in range.
    scale = 2.0 ** math.frexp(float(values.abs().max()))[1]
    return float((values / scale).std()) * scale / math.sqrt(len(values)) if scale < math.inf else math.inf


def _by_rank(real: FrechetSide, fake: FrechetSide) -> tuple[FrechetSide, FrechetSide]:
    """The set with fewer samples first, as it determines the size of the decomposition."""
    if real.dimensions != fake.dimensions:
        raise MetricError(
            f"Real features have {real.dimensions} dimensions and fake ones {fake.dimensions}; "
            "both must come from the same extractor."
        )
    return (real, fake) if real.rank <= fake.rank else (fake, real)


def _influence(side: FrechetSide, gap: Tensor, forms: Callable[[Tensor], Tensor]) -> Tensor | None:
    """The first-order effect of each image of one set on FID, up to a constant; gap: its mean minus the other's."""
    if side.features is None:
        return None
    return torch.cat([2 * (part @ gap) + part.square().sum(1) - forms(part) for part in side.centred()])


def _checked(mean: Moment, covariance: Moment, which: str) -> tuple[Tensor, Tensor]:
    mean, covariance = _real(mean, f"{which} mean"), _real(covariance, f"{which} covariance")
    if mean.ndim != 1 or not len(mean) or covariance.shape != (len(mean), len(mean)):
        raise MetricError(
            f"The {which} mean must be [D] and its covariance [D, D], "
            f"found {list(mean.shape)} and {list(covariance.shape)}."
        )
    if not (mean.isfinite().all() and covariance.isfinite().all()):
        raise MetricError(f"The {which} mean or covariance contains NaN or infinity.")
    slack = ASYMMETRY * float(covariance.abs().max())
    if float((covariance - covariance.T).abs().max()) > slack:
        raise MetricError(f"The {which} covariance is not symmetric.")
    check_semidefinite(covariance, f"The {which} covariance")
    return mean, covariance


def _real(values: Moment, what: str) -> Tensor:
    """Real numbers as float64; MetricError for anything else."""
    if isinstance(values, np.ndarray | np.generic) and values.dtype.kind in "biuf":
        return torch.from_numpy(np.array(values, np.float64))
    if (
        isinstance(values, Tensor)
        and values.layout == torch.strided
        and not (values.is_complex() or values.is_meta or values.is_quantized)
    ):
        return values.detach().double()
    found = f"{values.dtype}" if isinstance(values, np.ndarray | Tensor) else type(values).__name__
    raise MetricError(f"The {what} must be a dense array or tensor of real numbers, found {found}.")


def _notes(sides: Sequence[FrechetSide]) -> tuple[str, ...]:
    dimensions = sides[0].dimensions
    count = min((side.count for side in sides if side.count is not None), default=None)
    if count is None or count >= ENOUGH * dimensions:
        return ()
    if count > dimensions:
        note = (
            f"{count} images for {dimensions} dimensions: FID is biased upwards; "
            "compare FIDs only at equal numbers of images."
        )
    else:
        note = (
            f"{count} images for {dimensions} dimensions: the covariance is singular and FID is mostly bias. It can "
            f"only rank generators at the same number of images; use {ENOUGH * dimensions} or more, or an extractor "
            "with fewer dimensions."
        )
    return (note,)


FID = Metric(
    title="Fréchet inception distance",
    compute=fid,
    real="features",
    fake="features",
    direction="lower",
    source="Heusel et al. 2017",
    takes_moments=True,
)

SFID = Metric(
    title="Spatial Fréchet inception distance",
    compute=fid,
    real="spatial",
    fake="spatial",
    direction="lower",
    source="Nash et al. 2021",
    takes_moments=True,
)
