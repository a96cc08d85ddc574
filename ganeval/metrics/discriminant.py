"""Linear discriminant analysis of features by class, and the variance of its accuracy due to the training images.

Classes are Gaussians with their own means and one covariance, all equally likely. Training is a sum over images, so a
part of them can be removed for the price of one linear solve, and any number of classes costs little. The covariance is
shrunk towards a multiple of the identity by Ledoit and Wolf's share, so that there may be fewer images than dimensions.
It is a linear classifier, like the logistic regression that features are usually probed with, but has no iterations and
no regularisation to choose.

The variance due to the training images is estimated by a jackknife over groups of them. Accuracy is discrete, which
adds noise to the squared changes: it is subtracted, so that the estimate does not depend on the size of the test set.

Sources: Fisher 1936; Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices".
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import CHUNK, TOO_LARGE, chunks, gram
from ganeval.metrics.labels import Labels, Shares

GROUPS = 10
# Directions without variance get at least this share of the average variance, so that the covariance is invertible.
LEAST_SHRINKAGE = 1e-6
# Variances below this share of the total variance (between classes included) count as rounding errors.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Coordinates of features: relative to an origin [D] and, for fewer images than dimensions, in their span.

    basis: float64 [D, R], orthonormal; None uses the coordinates as they are, R = D. The classifier depends on the span
    alone.
    """

    origin: Tensor
    basis: Tensor | None

    @classmethod
    def of(cls, features: Tensor) -> "Coordinates":
        """From the training images [N, D]."""
        origin = next(chunks(features)).mean(0)
        if len(features) >= features.shape[1]:
            return cls(origin, None)
        return cls(origin, torch.linalg.qr((features.double() - origin).T).Q)

    @property
    def size(self) -> int:
        """R."""
        return len(self.origin) if self.basis is None else self.basis.shape[1]

    def rows(self, part: Tensor) -> Tensor:
        """float64 [N, D] => [N, R]."""
        return part - self.origin if self.basis is None else (part - self.origin) @ self.basis


@dataclass(frozen=True, slots=True)
class ClassSums:
    """Sums over labelled images. counts: float64 [C]. sums: float64 [C, R]. products: float64 [R, R], X'X."""

    counts: Tensor
    sums: Tensor
    products: Tensor

    @classmethod
    def of(cls, features: Tensor, places: Tensor, frame: Coordinates, count: int) -> "ClassSums":
        """features: [N, D], of any float type; places: int64 [N], classes 0 to count - 1."""
        shapes = (count,), (count, frame.size), (frame.size, frame.size)
        counts, sums, products = (frame.origin.new_zeros(shape) for shape in shapes)
        for part, place in zip(chunks(features), torch.split(places, CHUNK), strict=True):
            members = torch.nn.functional.one_hot(place, count).double()
            rows = frame.rows(part)
            counts, sums, products = counts + members.sum(0), sums + members.T @ rows, products + gram(rows)
        return cls(counts, sums, products)

    def without(self, other: "ClassSums") -> "ClassSums":
        """The sums without the images of `other`."""
        return ClassSums(self.counts - other.counts, self.sums - other.sums, self.products - other.products)

    @property
    def means(self) -> Tensor:
        """[C, R]."""
        return self.sums / self.counts[:, None]

    @property
    def covariance(self) -> Tensor:
        """[R, R], relative to each class's mean, over all images."""
        return (self.products - self.sums.T @ self.means) / self.counts.sum()


@dataclass(frozen=True, slots=True)
class Rule:
    """The class of an image x is the position of the largest element of x W + b.

    weights: W, float64 [D, C]. offsets: b, float64 [C].
    """

    weights: Tensor
    offsets: Tensor
    origin: Tensor

    @classmethod
    def of(cls, known: ClassSums, shrinkage: float, frame: Coordinates) -> "Rule":
        """shrinkage: 0 uses the covariance as it is, 1 a multiple of the identity."""
        covariance, means = known.covariance, known.means
        # Over all D dimensions, including those outside the span.
        average = float(covariance.trace()) / len(frame.origin)
        # If all images of each class are equal, only rounding is left, and the nearest mean decides.
        rounding = ROUNDING * float(known.products.trace() / known.counts.sum())
        covariance.mul_(1 - shrinkage).diagonal().add_(max(shrinkage * average, rounding) or 1.0)
        weights = torch.cholesky_solve(means.T, torch.linalg.cholesky(covariance))
        offsets = -(means.T * weights).sum(0) / 2
        return cls(weights if frame.basis is None else frame.basis @ weights, offsets, frame.origin)

    def __call__(self, features: Tensor) -> Labels:
        """[N, D] => int64 [N]; the first of equally likely classes."""
        found = [((part - self.origin) @ self.weights + self.offsets).argmax(1) for part in chunks(features)]
        return np.asarray(torch.cat(found).cpu().numpy(), dtype=np.int64)


