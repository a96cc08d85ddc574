"""Rarity of each fake: the radius of the smallest neighbourhood of a real that it lies in.

The standard error is from random halves of both sets, as in prdc.py; the rarity of the reals is computed on the same
halves.
"""

import math

import numpy as np
import torch
from torch import Tensor

from ganeval.array_types import BoolArray, FloatArray
from ganeval.distances import Rows
from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.cover import Cover, Inside, NeighbourLists, check_neighbours, check_sizes, listed, no_error_bar
from ganeval.metrics.moments import check_features, check_pair
from ganeval.neighbours import Balls, balls, near_rows
from ganeval.uncertainty import SPLITS, Estimate, normal_interval, random_halves, shared_by_halves


def rarity(real: Tensor, fake: Tensor, *, k: int = 3, seed: int = 0) -> Estimate:
    """Mean rarity of the fakes over that of the reals, with its standard error.

    The rarity of each image is that of ``rarity_scores``; reals are scored by the other reals. Below 1, fakes lie in
    the dense parts of the reals, as with truncation, or outside all neighbourhoods; above 1, they lie in sparse parts.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        k: Which neighbour gives the radius, not counting the image itself; 3 as in the paper.
        seed: Seed of the random halves of the standard error; the value does not depend on it.

    Returns:
        The ratio; 1 is best. ``details`` has the two means as "fakes" and "reals", in units of the features, and the
        shares of both that lie in a neighbourhood as "inside" and "reals_inside". The standard error is None if halves
        are too small, or too many pairs would have to be resampled.

    Raises:
        MetricError: k is below 1, a set has k images or fewer or there are only k + 1 reals, all reals have copies, the
            dimensions differ, or the features are not finite floating tensors of two axes.

    References:
        Han et al. 2023, "Rarity Score: A New Metric to Evaluate the Uncommonness of Synthesized Images", which gives
        the score of each image, and no mean.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import rarity
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(1000, 4, generator=rng), torch.randn(1000, 4, generator=rng)
        >>> print(f"{rarity(real, fake).value:.1f} {rarity(real, 0.5 * fake).value:.1f}")
        1.0 0.7
    """
    check_options(rarity, locals())
    real, fake = check_pair(real, fake)
    check_sizes(real, fake, k)
    centres = _balls(real, k)
    cover = Cover(centres, len(fake), k, inclusive=False)
    of_fakes = _of_fakes(centres, Rows(fake), cover)
    of_reals = _of_reals(NeighbourLists(centres), np.ones(len(real), np.bool_), k)
    if not of_reals.mean():
        raise MetricError(f"All reals have {k} copies and no neighbourhoods, so none is rare; choose a larger k.")
    value = float(of_fakes.mean() / of_reals.mean())
    details = {
        "fakes": float(of_fakes.mean()),
        "reals": float(of_reals.mean()),
        "inside": float((of_fakes > 0).mean()),
        "reals_inside": float((of_reals > 0).mean()),
    }
    if reason := no_error_bar((cover,), min(len(real), len(fake)), k + 1):
        return Estimate(value, None, None, reason, details)
    halves = _on_halves(cover, k, seed)
    error = float(np.linalg.norm(halves))
    method = f"differences of random halves ({SPLITS} splits)"
    return Estimate(value, error, normal_interval(value, error, minimum=0.0), method, details, shared=halves)


