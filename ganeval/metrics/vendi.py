"""Vendi score: the effective number of different images among the fakes.

X X' / n and X' X / n have the same eigenvalues except for zeros, so the smaller of the two is decomposed.

The standard error is the delta method's: an image x moves the entropy by -x' log(C) x (Shannon), or by q x' C^(q-1) x /
((1 - q) tr C^q), up to a constant, where C = X' X / n. If the score is above a tenth of the number of images, this is
too small, by up to a half, because one image changes C by much; the error is then that of the jackknife over groups of
images (Efron and Stein 1981: not too small). Two images have no error, as one is left without the other.
"""

import math

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import EPS, chunks, gram
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.directions import unit_rows
from ganeval.metrics.gaussian_kernel import check_sigma, kernel_matrix
from ganeval.metrics.moments import check_features
from ganeval.uncertainty import Estimate, normal_interval

# If there are fewer images than this times the score, their number limits it, and it is not a smooth function of them.
FEW = 10
# Groups that the jackknife leaves out: with this many, the standard error is accurate to a ninth.
GROUPS = 40
# Largest eigenvalues whose relative difference is below this count as equal.
TIE = 1e-9


def vendi(fake: Tensor, *, order: float = 1.0, sigma: float | None = None, seed: int = 0) -> Estimate:
    """Vendi score of the fakes: their effective number of distinct images.

    The exponential of the entropy of the eigenvalues of the similarity matrix, for features X scaled to unit rows::

        Vendi = exp H(l),    l = eigenvalues of X X' / n

    H is Shannon's entropy, or Rényi's of order q. The score is 1 for n copies of one image, and n for n orthogonal
    ones. Reals are not used. The score of few images is below that of the distribution: compare only equal numbers.

    Args:
        fake: Features of the generated images, ``[N, D]`` of any floating dtype.
        order: Order q of the entropy, above 0. 1 is Shannon's, as in the paper; ``math.inf`` uses the largest
            eigenvalue alone.
        sigma: Bandwidth of a Gaussian kernel, ``exp(-|x - y|^2 / (2 sigma^2))`` of the features as they are, which then
            replaces X X'. It takes time proportional to n^3; `fkea` approximates it in time proportional to n.
        seed: Seed of the groups of the jackknife, where it is used.

    Returns:
        The score, from 1 to the number of images; higher is more diverse. A note warns if the score is above a tenth of
        the number of images.

    Raises:
        MetricError: There are fewer than 2 images, ``order`` or ``sigma`` is not above 0, an image has only zeros and
            ``sigma`` is None, or the features are not a finite floating tensor of two axes.

    References:
        Friedman and Dieng 2023, "The Vendi Score: A Diversity Evaluation Metric for Machine Learning"; Pasarkar and
        Dieng 2024, "Cousins of the Vendi Score" (the orders).

    Examples:
        >>> import torch
        >>> from ganeval.metrics import vendi
        >>> print(f"{vendi(torch.eye(4).repeat(100, 1)).value:.2f}")
        4.00
    """
    check_options(vendi, locals())
    if len(check_features(fake)) < 2:
        raise MetricError("The Vendi score needs at least 2 images, found 1.")
    check_order(order, "The Vendi score")
    if sigma is None:
        return spectral_score(unit_rows(fake, "the Vendi score"), order, seed)
    check_sigma(sigma, [fake], "the Vendi score")
    return _score(kernel_matrix(fake, sigma), None, order, seed)


def check_order(order: float, metric: str) -> None:
    """MetricError unless an order is above 0."""
    if not order > 0:
        raise MetricError(f"{metric}'s order must be above 0, found {order:g}; 1 is the usual one.")


def spectral_score(rows: Tensor, order: float, seed: int) -> Estimate:
    """The score of unit rows [N, D], N >= 2, whose inner products are the similarities."""
    return _score(_matrix(rows), None if len(rows) <= rows.shape[1] else rows, order, seed)


def spectral_value(rows: Tensor, order: float) -> float:
    """The score of unit rows [N, D] without an error bar."""
    return _value(torch.linalg.eigvalsh(_matrix(rows)), order)


