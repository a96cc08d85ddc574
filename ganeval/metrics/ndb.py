"""NDB and JSD: reals cut into bins by k-means, and the shares of fakes in these bins beside those of the reals.

NDB, the number of statistically different bins, over the number of bins: bins where a two-proportion z-test at the
given level tells the shares apart. Of sets that are alike, it is about the level itself, 0.05; it grows with the number
of images, so compare it only at equal numbers. JSD is the Jensen-Shannon divergence of the shares, in nats.

The original's whitening and its random choice of dimensions are left out: bins are of the features as they are.
Standard errors are those of shares.py, for the bins at hand and for values at these numbers of images, bias included.
That is what generators compared on one reference need. Other reals would give other bins: over fresh reals values were
seen to spread 0.7 times as much (sets that are alike: k-means evens out the reals' own noise) to 1.4 times.

Source: Richardson and Weiss 2018, "On GANs and GMMs".
"""

import math
import warnings
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import chunks
from ganeval.metrics.classifiers import Rows, rows
from ganeval.metrics.moments import check_pair
from ganeval.metrics.shares import Counts, Statistic, different_share, jensen_shannon, standard_error
from ganeval.uncertainty import Estimate, normal_interval

BINS = 100
# Images a bin below which a z-test of counts means little.
LEAST = 10


def ndb(
    real: Tensor, fake: Tensor, *, bins: int | None = None, level: float = 0.05, seed: int = 0
) -> Mapping[str, Estimate]:
    """NDB over the number of bins as "ndb", and "jsd", of features [N, D] and [M, D].

    bins: None takes 100, or, of fewer images, as many as leave 10 of the smaller set a bin, and says so. level: of the
    z-tests. seed: of k-means and of the standard errors. Raises MetricError for fewer than 2 bins, 10 images a bin, or
    different rows of reals than bins; reals so unequally far apart that k-means finds fewer bins; a level outside
    (0, 1); mismatched dimensions, or features that are not finite or beyond float32 on the reals' scale.
    """
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
    """How many bins for so many images of the smaller set, and what is to be said about it."""
    most = count // LEAST
    if most < 2:
        raise MetricError(f"NDB and JSD need at least {2 * LEAST} images of each set ({LEAST} a bin), found {count}.")
    if bins is None:
        notes = (f"{count} images fill {most} bins, not {BINS}: compare only with values of as many bins.",)
        return (BINS, ()) if most >= BINS else (most, notes)
    if not 2 <= bins <= most:
        raise MetricError(
            f"{bins} bins cannot be had of {count} images: choose 2 to {most}, or give {LEAST * max(bins, 2)} images "
            f"or more of each set ({LEAST} a bin)."
        )
    return bins, ()


def _scaled(real: Tensor, fake: Tensor) -> tuple[Rows, Rows]:
    """Both sets about the first real, in a power of two that is about the reals' reach: squares then have room."""
    reach, others = (_reach(side, real[0]) for side in (real, fake))
    if not math.isfinite(reach):
        raise MetricError("The reals are further apart than float64 can hold, so they cannot be binned; scale them.")
    # Powers of two beyond float64's own make no difference that k-means could see.
    scale = 2.0 ** -max(math.frexp(reach)[1], -1000)
    if others * scale > torch.finfo(torch.float32).max:
        raise MetricError(
            f"The fakes are up to {others:.3g} away from reals that reach {reach:.3g}: no bins tell of both. Find out "
            "which features are so large, and leave them out."
        )
    return rows(real, real[0], scale=scale), rows(fake, real[0], scale=scale)


def _reach(features: Tensor, origin: Tensor) -> float:
    """The largest difference from one row [D] in any dimension of [N, D]."""
    return max(float((part - origin.double()).abs().max()) for part in chunks(features))


def _counted(real: Rows, fake: Rows, bins: int, seed: int) -> tuple[Counts, Counts]:
    """Reals and fakes in each of the reals' bins, int64 [K] each."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    distinct = len(np.unique(real, axis=0))
    if distinct < bins:
        raise MetricError(f"{bins} bins need as many different reals, found {distinct}; choose fewer bins.")
    with warnings.catch_warnings():
        # Too few clusters are refused below.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(bins, n_init=1, max_iter=100, random_state=seed).fit(real)
    if (filled := len(np.unique(clusters.labels_))) < bins:
        raise MetricError(
            f"k-means found only {filled} of {bins} bins among the reals: most are too near one another beside how far "
            "the others are. Leave out what is far from all, or choose fewer bins."
        )
    at = clusters.labels_, clusters.predict(fake)
    return np.bincount(at[0], minlength=bins), np.bincount(at[1], minlength=bins)


def _estimate(
    counts: tuple[Counts, Counts],
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
