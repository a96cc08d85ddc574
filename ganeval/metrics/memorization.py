"""C_T: are fakes closer to the training images than held-out reals are?

The standard error is the jackknife over held-out reals and fakes, for the given training images and cells. Other
training images would give other cells; far from 0 this moves C_T as much as everything else: in simulations the error
was right up to a C_T of 2, a fifth too small at 8, and half the true one at 15. A note warns of this.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.array_types import FloatArray
from ganeval.distances import Rows, slices
from ganeval.errors import MetricError
from ganeval.linalg import TOO_LARGE
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.moments import check_features
from ganeval.metrics.nearest import jackknife_variance
from ganeval.neighbours import nearest
from ganeval.spool import spooled
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

# A cell counts if it has more fakes than this.
FEWEST = 20
# At this distance from 0 or more, the choice of cells moves C_T by its error or more.
FAR = 5


def memorization(
    real: Tensor, fake: Tensor, *, held_out: float = 0.5, components: int = 64, cells: int = 3, seed: int = 0
) -> Estimate:
    """C_T data-copying statistic if only one set of reals is given: a random part of it serves as the held-out set.

    The statistic is that of ``memorization_score``. It detects copies of the reals; if the generator was trained on all
    of them, it has also seen the held-out ones, and copying is underestimated.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        held_out: Share of the reals that is held out, between 0 and 1; half by default, the most balanced comparison.
        components: Principal components, used if there are more dimensions; 64 as in dgm-eval.
        cells: Cells of k-means; 3 as in dgm-eval.
        seed: Seed of the held-out part, the components and k-means.

    Returns:
        C_T; 0 is best. Below 0, fakes are closer to the training images than reals are (copies); above 0, further away.

    Raises:
        MetricError: ``held_out`` leaves a part empty, or as for ``memorization_score``.

    References:
        Meehan, Chaudhuri and Dasgupta 2020, "A Non-Parametric Test to Detect Data-Copying in Generative Models".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import memorization
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(600, 4, generator=rng), torch.randn(300, 4, generator=rng)
        >>> memorization(real, real + 1e-3).value < -3 < memorization(real, fake).value < 3
        True
    """
    check_options(memorization, locals())
    check_features(real)
    if not 0 < held_out < 1:
        raise MetricError(f"The share of reals to hold out must be between 0 and 1, found {held_out:g}.")
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(real))).to(real.device)
    count = round(held_out * len(real))
    if not 0 < count < len(real):
        raise MetricError(f"A share of {held_out:g} of {len(real)} reals leaves one part empty; give more reals.")
    train, test = Rows(real, chosen=order[count:]), Rows(real, chosen=order[:count])
    return _score_of([train, test, Rows(check_features(fake))], components, cells, seed)


def memorization_score(
    train: Tensor, test: Tensor, fake: Tensor, *, components: int = 64, cells: int = 3, seed: int = 0
) -> Estimate:
    """C_T data-copying statistic of fakes, against training images and held-out reals.

    Space is cut into cells around the training images. In each cell, the distances of fakes and of held-out reals to
    their nearest training image are compared by ranks (Mann-Whitney)::

        Z = (U - (n m / 2 - 1/2)) / sqrt(n m (n + m + 1) / 12)

    U counts the pairs in which the fake is further away (half for ties), n held-out reals and m fakes are in the cell,
    and the 1/2 is the continuity correction of dgm-eval. C_T is the mean of Z over cells, weighted by their shares of
    the held-out reals. Cells with 20 fakes or fewer are left out.

    By chance alone C_T varies by about 1 over the root of the number of cells. Z grows with the number of images, so
    compare C_T only for equal numbers.

    Args:
        train: Features of the images that the generator was trained on, ``[L, D]`` of any floating dtype.
        test: Features of other real images, ``[N, D]``.
        fake: Features of the generated images, ``[M, D]``.
        components: Principal components of the training images, used if there are more dimensions; 64 as in dgm-eval.
        cells: Cells of k-means on the training images; 3 as in dgm-eval.
        seed: Seed of the components and of k-means.

    Returns:
        C_T; 0 is best. Well below 0, fakes are closer to the training images than reals are (copies); well above 0,
        they are further away. ``details`` has Z of each cell as "z_1", ..., and the numbers of "cells" and "images"
        compared.

    Raises:
        MetricError: The dimensions differ, the features are not finite floating tensors of two axes, ``components`` or
            ``cells`` is below 1, there are fewer different training images than cells or fewer than ``components``, a
            cell has no held-out real, or no cell has more than 20 fakes.

    References:
        Meehan, Chaudhuri and Dasgupta 2020, "A Non-Parametric Test to Detect Data-Copying in Generative Models"; the
        settings are those of dgm-eval, which has no seed.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import memorization_score
        >>> rng = torch.Generator().manual_seed(0)
        >>> train, test = torch.randn(300, 4, generator=rng), torch.randn(300, 4, generator=rng)
        >>> memorization_score(train, test, train + 1e-3).value < -3
        True
    """
    check_options(memorization_score, locals())
    return _score_of([Rows(check_features(side)) for side in (train, test, fake)], components, cells, seed)


def _score_of(sets: Sequence[Rows], components: int, cells: int, seed: int) -> Estimate:
    """`memorization_score` of training images, held-out ones and fakes, which have been checked one by one."""
    widths = [side.features.shape[1] for side in sets]
    if len(set(widths)) > 1:
        raise MetricError(
            f"Training, held-out and fake features have {', '.join(map(str, widths))} dimensions; "
            "all must come from the same extractor."
        )
    if components < 1 or cells < 1:
        raise MetricError(f"C_T needs at least 1 component and 1 cell, found {components} and {cells}.")
    sides = [_Side(side, sets[0][:1]) for side in sets]
    compared = _compare(_projected(sides, components, seed), cells, seed)
    value = _score(compared)
    changes = _changes(compared, len(sets[1]), len(sets[2]))
    error = math.sqrt(sum(jackknife_variance(torch.from_numpy(change)) for change in changes))
    details = {"cells": float(len(compared)), "images": float(sum(len(cell.of_fakes) for cell in compared))}
    details |= {f"z_{number}": float(cell.z) for number, cell in enumerate(compared, 1)}
    method = "jackknife over held-out reals and fakes, for these training images"
    shared = shared_by_influence((len(sets[1]) - 1) * changes[0])
    return Estimate(value, error, normal_interval(value, error), method, details, _notes(value), shared)


def _notes(value: float) -> tuple[str, ...]:
    if abs(value) <= FAR:
        return ()
    return (
        f"C_T is far from 0, at {value:.1f}: the error bar is for these training images and their cells; with others, "
        "C_T would vary more.",
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """One set relative to a row [1, D]: large features would lose their differences in squared lengths."""

    features: Rows
    origin: Tensor

    def blocks(self) -> Iterator[Tensor]:
        """float64 on a CPU, a bounded number of rows at a time; MetricError if their squares exceed its range."""
        for part in slices(len(self.features), self.features.bounded):
            block = (self.features[part] - self.origin).cpu()
            largest = max(map(abs, map(float, torch.aminmax(block))))
            if not math.isfinite(4 * largest * largest * block.shape[1]):
                raise MetricError(TOO_LARGE)
            yield block

    def rows(self) -> FloatArray:
        """All rows; mapped from a file if there are many."""
        return np.asarray(spooled(self.blocks(), len(self.features)).numpy(), np.float64)


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell: for each of its images, the number of pairs in which the fake is further away; ties count half.

    tests: int64 [n], which held-out reals are in it. of_tests, of_fakes: float64 [n] and [m].
    """

    tests: NDArray[np.int64]
    of_tests: FloatArray
    of_fakes: FloatArray

    @classmethod
    def of(cls, chosen: NDArray[np.int64], tests: FloatArray, fakes: FloatArray) -> "_Cell":
        """From the distances of the chosen held-out reals, and of fakes, to the nearest training image."""
        return cls(chosen, len(fakes) - _below(fakes, tests), _below(tests, fakes))

    @property
    def z(self) -> FloatArray:
        return _z(self.of_fakes.sum(), len(self.of_tests), len(self.of_fakes))


