"""C_T: are fakes closer to the training images than held-out reals are?

Space is cut into cells about the training images. In each, the distances of fakes and of held-out reals to their
nearest training image are compared by ranks (Mann-Whitney):

    Z = (U - (n m / 2 - 1/2)) / sqrt(n m (n + m + 1) / 12),

where U counts the pairs in which the fake is further away (half for ties), n held-out reals and m fakes are in the
cell, and the 1/2 is the continuity correction that dgm-eval has. C_T is the mean of Z over cells, weighted by their
shares of the held-out reals; cells with 20 fakes or fewer are left out. Well below 0, fakes are closer to the training
images than reals are: copies. Well above, they are further away, as poor ones are. By chance alone it spreads by
about 1 over the root of the number of cells.

Like dgm-eval: with more than 64 dimensions on the first 64 principal components of the training images, with 3 cells
from k-means, and neighbours sought within the cell. Theirs differs from run to run; here the seed decides.

The standard error is the jackknife's over held-out reals and fakes, for these training images and cells. Far from 0 it
is not 1: Z grows with the number of images, so compare C_T only for equal numbers. Other training images make other
cells, and far from 0 that moves C_T as much as the rest: in simulations the error was right up to 2, a fifth too small
at 8, and half the true one at 15. A note says so.

Source: Meehan, Chaudhuri and Dasgupta 2020, "A Non-Parametric Test to Detect Data-Copying in Generative Models".
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import Rows
from ganeval.errors import MetricError
from ganeval.metrics.moments import check_features
from ganeval.metrics.nearest import jackknife_variance
from ganeval.neighbours import nearest
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

Floats = NDArray[np.float64]
# A cell counts with more fakes than this.
FEWEST = 20
# From here on, other cells would move C_T by about its error and more.
FAR = 5


def memorization(
    real: Tensor, fake: Tensor, *, held_out: float = 0.5, components: int = 64, cells: int = 3, seed: int = 0
) -> Estimate:
    """C_T of fakes [M, D] where only one set of reals [N, D] is given: a random part of it plays the held-out one.

    This tells copies of the reals as a whole; a generator that was trained on all of them has seen the held-out ones
    too, so it makes copying look rarer than it is. held_out: the share of the reals that is held out. The rest as
    `memorization_score`, with the errors that it raises.
    """
    check_features(real)
    if not 0 < held_out < 1:
        raise MetricError(f"The share of reals to hold out must be between 0 and 1, found {held_out:g}.")
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(real))).to(real.device)
    count = round(held_out * len(real))
    if not 0 < count < len(real):
        raise MetricError(f"A share of {held_out:g} of {len(real)} reals leaves one part empty; give more reals.")
    return memorization_score(
        real[order[count:]], real[order[:count]], fake, components=components, cells=cells, seed=seed
    )


def memorization_score(
    train: Tensor, test: Tensor, fake: Tensor, *, components: int = 64, cells: int = 3, seed: int = 0
) -> Estimate:
    """C_T of fakes [M, D] against the images a generator was trained on [L, D] and others of their kind [N, D].

    components: the principal components looked at, if there are more dimensions. cells: of the k-means. seed: of both.
    Raises MetricError for mismatched dimensions, features that are not finite, fewer different training images than
    cells, fewer than components, a cell without held-out reals, or no cell with more than 20 fakes.
    """
    sets = [check_features(side) for side in (train, test, fake)]
    if len({side.shape[1] for side in sets}) > 1:
        raise MetricError(
            f"Training, held-out and fake features have {', '.join(str(side.shape[1]) for side in sets)} dimensions; "
            "all must come from the same extractor."
        )
    if components < 1 or cells < 1:
        raise MetricError(f"C_T needs at least 1 component and 1 cell, found {components} and {cells}.")
    # Where features are large beside what tells them apart, squares of lengths would lose it.
    arrays = [(side.double() - sets[0][0].double()).cpu().numpy() for side in sets]
    compared = _compare(_projected(arrays, components, seed), cells, seed)
    value = _score(compared)
    changes = _changes(compared, len(test), len(fake))
    error = math.sqrt(sum(jackknife_variance(torch.from_numpy(change)) for change in changes))
    details = {"cells": float(len(compared)), "images": float(sum(len(cell.of_fakes) for cell in compared))}
    details |= {f"z_{number}": float(cell.z) for number, cell in enumerate(compared, 1)}
    method = "jackknife over held-out reals and fakes, for these training images"
    shared = shared_by_influence((len(test) - 1) * changes[0])
    return Estimate(value, error, normal_interval(value, error), method, details, _notes(value), shared)


def _notes(value: float) -> tuple[str, ...]:
    if abs(value) <= FAR:
        return ()
    return (
        f"C_T is far from 0, at {value:.1f}: the error bar is for these training images and their cells, and others "
        "would move it more.",
    )


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell: the number of its pairs with each image in which the fake is further away; ties count half.

    tests: int64 [n], which held-out reals are in it. of_tests, of_fakes: float64 [n] and [m].
    """

    tests: NDArray[np.int64]
    of_tests: Floats
    of_fakes: Floats

    @classmethod
    def of(cls, chosen: NDArray[np.int64], tests: Floats, fakes: Floats) -> "_Cell":
        """From the distances of the chosen held-out reals, and of fakes, to the nearest training image."""
        return cls(chosen, len(fakes) - _below(fakes, tests), _below(tests, fakes))

    @property
    def z(self) -> Floats:
        return _z(self.of_fakes.sum(), len(self.of_tests), len(self.of_fakes))


