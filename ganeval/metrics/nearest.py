"""Distances of fakes to their nearest reals, compared with those of held-out reals.

Identical reals say nothing about how close different images come. They are left out of the baseline, and a real's own
distance is that to the nearest different one, beyond rounding: the features of one image in two batches differ in their
last digits.

The standard error includes both sets: fakes by the spread of their distances, reals by the jackknife (without a real,
the fakes that it was nearest to are compared with their second nearest). The jackknife is too large on average (Efron
and Stein 1981). Where many fakes share one outlying real as neighbour, the error was up to a fifth too small in
simulations.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import ROUNDOFF, Distance, Rows
from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.moments import check_pair
from ganeval.neighbours import Neighbours, nearest, nearest_others
from ganeval.uncertainty import Estimate, normal_interval

# A fake is close to a real if it is closer than all but this share of held-out reals are to their nearest real.
CLOSE = 0.01
# Images of each set that the quick check for copies uses, and its probability of a false alarm.
SAMPLE_ROWS, RARE = 1000, 1e-4
QUANTILES = (0.01, 0.05, 0.25, 0.75, 0.95, 0.99)
# Reals are the same image up to this share of their root mean square distance from the mean, or up to this many
# roundings of their features: those of a network are accurate to a few roundings.
SAME, ROUNDINGS = 1e-5, 16


def nearest_distance(
    real: Tensor,
    fake: Tensor,
    *,
    distance: Distance = "euclidean",
    seed: int = 0,
    copies: Tensor | None = None,
) -> Estimate:
    """Mean distance of fakes to their nearest real, with a baseline of held-out reals.

    The value is ``mean over fakes of min over reals of d(fake, real)``. It depends on the extractor and on the number
    of reals, so the details give a baseline. The reals are cut into two random halves, and every real is compared with
    the half that it is not in: this is how close images come that are not copies. Fakes are compared with each half
    too, that is with sets of the same size.

    A value below the baseline is not better: a note is given if the ratio is below 1 by more than three standard
    errors. Fakes near the centre of the reals, as truncation produces, are close to many reals without being copies.
    Inspect the pairs that ``nearest_pairs`` returns.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype; the generator's training images.
        fake: Features of the generated images, ``[M, D]``.
        distance: "euclidean", or "cosine" (1 - cos).
        seed: Seed of the halves of the reals.
        copies: bool ``[M]``, which fakes equal a real in every pixel; None takes the fakes at distance 0.

    Returns:
        The mean distance in units of the features, 0 or more. Lower is better down to the baseline. ``details`` has

        * "baseline": the mean distance of a real to the other half;
        * "ratio": the mean distance of a fake to a half, over the baseline: 1 for fakes as good as reals, more for
          worse ones, well below 1 for copies;
        * "duplicates": the number of fakes that equal a real;
        * "near_duplicates": the number of fakes, duplicates included, that are closer to a half than 99% of the reals
          are to theirs;
        * "unsuspicious": the expected number of near duplicates among fakes as good as reals: 1% for either half;
        * the median and quantiles of the distances.

    Raises:
        MetricError: There are fewer than 4 reals or 2 fakes, the dimensions differ, the features are not finite
            floating tensors of two axes, ``distance`` is unknown, or an image has only zeros and the distance is
            "cosine".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import nearest_distance
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), torch.randn(500, 4, generator=rng)
        >>> fake[:50] = real[:50]
        >>> estimate = nearest_distance(real, fake)
        >>> print(f"{estimate.value:.2f}, duplicates: {estimate.details['duplicates']:.0f}")
        0.48, duplicates: 50
    """
    check_options(nearest_distance, locals())
    real, fake = check_pair(real, fake)
    if len(real) < 4 or len(fake) < 2:
        raise MetricError(
            f"Nearest distances with a baseline need at least 4 real and 2 fake images, found {len(real)} and "
            f"{len(fake)}."
        )
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(real))).to(real.device)
    halves = [Rows(real, distance, chosen=part) for part in (order[: len(real) // 2], order[len(real) // 2 :])]
    fakes = Rows(fake, distance)
    looked = [nearest(fakes, half, 2) for half in halves]
    both = torch.cat([found.distances for found in looked], 1)
    owners = torch.cat([looked[0].indices, looked[1].indices + len(halves[0])], 1)
    two = both.topk(2, dim=1, largest=False)
    first, second = two.values.T
    owner = owners.gather(1, two.indices)[:, 0]
    # Leave-one-out: the growth of the mean without each real.
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
    """Each fake with its nearest reals, the most suspicious fake first.

    Attributes:
        fakes: int64 ``[M]``, indices of the fakes.
        reals: int64 ``[M, k]``, indices of the nearest reals, nearest first.
        distances: float64 ``[M, k]``, the distances to these.
        ratios: float64 ``[M]``, the distance to the nearest real over that real's own distance to the nearest different
            real. Below 1, the fake is closer to it than any other real. None if all reals are equal.
        own: float64 ``[N, min(k, N - 1)]``, distances of each real to its nearest other reals, including equal ones, in
            the order of the reals.
    """

    fakes: Tensor
    reals: Tensor
    distances: Tensor
    ratios: Tensor | None
    own: Tensor


def nearest_pairs(real: Tensor, fake: Tensor, k: int = 1, *, distance: Distance = "euclidean") -> NearestPairs:
    """The k nearest reals of each fake, sorted by how suspicious of copying the fake is.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        k: Number of nearest reals.
        distance: "euclidean", or "cosine" (1 - cos).

    Returns:
        The pairs, sorted by ratio; a copy (distance 0) has ratio 0.

    Raises:
        MetricError: There are fewer than 2 reals or fewer than k, k is below 1, the dimensions differ, the features are
            not finite floating tensors of two axes, ``distance`` is unknown, or an image has only zeros and the
            distance is "cosine".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import nearest_pairs
        >>> real = torch.tensor([[0.0], [1.0], [5.0]])
        >>> pairs = nearest_pairs(real, torch.tensor([[0.4], [5.0]]))
        >>> pairs.fakes.tolist(), pairs.reals.tolist()
        ([1, 0], [[2], [0]])
    """
    check_options(nearest_pairs, locals())
    real, fake = check_pair(real, fake)
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
    """The distance of each real [N, D] to the nearest different one, float64 [N]; None if all are equal.

    others: the nearest other reals of each.
    """
    same, kept = _rounding(Rows(real, distance)), torch.arange(len(real), device=real.device)
    # Of two equal reals the later one is dropped, until all remaining ones differ; one pass is usually enough.
    while (others.distances[:, 0] <= same).any():
        later = (others.distances[:, 0] <= same) & (others.indices[:, 0] < torch.arange(len(kept), device=real.device))
        kept = kept[~later]
        if len(kept) == 1:
            return None
        others = nearest_others(Rows(real, distance, chosen=kept))
    own = others.distances[:, 0]
    if len(kept) == len(real):
        return own
    return own[nearest(Rows(real, distance), Rows(real, distance, chosen=kept)).indices[:, 0]]


def _rounding(reals: Rows) -> float:
    """The distance up to which two reals count as the same image."""
    mean = torch.stack([part.sum(0) for part in reals.parts()]).sum(0) / len(reals)
    spread = sum(float((part - mean).square().sum()) for part in reals.parts()) / len(reals)
    rounding = ROUNDINGS * ROUNDOFF.get(reals.features.dtype, ROUNDOFF[torch.float32])
    square = max(SAME**2 * spread, rounding**2 * (spread + float(mean.square().sum())))
    return float(reals.to_distances(torch.tensor(square, dtype=torch.float64, device="cpu")))


def jackknife_variance(changes: Tensor) -> float:
    """The variance of a value that changes by `changes` [N] when one of N images is left out."""
    return float(np.square(jackknifed(changes)).sum())


def jackknifed(changes: Tensor) -> NDArray[np.float64]:
    """`Estimate.shared` of a value that changes by `changes` [N] when one of N images is left out."""
    count = len(changes)
    spread: NDArray[np.float64] = (changes - changes.mean()).cpu().numpy()
    return spread * math.sqrt((count - 1) / count)


def near_copies(real: Tensor, fake: Tensor, *, seed: int = 0) -> tuple[int, int] | None:
    """The number of near duplicates in a sample of the fakes [M, D], and its size; None if chance can explain it.

    Near duplicates are those of `nearest_distance`, for at most SAMPLE_ROWS fakes and as many reals of either half,
    which takes little time compared with feature extraction. For fakes of the reals' own distribution, the number of
    fakes that are closer to a half than the k-th closest of n other reals is beta-binomial, exactly and for any
    distribution. A result is returned if its probability, for both halves together, is below RARE (1 in 10,000).
    """
    from scipy.stats import betabinom

    real, fake = check_pair(real, fake)
    if len(real) < 4:
        return None
    rng = np.random.RandomState(seed)
    order, some = (torch.from_numpy(rng.permutation(len(side))).to(side.device) for side in (real, fake))
    halves = order[: len(real) // 2], order[len(real) // 2 :]
    fakes, same = Rows(fake[some[:SAMPLE_ROWS]]), _rounding(Rows(real))
    close, chance = torch.zeros(len(fakes), dtype=torch.bool, device=fake.device), 1.0
    for half, others in (halves, halves[::-1]):
        points = Rows(real, chosen=half)
        own = nearest(Rows(real, chosen=others[:SAMPLE_ROWS]), points).distances[:, 0]
        own = own[own > same].sort().values
        if len(own):
            k = max(1, int(CLOSE * (len(own) + 1)))
            closer = nearest(fakes, points).distances[:, 0] < own[k - 1] - same
            chance = min(chance, float(betabinom.sf(int(closer.sum()) - 1, len(fakes), k, len(own) + 1 - k)))
            close |= closer
    return (int(close.sum()), len(fakes)) if 2 * chance < RARE else None


def _details(
    found: Tensor, equal: Tensor, to_half: list[Tensor], baseline: list[Tensor], same: float
) -> dict[str, float]:
    """The details of an estimate.

    found: distances of fakes to all reals. equal: which fakes equal a real. same: distances up to this are rounding.
    to_half: distances of fakes to either half. baseline: distances of the reals of the other half to it, without those
    that have a copy there; empty if all have one.
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
    """The distance that 99% of held-out reals exceed."""
    return float(np.quantile(reals.cpu().numpy(), CLOSE, method="weibull"))