def _below(some: FloatArray, others: FloatArray) -> FloatArray:
    """For each of `others`, how many of `some` are below it; half for ties."""
    ordered = np.sort(some)
    return (np.searchsorted(ordered, others, "left") + np.searchsorted(ordered, others, "right")) / 2


def _z(further: FloatArray, tests: int, fakes: int) -> FloatArray:
    return (further - (tests * fakes / 2 - 0.5)) / math.sqrt(tests * fakes * (tests + fakes + 1) / 12)


def _score(compared: list[_Cell]) -> float:
    return float(np.average([cell.z for cell in compared], weights=[len(cell.of_tests) for cell in compared]))


def _changes(compared: list[_Cell], tests: int, fakes: int) -> tuple[FloatArray, FloatArray]:
    """The change of C_T when each held-out real, and each fake, is left out; 0 for those in cells that do not count."""
    score, weight = _score(compared), sum(len(cell.of_tests) for cell in compared)
    of_tests, of_fakes = np.zeros(tests), [np.zeros(fakes - sum(len(cell.of_fakes) for cell in compared))]
    for cell in compared:
        n, m = len(cell.of_tests), len(cell.of_fakes)
        total, others = cell.of_fakes.sum(), score * weight - n * cell.z
        # Without its last real, a cell does not count.
        without_test = (n - 1) * _z(total - cell.of_tests, n - 1, m) if n > 1 else np.zeros(1)
        if weight > 1:
            of_tests[cell.tests] = (others + without_test) / (weight - 1) - score
        of_fakes.append((others + n * _z(total - cell.of_fakes, n, m - 1)) / weight - score)
    return of_tests, np.concatenate(of_fakes)


