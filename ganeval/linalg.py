"""Linear algebra that knows nothing of images: covariances as factors, and the optimal transport between two of them.

For covariances S1 = A A' and S2 = B B', the trace of the matrix square root of S1 S2 is the nuclear norm of A'B,
whatever the factors. A set of fewer samples than dimensions is its own factor (the centred, scaled samples), so the
matrices stay as small as the smaller set, and the result is exact. The unsymmetric product S1 S2 is never formed, and
nothing is ever added to a diagonal.

Everything is float64, on the device of its input.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

EPS = torch.finfo(torch.float64).eps
CHUNK = 8192
# The square root of an eigenvalue is wrong by eps * largest / (2 * root). Summed, and relative to the trace, this
# much is allowed before singular values, which never square anything, take over.
ROOT_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Covariance:
    """A covariance S [D, D]: either the matrix itself, or centred samples X [N, D] with S = X'X / divisor."""

    matrix: Tensor | None = None
    samples: Tensor | None = None
    divisor: int = 1

    @property
    def trace(self) -> float:
        """The sum of variances."""
        if self.samples is not None:
            return float(self.samples.square().sum()) / self.divisor
        assert self.matrix is not None
        return float(self.matrix.trace())


@dataclass(frozen=True, slots=True)
class Transport:
    """The singular value decomposition of A'B for S1 = A A', S2 = B B', as far as a first-order expansion needs it.

    nuclear_norm: the trace of (S1 S2)^(1/2). values: singular values [K]. left: left singular vectors [R, K].
    factor: A [D, R]. inverse: its left inverse [R, D], or None where A is the first samples over the root of their
    divisor.
    """

    nuclear_norm: float
    values: Tensor
    left: Tensor
    factor: Tensor
    inverse: Tensor | None
    divisor: int

    def first_forms(self, samples: Tensor) -> Tensor:
        """x'Tx for centred samples x [N, D] of the first set, T = S1^(-1/2) (S1^(1/2) S2 S1^(1/2))^(1/2) S1^(-1/2).

        Where the factor is made of samples, T is known on these alone, so all of them are expected, in their order.
        """
        if self.inverse is None:
            return self.divisor * (self.left.square() @ self.values)
        return (samples @ (self.inverse.T @ self.left)).square() @ self.values

    def second_forms(self, samples: Tensor) -> Tensor:
        """y'T^(-1)y for centred samples y [M, D] of the second set."""
        kept = self.values > self.values.sum() * EPS
        return (samples @ (self.factor @ self.left[:, kept])).square() @ (1 / self.values[kept])


def transport(first: Covariance, second: Covariance) -> Transport:
    """The optimal transport from N(0, S1) to N(0, S2)."""
    factor, inverse = _factor(first)
    if second.samples is not None:
        cross = factor.T @ second.samples.T / second.divisor**0.5
        product = cross @ cross.T if cross.shape[0] <= cross.shape[1] else None
    else:
        assert second.matrix is not None
        cross, product = None, factor.T @ second.matrix @ factor
    if product is not None:
        squares, left = torch.linalg.eigh((product + product.T) / 2)
        # Centring takes a dimension of its own: one eigenvalue of a product of samples is zero but for rounding.
        spare = 0 if first.samples is None else 1
        if _roots_are_accurate(squares[spare:]):
            values = squares[spare:].sqrt()
            return Transport(float(values.sum()), values, left[:, spare:], factor, inverse, first.divisor)
    if cross is None:
        cross = factor.T @ _factor(second)[0]
    left, values, _ = torch.linalg.svd(cross, full_matrices=False)
    return Transport(float(values.sum()), values, left, factor, inverse, first.divisor)


def _factor(covariance: Covariance) -> tuple[Tensor, Tensor | None]:
    """A with S = A A', and its left inverse where A is not made of samples."""
    if covariance.samples is not None:
        return covariance.samples.T / covariance.divisor**0.5, None
    assert covariance.matrix is not None
    matrix = covariance.matrix
    factor, failed = torch.linalg.cholesky_ex(matrix)
    pivots = factor.diagonal().square()
    if not failed and pivots.min() > 100 * EPS * len(pivots) * pivots.max():
        identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
        return factor, torch.linalg.solve_triangular(factor, identity, upper=False)
    values, vectors = torch.linalg.eigh(matrix)
    kept = values > EPS * len(values) * values[-1].clamp(min=0)
    roots = values[kept].sqrt()
    return vectors[:, kept] * roots, vectors[:, kept].T / roots[:, None]


def _roots_are_accurate(squares: Tensor) -> bool:
    """Whether eigenvalues (ascending) are far enough from zero for their square roots to be summed."""
    if len(squares) == 0 or squares[0] <= 0:
        return False
    roots = squares.sqrt()
    return bool((EPS * squares[-1] / (2 * roots)).sum() <= ROOT_TOLERANCE * roots.sum())


def chunks(samples: Tensor) -> Iterator[Tensor]:
    """Rows of samples as float64, a bounded number at a time."""
    for start in range(0, len(samples), CHUNK):
        yield samples[start : start + CHUNK].double()
