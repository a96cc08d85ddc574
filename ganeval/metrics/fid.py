"""Fréchet inception distance: the Wasserstein-2 distance, squared, between Gaussians fitted to two sets of features.

    FID = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

The trace of the root is a nuclear norm (linalg.py): exact for any number of images, and for one fewer than
dimensions in the time of a small decomposition. Covariances are over n - ddof (1 everywhere but in StyleGAN's code,
which has 0).

The standard error is the delta method's. FID is a smooth functional of two distributions; with T the optimal map
between the Gaussians the influence of a real x is

    2 (m1 - m2).(x - m1) + (x - m1)'(I - T)(x - m1) - its mean,

and of a fake the same with the roles exchanged and T^(-1) for T. For few images T lives in the span of the samples,
and the influence is the derivative with respect to the samples' weights (the infinitesimal jackknife), so nothing
need be resampled. The interval is for FID at these sample sizes, bias included: compare only equal sizes.

Sources: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule"; Dowson and Landau 1982 (the distance);
Efron 1982 (the infinitesimal jackknife).
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
from ganeval.metrics.moments import Gaussian, Moments, check_count, check_features
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

# Values this far below zero, relative to the traces, are rounding (covariances in float32 bring -3e-8).
ROUNDING = 1e-6
ASYMMETRY = 1e-6
# Images a dimension from which the bias is small beside the differences that people report.
ENOUGH = 10


Moment = Tensor | NDArray[Any]


def frechet_distance(mu1: Moment, sigma1: Moment, mu2: Moment, sigma2: Moment) -> float:
    """|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2) of means [D] and covariances [D, D]: FID of stored moments.

    Tensors or arrays of any real type; computed in float64. Raises MetricError for mismatched or non-finite input, and
    for a covariance that is not symmetric positive semidefinite to rounding.

        >>> import numpy as np
        >>> import ganeval
        >>> ganeval.frechet_distance(np.zeros(2), np.eye(2), np.array([3.0, 4.0]), 4 * np.eye(2))
        27.0
    """
    (m1, s1), (m2, s2) = _checked(mu1, sigma1, "first"), _checked(mu2, sigma2, "second")
    if m1.shape != m2.shape:
        raise MetricError(f"The two means have {len(m1)} and {len(m2)} dimensions; they must have as many.")
    first, second = Covariance(matrix=s1), Covariance(matrix=s2)
    return _distance(m1 - m2, first, second, root_trace(first, second))


def fid(real: Tensor | Gaussian, fake: Tensor | Gaussian, *, ddof: Literal[0, 1] = 1) -> Estimate:
    """FID of features [N, D] and [M, D] with its standard error.

    A Gaussian stands for a set whose moments are known already (ddof is then its maker's); without features it counts
    as exact. Raises MetricError for fewer than 2 images, mismatched dimensions, or features that are not finite.
    """
    sides = Side(real, ddof, "real"), Side(fake, ddof, "fake")
    found = expand(*sides)
    errors = [_error_of_mean(one) for one in (found.real, found.fake) if one is not None]
    notes = _notes(sides)
    if not errors:
        method = "two sets of stored statistics: no images, so no error bar"
        return Estimate(found.value, None, None, method, notes=notes)
    error, method = math.hypot(*errors), "influence function"
    if len(errors) == 1:
        method += " of the images; stored statistics as exact"
    interval = normal_interval(found.value, error, minimum=0.0)
    return Estimate(found.value, error, interval, method, notes=notes, shared=found.shared())


@dataclass(frozen=True, slots=True)
class Expansion:
    """FID to first order in its images.

    value: FID. real, fake: float64 [N] and [M], the influence of each image on it, up to a constant; None where there
    are only moments.
    """

    value: float
    real: Tensor | None
    fake: Tensor | None

    def shared(self) -> NDArray[np.float64] | None:
        """`Estimate.shared`; None where the reals are known by their moments alone."""
        return None if self.real is None else shared_by_influence(self.real.cpu().numpy())


def expand(real: "Side", fake: "Side") -> Expansion:
    """FID of two sets, and every image's influence on it; MetricError where they have not as many dimensions."""
    first, second = _by_rank(real, fake)
    gap = first.mean - second.mean
    moved = transport(first.covariance, second.covariance)
    value = _distance(gap, first.covariance, second.covariance, float(moved.values.sum()))
    influences = _influence(first, gap, moved.first_forms), _influence(second, -gap, moved.second_forms)
    return Expansion(value, *(influences if first is real else reversed(influences)))


def value_of(real: "Side", fake: "Side") -> float:
    """FID alone, which takes no vectors; MetricError where the sets have not as many dimensions."""
    first, second = _by_rank(real, fake)
    trace_of_root = root_trace(first.covariance, second.covariance)
    return _distance(first.mean - second.mean, first.covariance, second.covariance, trace_of_root)


class Side:
    """One set: its mean, and its covariance in the form that is smaller."""

    def __init__(self, data: Tensor | Gaussian, ddof: int, which: str) -> None:
        """data: features [N, D], or their Gaussian; ddof: of the former; which: in messages. MetricError as `fid`."""
        if isinstance(data, Tensor):
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
        """The features about their mean, in pieces; in one where the covariance is made of them."""
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
            f"The distance comes out at {value:.3g}, and none is below 0: the covariances are too inexact."
        )
    return max(value, 0.0)


def _error_of_mean(values: Tensor) -> float:
    """The standard error of the mean, of values as large as float64 holds."""
    # A power of two: nothing is rounded, and squares stay in range.
    scale = 2.0 ** math.frexp(float(values.abs().max()))[1]
    return float((values / scale).std()) * scale / math.sqrt(len(values)) if scale < math.inf else math.inf


def _by_rank(real: Side, fake: Side) -> tuple[Side, Side]:
    """The side with fewer samples first: it sets the size of the decomposition."""
    if real.dimensions != fake.dimensions:
        raise MetricError(
            f"Real features have {real.dimensions} dimensions and fake ones {fake.dimensions}; "
            "both must come from the same extractor."
        )
    return (real, fake) if real.rank <= fake.rank else (fake, real)


def _influence(side: Side, gap: Tensor, forms: Callable[[Tensor], Tensor]) -> Tensor | None:
    """The first-order effect of each image of one side on FID, up to a constant; gap: its mean minus the other's."""
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


def _notes(sides: Sequence[Side]) -> tuple[str, ...]:
    dimensions = sides[0].dimensions
    count = min((side.count for side in sides if side.count is not None), default=None)
    if count is None or count >= ENOUGH * dimensions:
        return ()
    if count > dimensions:
        note = (
            f"{count} images for {dimensions} dimensions: FID is biased upwards; compare only FIDs of as many images."
        )
    else:
        note = (
            f"{count} images cannot fill {dimensions} dimensions: this FID is mostly bias. It can rank generators at "
            f"the same number of images, and nothing else; use {ENOUGH * dimensions} or more, or an extractor of fewer "
            "dimensions."
        )
    return (note,)
