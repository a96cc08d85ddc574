"""MIND, the Monge inception distance: the sliced Wasserstein-2 distance, squared, between two sets of features.

    MIND = 3 D mean_u mean_j ( sort(u.x)_j - sort(u.y)_j )^2

over random unit directions u. On a line optimal transport pairs the sorted values, so nothing is assumed Gaussian and
no matrix is decomposed. The factor makes up for the D directions that one line leaves out, up to a convention.

The directions, and the images taken of the larger set where sizes differ, are torch-fidelity's at the same seed. The
standard error is the delta method's for these directions: the influence of an image is the mean over directions of the
Kantorovich potential at its projection, whose slope is twice the way to its partner. How far other directions would
move the value is in the details ("projection_error"); at one seed this is the same for everyone. Finite samples lie
apart even if they are of one distribution: MIND is biased upwards, so compare equal sizes, and where it is nearly all
bias the standard error is too large (by half, for equal distributions), never too small.

Source: Berthet et al., "MIND: Monge Inception Distance for Generative Models Evaluation"; torch-fidelity. For the
influence: del Barrio and Loubes 2019, Manole et al. 2022.
"""

import math

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.moments import check_pair, workable
from ganeval.precision import full_precision
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

# Projections held at once, of each set.
BLOCK = 1 << 22
# A direction shorter than this is left as it is; random ones never are.
SHORTEST = 1e-12


def mind(real: Tensor, fake: Tensor, *, projections: int = 1000, seed: int = 2020) -> Estimate:
    """MIND of features [N, D] and [M, D] over `projections` directions.

    seed: of the directions, and of the images that are drawn from the larger set. Raises MetricError for fewer than 2
    images, mismatched dimensions, features that are not finite, or no projection.
    """
    real, fake = check_pair(real, fake)
    count, dimensions = min(len(real), len(fake)), real.shape[1]
    if count < 2:
        raise MetricError(f"MIND needs at least 2 real and 2 fake images, found {len(real)} and {len(fake)}.")
    if projections < 1:
        raise MetricError(f"MIND needs at least 1 projection, found {projections}; papers take 1000.")
    notes = _notes(len(real), len(fake))
    # CPU draws are the same whatever the device of the features.
    rng = torch.Generator().manual_seed(seed)
    sides = [workable(_drawn(side, count, rng)) for side in (real, fake)]
    directions = torch.randn(projections, dimensions, generator=rng)
    directions /= directions.norm(dim=1, keepdim=True).clamp_min(SHORTEST)
    distances, influences = _sliced(sides[0], sides[1], directions.to(real.device))
    scale = 3 * dimensions
    value = scale * float(distances.mean())
    error = scale * math.sqrt(sum(float(influence.var()) for influence in influences) / count)
    # Other fakes could bring about another draw of the reals.
    shared = shared_by_influence(scale * influences[0].cpu().numpy()) if len(real) == count else None
    other = scale * float(distances.std()) / math.sqrt(projections) if projections > 1 else None
    return Estimate(
        value,
        error,
        normal_interval(value, error, minimum=0.0),
        "influence function, for these directions",
        {} if other is None else {"projection_error": other},
        notes,
        shared,
    )


def _drawn(side: Tensor, count: int, rng: torch.Generator) -> Tensor:
    if len(side) == count:
        return side
    return side[torch.randperm(len(side), generator=rng)[:count].to(side.device)]


def _sliced(first: Tensor, second: Tensor, directions: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Squared distances along each direction [P], and of each set the mean influence of its images on them [N]."""
    found, influences = [], (first.new_zeros(len(first), dtype=torch.float64),) * 2
    for part in torch.split(directions, max(1, BLOCK // len(first))):
        (x, x_order), (y, y_order) = (_projected(side, part).sort(1) for side in (first, second))
        gap = x.double() - y.double()
        found.append(gap.square().mean(1))
        influences = (
            influences[0] + _potential(x, gap, x_order).sum(0) / len(directions),
            influences[1] + _potential(y, -gap, y_order).sum(0) / len(directions),
        )
    return torch.cat(found), influences


def _projected(side: Tensor, directions: Tensor) -> Tensor:
    with full_precision(), torch.autocast(side.device.type, enabled=False):
        return directions.to(side.dtype) @ side.T


def _potential(points: Tensor, gap: Tensor, order: Tensor) -> Tensor:
    """The integral of twice the gap along sorted points [P, N], up to a constant, in the images' own order."""
    potential = torch.zeros_like(gap)
    torch.cumsum(points.double().diff(dim=1) * (gap[:, 1:] + gap[:, :-1]), 1, out=potential[:, 1:])
    return torch.empty_like(potential).scatter_(1, order, potential)


def _notes(n: int, m: int) -> tuple[str, ...]:
    if n == m:
        return ()
    larger, count, total = ("real", m, n) if n > m else ("fake", n, m)
    return (f"MIND pairs as many images of both sets: {count} of the {total} {larger} ones were drawn.",)
