"""Mean and covariance of features in float64, accumulated in any number of pieces."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import chunks, gram


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Mean and covariance of a set of features.

    Attributes:
        mean: float64 ``[D]``.
        covariance: float64 ``[D, D]``.
        count: The number of images; None if a file does not say.
        features: The features ``[count, D]`` if they are available, which an error bar needs; None otherwise.
    """

    mean: Tensor
    covariance: Tensor
    count: int | None = None
    features: Tensor | None = None


class Moments:
    """Count, mean and scatter of the rows seen so far; mergeable.

    Args:
        count: Number of rows.
        mean: Mean of the rows, float64 ``[D]``.
        scatter: Sum of outer products of rows minus the mean, float64 ``[D, D]``.

    References:
        Chan, Golub and LeVeque 1983, "Algorithms for Computing the Sample Variance".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import Moments
        >>> rows = torch.tensor([[0.0], [1.0], [2.0], [5.0]])
        >>> both = Moments.of(rows[:1]).merge(Moments.of(rows[1:]))
        >>> both.count, both.mean.item(), round(both.gaussian().covariance.item(), 6)
        (4, 2.0, 4.666667)
    """

    def __init__(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        self.count, self.mean, self.scatter = count, mean, scatter

    @classmethod
    def of(cls, features: Tensor | Iterable[Tensor]) -> "Moments":
        """The moments of features.

        Args:
            features: ``[N, D]`` of any floating dtype, or an iterable of such.

        Returns:
            Their moments.

        Raises:
            MetricError: There are no features, or they are not finite floating tensors of two axes.
        """
        total: Moments | None = None
        for batch in [features] if isinstance(features, Tensor) else features:
            for part in chunks(check_features(batch)):
                mean = part.mean(0)
                centred = part - mean
                piece = cls(len(part), mean, gram(centred))
                total = piece if total is None else total.merge(piece)
        if total is None:
            raise MetricError("There are no features to take moments of.")
        return total

    def to(self, device: str) -> "Moments":
        """The same moments on another device.

        Args:
            device: A device of torch.

        Returns:
            A copy on this device.
        """
        return Moments(self.count, self.mean.to(device), self.scatter.to(device))

    def merge(self, other: "Moments") -> "Moments":
        """The moments of the rows of both together.

        Args:
            other: Moments of other rows of the same dimensions.

        Returns:
            Moments of all rows.

        Raises:
            MetricError: The dimensions differ.
        """
        if self.mean.shape != other.mean.shape:
            raise MetricError(f"Moments of {len(self.mean)} and {len(other.mean)} dimensions cannot be merged.")
        count = self.count + other.count
        gap = other.mean - self.mean
        mean = self.mean + gap * (other.count / count)
        between = torch.outer(gap, gap) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    def gaussian(self, *, ddof: int = 1, features: Tensor | None = None) -> Gaussian:
        """Mean, and covariance over n - ddof.

        Args:
            ddof: 1 for the unbiased covariance, 0 for that over n.
            features: The rows that these are the moments of, to be kept in the Gaussian.

        Returns:
            The Gaussian.

        Raises:
            MetricError: There are fewer than 2 rows, or ``ddof`` is neither 0 nor 1.
        """
        check_count(self.count, ddof)
        return Gaussian(self.mean, self.scatter / (self.count - ddof), self.count, features)


def check_count(count: int, ddof: int, rows: str = "images") -> None:
    """MetricError unless a covariance of `count` rows over count - ddof is defined; rows: their name in messages."""
    if ddof not in (0, 1):
        raise MetricError(f"ddof must be 1 or 0 (covariances over n - 1 or n), found {ddof}.")
    if count < 2:
        raise MetricError(f"A covariance needs at least 2 {rows}, found {count}.")


def check_features(features: object) -> Tensor:
    """Finite floating features [N, D], N >= 1, detached; MetricError for anything else."""
    if not isinstance(features, Tensor):
        raise MetricError(
            f"Features must be a torch tensor [images, dimensions], found {type(features).__name__}; convert arrays "
            "and lists of numbers with torch.as_tensor(features, dtype=torch.float32)."
        )
    if features.layout != torch.strided:
        layout = str(features.layout).removeprefix("torch.")
        raise MetricError(f"Features are of layout {layout}; make them dense with features.to_dense().")
    if features.is_meta:
        raise MetricError("Features are on the device 'meta', where a tensor has a shape but no values.")
    if features.ndim != 2 or 0 in features.shape:
        raise MetricError(
            f"Features must be [images, dimensions] with at least one of each, found {list(features.shape)}."
        )
    if not features.is_floating_point():
        raise MetricError(f"Features must be floating point, found {features.dtype}; convert them with .float().")
    if features.dtype.itemsize == 1:
        # Torch does not compute with floats of 8 bits.
        features = features.float()
    # The sum is finite only if every term is. Terms are checked one by one only where it is not, as it may also
    # overflow. A sum in the features' own dtype copies nothing.
    if not features.sum().isfinite():
        bad = int((~features.isfinite()).any(1).sum())
        if bad:
            raise MetricError(f"{bad} of {len(features)} images have NaN or infinite features.")
    return features.detach()


def check_pair(real: object, fake: object) -> tuple[Tensor, Tensor]:
    """Both sets, checked by `check_features`; MetricError unless they have the same number of dimensions."""
    real, fake = check_features(real), check_features(fake)
    if real.shape[1] != fake.shape[1]:
        raise MetricError(
            f"Real features have {real.shape[1]} dimensions and fake ones {fake.shape[1]}; "
            "both must come from the same extractor."
        )
    return real, fake


def workable(rows: Tensor) -> Tensor:
    """float32 and float64 rows unchanged; shorter floats as float32, which is exact and multiplies faster."""
    return rows if rows.dtype in (torch.float32, torch.float64) else rows.float()
