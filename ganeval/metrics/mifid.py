"""MiFID: FID made worse by how closely the fakes copy the reals.

    MiFID = FID / m,   m = mean over fakes of min over reals of 1 - |cos(fake, real)|,

where m counts as 1 unless it is below the threshold of 0.1. The minimum is taken for each fake, over the reals: the
other way round it asks whether every real has been copied, which no copying of a few of them can bring about.

Directions alone are compared: a fake that is a multiple of a real is as near to it as a copy. That says little where
features have hardly a direction: one dimension, constant images in pixels, features with much more in common than they
differ by. Where m is 0 up to rounding, as of such sets or of copies, MiFID is infinite, and is refused with what was
found; the published code adds 1e-15 to m, which makes a number of no meaning. Where some fakes are multiples and no
copies, a note says how many.

The standard error is the delta method's, for FID and m together, as both hang on the same images: a fake moves m by its
own minimum; a real moves it by what the minima of the fakes nearest to it would grow without it (the jackknife, which
is not too small even for such a rough function: Efron and Stein 1981).

Source: Bai et al. 2021, "On Training Sample Memorization: Lessons from Benchmarking Generative Modeling with a
Large-scale Competition". torchmetrics takes the minimum the other way round, and leaves out images of zeros only.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganeval.distances import ROUNDOFF, Rows
from ganeval.errors import MetricError
from ganeval.metrics.directions import unit_rows
from ganeval.metrics.fid import Side, expand
from ganeval.metrics.moments import check_pair
from ganeval.neighbours import nearest
from ganeval.precision import full_precision, outgrown
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

# Cosines at once, and fakes, of which two neighbours each are then looked at in float64.
BLOCK, BLOCK_ROWS = 1 << 22, 512
# Directions of rows are the same up to so many roundings of their features.
ROUNDINGS = 16


def mifid(real: Tensor, fake: Tensor, *, ddof: Literal[0, 1] = 1, threshold: float = 0.1) -> Estimate:
    """MiFID of features [N, D] and [M, D], with "fid" and "distance" (m itself) in the details.

    ddof: of FID's covariances. threshold: mean distances from here on count as no memorisation. Raises MetricError for
    fewer than 2 images, mismatched dimensions, features that are not finite or all zero, a threshold that is not
    positive, and fakes that all have the direction of a real.
    """
    if threshold <= 0:
        raise MetricError(f"MiFID's threshold must be above 0, found {threshold:g}; papers take 0.1.")
    real, fake = check_pair(real, fake)
    found = expand(Side(real, ddof, "real"), Side(fake, ddof, "fake"))
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
    """Of every fake the two nearest reals: distances float64 [M, 2], ascending, and indices int64 [M, 2]."""

    distances: Tensor
    indices: Tensor

    def losses(self, count: int) -> Tensor:
        """By how much the mean of minima would grow without each of the reals, [N]."""
        growth = (self.distances[:, 1] - self.distances[:, 0]) / len(self.distances)
        return growth.new_zeros(count).index_add_(0, self.indices[:, 0], growth)


def _nearest(fakes: Tensor, reals: Tensor) -> _Nearest:
    """By 1 - |cos| of rows of length 1; candidates from products, their distances from differences, so 0 is 0."""
    distances, indices = [], []
    for part in torch.split(fakes, max(1, min(BLOCK_ROWS, BLOCK // len(reals)))):
        with full_precision(), torch.autocast(part.device.type, enabled=False):
            near = (part @ reals.to(part.dtype).T).abs().topk(2, dim=1).indices
        pairs, rows = reals[near].double(), part.double()[:, None]
        pairs, rows = (side / side.norm(dim=2, keepdim=True) for side in (pairs, rows))
        apart = torch.minimum((rows - pairs).square().sum(2), (rows + pairs).square().sum(2)) / 2
        first, order = apart.sort(1)
        distances.append(first)
        indices.append(near.gather(1, order))
    return _Nearest(torch.cat(distances), torch.cat(indices))


def _notes(distance: float, error: float, threshold: float) -> tuple[str, ...]:
    if abs(distance - threshold) > 2 * error:
        return ()
    return (
        f"The mean distance to the nearest real, {distance:.4f} ± {error:.4f}, is at the threshold of {threshold:g}, "
        f"where MiFID jumps by a factor of {1 / threshold:.3g}: the error bar does not tell of this.",
    )


def _rounding(real: Tensor, fake: Tensor) -> float:
    """The distance 1 - |cos| up to which float features cannot be told to differ in direction."""
    step = max(ROUNDOFF.get(side.dtype, ROUNDOFF[torch.float32]) for side in (real, fake))
    return (ROUNDINGS * step) ** 2 / 2


def _equals(real: Tensor, fake: Tensor, parallel: Tensor) -> int:
    """How many of the fakes that have the direction of a real equal one."""
    chosen = fake[parallel]
    return int((nearest(Rows(chosen), Rows(real)).distances == 0).sum()) if len(chosen) else 0


def _infinite(same: int, fakes: int, dimensions: int) -> str:
    """Why there is no value."""
    if dimensions == 1:
        return (
            "MiFID compares directions, and features of one dimension have none but their sign: every fake is at "
            "distance 0 from a real. Look at FID and nn."
        )
    others = ", and the others differ from one in length alone, or by rounding" if same < fakes else ""
    return (
        "Every fake has the direction of a real (cosine distance 0 up to rounding), so MiFID is infinite: "
        f"{same} of {fakes} equal a real{others}. Look at FID, and at nn, which counts copies."
    )


def _multiples(parallel: int, same: int, fakes: int) -> tuple[str, ...]:
    """A remark on fakes that MiFID takes for copies and that are none."""
    if parallel == same:
        return ()
    return (
        f"{parallel - same} of {fakes} fakes have the direction of a real and do not equal it: they differ in length "
        "alone, or by rounding, and MiFID, which compares directions, takes them for copies. See nn.",
    )
