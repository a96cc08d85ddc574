"""Nearest-neighbour distance: the definition, the baseline, copies counted and listed, honest errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval.distances import Distance
from ganeval.errors import MetricError
from ganeval.metrics.nearest import CLOSE, jackknife_variance, nearest_distance, nearest_pairs


def features(n: int, d: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + shift


def between(first: Tensor, second: Tensor, distance: Distance = "euclidean") -> Tensor:
    """All distances, from all differences or angles, float64."""
    x, y = first.double(), second.double()
    if distance == "cosine":
        return 1 - torch.nn.functional.cosine_similarity(x[:, None], y[None], dim=2)
    return (x[:, None] - y[None]).norm(dim=2)


@settings(max_examples=25)
@given(
    st.tuples(st.integers(4, 40), st.integers(2, 30), st.integers(2, 8), st.integers(0, 1000)),
    st.sampled_from(["euclidean", "cosine"]),
)
def test_value_and_details_are_the_definitions(sizes: tuple[int, int, int, int], distance: Distance) -> None:
    """The value is the mean distance to all reals, and the baseline is between halves of the reals."""
    n, m, d, seed = sizes
    real, fake = features(n, d, seed), features(m, d, seed + 1, shift=0.2)
    fake[0] = real[0]
    estimate = nearest_distance(real, fake, distance=distance, seed=seed)
    to_all = between(fake, real, distance).min(1).values
    assert estimate.value == pytest.approx(float(to_all.mean()), rel=1e-6, abs=1e-12)
    order = torch.from_numpy(np.random.RandomState(seed).permutation(n))
    halves = real[order[: n // 2]], real[order[n // 2 :]]
    baseline = [between(one, other, distance).min(1).values for one, other in (halves[::-1], halves)]
    fakes = [between(fake, half, distance).min(1).values for half in halves]
    details = estimate.details
    assert details["baseline"] == pytest.approx(float(torch.cat(baseline).mean()), rel=1e-6)
    assert details["ratio"] == pytest.approx(float(torch.cat(fakes).mean() / torch.cat(baseline).mean()), rel=1e-6)
    assert details["median"] == pytest.approx(float(np.median(to_all.numpy())), rel=1e-6, abs=1e-12)
    limits = [np.quantile(values.numpy(), CLOSE, method="weibull") for values in baseline]
    near = (fakes[0] < limits[0] * (1 - 1e-9)) | (fakes[1] < limits[1] * (1 - 1e-9))
    near[0] = True
    assert details["duplicates"] == 1
    assert details["near_duplicates"] == int(near.sum())


def test_copies_are_counted_and_noted() -> None:
    """Exact copies have distance 0, slightly changed ones are near duplicates, and a clean set has no note."""
    real, fake = features(400, 12, 0), features(200, 12, 1)
    assert nearest_distance(real, fake).notes == ()
    fake[:30] = real[100:130]
    fake[30:50] = real[200:220] + 1e-3
    details = nearest_distance(real, fake).details
    assert details["duplicates"] == 30
    assert 50 <= details["near_duplicates"] <= 65
    (note,) = nearest_distance(real, fake).notes
    assert "of 200 fakes" in note
    assert "30 equal one" in note


@pytest.mark.parametrize(("scale", "warned"), [(1.0, False), (1.3, False), (0.5, True)])
def test_fakes_nearer_than_unseen_reals_are_pointed_out(scale: float, warned: bool) -> None:
    """Fakes without variety have a note that lower is not better; fakes as good as reals, or worse, have none."""
    for seed in range(0, 30, 2):
        notes = nearest_distance(features(200, 6, seed), features(150, 6, seed + 1, scale=scale)).notes
        assert any("a lower value is not better" in note for note in notes) == warned


@pytest.mark.parametrize("reals", [60, 1000])
def test_fresh_draws_of_the_reals_are_unsuspicious(reals: int) -> None:
    """Fakes of the reals' distribution have ratio 1, and the stated number of near duplicates, for few reals, too."""
    details = [nearest_distance(features(reals, 6, 2 * i), features(500, 6, 2 * i + 1)).details for i in range(10)]
    assert np.mean([one["ratio"] for one in details]) == pytest.approx(1.0, abs=0.03)
    # Each limit is one order statistic of a half: over ten draws of two halves, known to 1 / sqrt(20), thrice.
    assert np.mean([one["near_duplicates"] for one in details]) == pytest.approx(details[0]["unsuspicious"], rel=0.67)


def test_error_matches_the_spread_over_many_draws() -> None:
    """The error includes the reals' part: with few reals the spread of the fakes alone would be far too small."""
    draws = [nearest_distance(features(60, 6, 2 * i), features(480, 6, 2 * i + 1, shift=0.5)) for i in range(90)]
    spread = float(np.std([draw.value for draw in draws], ddof=1))
    error = float(np.mean([draw.standard_error for draw in draws]))
    # A spread of 90 draws is known to 7.5%; the jackknife errs upwards, for neighbours by up to two fifths.
    assert 0.85 * spread < error < 1.4 * spread
    fakes_alone = float(between(features(480, 6, 1, shift=0.5), features(60, 6, 0)).min(1).values.std())
    assert fakes_alone / math.sqrt(480) < 0.85 * error


def test_the_jackknife_is_the_variance_of_a_mean() -> None:
    """For a mean, the jackknife gives the usual variance."""
    x = features(50, 1, 0).double()[:, 0]
    changes = torch.stack([torch.cat([x[:i], x[i + 1 :]]).mean() - x.mean() for i in range(50)])
    assert jackknife_variance(changes) == pytest.approx(float(x.var()) / 50, rel=1e-12)


