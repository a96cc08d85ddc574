"""FID-infinity: FID extrapolated to infinitely many fakes.

The subsets are prefixes of one seeded permutation of the fakes, so their moments can be accumulated. For a subset with
fewer images than dimensions, the decomposition has only the size of the subset.

The standard error has two parts. The first is the delta method's: the intercept is a linear combination sum_i c_i
FID_i, so a fake has the weight sum of c_i / N_i over the subsets that contain it, and a real has the weight 1 / N;
these weights multiply their influences on FID. The second is the regression's: the scatter about the line that the
influences leave unexplained. It is all that remains if the two distributions are equal, and grows where the bias is not
linear in 1/N.
"""

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.fid import FrechetSide, expand, value_of
from ganeval.metrics.moments import Gaussian, Moments, check_features
from ganeval.uncertainty import Estimate, normal_interval

POINTS, LARGEST_FIRST = 15, 5000
# Minimum number of fakes: fewer give fewer than three distinct sizes, and two points have no scatter about a line.
FEWEST = 4


def fid_infinity(
    real: Tensor | Gaussian, fake: Tensor | Gaussian, *, ddof: Literal[0, 1] = 1, seed: int = 0
) -> Estimate:
    """FID extrapolated to infinitely many fakes, which removes the bias due to their finite number.

    FID of N fakes is to first order a constant plus a bias::

        FID(N) = FID-infinity + b / N

    FID is computed for 15 subsets, from a tenth of the fakes (at most 5,000) to all of them, against all reals. The
    value is the intercept of a line in 1/N fitted to these. The bias due to finitely many reals remains, so compare
    only values against the same reals.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype, or a Gaussian that holds their mean and
            covariance.
        fake: Features of the generated images, ``[M, D]``, or a Gaussian that carries its features.
        ddof: Covariances are over n - ddof: 1 as in nearly all published code, 0 as in StyleGAN's.
        seed: Seed of the permutation of the fakes.

    Returns:
        FID-infinity in squared units of the features; lower is better. It may be negative. ``details["fid"]`` is FID of
        all images. A note warns if the smallest subset has no more images than dimensions.

    Raises:
        MetricError: There are fewer than 2 reals or 4 fakes, the dimensions differ, only moments of the fakes are
            given, ``ddof`` is neither 0 nor 1, or the features are not finite floating tensors of two axes.

    References:
        Chong and Forsyth 2020, "Effectively Unbiased FID and Inception Score and where to find them". The
        sizes of the subsets are those of dgm-eval (Stein et al. 2023), which draws each subset anew and without a seed.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import fid_infinity
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(1000, 4, generator=rng), torch.randn(1000, 4, generator=rng) + 1
        >>> estimate = fid_infinity(real, fake)
        >>> print(f"{estimate.value:.1f}, biased: {estimate.details['fid']:.1f}")
        3.9, biased: 4.0
    """
    check_options(fid_infinity, locals())
    features = fake.features if isinstance(fake, Gaussian) else fake
    if features is None:
        raise MetricError(
            "FID-infinity measures subsets of the fakes and needs their features; moments are not enough."
        )
    features = check_features(features)
    count = len(features)
    if count < FEWEST:
        raise MetricError(f"FID-infinity needs at least {FEWEST} fake images for a line over sizes, found {count}.")
    reals, sizes = FrechetSide(real, ddof, "real"), _sizes(count)
    found = expand(reals, FrechetSide(fake, ddof, "fake"))
    order = torch.from_numpy(np.random.RandomState(seed).permutation(count)).to(features.device)
    values = np.array([*_values(reals, features, order, sizes[:-1], ddof), found.value])
    assert found.fake is not None
    explained = _means(found.fake[order], sizes)
    combination, scatter = _intercept(1 / sizes, values - explained)
    value = float(combination @ values)
    variance = scatter + float(found.fake.var()) * _squared_weights(combination, sizes)
    if found.real is not None:
        variance += float(found.real.var()) / len(found.real)
    error = math.sqrt(variance)
    method = "influence function, and the scatter about the line"
    notes = _notes(int(sizes[0]), features.shape[1])
    details = {"fid": found.value}
    return Estimate(value, error, normal_interval(value, error), method, details, notes, shared=found.shared())


def _sizes(count: int) -> NDArray[np.int64]:
    """Subset sizes, ascending; the last one is all fakes."""
    return np.linspace(min(LARGEST_FIRST, max(count // 10, 2)), count, POINTS).astype(np.int64)


def _values(reals: FrechetSide, fakes: Tensor, order: Tensor, sizes: NDArray[np.int64], ddof: int) -> list[float]:
    """FID of the first fakes in an order, for each of the sizes; only the rows that a size adds are copied."""
    values = []
    moments: Moments | None = None
    for size in sizes.tolist():
        if size <= fakes.shape[1]:
            side: Tensor | Gaussian = fakes[order[:size]]
        else:
            if moments is None:
                moments = Moments.of(fakes[order[:size]])
            elif size > moments.count:
                moments = moments.merge(Moments.of(fakes[order[moments.count : size]]))
            side = moments.gaussian(ddof=ddof)
        values.append(value_of(reals, FrechetSide(side, ddof, "fake")))
    return values


def _means(influences: Tensor, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Means of the first influences, relative to the mean of all, for each of the sizes."""
    sums = (influences - influences.mean()).cumsum(0)[torch.from_numpy(sizes - 1).to(influences.device)]
    return np.asarray(sums.cpu().numpy() / sizes)


def _intercept(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The weights of the values in the intercept of their regression line, and its variance from the scatter of y."""
    design = np.stack([np.ones(len(x)), x], axis=1)
    inverse = np.linalg.pinv(design)
    residuals = y - design @ (inverse @ y)
    return inverse[0], float(residuals @ residuals) / (len(x) - 2) * float(inverse[0] @ inverse[0])


def _squared_weights(combination: NDArray[np.float64], sizes: NDArray[np.int64]) -> float:
    """The sum of squared weights of the fakes in a combination of means over prefixes."""
    shares = combination / sizes
    # Fakes between two sizes belong to the larger subsets only.
    weights = np.cumsum(shares[::-1])[::-1]
    return float(weights**2 @ np.diff(sizes, prepend=0))


def _notes(smallest: int, dimensions: int) -> tuple[str, ...]:
    if smallest > dimensions:
        return ()
    return (
        f"The smallest subset has {smallest} fakes for {dimensions} dimensions: the bias is not linear in 1/N there, "
        f"and the intercept is off. Use {10 * dimensions} fakes or more.",
    )


FID_INFINITY = Metric(
    title="FID extrapolated to infinitely many fakes",
    compute=fid_infinity,
    real="features",
    fake="features",
    direction="lower",
    source="Chong and Forsyth 2020",
    takes_moments=True,
)
