"""Values of statistics that are summed over pairs of images, with the error of the jackknife over groups of pairs."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ganeval.uncertainty import Estimate, student_interval

# Groups of the jackknife; their sums are kept in memory.
GROUPS = 32


class Pooled:
    """Sums of the statistics of pairs, float64, in up to GROUPS groups: pair i belongs to group i modulo GROUPS."""

    def __init__(self) -> None:
        self._groups: list[Tensor] = []
        self._count = 0

    def add(self, statistic: Tensor) -> None:
        """Add the statistic of the next pair; the statistics of all pairs have one shape."""
        if len(self._groups) < GROUPS:
            self._groups.append(statistic.clone())
        else:
            self._groups[self._count % GROUPS] += statistic
        self._count += 1

    def estimate(self, pool: Callable[[Tensor], float]) -> Estimate:
        """The value of all pairs together; pool: computes it from the sum of the statistics."""
        total = torch.stack(self._groups).sum(0)
        value, count = pool(total), len(self._groups)
        if count < 2:
            return Estimate(value, None, None, "one pair alone; a standard error needs two")
        without = np.array([pool(total - group) for group in self._groups])
        spread = math.sqrt((count - 1) / count) * (without - without.mean())
        error = float(np.linalg.norm(spread))
        what = "pairs" if self._count == count else "groups of pairs"
        return Estimate(
            value,
            error,
            student_interval(value, error, count - 1),
            f"of all pairs together; jackknife over {count} {what}",
            shared=spread,
        )