def _by_chance(reals: int) -> float:
    """The share of held-out images that come closer than all but 1% of so many reals."""
    # One more image is nearer than all n others with probability 1 / (n + 1): smaller shares cannot be resolved.
    return max(CLOSE, 1 / (reals + 1))


def _quantile(values: Tensor, share: float) -> float:
    return float(np.quantile(values.cpu().numpy(), share))


def _notes(details: dict[str, float], fakes: int) -> tuple[str, ...]:
    near, expected = details["near_duplicates"], details["unsuspicious"]
    notes = []
    if near > expected + 3 * math.sqrt(expected):
        notes.append(
            f"{near:.0f} of {fakes} fakes are closer to a real than 99% of held-out reals are ({expected:.0f} expected "
            f"by chance), and {details['duplicates']:.0f} equal one: inspect the nearest pairs for copies."
        )
    if "ratio" not in details:
        notes.append("Every real has a copy in the other half of the reals: there is no baseline to compare with.")
    return tuple(notes)


def _too_near(details: dict[str, float], error: float, baseline: Tensor) -> tuple[str, ...]:
    """A note if fakes are nearer to the reals than held-out reals are, beyond chance."""
    if "ratio" not in details or len(baseline) < 2:
        return ()
    ratio, mean = details["ratio"], details["baseline"]
    # The uncertainty of the fakes' distance to a half is about that of the distance to all reals.
    if ratio + 3 * math.hypot(error, ratio * float(baseline.std()) / math.sqrt(len(baseline))) / mean >= 1:
        return ()
    return (
        f"Fakes are nearer to the reals than held-out reals are ({ratio:.3g} times the distance): a lower value is not "
        "better here. Copies cause this, and so do fakes without variety; see authenticity and ct.",
    )


NEAREST_DISTANCE = Metric(
    title="Mean distance of fakes to their nearest real",
    compute=nearest_distance,
    real="features",
    fake="features",
    direction="lower",
    source="the reals' own baseline is in the details",
)