def shrinkage_share(features: Tensor, places: Tensor, known: ClassSums, frame: Coordinates) -> float:
    """Ledoit and Wolf's share for `known.covariance`, from LEAST_SHRINKAGE to 1."""
    covariance, means = known.covariance, known.means
    count, width = features.shape
    fourths = sum(
        float((frame.rows(part) - means[place]).square().sum(1).square().sum())
        for part, place in zip(chunks(features), torch.split(places, CHUNK), strict=True)
    )
    squares = float(covariance.square().sum())
    spread = squares - float(covariance.trace()) ** 2 / width
    noise = (fourths / count - squares) / count
    return 1.0 if noise >= spread else max(noise / spread, LEAST_SHRINKAGE)


def rules(features: Tensor, places: Labels, *, groups: int, seed: int) -> Iterator[Rule]:
    """The classifier trained on all images [N, D], and then those trained without each of the groups.

    places: classes 0 to C - 1, at least 2 images each. Each group has as equal a share of every class as possible.
    """
    at, count = torch.from_numpy(places).to(features.device), int(places.max()) + 1
    frame = Coordinates.of(features)
    known = ClassSums.of(features, at, frame, count)
    if not known.products.isfinite().all():
        raise MetricError(TOO_LARGE)
    shrinkage = shrinkage_share(features, at, known, frame)
    yield Rule.of(known, shrinkage, frame)
    # With fewer images than groups, each image is a group.
    groups = min(groups, len(places))
    group = torch.from_numpy(cut(places, groups, seed=seed)).to(features.device)
    for number in range(groups):
        chosen = group == number
        yield Rule.of(known.without(ClassSums.of(features[chosen], at[chosen], frame, count)), shrinkage, frame)


def cut(places: Labels, groups: int, *, seed: int) -> Labels:
    """A group for each image, 0 to groups - 1, in a seeded order; each class is spread evenly over them."""
    order = np.random.RandomState(seed).permutation(len(places))
    order = order[np.argsort(places[order], kind="stable")]
    group = np.empty(len(places), np.int64)
    # Each class continues where the last one ended; otherwise the first groups would hold all of the small classes.
    group[order] = np.arange(len(places)) % groups
    return group


def training_changes(hits: NDArray[np.bool_], places: Labels) -> tuple[NDArray[np.float64], float]:
    """Changes [G] of a mean of shares when each group of training images is left out, and its variance due to them.

    hits: [G, N], the correct classifications without each group; places: the classes of the test images.
    """
    groups = len(hits)
    count = np.bincount(places)
    moved = hits - hits.mean(0)
    means = np.stack([np.bincount(places, weights=row) / count for row in moved])
    squares = np.stack([np.bincount(places, weights=row**2) / count for row in moved])
    noise = ((squares - means**2) / (count - 1)).sum(1) / len(count) ** 2
    changes = means.mean(1)
    variance = (groups - 1) / groups * float((changes**2 - noise).sum())
    return changes, max(variance, 0.0)


def held_out(features: Tensor, places: Labels, *, seed: int) -> Shares:
    """How often images [N, D] are classified correctly after training on the other half of them."""
    half, called = cut(places, 2, seed=seed), np.empty(len(places), np.int64)
    for number, rule in enumerate(list(rules(features, places, groups=2, seed=seed))[1:]):
        mine = half == number
        called[mine] = rule(features[torch.from_numpy(mine).to(features.device)])
    return Shares.of(called == places, places)
