"""C_T: the definition with other tools, closed forms, copies, honest errors."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.memorization import FEWEST, memorization, memorization_score


def features(n: int, d: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + shift


def naive(train: Tensor, test: Tensor, fake: Tensor, *, components: int = 64, cells: int = 3, seed: int = 0) -> float:
    """Cell by cell, with scipy's test and scikit-learn's neighbours."""
    sides = [side.double().numpy() for side in (train, test, fake)]
    if train.shape[1] > components:
        pca = PCA(components, random_state=seed).fit(sides[0])
        sides = [pca.transform(side) for side in sides]
    clusters = KMeans(cells, n_init=10, random_state=seed).fit(sides[0])
    total, weights = 0.0, 0
    for cell in range(cells):
        trains, tests, fakes = (side[clusters.predict(side) == cell].astype(np.float64) for side in sides)
        if len(fakes) <= FEWEST:
            continue
        tree = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(trains)
        further = mannwhitneyu(tree.kneighbors(fakes)[0][:, 0], tree.kneighbors(tests)[0][:, 0]).statistic
        n, m = len(tests), len(fakes)
        total += n * (further - n * m / 2 + 0.5) / math.sqrt(n * m * (n + m + 1) / 12)
        weights += n
    return total / weights


@pytest.mark.parametrize(("d", "components", "cells"), [(5, 64, 3), (5, 3, 3), (80, 64, 3), (5, 64, 1), (2, 64, 4)])
def test_value_is_the_definition(d: int, components: int, cells: int) -> None:
    """With and without principal components, for several cells."""
    sets = features(200, d, 0), features(150, d, 1), features(130, d, 2, scale=0.9, shift=0.1)
    found = memorization_score(*sets, components=components, cells=cells)
    assert found.value == pytest.approx(naive(*sets, components=components, cells=cells), rel=1e-6)


def test_cells_with_few_fakes_are_left_out() -> None:
    """A cell with few fakes is left out, and the details have the number of cells and fakes."""
    sets = [torch.cat([features(60, 3, i), features(60, 3, i + 10, shift=50.0)]) for i in range(2)]
    fake = torch.cat([features(100, 3, 5), features(FEWEST, 3, 6, shift=50.0)])
    found = memorization_score(*sets, fake, cells=2)
    assert found.details["cells"] == 1
    assert found.details["images"] == 100
    assert found.value == pytest.approx(naive(*sets, fake, cells=2), rel=1e-6)


def test_one_cell_of_far_fakes_is_the_largest_z() -> None:
    """Every fake further than every held-out real: U = n m, for copies: U = 0, in closed form."""
    train, test = features(50, 4, 0), features(40, 4, 1)
    root = math.sqrt(40 * 30 * 71 / 12)
    far = memorization_score(train, test, features(30, 4, 2, shift=100.0), cells=1)
    copies = memorization_score(train, test, train[:30], cells=1)
    assert far.value == pytest.approx((40 * 30 / 2 + 0.5) / root, rel=1e-12)
    assert copies.value == pytest.approx((-40 * 30 / 2 + 0.5) / root, rel=1e-12)


def test_ties_count_half() -> None:
    """For equal distances of fakes and held-out reals, only the continuity correction remains."""
    train = torch.zeros(10, 2)
    side = torch.tensor([[1.0, 0], [0, 1], [2, 0]]).repeat(10, 1)
    found = memorization_score(train, side, side, cells=1)
    assert found.value == pytest.approx(0.5 / math.sqrt(30 * 30 * 61 / 12), rel=1e-12)


def test_copies_of_one_set_of_reals_are_noticed() -> None:
    """Copies are detected with the held-out part drawn from the same reals by seed."""
    real = features(400, 6, 0)
    fresh, copies = features(300, 6, 1), real[:300] + 0.01 * features(300, 6, 2)
    assert abs(memorization(real, fresh).value) < 2
    assert memorization(real, copies).value < -3
    assert memorization(real, copies, seed=1) == memorization(real, copies, seed=1)
    assert memorization(real, copies, seed=1).value != memorization(real, copies, seed=2).value


def test_error_matches_the_spread_over_many_draws() -> None:
    """For one training set the error matches the spread over draws of held-out reals and fakes, at 0 and elsewhere."""
    train = features(100, 4, 0)
    for shift in (0.0, 0.7):
        draws = [
            memorization_score(train, features(80, 4, 2 * i + 1), features(100, 4, 2 * i + 2, shift=shift), cells=2)
            for i in range(60)
        ]
        spread = float(np.std([draw.value for draw in draws], ddof=1))
        # A spread of 60 draws is known to 9%; three of these.
        assert np.mean([draw.standard_error for draw in draws]) == pytest.approx(spread, rel=0.27)


@pytest.mark.parametrize(
    ("sets", "options", "message"),
    [
        ((torch.rand(9, 4), torch.rand(9, 4), torch.rand(9, 3)), {}, "4, 4, 3 dimensions"),
        ((torch.rand(9, 4), torch.rand(9, 4), torch.rand(20, 4)), {"cells": 1}, "more than 20 fakes.*give more fakes"),
        (
            (torch.rand(9, 4), torch.rand(9, 4), torch.rand(30, 4)),
            {"cells": 10},
            "different training images, found 9; choose fewer cells",
        ),
        ((torch.ones(9, 4), torch.rand(9, 4), torch.rand(30, 4)), {}, "different training images, found 1"),
        ((torch.rand(9, 80), torch.rand(9, 80), torch.rand(30, 80)), {}, "found 9; choose 9 components or fewer"),
        ((torch.rand(9, 4), torch.rand(9, 4), torch.rand(30, 4)), {"cells": 0}, "at least 1 component and 1 cell"),
        ((torch.rand(9, 4), torch.rand(1, 4), torch.rand(30, 4)), {}, "no held-out real in it"),
        ((torch.rand(9, 4), torch.full((9, 4), math.inf), torch.rand(30, 4)), {}, "9 of 9 images have NaN"),
    ],
)
def test_undefined_input_is_refused_with_what_would_work(
    sets: tuple[Tensor, Tensor, Tensor], options: dict[str, int], message: str
) -> None:
    """Undefined input is an error that says what would work."""
    with pytest.raises(MetricError, match=message):
        memorization_score(*sets, **options)


@pytest.mark.parametrize(("count", "share", "message"), [(10, 0.0, "between 0 and 1"), (2, 0.1, "one part empty")])
def test_a_split_that_cannot_be_made_is_refused(count: int, share: float, message: str) -> None:
    """Both parts need images."""
    with pytest.raises(MetricError, match=message):
        memorization(torch.rand(count, 4), torch.rand(50, 4), held_out=share)


def test_two_sets_of_fakes_share_the_noise_of_the_held_out_reals() -> None:
    """Over draws of the reals, the covariance of two values is what `shared` says."""
    one, other, said = [], [], []
    for seed in range(40):
        real = features(200, 4, seed)
        found = [memorization(real, features(200, 4, 100 + 2 * seed + i, shift=0.1 * i), cells=1) for i in range(2)]
        assert found[0].shared is not None
        assert found[1].shared is not None
        one.append(found[0].value)
        other.append(found[1].value)
        said.append(float(found[0].shared @ found[1].shared))
    covariance = float(np.cov(one, other)[0, 1])
    assert covariance > 0.4 * np.std(one) * np.std(other)
    # The covariance of 40 draws is known to a quarter.
    assert np.mean(said) == pytest.approx(covariance, rel=0.5)


def test_an_error_bar_that_says_too_little_has_a_note() -> None:
    """Far from 0 the error bar misses the effect of the cells and has a note; near 0 it has none."""
    near, far = (memorization(features(200, 4, 1), features(200, 4, 2, scale=scale)) for scale in (1.0, 3.0))
    assert near.notes == ()
    assert far.value > 5
    assert "these training images" in far.notes[0]
