"""FID-infinity: FID extrapolated to infinitely many fakes, where its bias is gone.

FID of N fakes is to first order a constant and a bias in 1/N. FID is measured at 15 sizes, from a tenth of the fakes
(at most 5,000) to all of them, against all reals, and the value is the intercept of the line in 1/N. It may be below
zero. The bias of finitely many reals remains: keep the reals fixed where numbers are compared.

The sizes are the beginnings of one seeded order of the fakes, so that their moments accumulate; a size below the number
of dimensions takes a decomposition of its own small size.

The standard error has two parts. The delta method's: the intercept is a combination sum_i c_i FID_i, so a fake weighs
with the sum of c_i / N_i over the sizes that it is part of, and a real with 1 / its count, and so do their influences
on FID. And the regression's: the scatter about the line of what these influences leave unexplained, which is what
remains where the distributions are the same, and grows where the bias is not a line.

Sources: Chong and Forsyth 2020, "Effectively Unbiased FID and Inception Score and where to find them"; the sizes are
those of dgm-eval (Stein et al. 2023), which draws each size anew and without a seed.
"""

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.fid import Side, expand, value_of
from ganeval.metrics.moments import Gaussian, Moments, check_features
from ganeval.uncertainty import Estimate, normal_interval

POINTS, LARGEST_FIRST = 15, 5000
# Three sizes tell a line from two points; below this there are fewer.
FEWEST = 4


def fid_infinity(
    real: Tensor | Gaussian, fake: Tensor | Gaussian, *, ddof: Literal[0, 1] = 1, seed: int = 0
) -> Estimate:
    """FID-infinity of features [N, D] and [M, D], with "fid" of all of them in the details.

    A Gaussian stands for a set whose moments are known already; that of the fakes must carry its features. seed: of
    the order of the fakes. Raises MetricError for fewer than 2 reals or 4 fakes, mismatched dimensions, fakes known by
    their moments alone, or features that are not finite.
    """
    features = fake if isinstance(fake, Tensor) else fake.features
    if features is None:
        raise MetricError("FID-infinity measures subsets of the fakes; their stored statistics are not enough.")
    count = len(check_features(features))
    if count < FEWEST:
        raise MetricError(f"FID-infinity needs at least {FEWEST} fake images for a line over sizes, found {count}.")
    reals, sizes = Side(real, ddof, "real"), _sizes(count)
    found = expand(reals, Side(fake, ddof, "fake"))
    order = torch.from_numpy(np.random.RandomState(seed).permutation(count)).to(features.device)
    values = np.array([*_values(reals, features[order], sizes[:-1], ddof), found.value])
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
    """Numbers of fakes, ascending, the last one all of them."""
    return np.linspace(min(LARGEST_FIRST, max(count // 10, 2)), count, POINTS).astype(np.int64)


def _values(reals: Side, fakes: Tensor, sizes: NDArray[np.int64], ddof: int) -> list[float]:
    """FID of the first fakes, as many as each size says."""
    values = []
    moments: Moments | None = None
    for size in sizes.tolist():
        side: Tensor | Gaussian = fakes[:size]
        if size > fakes.shape[1]:
            if moments is None:
                moments = Moments.of(fakes[:size])
            elif size > moments.count:
                moments = moments.merge(Moments.of(fakes[moments.count : size]))
            side = moments.gaussian(ddof=ddof)
        values.append(value_of(reals, Side(side, ddof, "fake")))
    return values


def _means(influences: Tensor, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of the first influences about the mean of all, as many as each size says."""
    sums = (influences - influences.mean()).cumsum(0)[torch.from_numpy(sizes - 1).to(influences.device)]
    return np.asarray(sums.cpu().numpy() / sizes)


def _intercept(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The combination of values that is the intercept of a line through them, and its variance by y's scatter."""
    design = np.stack([np.ones(len(x)), x], axis=1)
    inverse = np.linalg.pinv(design)
    residuals = y - design @ (inverse @ y)
    return inverse[0], float(residuals @ residuals) / (len(x) - 2) * float(inverse[0] @ inverse[0])


def _squared_weights(combination: NDArray[np.float64], sizes: NDArray[np.int64]) -> float:
    """The sum over fakes of the square of each one's weight in the combination of means over the first of them."""
    shares = combination / sizes
    # The fakes between two sizes are part of the larger ones alone.
    weights = np.cumsum(shares[::-1])[::-1]
    return float(weights**2 @ np.diff(sizes, prepend=0))


def _notes(smallest: int, dimensions: int) -> tuple[str, ...]:
    if smallest > dimensions:
        return ()
    return (
        f"The smallest of the sizes, {smallest} fakes, does not fill {dimensions} dimensions: the bias is no line "
        f"in 1/N yet, and the intercept is off. Use {10 * dimensions} fakes or more.",
    )
