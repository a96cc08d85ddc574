"""Images drawn from both sets, as row numbers; the rows are copied a block at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import slices
from ganeval.errors import MetricError
from ganeval.linalg import CHUNK
from ganeval.metrics.moments import workable
from ganeval.spool import spooled

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Some images of both sets, in any order.

    real, fake: features [N, D] and [M, D]. numbers: int64 [n]; 0 to N - 1 are the reals, and the fakes follow. origin:
    [D], subtracted from the rows, which are then float32; None for the features as they are.
    """

    real: Tensor
    fake: Tensor
    numbers: Numbers
    origin: Tensor | None = None

    @classmethod
    def of(cls, real: Tensor, fake: Tensor, sides: tuple[Numbers, Numbers], origin: Tensor | None = None) -> "Drawn":
        """From indices of reals and of fakes, in this order."""
        return cls(real, fake, np.concatenate([sides[0], sides[1] + len(real)]), origin)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, places: Numbers) -> "Drawn":
        """The images at these positions."""
        return replace(self, numbers=self.numbers[places])

    @property
    def width(self) -> int:
        """D."""
        return self.real.shape[1]

    @property
    def is_fake(self) -> NDArray[np.bool_]:
        """Bool [n]."""
        return np.asarray(self.numbers >= len(self.real))

    def blocks(self) -> Iterator[Tensor]:
        """The rows in blocks of bounded size, on the reals' device."""
        for part in slices(len(self), CHUNK):
            yield self._rows(self.numbers[part])

    def rows(self) -> Tensor:
        """All rows [n, D]; mapped from a file if there are many."""
        return spooled(self.blocks(), len(self))

    def _rows(self, numbers: Numbers) -> Tensor:
        of_fakes = numbers >= len(self.real)
        if not of_fakes.any():
            return self._taken(self.real, numbers)
        if of_fakes.all():
            return self._taken(self.fake, numbers - len(self.real))
        reals, fakes = self._rows(numbers[~of_fakes]), self._rows(numbers[of_fakes])
        found = reals.new_empty(len(numbers), self.width)
        found[torch.from_numpy(~of_fakes).to(found.device)] = reals
        found[torch.from_numpy(of_fakes).to(found.device)] = fakes
        return found

    def _taken(self, features: Tensor, places: Numbers) -> Tensor:
        """Some rows of one set, float32, or float64 if either set is."""
        taken = features[torch.from_numpy(places).to(features.device)].to(self.real.device)
        if self.origin is not None:
            return differences(taken, self.origin)
        return taken.to(torch.promote_types(workable(self.real[:0]).dtype, workable(self.fake[:0]).dtype))


def differences(rows: Tensor, origin: Tensor, *, scale: float = 1.0) -> Tensor:
    """Rows [n, D] minus one [D], times a scale => float32, on a CPU; MetricError for differences beyond its range."""
    # Two roundings of a difference of float32 numbers, to float64 and to float32, are the same as one.
    if scale == 1 and torch.float64 not in (rows.dtype, origin.dtype):
        found = (rows.float() - origin.float()).cpu()
    else:
        found = ((rows.double() - origin.double()) * scale).float().cpu()
    if not torch.stack(torch.aminmax(found)).isfinite().all():
        raise MetricError(
            "Differences of these values exceed the range of float32, in which classifiers and k-means compute. Use an "
            "extractor whose features are smaller, or scale them."
        )
    return found
