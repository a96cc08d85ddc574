"""Realism of each fake: how deep it lies in the neighbourhood of a real.

The standard error of the median is from random halves of both sets. In a half the radii grow, and the best real of a
fake may be missing, so the next best ones are listed too (DEPTH). Which radii are too large is decided once, on the
whole sets.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import Rows
from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.cover import NeighbourLists, check_neighbours, listed
from ganeval.metrics.moments import check_features, check_pair
from ganeval.neighbours import Balls, balls, nearest_by_scale
from ganeval.uncertainty import SPLITS, Estimate, normal_interval, random_halves, shared_by_halves

# Reals listed for each fake: the probability that none of them is in a random half is 1 in 65,000.
DEPTH = 16


def realism(real: Tensor, fake: Tensor, *, k: int = 5, seed: int = 0) -> Estimate:
    """Median realism of the fakes, with its standard error.

    The realism of each fake is that of ``realism_scores``. The median is used because a copy of a real has an infinite
    realism. It depends on the number of reals, so the details have the realism of reals among each other.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        k: Which neighbour gives the radius, not counting the image itself; 5 as in dgm-eval, 3 in the paper.
        seed: Seed of the random halves of the standard error; the value does not depend on it.

    Returns:
        The median, from 0; higher is better. ``details`` has the share of fakes with a realism of 1 or more as
        "inside", and the median of the reals, each compared with the others, as "reals".

    Raises:
        MetricError: k is below 1, there are k reals or fewer, half of the reals have k copies or half of the fakes
            equal a real, the dimensions differ, or the features are not finite floating tensors of two axes.

    References:
        Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import realism
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), torch.randn(500, 4, generator=rng)
        >>> print(f"{realism(real, fake).value:.1f} {realism(real, 3 * fake).value:.1f}")
        1.3 0.2
    """
    check_options(realism, locals())
    real, fake = check_pair(real, fake)
    found = _Neighbourhoods(real, k)
    squares, owners = found.of(Rows(fake))
    scores = (found.squares[owners] / squares).amax(1).sqrt()
    value = _median(scores.cpu().numpy())
    if not math.isfinite(value):
        raise MetricError("Half of the fakes or more equal a real, so the median realism is infinite; see ganeval nn.")
    details = {"inside": float((scores >= 1).double().mean())}
    others = found.among()
    if others is not None and math.isfinite(reals := _median(others.cpu().numpy())):
        details["reals"] = reals
    if min(len(real) // 2, len(fake)) <= max(k, 1):
        reason = f"no error bar: halves of {min(len(real), len(fake))} images have too few images for k = {k}"
        return Estimate(value, None, None, reason, details)
    halves = _on_halves(found, squares, owners, seed)
    if not np.isfinite(halves).all():
        return Estimate(value, None, None, "no error bar: in some halves most fakes equal a real", details)
    error = float(np.linalg.norm(halves))
    method = f"differences of random halves ({SPLITS} splits)"
    return Estimate(value, error, normal_interval(value, error, minimum=0.0), method, details, shared=halves)


def realism_scores(real: Tensor, fake: Tensor | None = None, *, k: int = 5) -> Tensor:
    """The realism of each fake: how deep it lies in the neighbourhood of a real.

    The neighbourhood of a real x is a ball with the distance r to its k-th nearest other real as radius, and only balls
    with a radius below the median count::

        realism(y) = max over reals x of r(x) / d(x, y)

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``; None scores every real by the other reals, with their radii
            computed without it.
        k: Which neighbour gives the radius, not counting the image itself; 5 as in dgm-eval, 3 in the paper.

    Returns:
        Scores, float64 ``[M]`` (``[N]`` without fakes): 1 and more for an image in one of the balls, less for others;
        infinite for a copy of such a real.

    Raises:
        MetricError: k is below 1, there are k reals or fewer (or k + 1, without fakes), half of the reals have k
            copies, the dimensions differ, or the features are not finite floating tensors of two axes.

    References:
        Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import realism_scores
        >>> real = torch.tensor([[0.0], [1.0], [2.0], [10.0], [20.0]])
        >>> realism_scores(real, torch.tensor([[3.0], [0.5]]), k=2).tolist()
        [0.5, 2.0]
    """
    check_options(realism_scores, locals())
    if fake is not None:
        real, fake = check_pair(real, fake)
        found = _Neighbourhoods(real, k)
        squares, owners = found.of(Rows(fake))
        return (found.squares[owners] / squares).amax(1).sqrt()
    among = _Neighbourhoods(check_features(real), k).among()
    if among is None:
        raise MetricError(f"Reals scored by others need more than {k + 1} images, found {len(real)}.")
    return among


class _Neighbourhoods:
    """The balls of reals with a radius above 0 and below the median.

    kept, rows, squares: their numbers, features and squared radii.
    """

    def __init__(self, real: Tensor, k: int) -> None:
        check_neighbours(k)
        self.k, self.reals = k, Rows(real)
        self.balls: Balls = balls(self.reals, k, depth=listed(k))
        radii = self.balls.squares.sqrt()
        self.median = _median(radii.cpu().numpy())
        self.kept = ((radii < self.median) & (radii > 0)).nonzero()[:, 0]
        if not len(self.kept):
            raise MetricError(
                f"No real has a neighbourhood of its own: the radii to neighbour {k} are 0, or all are equal; choose a "
                "larger k, or give more images."
            )
        self.rows, self.squares = Rows(real[self.kept]), self.balls.squares[self.kept]

    def of(self, queries: Rows) -> tuple[Tensor, Tensor]:
        """Squared distances [N, DEPTH] to the reals that score each query highest, and their positions in `kept`."""
        return nearest_by_scale(queries, self.rows, self.squares, DEPTH)

    def among(self) -> Tensor | None:
        """The score of each real by the others; None if there are no further neighbours."""
        near, k = self.balls.near[self.kept].clamp(min=0), self.k
        if near.shape[1] == k:
            return None
        # Without a real, those that have it among their k nearest reach to the next one, and may exceed the median
        # radius.
        neighbours = self.balls.indices[self.kept, :k]
        left_out = torch.cat([self.kept[:, None], neighbours], 1)
        squares, owners = nearest_by_scale(self.reals, self.rows, self.squares, 1, left_out=left_out)
        scores = (self.squares[owners] / squares)[:, 0]
        grown = near[:, k, None] / near[:, :k] * (near[:, k, None] < self.median**2)
        return scores.scatter_reduce(0, neighbours.flatten(), grown.flatten(), "amax").sqrt()


def _on_halves(found: _Neighbourhoods, squares: Tensor, owners: Tensor, seed: int) -> NDArray[np.float64]:
    """The median on halves of both sets, in the form of `shared_by_halves`."""
    lists, distances, kept = NeighbourLists(found.balls), squares.cpu().numpy(), found.kept.cpu().numpy()
    reals_of, medians = kept[owners.cpu().numpy()], []
    for halves in random_halves((len(lists.near), len(distances)), seed=seed):
        for reals, fakes in halves:
            lists.nearer(reals)
            radii = lists.radii(reals, found.k)
            radii[~reals] = 0.0
            there = radii[reals_of[fakes]]
            # A real that is not in the half does not count, not even for its copies.
            with np.errstate(divide="ignore", invalid="ignore"):
                scores = np.sqrt(np.where(there > 0, there / distances[fakes], 0.0).max(axis=1))
            medians.append(_median(scores))
    with np.errstate(invalid="ignore"):
        return shared_by_halves(list(zip(medians[::2], medians[1::2], strict=True)))


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values))


REALISM = Metric(
    title="Realism: median over fakes of how deep each lies among reals",
    compute=realism,
    real="features",
    fake="features",
    direction="higher",
    source="Kynkäänniemi et al. 2019",
)