def _score(matrix: Tensor, rows: Tensor | None, order: float, seed: int) -> Estimate:
    """The score by the eigenvalues of the similarities [N, N], or of X'X [D, D] of rows X [N, D]."""
    count = len(matrix if rows is None else rows)
    values, vectors = torch.linalg.eigh(matrix)
    kept = _kept(values)
    values, vectors = values[kept] / values[kept].sum(), vectors[:, kept]
    value = math.exp(_entropy(values, order))
    notes = few_images(value, count)
    if count == 2:
        return Estimate(value, None, None, "no error bar for 2 images", notes=notes)
    if value > count / FEW:
        groups = min(GROUPS, count)
        error, method = _jackknife(matrix, rows, order, groups, seed), f"jackknife over {groups} groups of images"
    else:
        influence = _sums(rows, values, vectors, _slopes(values, order))
        error, method = value * math.sqrt(float(influence.var()) / count), "influence function"
    low, high = normal_interval(value, error, minimum=1.0)
    return Estimate(value, error, (low, min(high, float(count))), method, notes=notes)


def _matrix(rows: Tensor) -> Tensor:
    """X X' [N, N] or X' X [D, D], whichever is smaller."""
    if len(rows) <= rows.shape[1]:
        return gram(rows.double().T)
    parts = chunks(rows)
    total = gram(next(parts))
    for part in parts:
        total += gram(part)
    return total


def _value(values: Tensor, order: float) -> float:
    """The score of eigenvalues [K], ascending, that need not sum to 1."""
    values = values[_kept(values)]
    return math.exp(_entropy(values / values.sum(), order))


def _kept(values: Tensor) -> Tensor:
    """Which eigenvalues, ascending, are not zero up to rounding."""
    return values > EPS * len(values) * values[-1]


def _entropy(values: Tensor, order: float) -> float:
    """In nats, of eigenvalues [K] that sum to 1."""
    if order == 1:
        return -float(values @ values.log())
    if order == math.inf:
        return -math.log(float(values[-1]))
    return float(torch.logsumexp(order * values.log(), 0)) / (1 - order)


def _slopes(values: Tensor, order: float) -> Tensor:
    """The derivative of the entropy with respect to each eigenvalue, [K], up to a constant."""
    logs = values.log()
    if order == 1:
        return -logs
    if order == math.inf:
        # Equal largest eigenvalues share the slope.
        largest = (values >= values[-1] * (1 - TIE)).double()
        return -largest / (largest.sum() * values[-1])
    return order / (1 - order) * ((order - 1) * logs - torch.logsumexp(order * logs, 0)).exp()


def _sums(rows: Tensor | None, values: Tensor, vectors: Tensor, weights: Tensor) -> Tensor:
    """For each image, the sum of (x.v)^2 over eigenvectors v, times their weights [K]; [N]."""
    if rows is None:
        return len(vectors) * (vectors.square() @ (values * weights))
    return torch.cat([(part @ vectors).square() @ weights for part in chunks(rows)])


def _jackknife(matrix: Tensor, rows: Tensor | None, order: float, groups: int, seed: int) -> float:
    count, scores = len(matrix if rows is None else rows), []
    for left_out in np.array_split(np.random.RandomState(seed).permutation(count), groups):
        group = torch.from_numpy(left_out).to(matrix.device)
        if rows is None:
            others = torch.ones(count, dtype=torch.bool, device=matrix.device).index_fill_(0, group, False)
            rest = matrix[others][:, others]
        else:
            rest = matrix - gram(rows[group].double())
        scores.append(_value(torch.linalg.eigvalsh(rest), order))
    return math.sqrt((groups - 1) * float(np.var(scores)))


def few_images(value: float, count: int) -> tuple[str, ...]:
    """A note if an effective number is too near the number of images."""
    if value <= count / FEW:
        return ()
    return (
        f"{count} images for an effective number of {value:.0f}: the score is limited by the number of images; "
        "compare it only with scores of the same number of images.",
    )


VENDI = Metric(
    title="Vendi score: effective number of distinct fakes",
    compute=vendi,
    real=None,
    fake="features",
    direction="higher",
    source="Friedman and Dieng 2023",
)
