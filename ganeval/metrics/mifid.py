"""MiFID: FID, divided by a measure of how closely the fakes copy the reals.

The standard error is the delta method's, for FID and the distance m together, as both depend on the same images. A fake
moves m by its own minimum. A real moves it by the amount that the minima of its nearest fakes would grow without it
(the jackknife, which is not too small even for such a non-smooth function: Efron and Stein 1981).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganeval.distances import ROUNDOFF, Rows, slices
from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.directions import unit_rows
from ganeval.metrics.fid import FrechetSide, expand
from ganeval.metrics.moments import check_pair
from ganeval.neighbours import nearest
from ganeval.precision import full_precision, outgrown
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

# Fakes and reals per block of cosines; the two nearest candidates of each fake are then computed in float64.
BLOCK_ROWS, BLOCK_COLUMNS = 512, 8192
# Directions that differ by up to this many roundings of the features are equal.
ROUNDINGS = 16


def mifid(real: Tensor, fake: Tensor, *, ddof: Literal[0, 1] = 1, threshold: float = 0.1) -> Estimate:
    """Memorization-informed FID: FID, raised if the fakes are close to the reals in direction.

    FID divided by the mean cosine distance of fakes to their nearest real::

        MiFID = FID / m,    m = mean over fakes of min over reals of 1 - |cos(fake, real)|,

    where m counts as 1 unless it is below the threshold. The minimum is over the reals, for each fake: the reverse
    would measure whether every real has been copied, and hardly change if only a few are.

    Only directions are compared: a fake that is a multiple of a real is as close to it as a copy. This is uninformative
    if directions are: in one dimension, for constant images in pixel space, or for features whose common part is much
    larger than their differences. If some fakes are multiples of a real and not copies, a note says how many.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype; the generator's training images.
        fake: Features of the generated images, ``[M, D]``.
        ddof: Covariances of FID are over n - ddof: 1 as in nearly all published code, 0 as in StyleGAN's.
        threshold: Mean distances of at least this count as no memorization; 0.1 as in the paper.

    Returns:
        MiFID; 0 or more, lower is better. ``details`` has "fid" and "distance" (m).

    Raises:
        MetricError: A set has fewer than 2 images, the dimensions differ, the features are not finite floating tensors
            of two axes, an image has only zeros, ``threshold`` is not positive, ``ddof`` is neither 0 nor 1, or m is 0
            up to rounding (all fakes have the direction of a real), where MiFID is infinite.

    References:
        Bai et al. 2021, "On Training Sample Memorization: Lessons from Benchmarking Generative Modeling with a
        Large-scale Competition". Its code adds 1e-15 to m, which gives arbitrary numbers for copies.
        torchmetrics takes the minimum over the fakes, and leaves out images of zeros.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import mifid
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, noise = torch.randn(500, 4, generator=rng), torch.randn(500, 4, generator=rng)
        >>> estimate = mifid(real, real + 0.1 * noise)
        >>> print(f"FID {estimate.details['fid']:.4f}, MiFID {estimate.value:.1f}")
        FID 0.0005, MiFID 0.1
    """
    check_options(mifid, locals())
    if not threshold > 0:
        raise MetricError(f"MiFID's threshold must be above 0, found {threshold:g}; papers use 0.1.")
    real, fake = check_pair(real, fake)
    found = expand(FrechetSide(real, ddof, "real"), FrechetSide(fake, ddof, "fake"))
    assert found.real is not None
    assert found.fake is not None
    sides = [unit_rows(side, "MiFID") for side in (fake, real)]
    if outgrown(*sides):
        sides = [unit_rows(side.double(), "MiFID") for side in (fake, real)]
    found_reals = _nearest(*sides)
    minima = found_reals.distances[:, 0]
    distance = float(minima.mean())
    parallel = minima <= _rounding(real, fake)
    same = _equals(real, fake, parallel)
    if bool(parallel.all()):
        raise MetricError(_infinite(same, len(fake), real.shape[1]))
    lost = found_reals.losses(len(real))
    distance_error = math.sqrt(float(minima.var()) / len(fake) + float(lost.var()) * (len(real) - 1) ** 2 / len(real))
    details = {"fid": found.value, "distance": distance}
    notes = (*_notes(distance, distance_error, threshold), *_multiples(int(parallel.sum()), same, len(fake)))
    if distance >= threshold:
        by_real, by_fake, value = found.real, found.fake, found.value
    else:
        value = found.value / distance
        by_real = (found.real + value * (len(real) - 1) * lost) / distance
        by_fake = (found.fake - value * minima) / distance
    error = math.sqrt(float(by_real.var()) / len(real) + float(by_fake.var()) / len(fake))
    method = "influence function of FID and of the distance together"
    shared = shared_by_influence(by_real.cpu().numpy())
    return Estimate(value, error, normal_interval(value, error, minimum=0.0), method, details, notes, shared)


@dataclass(frozen=True, slots=True)
class _Nearest:
    """The two nearest reals of each fake: distances float64 [M, 2], ascending, and indices int64 [M, 2]."""

    distances: Tensor
    indices: Tensor

    def losses(self, count: int) -> Tensor:
        """The growth of the mean minimum when each real is left out, [N]."""
        growth = (self.distances[:, 1] - self.distances[:, 0]) / len(self.distances)
        return growth.new_zeros(count).index_add_(0, self.indices[:, 0], growth)


def _nearest(fakes: Tensor, reals: Tensor) -> _Nearest:
    """Nearest by 1 - |cos| of unit rows: candidates from products, distances from differences, so that 0 is exact."""
    distances, indices = [], []
    for part in torch.split(fakes, BLOCK_ROWS):
        near = _candidates(part, reals)
        pairs, rows = reals[near].double(), part.double()[:, None]
        pairs, rows = (side / side.norm(dim=2, keepdim=True) for side in (pairs, rows))
        apart = torch.minimum((rows - pairs).square().sum(2), (rows + pairs).square().sum(2)) / 2
        first, order = apart.sort(1)
        distances.append(first)
        indices.append(near.gather(1, order))
    return _Nearest(torch.cat(distances), torch.cat(indices))


def _candidates(fakes: Tensor, reals: Tensor) -> Tensor:
    """Indices [M, 2] of the reals with the largest |products|."""
    products, indices = [], []
    for columns in slices(len(reals), BLOCK_COLUMNS):
        with full_precision(), torch.autocast(fakes.device.type, enabled=False):
            block = (fakes @ reals[columns].to(fakes.dtype).T).abs()
        largest = block.topk(min(2, block.shape[1]), dim=1)
        products.append(largest.values)
        indices.append(largest.indices + columns.start)
    return torch.cat(indices, dim=1).gather(1, torch.cat(products, dim=1).topk(2, dim=1).indices)


def _notes(distance: float, error: float, threshold: float) -> tuple[str, ...]:
    if abs(distance - threshold) > 2 * error:
        return ()
    return (
        f"The mean distance to the nearest real, {distance:.4f} ± {error:.4f}, is close to the threshold of "
        f"{threshold:g}, where MiFID jumps by a factor of {1 / threshold:.3g}: the error bar does not include this.",
    )


def _rounding(real: Tensor, fake: Tensor) -> float:
    """The distance 1 - |cos| below which rounded features cannot differ in direction."""
    step = max(ROUNDOFF.get(side.dtype, ROUNDOFF[torch.float32]) for side in (real, fake))
    return (ROUNDINGS * step) ** 2 / 2


def _equals(real: Tensor, fake: Tensor, parallel: Tensor) -> int:
    """How many of the fakes that have the direction of a real are equal to one."""
    chosen = fake[parallel]
    return int((nearest(Rows(chosen), Rows(real)).distances == 0).sum()) if len(chosen) else 0


def _infinite(same: int, fakes: int, dimensions: int) -> str:
    """The reason why MiFID is infinite."""
    if dimensions == 1:
        return (
            "MiFID compares directions, and features of one dimension have only a sign: every fake is at distance 0 "
            "from a real. Use FID and nn instead."
        )
    others = ", and the others differ from one only in length, or by rounding" if same < fakes else ""
    return (
        "Every fake has the direction of a real (cosine distance 0 up to rounding), so MiFID is infinite: "
        f"{same} of {fakes} equal a real{others}. Use FID instead, and nn, which counts copies."
    )


def _multiples(parallel: int, same: int, fakes: int) -> tuple[str, ...]:
    """A note on fakes that MiFID counts as copies although they are not."""
    if parallel == same:
        return ()
    return (
        f"{parallel - same} of {fakes} fakes have the direction of a real without being equal to it (they differ in "
        "length, or by rounding); MiFID compares directions and counts them as copies. See nn.",
    )


MIFID = Metric(
    title="Memorization-informed FID",
    compute=mifid,
    real="features",
    fake="features",
    direction="lower",
    source="Bai et al. 2021",
)
