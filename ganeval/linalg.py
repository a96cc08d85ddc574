"""Linear algebra of covariances as factors, and the optimal transport map between two of them.

For covariances S1 = A A' and S2 = B B', the trace of the matrix square root of S1 S2 is the nuclear norm of A'B, for
any factors. A set of fewer samples than dimensions is its own factor (the centred, scaled samples), so the matrices are
as small as the smaller set, and the result is exact. The unsymmetric product S1 S2 is never formed, and nothing is
added to a diagonal.

Everything is float64, on the device of its input.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import MetricError

EPS = torch.finfo(torch.float64).eps
CHUNK = 8192
# The error of the square root of an eigenvalue is eps * largest / (2 * root). If the sum of these errors, relative to
# the trace, exceeds this, singular values are computed instead, without squaring.
ROOT_TOLERANCE = 1e-10
# Eigenvalues further below zero than this, relative to the largest, are not due to rounding.
NEGATIVE = 1e-6
TOO_LARGE = (
    "Squares of these values exceed the range of float64. Use an extractor whose features are smaller, or scale them."
)


@dataclass(frozen=True, slots=True)
class Covariance:
    """A covariance S [D, D]: the matrix itself, or centred samples X [N, D] with S = X'X / divisor."""

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

    def scaled(self) -> "tuple[Covariance, float]":
        """S / 4^k with entries of about 1, and 2^k: exact, and safe from overflow.

        MetricError for a covariance that exceeds float64.
        """
        largest = float(self.matrix.abs().max()) if self.matrix is not None else self._largest_square()
        if not largest:
            return self, 1.0
        if not math.isfinite(largest):
            raise MetricError(TOO_LARGE)
        root = 2.0 ** (math.frexp(largest)[1] // 2)
        if self.matrix is not None:
            return Covariance(matrix=self.matrix / root / root), root
        assert self.samples is not None
        return Covariance(samples=self.samples / root, divisor=self.divisor), root

    def _largest_square(self) -> float:
        assert self.samples is not None
        return float(self.samples.abs().max()) ** 2 / self.divisor if self.samples.numel() else 0.0


@dataclass(frozen=True, slots=True)
class Factor:
    """A [D, R] with S = A A'.

    squares: the eigenvalues of A'A if A consists of eigenvectors of S; None if A is triangular. divisor: that of the
    covariance if A consists of samples; None otherwise.
    """

    matrix: Tensor
    squares: Tensor | None = None
    divisor: int | None = None

    def solve(self, right: Tensor) -> Tensor:
        """A (A'A)^(-1) right, which is A'^(-1) right if A is square."""
        if self.squares is None:
            solved: Tensor = torch.linalg.solve_triangular(self.matrix.T, right, upper=True)
            return solved
        return (self.matrix / self.squares) @ right


@dataclass(frozen=True, slots=True)
class Transport:
    """The singular value decomposition of A'B for S1 = A A', S2 = B B', restricted to what a first-order expansion
    needs.

    values: singular values [K], whose sum is the trace of (S1 S2)^(1/2). left: left singular vectors [R, K]. factor: A.
    """

    values: Tensor
    left: Tensor
    factor: Factor

    def first_forms(self, samples: Tensor) -> Tensor:
        """x'Tx for centred samples x [N, D] of the first set, T = S1^(-1/2) (S1^(1/2) S2 S1^(1/2))^(1/2) S1^(-1/2).

        If the factor consists of samples, T is defined only on these, and `samples` must be all of them in their order.
        """
        if self.factor.divisor is not None:
            return self.factor.divisor * (self.left.square() @ self.values)
        return (samples @ self.factor.solve(self.left)).square() @ self.values

    def second_forms(self, samples: Tensor) -> Tensor:
        """y'T^(-1)y for centred samples y [M, D] of the second set."""
        kept = self.values > self.values.sum() * EPS
        return (samples @ (self.factor.matrix @ self.left[:, kept] / self.values[kept].sqrt())).square().sum(1)


def root_trace(first: Covariance, second: Covariance) -> float:
    """The trace of (S1 S2)^(1/2)."""
    first, root = first.scaled()
    second, other = second.scaled()
    return root * other * _root_trace(first, second)


def _root_trace(first: Covariance, second: Covariance) -> float:
    factor = _factor(first)
    cross, product = _products(factor, second)
    if product is not None:
        squares = _semidefinite(torch.linalg.eigvalsh(product))[_spare(first) :]
        if _roots_are_accurate(squares):
            return float(squares.sqrt().sum())
    return float(torch.linalg.svdvals(_cross(cross, factor, second)).sum())


def transport(first: Covariance, second: Covariance) -> Transport:
    """The optimal transport from N(0, S1) to N(0, S2)."""
    first, root = first.scaled()
    second, other = second.scaled()
    found = _transport(first, second)
    squares = None if found.factor.squares is None else found.factor.squares * root * root
    factor = Factor(found.factor.matrix * root, squares=squares, divisor=found.factor.divisor)
    return Transport(found.values * root * other, found.left, factor)


def _transport(first: Covariance, second: Covariance) -> Transport:
    factor = _factor(first)
    cross, product = _products(factor, second)
    if product is not None:
        squares, left = torch.linalg.eigh(product)
        squares, left = _semidefinite(squares)[_spare(first) :], left[:, _spare(first) :]
        if _roots_are_accurate(squares):
            return Transport(squares.sqrt(), left, factor)
    left, values, _ = torch.linalg.svd(_cross(cross, factor, second), full_matrices=False)
    return Transport(values, left, factor)


def _products(factor: Factor, second: Covariance) -> tuple[Tensor | None, Tensor | None]:
    """A'B, if B consists of samples, and the symmetric A' S2 A, unless B is the smaller of the two."""
    if second.samples is None:
        assert second.matrix is not None
        product = factor.matrix.T @ second.matrix @ factor.matrix
        return None, (product + product.T) / 2
    cross = factor.matrix.T @ second.samples.T / second.divisor**0.5
    return cross, cross @ cross.T if cross.shape[0] <= cross.shape[1] else None


def _cross(cross: Tensor | None, factor: Factor, second: Covariance) -> Tensor:
    return factor.matrix.T @ _factor(second).matrix if cross is None else cross


def _spare(first: Covariance) -> int:
    """1 for samples, as centring removes one dimension (one eigenvalue of a product is then zero); else 0."""
    return 0 if first.samples is None else 1


def _factor(covariance: Covariance) -> Factor:
    if covariance.samples is not None:
        return Factor(covariance.samples.T / covariance.divisor**0.5, divisor=covariance.divisor)
    assert covariance.matrix is not None
    matrix, failed = torch.linalg.cholesky_ex(covariance.matrix)
    pivots = matrix.diagonal().square()
    if not failed and pivots.min() > 100 * EPS * len(pivots) * pivots.max():
        return Factor(matrix)
    squares, vectors = torch.linalg.eigh(covariance.matrix)
    kept = _semidefinite(squares) > EPS * len(squares) * squares[-1].clamp(min=0)
    return Factor(vectors[:, kept] * squares[kept].sqrt(), squares=squares[kept])


def _semidefinite(squares: Tensor) -> Tensor:
    """Ascending eigenvalues of a covariance, or of a product of two; MetricError if one is negative."""
    if len(squares) and squares[0] < -NEGATIVE * squares.abs().max():
        raise MetricError(
            f"A covariance has a negative eigenvalue ({float(squares[0]):.3g}), so it is not a covariance."
        )
    return squares


def check_semidefinite(matrix: Tensor, what: str) -> None:
    """MetricError if the smallest eigenvalue of a symmetric matrix [D, D], float64, is negative beyond rounding.

    what: the name of the matrix in messages.
    """
    largest = float(matrix.abs().max())
    if not largest:
        return
    # For most matrices a Cholesky decomposition, with the tolerance added, is enough; eigenvalues take 20 times longer.
    tolerated = NEGATIVE * float(matrix.diagonal().abs().max())
    shifted = matrix / largest + torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device) * (
        tolerated / largest
    )
    if tolerated and not int(torch.linalg.cholesky_ex(shifted)[1]):
        return
    values = torch.linalg.eigvalsh(matrix / largest) * largest
    if float(values[0]) < -NEGATIVE * float(values.abs().max()):
        raise MetricError(
            f"{what} is not positive semidefinite, so it is not a covariance: its smallest eigenvalue is "
            f"{float(values[0]):.4g}, its largest {float(values[-1]):.4g}."
        )


def _roots_are_accurate(squares: Tensor) -> bool:
    """Whether eigenvalues (ascending) are far enough from zero that their square roots are accurate."""
    if len(squares) == 0 or squares[0] <= 0:
        return False
    roots = squares.sqrt()
    return bool((EPS * squares[-1] / (2 * roots)).sum() <= ROOT_TOLERANCE * roots.sum())


def gram(rows: Tensor) -> Tensor:
    """X'X of X [N, D]. On a CPU numpy's product uses the symmetry, and does half the work of torch's."""
    if rows.device.type == "cpu":
        array = rows.detach().numpy()
        # Overflow is an error where the product is used.
        with np.errstate(over="ignore", invalid="ignore"):
            return torch.from_numpy(array.T @ array)
    return rows.T @ rows


def chunks(samples: Tensor) -> Iterator[Tensor]:
    """Rows of samples as float64, a bounded number at a time."""
    for part in pieces(samples):
        yield part.double()


def pieces(samples: Tensor) -> Iterator[Tensor]:
    """Rows of samples as they are, without a copy, a bounded number at a time."""
    for start in range(0, len(samples), CHUNK):
        yield samples[start : start + CHUNK]
