"""Mean and covariance of a stream of features, in float64, in any order and any number of pieces."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import chunks, gram


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A set of features as FID sees it: mean float64 [D] and covariance float64 [D, D].

    count: images behind them, None where a file does not say. features: the rows themselves [count, D] where they are
    still at hand, so that an error bar can be had.
    """

    mean: Tensor
    covariance: Tensor
    count: int | None = None
    features: Tensor | None = None


class Moments:
    """Count, mean and scatter of rows seen so far; mergeable (Chan, Golub and LeVeque 1983).

    mean: float64 [D]. scatter: float64 [D, D], the sum of outer products about the mean.
    """

    def __init__(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        self.count, self.mean, self.scatter = count, mean, scatter

    @classmethod
    def of(cls, features: Tensor | Iterable[Tensor]) -> "Moments":
        """features: [N, D] of any float type, or an iterable of such; MetricError when empty or not finite."""
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
        """The same on another device."""
        return Moments(self.count, self.mean.to(device), self.scatter.to(device))

    def merge(self, other: "Moments") -> "Moments":
        """The moments of both sets of rows together."""
        if self.mean.shape != other.mean.shape:
            raise MetricError(f"Moments of {len(self.mean)} and {len(other.mean)} dimensions cannot be merged.")
        count = self.count + other.count
        gap = other.mean - self.mean
        mean = self.mean + gap * (other.count / count)
        between = torch.outer(gap, gap) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    def gaussian(self, *, ddof: int = 1, features: Tensor | None = None) -> Gaussian:
        """Mean, and covariance over n - ddof; features: the rows these are the moments of, to be carried along."""
        check_count(self.count, ddof)
        return Gaussian(self.mean, self.scatter / (self.count - ddof), self.count, features)


def check_count(count: int, ddof: int, rows: str = "images") -> None:
    """A covariance needs more than one row, and is over their number or one less. rows: what they are, in messages."""
    if ddof not in (0, 1):
        raise MetricError(f"ddof must be 1 or 0, as covariances are over n - 1 or n; found {ddof}.")
    if count < 2:
        raise MetricError(f"A covariance needs at least 2 {rows}, found {count}.")


def check_features(features: Tensor) -> Tensor:
    """[N, D] finite floats, N >= 1 => the same; MetricError otherwise, with what was found."""
    if features.ndim != 2 or 0 in features.shape:
        raise MetricError(
            f"Features must be [images, dimensions] with at least one of each, found {list(features.shape)}."
        )
    if not features.is_floating_point():
        raise MetricError(f"Features must be floating point, found {features.dtype}.")
    # A sum is finite when every term is, or it overflows: only then are the terms looked at. In the features' own type
    # it copies nothing.
    if not features.sum().isfinite():
        bad = int((~features.isfinite()).any(1).sum())
        if bad:
            raise MetricError(f"{bad} of {len(features)} images have NaN or infinite features.")
    return features.detach()


def check_pair(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets by `check_features`, and of as many dimensions; MetricError otherwise."""
    real, fake = check_features(real), check_features(fake)
    if real.shape[1] != fake.shape[1]:
        raise MetricError(
            f"Real features have {real.shape[1]} dimensions and fake ones {fake.shape[1]}; "
            "both must come from the same extractor."
        )
    return real, fake


def workable(rows: Tensor) -> Tensor:
    """float32 and float64 as they are, shorter floats as float32, which holds them exactly and multiplies faster."""
    return rows if rows.dtype in (torch.float32, torch.float64) else rows.float()
