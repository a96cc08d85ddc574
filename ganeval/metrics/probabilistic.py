"""P-precision and P-recall: how likely each image is to be supported by the other set, averaged.

The standard error includes both sets: the images that are averaged by the spread of their probabilities, and the
supporting images by the jackknife, which includes the change of the radius. One image changes the probability of others
smoothly, so there is no need for random halves.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.distances import Frame, Rows
from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.cover import check_sizes
from ganeval.metrics.moments import check_pair
from ganeval.metrics.nearest import jackknifed
from ganeval.neighbours import balls
from ganeval.precision import full_precision
from ganeval.uncertainty import Estimate, normal_interval, share_error, share_interval, shared_by_influence

NAMES = ("p_precision", "p_recall")


def probabilistic(real: Tensor, fake: Tensor, *, k: int = 4, scale: float = 1.2) -> Mapping[str, Estimate]:
    """P-precision and P-recall of two sets of features, with their standard errors.

    Every real supports the images around it up to a radius R, which is the same for all: a multiple of the mean
    distance of reals to their k-th nearest other real. An image at distance d is supported with probability 1 - d / R,
    and by several reals independently::

        p_precision = mean over fakes y of 1 - product over reals x of min(1, d(x, y) / R)

    P-recall is the same with the sets exchanged, and with the radius of the fakes. Both depend on the numbers of
    images: compare only values of equal numbers.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        k: Which neighbour the radius is made from, not counting the image itself; 4 as in the authors' code.
        scale: The radius, in multiples of the mean distance; 1.2 as in the paper.

    Returns:
        Estimates by name: "p_precision" and "p_recall", from 0 to 1; higher is better. Their details have the "radius".

    Raises:
        MetricError: k is below 1, a set has k images or fewer, ``scale`` is not above 0, all distances to the k-th
            neighbour are 0, the dimensions differ, or the features are not finite floating tensors of two axes.

    References:
        Park and Kim 2023, "Probabilistic Precision and Recall Towards Reliable Evaluation of Generative Models".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import probabilistic
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), 0.5 * torch.randn(500, 4, generator=rng)
        >>> {name: round(estimate.value, 1) for name, estimate in probabilistic(real, fake).items()}
        {'p_precision': 1.0, 'p_recall': 0.2}
    """
    check_options(probabilistic, locals())
    real, fake = check_pair(real, fake)
    check_sizes(real, fake, k)
    if not 0 < scale < math.inf:
        raise MetricError(f"The scale of the radius must be above 0, found {scale:g}; 1.2 is the usual one.")
    sides = _Supporting.of(Rows(real), k, scale, "real"), _Supporting.of(Rows(fake), k, scale, "fake")
    there, back = _probabilities(*sides)
    _add_changes(there, back)
    return {
        "p_precision": _estimate(there, of_reals=False),
        "p_recall": _estimate(back, of_reals=True),
    }


@dataclass(slots=True)
class _Supporting:
    """One set with its radius. without: float64 [N], the radius without each image; None if too few are left."""

    rows: Rows
    radius: float
    without: Tensor | None

    @classmethod
    def of(cls, rows: Rows, k: int, scale: float, name: str) -> "_Supporting":
        """From the mean distance to the k-th nearest other row."""
        found = balls(rows, k, depth=k + 1)
        kth, count = found.squares.sqrt(), len(rows)
        total = float(kth.sum())
        if not total:
            raise MetricError(
                f"Every {name} image has {k} copies, so the radius is 0; choose a larger k, or give different images."
            )
        if found.near.shape[1] == k:
            return cls(rows, scale * total / count, None)
        # When an image is left out, those that have it among their k nearest reach to the next one.
        growth = (found.near[:, k].clamp(min=0).sqrt() - kth).clamp(min=0)
        rest = total - kth
        for place in range(k):
            rest.index_add_(0, found.indices[:, place], growth)
        return cls(rows, scale * total / count, scale * rest / (count - 1))


@dataclass(slots=True)
class _Supported:
    """The images of one set, as supported by the other.

    logs: float64 [M], of the probability that no other image supports it, without those at distance 0. zeros: int64
    [M], the number of these. near: int64 [M], the number within the radius. changes: float64 [N], how much the mean
    probability of no support grows without each supporting image, for the given radius.
    """

    by: _Supporting
    logs: Tensor
    zeros: Tensor
    near: Tensor
    changes: Tensor

    @classmethod
    def start(cls, by: _Supporting, count: int) -> "_Supported":
        """Before any pair has been counted."""
        device = by.rows.features.device
        logs, changes = (torch.zeros(size, dtype=torch.float64, device=device) for size in (count, len(by.rows)))
        zeros, near = (torch.zeros(count, dtype=torch.int64, device=device) for _ in range(2))
        return cls(by, logs, zeros, near, changes)

    @property
    def unsupported(self) -> Tensor:
        """The probability that no other image supports it, [M]."""
        return torch.where(self.zeros > 0, 0.0, self.logs.exp())


def _tiles(real: _Supporting, fake: _Supporting) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """Slices of reals and fakes, their distances, and which of them are 0; these are replaced by 1."""
    frame = Frame(real.rows, fake.rows)
    for rows, columns, tile in frame.settled_tiles():
        zeros = tile <= 0
        yield rows, columns, tile.masked_fill_(zeros, 1.0).sqrt_().mul_(frame.unit), zeros


def _probabilities(real: _Supporting, fake: _Supporting) -> tuple[_Supported, _Supported]:
    """Fakes as supported by reals, and reals by fakes."""
    there, back = _Supported.start(real, len(fake.rows)), _Supported.start(fake, len(real.rows))
    for rows, columns, distances, zeros in _tiles(real, fake):
        logs = distances.log()
        for side, part, axis in ((there, columns, 0), (back, rows, 1)):
            inside = (logs - math.log(side.by.radius)).clamp_(max=0).masked_fill_(zeros, 0.0)
            side.logs[part] += inside.sum(axis, dtype=torch.float64)
            side.near[part] += (inside < 0).sum(axis)
            side.zeros[part] += zeros.sum(axis)
    return there, back


def _add_changes(there: _Supported, back: _Supported) -> None:
    """Fill in `changes` of both: without an image, every product that it is in loses its factor."""
    for rows, columns, distances, zeros in _tiles(there.by, back.by):
        inverse = distances.reciprocal_().masked_fill_(zeros, 0.0)
        for side, part, mine, turned in ((there, columns, rows, False), (back, rows, columns, True)):
            growth = (inverse * side.by.radius).clamp_(min=1).sub_(1)
            left = side.unsupported[part].float()
            with full_precision(), torch.autocast(growth.device.type, enabled=False):
                side.changes[mine] += ((growth.T if turned else growth) @ left).double()
            # The probability of no support of an image that loses its only copy.
            alone = torch.where(side.zeros[part] == 1, side.logs[part].exp(), 0.0)
            if zeros.any():
                side.changes[mine] += (zeros.T if turned else zeros).double() @ alone
    for side in (there, back):
        side.changes /= len(side.logs)


def _estimate(side: _Supported, *, of_reals: bool) -> Estimate:
    """The mean probability of support. of_reals: whether reals are supported by fakes, or the reverse."""
    unsupported, count = side.unsupported, len(side.logs)
    supported, details = 1 - unsupported, {"radius": side.by.radius}
    value = float(supported.mean())
    if side.by.without is None or count < 2:
        few = "no error bar: the supporting set has no more images than the radius needs"
        return Estimate(value, None, None, few, details)
    by_radius = float((unsupported * side.near).mean()) * (side.by.without / side.by.radius).log()
    supporting = jackknifed(by_radius - side.changes)
    averaged = shared_by_influence(supported.cpu().numpy())
    error = math.hypot(*(float((part**2).sum()) ** 0.5 for part in (supporting, averaged)))
    method, shared = "spread, and jackknife over the supporting images", averaged if of_reals else supporting
    if value in (0, 1):
        error = share_error(error, count)
        return Estimate(value, error, share_interval(value, error, count), method, details, shared=shared)
    low, high = normal_interval(value, error, minimum=0.0)
    return Estimate(value, error, (low, min(high, 1.0)), method, details, shared=shared)


P_PRECISION = Metric(
    title="P-precision: mean probability that reals support a fake",
    compute=probabilistic,
    real="features",
    fake="features",
    direction="higher",
    source="Park and Kim 2023",
    family="probabilistic",
)

P_RECALL = Metric(
    title="P-recall: mean probability that fakes support a real",
    compute=probabilistic,
    real="features",
    fake="features",
    direction="higher",
    source="Park and Kim 2023",
    family="probabilistic",
)