def _projected(sides: Sequence[_Side], components: int, seed: int) -> list[FloatArray]:
    """The three sets on the principal components of the first, if there are more dimensions than components."""
    from sklearn.decomposition import PCA

    train = sides[0].features
    if train.features.shape[1] <= components:
        return [side.rows() for side in sides]
    if len(train) < components:
        raise MetricError(
            f"{components} principal components need at least as many training images, found {len(train)}; choose "
            f"{len(train)} components or fewer, or give more images."
        )
    # The copy is centred in place.
    analysis = PCA(n_components=components, random_state=seed, copy=False).fit(sides[0].rows())
    return [np.concatenate([analysis.transform(block.numpy()) for block in side.blocks()]) for side in sides]


def _compare(arrays: list[FloatArray], cells: int, seed: int) -> list[_Cell]:
    """Training images, held-out ones and fakes => the cells with enough fakes in them."""
    from sklearn.cluster import KMeans

    distinct = len(np.unique(arrays[0], axis=0))
    if distinct < cells:
        raise MetricError(
            f"{cells} cells need at least as many different training images, found {distinct}; choose fewer cells."
        )
    clusters = KMeans(n_clusters=cells, n_init=10, random_state=seed).fit(arrays[0])
    compared, counts = [], []
    labels = [clusters.predict(side) for side in arrays]
    for cell in range(cells):
        trains, tests, fakes = (side[label == cell] for side, label in zip(arrays, labels, strict=True))
        counts.append(len(fakes))
        if not len(tests):
            raise MetricError(f"One of {cells} cells has no held-out real in it; choose fewer cells, or hold out more.")
        if len(fakes) > FEWEST:
            chosen = np.flatnonzero(labels[1] == cell)
            compared.append(_Cell.of(chosen, *(_distances(side, trains) for side in (tests, fakes))))
    if not compared:
        raise MetricError(
            f"No cell has more than {FEWEST} fakes in it (they have {', '.join(map(str, counts))}); "
            "choose fewer cells, or give more fakes."
        )
    return compared


def _distances(queries: FloatArray, points: FloatArray) -> FloatArray:
    found = nearest(Rows(torch.from_numpy(queries)), Rows(torch.from_numpy(points))).distances[:, 0]
    return np.asarray(found.numpy(), np.float64)


CT = Metric(
    title="C_T data-copying statistic",
    compute=memorization,
    real="features",
    fake="features",
    direction="closer",
    source="Meehan et al. 2020",
    ideal=0.0,
)