def _below(some: Floats, others: Floats) -> Floats:
    """For each of others, how many of some are below it; half for ties."""
    ordered = np.sort(some)
    return (np.searchsorted(ordered, others, "left") + np.searchsorted(ordered, others, "right")) / 2


def _z(further: Floats, tests: int, fakes: int) -> Floats:
    return (further - (tests * fakes / 2 - 0.5)) / math.sqrt(tests * fakes * (tests + fakes + 1) / 12)


def _score(compared: list[_Cell]) -> float:
    return float(np.average([cell.z for cell in compared], weights=[len(cell.of_tests) for cell in compared]))


def _changes(compared: list[_Cell], tests: int, fakes: int) -> tuple[Floats, Floats]:
    """What C_T changes by without each held-out real, and without each fake; 0 for those in cells left out."""
    score, weight = _score(compared), sum(len(cell.of_tests) for cell in compared)
    of_tests, of_fakes = np.zeros(tests), [np.zeros(fakes - sum(len(cell.of_fakes) for cell in compared))]
    for cell in compared:
        n, m = len(cell.of_tests), len(cell.of_fakes)
        total, others = cell.of_fakes.sum(), score * weight - n * cell.z
        # The last real of a cell takes the cell with it.
        without_test = (n - 1) * _z(total - cell.of_tests, n - 1, m) if n > 1 else np.zeros(1)
        if weight > 1:
            of_tests[cell.tests] = (others + without_test) / (weight - 1) - score
        of_fakes.append((others + n * _z(total - cell.of_fakes, n, m - 1)) / weight - score)
    return of_tests, np.concatenate(of_fakes)


def _projected(arrays: list[Floats], components: int, seed: int) -> list[Floats]:
    """The three sets on the principal components of the first, if there are more dimensions than asked for."""
    from sklearn.decomposition import PCA

    train = arrays[0]
    if train.shape[1] <= components:
        return arrays
    if len(train) < components:
        raise MetricError(
            f"{components} principal components cannot be had from {len(train)} training images; "
            f"choose components of {len(train)} or fewer, or give more images."
        )
    analysis = PCA(n_components=components, random_state=seed).fit(train)
    return [analysis.transform(array) for array in arrays]


def _compare(arrays: list[Floats], cells: int, seed: int) -> list[_Cell]:
    """Training images, held-out ones and fakes => the cells with enough fakes in them."""
    from sklearn.cluster import KMeans

    distinct = len(np.unique(arrays[0], axis=0))
    if distinct < cells:
        raise MetricError(f"{cells} cells cannot be made of {distinct} different training images; choose fewer cells.")
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


def _distances(queries: Floats, points: Floats) -> Floats:
    found = nearest(Rows(torch.from_numpy(queries)), Rows(torch.from_numpy(points))).distances[:, 0]
    return np.asarray(found.numpy(), np.float64)