def rarity_scores(real: Tensor, fake: Tensor | None = None, *, k: int = 3) -> Tensor:
    """The rarity of each fake: the radius of the smallest neighbourhood of a real that it lies in.

    The neighbourhood of a real is a ball with the distance to its k-th nearest other real as radius; reals in sparse
    parts of the distribution have large ones.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``; None scores every real by the other reals, with their radii
            computed without it.
        k: Which neighbour gives the radius, not counting the image itself; 3 as in the paper.

    Returns:
        Scores, float64 ``[M]`` (``[N]`` without fakes), in units of the features: above 0, higher is rarer; 0 for an
        image outside of all neighbourhoods, which has no rarity.

    Raises:
        MetricError: k is below 1, there are k + 1 reals or fewer, the dimensions differ, or the features are not finite
            floating tensors of two axes.

    References:
        Han et al. 2023, "Rarity Score: A New Metric to Evaluate the Uncommonness of Synthesized Images".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import rarity_scores
        >>> real = torch.tensor([[0.0], [1.0], [2.0], [10.0], [20.0]])
        >>> rarity_scores(real, torch.tensor([[0.5], [9.0], [40.0]]), k=2).tolist()
        [1.0, 9.0, 0.0]
    """
    check_options(rarity_scores, locals())
    if fake is not None:
        real, fake = check_pair(real, fake)
        scores = _of_fakes(_balls(real, k), Rows(fake), None)
    else:
        real = check_features(real)
        scores = _of_reals(NeighbourLists(_balls(real, k)), np.ones(len(real), np.bool_), k)
    return torch.from_numpy(scores).to(real.device)


def _balls(real: Tensor, k: int) -> Balls:
    """The balls, with one neighbour more than the radius needs, as one may be left out."""
    check_neighbours(k)
    if len(real) < k + 2:
        raise MetricError(
            f"The rarity by neighbour {k} needs {k + 2} reals, found {len(real)}; choose a smaller k, or give more "
            "images."
        )
    return balls(Rows(real), k, depth=listed(k + 1))


def _of_fakes(centres: Balls, fakes: Rows, cover: Cover | None) -> FloatArray:
    """The scores of fakes; their pairs with nearby centres are added to the cover."""
    least = torch.full((len(fakes),), math.inf, dtype=torch.float64, device=fakes.features.device)
    for (near,) in near_rows(((centres, False),), fakes):
        if cover is not None:
            cover.add(near)
        radii = centres.squares[near.centres[near.inside]]
        least.scatter_reduce_(0, near.rows[near.inside], radii, "amin")
    return _roots(least.cpu().numpy())


def _of_reals(lists: NeighbourLists, there: BoolArray, k: int) -> FloatArray:
    """The scores of the reals of a subset by its other reals, [N]; 0 for those outside of the subset.

    When a real is left out, those that have it among their k nearest reach to the next one.
    """
    nearer = lists.nearer(there)[:, 1:]
    centre, place = np.nonzero(there[lists.neighbours] & (nearer <= k) & there[:, None])
    least = np.full(len(there), np.inf)
    np.minimum.at(least, lists.neighbours[centre, place], lists.radii(there, k + 1)[centre])
    return _roots(least)


def _roots(squares: FloatArray) -> FloatArray:
    """Radii; 0 for infinite squares, where there is no ball."""
    return np.sqrt(np.where(np.isfinite(squares), squares, 0.0))


def _on_halves(cover: Cover, k: int, seed: int) -> FloatArray:
    """The ratio on halves of both sets, in the form of `shared_by_halves`."""
    lists = NeighbourLists(cover.centres)
    choices = [half for halves in random_halves((len(lists.near), len(cover.whole.rows)), seed=seed) for half in halves]
    choices_of_both = [(reals, fakes) for reals, fakes in choices]
    values = []
    for inside, (reals, fakes) in zip(cover.subsets(choices_of_both), choices_of_both, strict=True):
        of_fakes, of_reals = _smallest(inside, len(fakes))[fakes], _of_reals(lists, reals, k)[reals]
        values.append(float(of_fakes.mean() / (of_reals.mean() or 1.0)))
    return shared_by_halves(list(zip(values[::2], values[1::2], strict=True)))


def _smallest(inside: Inside, rows: int) -> FloatArray:
    """For each row, the radius of the smallest ball that it is in."""
    least = np.full(rows, np.inf)
    np.minimum.at(least, inside.rows, inside.radii[inside.centres])
    return _roots(least)


RARITY = Metric(
    title="Rarity: size of the neighbourhoods of reals that fakes lie in, over that of reals",
    compute=rarity,
    real="features",
    fake="features",
    direction="closer",
    source="Han et al. 2023",
    ideal=1.0,
)
