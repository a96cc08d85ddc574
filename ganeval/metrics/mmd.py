"""Squared maximum mean discrepancy (MMD) of two sets for any kernel, with its variance: what KID and CMMD share.

The variance is that of the unbiased estimator, by Hoeffding's decomposition (ustatistics.py).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganeval.metrics.ustatistics import FEWEST, Between, Kernel, Within, between, within
from ganeval.uncertainty import shared_by_influence


class Parts(NamedTuple):
    """Variances of the parts of Hoeffding's decomposition: one real, one fake, and the rest of the three kernels."""

    real: float
    fake: float
    reals: float
    fakes: float
    both: float

    def variance(self, n: int, m: int) -> float:
        """Variance of the MMD for n reals and m fakes, at least that for equal distributions."""
        single = max(4 * self.real / n + 4 * self.fake / m, 0.0)
        rest = 2 * self.reals / (n * (n - 1)) + 2 * self.fakes / (m * (m - 1)) + 4 * self.both / (n * m)
        return single + max(rest, 0.0)


@dataclass(frozen=True, slots=True)
class KernelSums:
    """Sums of a kernel over pairs of reals, pairs of fakes, and pairs of both."""

    reals: Within
    fakes: Within
    both: Between

    @classmethod
    def of(
        cls, real: Tensor, fake: Tensor, kernel: Kernel, members: tuple[Tensor, Tensor] | None = None
    ) -> "KernelSums":
        """members: float64 [N, S] and [M, S], 1 where an image belongs to a subset."""
        mine, theirs = members or (None, None)
        return cls(
            within(real, kernel, groups=mine),
            within(fake, kernel, groups=theirs),
            between(real, fake, kernel, groups=members),
        )

    @property
    def value(self) -> float:
        """The unbiased estimate: means over pairs of different images."""
        return self.reals.mean + self.fakes.mean - 2 * self.both.mean

    @property
    def biased(self) -> float:
        """The estimate with means over all pairs, including an image with itself, for which the kernel must be 0."""
        n, m = self.reals.count, self.fakes.count
        return self.reals.mean * (n - 1) / n + self.fakes.mean * (m - 1) / m - 2 * self.both.mean

    def values(self, size: int) -> Tensor:
        """MMD of each subset of this size, [S]."""
        return (self.reals.groups + self.fakes.groups) / (size * (size - 1)) - 2 * self.both.groups / size**2

    @property
    def shared(self) -> NDArray[np.float64] | None:
        """`Estimate.shared`: the reals' influences, scaled to the reals' part of the variance."""
        parts = self.parts
        if parts is None:
            return None
        n = self.reals.count
        influences = self.reals.means - self.both.rows / self.fakes.count
        variance = 4 * max(parts.real, 0.0) / n + 2 * max(parts.reals, 0.0) / (n * (n - 1))
        return shared_by_influence(influences.cpu().numpy(), variance=variance)

    @property
    def parts(self) -> Parts | None:
        """None for fewer images than the estimates need."""
        n, m = self.reals.count, self.fakes.count
        if min(n, m) < FEWEST:
            return None
        one_real, one_fake = self.reals.means - self.both.rows / m, self.fakes.means - self.both.columns / n
        # The variance of row means contains noise of the degenerate part, which is subtracted.
        return Parts(
            real=float(one_real.var()) - self.reals.rest / (n - 2) - self.both.rest / m,
            fake=float(one_fake.var()) - self.fakes.rest / (m - 2) - self.both.rest / n,
            reals=self.reals.rest,
            fakes=self.fakes.rest,
            both=self.both.rest,
        )