def test_order_does_not_matter_to_the_value() -> None:
    """The order and a rotation leave the value unchanged; the halves depend on the order."""
    real, fake = features(50, 6, 0).double(), features(40, 6, 1).double()
    rotation = torch.linalg.qr(features(6, 6, 2).double())[0]
    moved = nearest_distance(real.flip(0) @ rotation, fake.flip(0) @ rotation)
    assert moved.value == pytest.approx(nearest_distance(real, fake).value, rel=1e-12)


def test_the_seed_moves_the_baseline_alone() -> None:
    """The seed changes only the baseline."""
    real, fake = features(50, 6, 0), features(40, 6, 1)
    first, again, other = (nearest_distance(real, fake, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.value == other.value
    assert first.standard_error == pytest.approx(other.standard_error, rel=1e-12)
    assert first.details["baseline"] != other.details["baseline"]


def test_reals_that_are_all_the_same_have_no_baseline() -> None:
    """Identical reals have no ratio, and a note says why."""
    estimate = nearest_distance(torch.ones(10, 3), features(5, 3, 0))
    assert not {"ratio", "baseline", "baseline_median"} & set(estimate.details)
    assert any("no baseline" in note for note in estimate.notes)
    pairs = nearest_pairs(torch.ones(10, 3), features(5, 3, 0))
    assert pairs.ratios is None
    assert pairs.distances[:, 0].tolist() == sorted(pairs.distances[:, 0].tolist())


@pytest.mark.parametrize("rounding", [0.0, 2e-6])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("times", [2, 5])
def test_copies_of_a_real_that_is_there_twice_are_found(distance: Distance, times: int, rounding: float) -> None:
    """Ten near-copies of a duplicated real come first with finite ratios, for any multiplicity and batch size."""
    real, fake = features(101, 12, 0), features(110, 12, 1)
    real[-times:] = real[5] * (1 + rounding * torch.arange(times)[:, None])
    fake[50:60] = real[5] + 1e-2 * features(10, 12, 2)
    pairs = nearest_pairs(real, fake, distance=distance)
    assert set(pairs.fakes[:10].tolist()) == set(range(50, 60))
    assert pairs.ratios is not None
    assert pairs.ratios[:10].max() < 0.1
    assert pairs.ratios.isfinite().all()
    found = nearest_distance(real, fake, distance=distance)
    assert found.details["near_duplicates"] >= 10
    assert found.details["baseline"] == pytest.approx(
        nearest_distance(features(101, 12, 0), fake, distance=distance).details["baseline"], rel=0.05
    )


def test_own_distances_are_those_of_the_set_without_its_copies() -> None:
    """With each real twice, the ratios are those of the distinct reals, in the same order."""
    real, fake = features(40, 5, 0), features(30, 5, 1)
    once, twice = nearest_pairs(real, fake), nearest_pairs(torch.cat([real, real]), fake)
    assert once.fakes.tolist() == twice.fakes.tolist()
    assert once.ratios is not None
    assert twice.ratios is not None
    assert twice.ratios.tolist() == pytest.approx(once.ratios.tolist(), rel=1e-12)


def test_suspicious_pairs_come_first() -> None:
    """Copies come first, then the smallest ratios, so that scattered reals allow larger distances."""
    real = torch.tensor([[0.0, 0], [1, 0], [100, 0], [200, 0]])
    fake = torch.tensor([[0.5, 2.0], [110, 0], [1, 0], [0.6, 0]])
    pairs = nearest_pairs(real, fake, 2)
    assert pairs.fakes.tolist() == [2, 1, 3, 0]
    assert pairs.reals.tolist() == [[1, 0], [2, 3], [1, 0], [0, 1]]
    assert pairs.ratios is not None
    assert pairs.ratios.tolist() == pytest.approx([0, 10 / 99, 0.4, math.hypot(0.5, 2)])
    assert pairs.distances[1].tolist() == pytest.approx([10, 90])


def test_ratios_of_reals_that_have_copies() -> None:
    """A real's own distance is that to the nearest different one."""
    real = torch.tensor([[0.0], [0], [5]])
    pairs = nearest_pairs(real, torch.tensor([[1.0], [0], [4]]))
    assert pairs.fakes.tolist() == [1, 0, 2]
    assert pairs.ratios is not None
    assert pairs.ratios.tolist() == pytest.approx([0, 0.2, 0.2])
    assert pairs.own[:, 0].tolist() == [0, 0, 5]


@pytest.mark.parametrize(
    ("real", "fake", "distance", "message"),
    [
        (torch.ones(3, 4), torch.ones(9, 4), "euclidean", "at least 4 real and 2 fake images, found 3 and 9"),
        (torch.ones(9, 4), torch.ones(1, 4), "euclidean", "found 9 and 1"),
        (torch.ones(9, 4), torch.ones(9, 3), "euclidean", "4 dimensions and fake ones 3"),
        (torch.ones(9, 4), torch.zeros(9, 4), "cosine", "no direction; use the euclidean"),
        (torch.ones(9, 4), torch.ones(9, 4), "l1", "must be 'euclidean' or 'cosine', found 'l1'"),
        (torch.full((9, 4), math.inf), torch.ones(9, 4), "euclidean", "9 of 9 images have NaN"),
    ],
)
def test_undefined_input_is_refused_with_the_reason(
    real: Tensor, fake: Tensor, distance: Distance, message: str
) -> None:
    """Undefined input is an error with a reason."""
    with pytest.raises(MetricError, match=message):
        nearest_distance(real, fake, distance=distance)


def test_more_neighbours_than_reals_are_refused() -> None:
    """The error gives the largest possible number of neighbours."""
    with pytest.raises(MetricError, match="choose 1 to 5"):
        nearest_pairs(torch.rand(5, 2), torch.rand(3, 2), 6)
