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
from collections.abc import Mapping
from functools import partial

import numpy as np
from torch import Tensor

from ganeval.errors import MetricError
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
    different rows of reals than bins; a level outside (0, 1); mismatched dimensions, or features that are not finite.
    """
    real, fake = check_pair(real, fake)
    if not 0 < level < 1:
        raise MetricError(f"The significance level must lie between 0 and 1, found {level}; 0.05 is usual.")
    chosen, notes = _bins(bins, min(len(real), len(fake)))
    counts = _counted(rows(real, real[0]), rows(fake, real[0]), chosen, seed)
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


def _counted(real: Rows, fake: Rows, bins: int, seed: int) -> tuple[Counts, Counts]:
    """Reals and fakes in each of the reals' bins, int64 [K] each."""
    from sklearn.cluster import KMeans

    distinct = len(np.unique(real, axis=0))
    if distinct < bins:
        raise MetricError(f"{bins} bins need as many different reals, found {distinct}; choose fewer bins.")
    clusters = KMeans(bins, n_init=1, max_iter=100, random_state=seed).fit(real)
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
