"""MIND, the Monge inception distance: the squared sliced Wasserstein-2 distance between two sets of features.

In one dimension optimal transport pairs the sorted values, so nothing is assumed Gaussian and no matrix is decomposed.

The standard error is the delta method's for the directions used: the influence of an image is the mean over directions
of the Kantorovich potential at its projection, whose slope is twice the displacement to its partner (del Barrio and
Loubes 2019, Manole et al. 2022). MIND is biased upwards; if it is nearly all bias (equal distributions), the standard
error is too large, by half, and never too small.
"""

import math

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.moments import check_pair, workable
from ganeval.precision import full_precision
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

# Projections of each set in memory at a time.
BLOCK = 1 << 22
# Shorter directions are not normalised; random ones are never that short.
SHORTEST = 1e-12


def mind(real: Tensor, fake: Tensor, *, projections: int = 1000, seed: int = 2020) -> Estimate:
    """Monge inception distance between two sets of features, with its standard error.

    The mean squared distance of sorted projections on random unit directions u::

        MIND = 3 D mean_u mean_j ( sort(u.x)_j - sort(u.y)_j )^2

    The factor makes up, by convention, for the D - 1 directions that one line leaves out. Finite samples of one
    distribution have a positive distance: MIND is biased upwards, so compare only values of equal numbers of images.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``. If the sizes differ, the larger set is randomly subsampled;
            a note says so.
        projections: Number of random directions; 1000 as in the paper.
        seed: Seed of the directions and of the subsampling; 2020 gives those of torch-fidelity.

    Returns:
        MIND in squared units of the features; 0 or more, lower is better. The error is for the directions used;
        ``details["projection_error"]`` is the standard error due to the choice of directions.

    Raises:
        MetricError: A set has fewer than 2 images, the dimensions differ, the features are not finite floating tensors
            of two axes, or ``projections`` is below 1.

    References:
        Berthet et al., "MIND: Monge Inception Distance for Generative Models Evaluation"; torch-fidelity.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import mind
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), torch.randn(500, 4, generator=rng) + 1
        >>> print(f"{mind(real, fake).value:.0f}")
        11
    """
    check_options(mind, locals())
    real, fake = check_pair(real, fake)
    count, dimensions = min(len(real), len(fake)), real.shape[1]
    if count < 2:
        raise MetricError(f"MIND needs at least 2 real and 2 fake images, found {len(real)} and {len(fake)}.")
    if projections < 1:
        raise MetricError(f"MIND needs at least 1 projection, found {projections}; papers use 1000.")
    notes = _notes(len(real), len(fake))
    # Drawn on the CPU, so that they do not depend on the device of the features.
    rng = torch.Generator().manual_seed(int(seed))
    sides = [workable(_drawn(side, count, rng)) for side in (real, fake)]
    directions = torch.randn(projections, dimensions, generator=rng, dtype=torch.float32, device="cpu")
    directions /= directions.norm(dim=1, keepdim=True).clamp_min(SHORTEST)
    distances, influences = _sliced(sides[0], sides[1], directions.to(real.device))
    scale = 3 * dimensions
    value = scale * float(distances.mean())
    error = scale * math.sqrt(sum(float(influence.var()) for influence in influences) / count)
    # If the reals are subsampled, the number of fakes decides which of them are used.
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
    return side[torch.randperm(len(side), generator=rng, device="cpu")[:count].to(side.device)]


def _sliced(first: Tensor, second: Tensor, directions: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Squared distances along each direction [P], and the mean influence of each image of either set on them [N]."""
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
    """The integral of twice the gap along sorted points [P, N], up to a constant, in the images' original order."""
    potential = torch.zeros_like(gap)
    torch.cumsum(points.double().diff(dim=1) * (gap[:, 1:] + gap[:, :-1]), 1, out=potential[:, 1:])
    return torch.empty_like(potential).scatter_(1, order, potential)


def _notes(n: int, m: int) -> tuple[str, ...]:
    if n == m:
        return ()
    larger, count, total = ("real", m, n) if n > m else ("fake", n, m)
    return (f"MIND pairs equal numbers of images of both sets: {count} of the {total} {larger} images were drawn.",)


MIND = Metric(
    title="Monge inception distance",
    compute=mind,
    real="features",
    fake="features",
    direction="lower",
    source="Berthet et al.",
)
