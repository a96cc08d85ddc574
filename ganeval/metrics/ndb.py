"""NDB and JSD: k-means divides the reals into bins, and the proportions of fakes and reals in the bins are compared.

Standard errors are those of shares.py, for the given bins and numbers of images, bias included, as is right for
comparing generators on the same reals. Other reals would give other bins: over new reals, values varied by 0.7 times
(equal distributions: k-means evens out the reals' own noise) to 1.4 times as much.
"""

import math
import warnings
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ganeval.array_types import FeatureArray
from ganeval.errors import MetricError
from ganeval.linalg import CHUNK, chunks
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.classifiers import rows
from ganeval.metrics.moments import check_pair
from ganeval.metrics.shares import CountArray, Statistic, different_share, jensen_shannon, standard_error
from ganeval.uncertainty import Estimate, normal_interval

BINS = 100
# With fewer images per bin, a z-test of counts means little.
LEAST = 10


def ndb(
    real: Tensor, fake: Tensor, *, bins: int | None = None, level: float = 0.05, seed: int = 0
) -> Mapping[str, Estimate]:
    """Share of statistically different bins (NDB/K) and Jensen-Shannon divergence of bin proportions.

    k-means divides the reals into K bins, and each fake belongs to the bin of its nearest centre. With proportions p of
    the reals and q of the fakes::

        ndb = share of bins where a two-proportion z-test at the given level rejects p = q
        jsd = H((p + q) / 2) - (H(p) + H(q)) / 2

    For equal distributions ndb is about the level itself. Both depend on the numbers of images: compare only equal
    numbers.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        bins: Number of bins K. None takes 100, as in the paper, or fewer if the smaller set has fewer than 10 images
            per bin; a note says so.
        level: Significance level of the z-tests; 0.05 as in the paper.
        seed: Seed of k-means and of the bootstrap of the standard errors.

    Returns:
        Estimates by name: "ndb" from 0 to 1, and "jsd" in nats from 0 to log 2; lower is better. ``details`` has the
        numbers of "bins" and of "different" ones.

    Raises:
        MetricError: There are fewer than 2 bins, 10 images per bin, or different reals than bins; k-means finds fewer
            bins; ``level`` is not between 0 and 1; the dimensions differ; or the features are not finite floating
            tensors of two axes, or exceed float32 on the scale of the reals.

    References:
        Richardson and Weiss 2018, "On GANs and GMMs". Its whitening and random choice of dimensions are left out: the
        features are binned as they are.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import ndb
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), torch.randn(500, 4, generator=rng) + 1
        >>> found = ndb(real, fake, bins=10)
        >>> found["ndb"].value > 0.5, found["jsd"].value > 0.1
        (True, True)
    """
    check_options(ndb, locals())
    real, fake = check_pair(real, fake)
    if not 0 < level < 1:
        raise MetricError(f"The significance level must lie between 0 and 1, found {level}; 0.05 is usual.")
    chosen, notes = _bins(bins, min(len(real), len(fake)))
    counts = _counted(*_scaled(real, fake), chosen, seed)
    different = round(chosen * float(different_share(*counts, level=level)))
    details = {"bins": float(chosen), "different": float(different)}
    return {
        "ndb": _estimate(counts, partial(different_share, level=level), details, notes, seed=seed, maximum=1.0),
        "jsd": _estimate(counts, jensen_shannon, {"bins": float(chosen)}, notes, seed=seed, maximum=math.log(2)),
    }


def _bins(bins: int | None, count: int) -> tuple[int, tuple[str, ...]]:
    """The number of bins if the smaller set has `count` images, and notes on it."""
    most = count // LEAST
    if most < 2:
        raise MetricError(f"NDB and JSD need at least {2 * LEAST} images of each set ({LEAST} per bin), found {count}.")
    if bins is None:
        notes = (f"{count} images are enough for {most} bins, not {BINS}: compare only with values of {most} bins.",)
        return (BINS, ()) if most >= BINS else (most, notes)
    if not 2 <= bins <= most:
        raise MetricError(
            f"{bins} bins need at least {LEAST * max(bins, 2)} images of each set ({LEAST} per bin), found {count}: "
            f"choose 2 to {most} bins, or give more images."
        )
    return bins, ()


def _scaled(real: Tensor, fake: Tensor) -> tuple[FeatureArray, FeatureArray]:
    """Both sets relative to the first real, scaled by a power of two to about 1, so that squares stay in range."""
    reach, others = (_reach(side, real[0]) for side in (real, fake))
    if not math.isfinite(reach):
        raise MetricError("The reals are further apart than float64 can hold, so they cannot be binned; scale them.")
    # The exponent is limited to what float64 can hold.
    scale = 2.0 ** -max(math.frexp(reach)[1], -1000)
    if others * scale > torch.finfo(torch.float32).max:
        raise MetricError(
            f"The fakes are up to {others:.3g} away from reals that differ by up to {reach:.3g}, which no bins can "
            "represent. Find out which features are so large, and leave them out."
        )
    return rows(real, real[0], scale=scale), rows(fake, real[0], scale=scale)


def _reach(features: Tensor, origin: Tensor) -> float:
    """The largest difference from one row [D] in any dimension of [N, D]."""
    return max(float((part - origin.double()).abs().max()) for part in chunks(features))


def _counted(real: FeatureArray, fake: FeatureArray, bins: int, seed: int) -> tuple[CountArray, CountArray]:
    """The numbers of reals and fakes in each bin, int64 [K] each."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    distinct = _distinct(real, bins)
    if distinct < bins:
        raise MetricError(f"{bins} bins need at least as many different reals, found {distinct}; choose fewer bins.")
    with warnings.catch_warnings():
        # Too few clusters are an error, raised below.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # The reals are a copy already, and are centred in place.
        clusters = KMeans(bins, n_init=1, max_iter=100, random_state=seed, copy_x=False).fit(real)
    if (filled := len(np.unique(clusters.labels_))) < bins:
        raise MetricError(
            f"k-means found only {filled} of {bins} bins among the reals: most of them are too close together compared "
            "with the distance of the others. Leave out the outliers, or choose fewer bins."
        )
    at = clusters.labels_, clusters.predict(fake)
    return np.bincount(at[0], minlength=bins), np.bincount(at[1], minlength=bins)


def _distinct(array: FeatureArray, enough: int) -> int:
    """The number of different rows, counted until it reaches `enough`."""
    found = array[:0]
    for start in range(0, len(array), CHUNK):
        found = np.unique(np.concatenate([found, array[start : start + CHUNK]]), axis=0)
        if len(found) >= enough:
            break
    return len(found)


def _estimate(
    counts: tuple[CountArray, CountArray],
    statistic: Statistic,
    details: Mapping[str, float],
    notes: tuple[str, ...],
    *,
    seed: int,
    maximum: float,
) -> Estimate:
    value = float(statistic(*counts))
    error = standard_error(*counts, statistic, seed=seed)
    low, high = normal_interval(value, error, minimum=0.0)
    return Estimate(
        value, error, (low, min(high, maximum)), "parametric bootstrap of counts, for the bins at hand", details, notes
    )


NDB = Metric(
    title="Share of statistically different bins (NDB/K)",
    compute=ndb,
    real="features",
    fake="features",
    direction="lower",
    source="Richardson and Weiss 2018",
    family="ndb",
)

JSD = Metric(
    title="Jensen-Shannon divergence of bin proportions",
    compute=ndb,
    real="features",
    fake="features",
    direction="lower",
    source="Richardson and Weiss 2018",
    family="ndb",
)
