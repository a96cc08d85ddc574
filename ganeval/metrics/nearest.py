"""The nearest real to every fake: how far it is, and whether that is closer than an unseen real would be.

The value is the mean distance. On its own it says little: distances depend on the extractor and on how many reals there
are. So there is a baseline. The reals are cut in two random halves, and every real looks for its nearest in the half
that it is not in: this is how close something comes that was not copied. Fakes look in each half too, for a set of the
same size. Then, in the details,

    baseline         the mean distance of a real to the other half
    ratio            the mean distance of a fake to a half, over the baseline: 1 for fakes that are as good as reals,
                     more for worse ones, and well below 1 for copies
    duplicates       fakes that equal a real: in every pixel, as 8-bit RGB of their own size, whatever the format of the
                     file; where there are only features, in every digit of these
    near_duplicates  fakes, among them the duplicates, that are closer to a half than 99% of the reals are to theirs, by
                     more than rounding
    unsuspicious     how many near duplicates fakes as good as reals would make: 1% in either half, counted apart

Less is better down to the reals' own distance alone: where the ratio is below 1 by more than three standard errors, a
note says that a lower value is no better. Fakes that keep to the middle of the reals, as truncation makes them, are
near to everything, copies or not. So look: `nearest_pairs` gives the pairs, the most suspicious first.

Reals that are there twice say nothing of how near different images come. They are left out of the baseline, and a
real's own distance is that to the nearest different one, further than rounding: the same image in another batch has
features that differ in their last digits.

The standard error counts both sets: fakes by the spread of their distances, reals by the jackknife (without a real, the
fakes that it was nearest to move on to their second nearest). Where many fakes have one stray real for a neighbour it
was up to a fifth too small in simulations: most draws of the reals do not show what one stray more would do.

Sources: the nearest neighbours that papers show as pictures; Efron and Stein 1981 (the jackknife errs upwards).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import ROUNDOFF, Distance, Rows
from ganeval.errors import MetricError
from ganeval.metrics.moments import check_features
from ganeval.neighbours import Neighbours, nearest, nearest_others
from ganeval.uncertainty import Estimate, normal_interval

# What counts as close: nearer than all but this share of reals are to reals that they have not seen.
CLOSE = 0.01
# Images of each set that a quick look for copies takes, and how often it may be wrong.
SAMPLE_ROWS, RARE = 1000, 1e-4
QUANTILES = (0.01, 0.05, 0.25, 0.75, 0.95, 0.99)
# Reals are the same image up to this share of their root mean square distance from the middle, or so many roundings of
# their features: a network's are right to a few.
SAME, ROUNDINGS = 1e-5, 16


def nearest_distance(
    real: Tensor,
    fake: Tensor,
    *,
    distance: Distance = "euclidean",
    seed: int = 0,
    copies: Tensor | None = None,
) -> Estimate:
    """The mean distance of fakes [M, D] to their nearest real [N, D], with the baseline in the details.

    distance: "euclidean", or "cosine" (1 - cos). seed: of the halves of the reals. copies: bool [M], which fakes equal
    a real in every pixel; None takes those at distance 0. Raises MetricError for fewer than 4 reals or 2 fakes,
    mismatched dimensions, features that are not finite, or images without a direction for the cosine.
    """
    _check_sides(real, fake)
    if len(real) < 4 or len(fake) < 2:
        raise MetricError(
            f"Nearest distances beside a baseline need at least 4 real and 2 fake images, "
            f"found {len(real)} and {len(fake)}."
        )
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(real))).to(real.device)
    halves = [Rows(real[part], distance) for part in (order[: len(real) // 2], order[len(real) // 2 :])]
    fakes = Rows(fake, distance)
    looked = [nearest(fakes, half, 2) for half in halves]
    both = torch.cat([found.distances for found in looked], 1)
    owners = torch.cat([looked[0].indices, looked[1].indices + len(halves[0])], 1)
    two = both.topk(2, dim=1, largest=False)
    first, second = two.values.T
    owner = owners.gather(1, two.indices)[:, 0]
    # Leave-one-out: what is gained without each real.
    gains = torch.zeros(len(real), dtype=torch.float64, device=real.device)
    gains.index_add_(0, owner, (second - first) / len(fake))
    value = float(first.mean())
    error = math.sqrt(float(first.var()) / len(fake) + jackknife_variance(gains))
    baseline = [nearest(halves[0], halves[1]).distances[:, 0], nearest(halves[1], halves[0]).distances[:, 0]]
    same = _rounding(Rows(real, distance))
    different = [distances[distances > same] for distances in baseline]
    equal = first == 0 if copies is None else copies.to(first.device)
    details = _details(first, equal, [found.distances[:, 0] for found in looked], different[::-1], same)
    notes = (*_notes(details, len(fake)), *_too_near(details, error, torch.cat(different)))
    return Estimate(
        value,
        error,
        normal_interval(value, error, minimum=0.0),
        "spread over fakes, and jackknife over reals",
        details,
        notes,
        jackknifed(gains),
    )


@dataclass(frozen=True, slots=True)
class NearestPairs:
    """Every fake with its nearest reals, the most suspicious fake first.

    fakes: int64 [M]. reals: int64 [M, k], nearest first. distances: float64 [M, k]. ratios: float64 [M], the distance
    to the nearest real over that real's own distance to the nearest real that is not the same image: below 1, the fake
    is closer to it than any image it was published with; None where all reals are the same. own: float64 [N, min(k,
    N - 1)], from every real to its nearest others, the same image or not, in the order of the reals.
    """

    fakes: Tensor
    reals: Tensor
    distances: Tensor
    ratios: Tensor | None
    own: Tensor


def nearest_pairs(real: Tensor, fake: Tensor, k: int = 1, *, distance: Distance = "euclidean") -> NearestPairs:
    """The k nearest reals [N, D] of every fake [M, D]; a copy (distance 0) has ratio 0.

    Raises MetricError for fewer than 2 reals or fewer than k, mismatched dimensions, features that are not finite, or
    images without a direction for the cosine.
    """
    _check_sides(real, fake)
    reals = Rows(real, distance)
    found = nearest(Rows(fake, distance), reals, k)
    own = nearest_others(reals, max(1, min(k, len(real) - 1)))
    different = _to_different(real, distance, own)
    closest = found.distances[:, 0]
    order, ratios = closest.argsort(stable=True), None
    if different is not None:
        ratios = closest / different[found.indices[:, 0]]
        order = order[ratios[order].argsort(stable=True)]
        ratios = ratios[order]
    return NearestPairs(order, found.indices[order], found.distances[order], ratios, own.distances)


def _to_different(real: Tensor, distance: Distance, others: Neighbours) -> Tensor | None:
    """From every real [N, D] to the nearest that is not the same image, float64 [N]; None where there is none.

    others: the nearest of each.
    """
    same, kept = _rounding(Rows(real, distance)), torch.arange(len(real), device=real.device)
    # Of two reals that are the same the later one goes, until all that are left are different: mostly at once.
    while (others.distances[:, 0] <= same).any():
        later = (others.distances[:, 0] <= same) & (others.indices[:, 0] < torch.arange(len(kept), device=real.device))
        kept = kept[~later]
        if len(kept) == 1:
            return None
        others = nearest_others(Rows(real[kept], distance))
    own = others.distances[:, 0]
    if len(kept) == len(real):
        return own
    return own[nearest(Rows(real, distance), Rows(real[kept], distance)).indices[:, 0]]


def _rounding(reals: Rows) -> float:
    """The distance up to which two reals are the same image."""
    mean = torch.stack([part.sum(0) for part in reals.parts()]).sum(0) / len(reals)
    spread = sum(float((part - mean).square().sum()) for part in reals.parts()) / len(reals)
    rounding = ROUNDINGS * ROUNDOFF.get(reals.features.dtype, ROUNDOFF[torch.float32])
    square = max(SAME**2 * spread, rounding**2 * (spread + float(mean.square().sum())))
    return float(reals.to_distances(torch.tensor(square, dtype=torch.float64)))


def jackknife_variance(changes: Tensor) -> float:
    """The variance of a number that changes by `changes` [N] when one of N images is left out."""
    return float(np.square(jackknifed(changes)).sum())


def jackknifed(changes: Tensor) -> NDArray[np.float64]:
    """`Estimate.shared` of a number that changes by `changes` [N] when one of N images is left out."""
    count = len(changes)
    spread: NDArray[np.float64] = (changes - changes.mean()).cpu().numpy()
    return spread * math.sqrt((count - 1) / count)


def near_copies(real: Tensor, fake: Tensor, *, seed: int = 0) -> tuple[int, int] | None:
    """How many of some fakes [M, D] are near duplicates of reals [N, D], and of how many; None where chance may be why.

    As "near_duplicates" of `nearest_distance`, for SAMPLE_ROWS fakes and as many reals of either half at most, which
    takes little time beside what made the features. Of fakes of the reals' own distribution, the number that is closer
    to a half than the k-th closest of n other reals is beta-binomial, exactly and whatever the distribution. Less than
    one case in 10,000 (RARE, for both halves together) is no chance.
    """
    from scipy.stats import betabinom

    _check_sides(real, fake)
    if len(real) < 4:
        return None
    rng = np.random.RandomState(seed)
    order, some = (torch.from_numpy(rng.permutation(len(side))).to(side.device) for side in (real, fake))
    halves = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    fakes, same = Rows(fake[some[:SAMPLE_ROWS]]), _rounding(Rows(real))
    close, chance = torch.zeros(len(fakes), dtype=torch.bool, device=fake.device), 1.0
    for half, others in (halves, halves[::-1]):
        points = Rows(half)
        own = nearest(Rows(others[:SAMPLE_ROWS]), points).distances[:, 0]
        own = own[own > same].sort().values
        if len(own):
            k = max(1, int(CLOSE * (len(own) + 1)))
            closer = nearest(fakes, points).distances[:, 0] < own[k - 1] - same
            chance = min(chance, float(betabinom.sf(int(closer.sum()) - 1, len(fakes), k, len(own) + 1 - k)))
            close |= closer
    return (int(close.sum()), len(fakes)) if 2 * chance < RARE else None


def _check_sides(real: Tensor, fake: Tensor) -> None:
    if check_features(real).shape[1] != check_features(fake).shape[1]:
        raise MetricError(
            f"Real features have {real.shape[1]} dimensions and fake ones {fake.shape[1]}; "
            "both must come from the same extractor."
        )


def _details(
    found: Tensor, equal: Tensor, to_half: list[Tensor], baseline: list[Tensor], same: float
) -> dict[str, float]:
    """found: distances of fakes to all reals. equal: which fakes equal a real. same: what is rounding.

    to_half, baseline: distances of fakes, and of the other reals, to either half. Of the reals those alone that have no
    copy there; none of them, no baseline.
    """
    close, unsuspicious = equal, 0.0
    for fakes, reals in zip(to_half, baseline, strict=True):
        if not len(reals):
            continue
        close = close | (fakes < _close(reals) - same)
        unsuspicious += _by_chance(len(reals)) * len(found)
    held_out = torch.cat(baseline)
    details = {"median": _quantile(found, 0.5)}
    details |= {f"quantile_{share:g}": _quantile(found, share) for share in QUANTILES}
    if len(held_out):
        details |= {"baseline": float(held_out.mean()), "baseline_median": _quantile(held_out, 0.5)}
        details["ratio"] = float(torch.cat(to_half).mean()) / details["baseline"]
    return details | {
        "duplicates": float(equal.sum()),
        "near_duplicates": float(close.sum()),
        "unsuspicious": unsuspicious,
    }


def _close(reals: Tensor) -> float:
    """The distance that 99% of unseen reals are beyond."""
    return float(np.quantile(reals.cpu().numpy(), CLOSE, method="weibull"))


def _by_chance(reals: int) -> float:
    """The share of unseen images that come closer than all but 1% of so many reals."""
    # Of n others, the nearest has a chance of 1 / (n + 1) to be nearer than all: less than that cannot be told.
    return max(CLOSE, 1 / (reals + 1))


def _quantile(values: Tensor, share: float) -> float:
    return float(np.quantile(values.cpu().numpy(), share))


def _notes(details: dict[str, float], fakes: int) -> tuple[str, ...]:
    near, expected = details["near_duplicates"], details["unsuspicious"]
    notes = []
    if near > expected + 3 * math.sqrt(expected):
        notes.append(
            f"{near:.0f} of {fakes} fakes are closer to a real than 99% of unseen reals would be, where {expected:.0f} "
            f"were no surprise, and {details['duplicates']:.0f} equal one: look at the nearest pairs for copies."
        )
    if "ratio" not in details:
        notes.append("Every real has a copy in the other half of the reals: there is no baseline to compare with.")
    return tuple(notes)


def _too_near(details: dict[str, float], error: float, baseline: Tensor) -> tuple[str, ...]:
    """A remark where fakes are nearer to the reals than unseen reals are, and chance does not explain it."""
    if "ratio" not in details or len(baseline) < 2:
        return ()
    ratio, mean = details["ratio"], details["baseline"]
    # The fakes' distance to a half is about as uncertain as that to all reals.
    if ratio + 3 * math.hypot(error, ratio * float(baseline.std()) / math.sqrt(len(baseline))) / mean >= 1:
        return ()
    return (
        f"Fakes are nearer to the reals than unseen reals are ({ratio:.3g} times as far): a lower value is no better "
        "here. Copies have it, and so have fakes without variety; see authenticity and ct.",
    )
