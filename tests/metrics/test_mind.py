"""MIND: its definition line by line, torch-fidelity's draws, and a standard error that is the spread over draws."""

import math
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.mind import mind


def features(n: int, d: int, seed: int = 0, *, shift: float = 0.0) -> Tensor:
    return (torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift).relu()


def naive(real: Tensor, fake: Tensor, *, projections: int, seed: int) -> float:
    """MIND as torch-fidelity draws it, in numpy: first the images of the larger set, then the directions."""
    rng = torch.Generator().manual_seed(seed)
    count = min(len(real), len(fake))
    x, y = (
        side if len(side) == count else side[torch.randperm(len(side), generator=rng)[:count]] for side in (real, fake)
    )
    total = 0.0
    for direction in torch.randn(projections, real.shape[1], generator=rng).double().numpy():
        unit = direction / np.linalg.norm(direction)
        a, b = np.sort(x.double().numpy() @ unit), np.sort(y.double().numpy() @ unit)
        total += float(np.mean((a - b) ** 2))
    return 3 * real.shape[1] * total / projections


@settings(max_examples=30)
@given(st.integers(2, 20), st.integers(2, 20), st.integers(1, 6), st.integers(1, 30), st.integers(0, 1000))
def test_mind_is_its_definition(n: int, m: int, d: int, projections: int, seed: int) -> None:
    """A loop over the same directions and images gives the same number, for equal and unequal sizes."""
    real, fake = features(n, d, seed), features(m, d, seed + 1, shift=0.3)
    value = mind(real, fake, projections=projections, seed=seed).value
    assert value == pytest.approx(naive(real, fake, projections=projections, seed=seed), rel=1e-4, abs=1e-9)
    exact = mind(real.double(), fake.double(), projections=projections, seed=seed).value
    assert exact == pytest.approx(naive(real, fake, projections=projections, seed=seed), rel=1e-5, abs=1e-12)


@pytest.mark.parametrize(("count", "value"), [(500, 16.568324), (400, 16.057506), (300, 16.395098)])
def test_values_are_those_of_torch_fidelity(count: int, value: float) -> None:
    """Its `mind_features_to_metric` (in 2026, after 0.4.0) gives these values, of equal and unequal sets."""
    real = torch.from_numpy(np.random.RandomState(0).randn(500, 16)[:count]).float()
    fake = torch.from_numpy(np.random.RandomState(1).randn(400, 16) * 1.2 + 0.5).float()
    assert mind(real, fake).value == pytest.approx(value, rel=1e-6)


def test_in_one_dimension_it_is_the_distance_along_the_line() -> None:
    """Every direction is the line or its mirror; a shift by s costs 3 s^2, and scipy's W1 agrees on the pairing."""
    x = features(40, 1, 1).double()
    assert mind(x, x + 0.5).value == pytest.approx(3 * 0.25, rel=1e-6)
    y = features(40, 1, 2).double()
    pairs = (x.flatten().sort().values - y.flatten().sort().values).abs()
    assert wasserstein_distance(x.flatten(), y.flatten()) == pytest.approx(float(pairs.mean()))
    assert mind(x, y, projections=3).value == pytest.approx(3 * float(pairs.square().mean()), rel=1e-6)


def test_a_shift_costs_three_times_its_square() -> None:
    """E (u.s)^2 = |s|^2 / D over unit directions, which 3 D turns into 3 |s|^2, to the noise of 4000 directions."""
    x = features(10, 8, 1).double()
    estimate = mind(x, x + 0.5, projections=4000)
    assert estimate.value == pytest.approx(3 * 8 * 0.25, abs=4 * estimate.details["projection_error"])
    assert estimate.details["projection_error"] < 0.2


def test_a_set_and_itself_are_nothing_apart() -> None:
    """The distance of a set to itself is exactly 0, in any order of the images."""
    x = features(50, 8)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    estimate = mind(x, x[order], projections=50)
    assert estimate.value == pytest.approx(0, abs=1e-10)
    assert estimate.standard_error == pytest.approx(0, abs=1e-6)


def test_exchanging_equal_sets_changes_nothing() -> None:
    """For sets of equal size the value is symmetric."""
    real, fake = features(30, 8, 1), features(30, 8, 2, shift=0.2)
    there, back = mind(real, fake, projections=50), mind(fake, real, projections=50)
    assert there.value == pytest.approx(back.value, rel=1e-12)
    assert there.standard_error == pytest.approx(back.standard_error, rel=1e-12)


def test_neither_order_nor_the_size_of_blocks_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of images and the block size change the value by rounding only."""
    real, fake = features(30, 8, 1).double(), features(30, 8, 2, shift=0.2).double()
    before = mind(real, fake, projections=20)
    monkeypatch.setattr(import_module("ganeval.metrics.mind"), "BLOCK", 70)
    after = mind(real.flip(0), fake, projections=20)
    assert after.value == pytest.approx(before.value, rel=1e-12)
    assert after.standard_error == pytest.approx(before.standard_error, rel=1e-10)


def test_the_seed_draws_the_directions() -> None:
    """The same seed gives the same number, another seed one within the noise of directions, and torch's own is left."""
    real, fake = features(60, 8, 1), features(60, 8, 2, shift=0.3)
    state = torch.random.get_rng_state()
    first, again, other = (mind(real, fake, projections=200, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert 0 < abs(first.value - other.value) < 5 * first.details["projection_error"]
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_larger_set_is_drawn_from_and_the_note_says_so() -> None:
    """The note has the numbers of both sets."""
    (note,) = mind(features(30, 4, 1), features(20, 4, 2)).notes
    assert "20 of the 30 real" in note
    (note,) = mind(features(20, 4, 1), features(30, 4, 2)).notes
    assert "20 of the 30 fake" in note
    assert mind(features(20, 4, 1), features(20, 4, 2)).notes == ()


@pytest.mark.parametrize(("n", "d", "shift", "most"), [(80, 4, 0.5, 1.12), (150, 16, 0.4, 1.15), (80, 16, 0.0, 1.7)])
def test_standard_error_matches_the_spread_over_many_draws(n: int, d: int, shift: float, most: float) -> None:
    """The error agrees within the 4.5% of 250 draws; for equal distributions it is conservative."""
    estimates = [
        mind(features(n, d, 2 * i), features(n, d, 2 * i + 1, shift=shift), projections=60) for i in range(250)
    ]
    spread = float(torch.tensor([estimate.value for estimate in estimates]).std())
    mean = float(torch.tensor([estimate.standard_error for estimate in estimates]).mean())
    assert 0.87 * spread < mean < most * spread


def test_float16_features_are_widened() -> None:
    """The number is that of the same values in float32."""
    real, fake = features(30, 8, 1).half(), features(30, 8, 2).half()
    assert mind(real, fake).value == mind(real.float(), fake.float()).value


@pytest.mark.parametrize(
    ("real", "fake", "projections", "message"),
    [
        (torch.ones(1, 4), torch.ones(5, 4), 10, "at least 2 real and 2 fake images, found 1 and 5"),
        (torch.ones(5, 4), torch.ones(5, 3), 10, "4 dimensions and fake ones 3"),
        (torch.ones(5, 4), torch.full((5, 4), math.nan), 10, "5 of 5 images"),
        (torch.ones(5, 4), torch.ones(5, 4), 0, "at least 1 projection, found 0"),
    ],
)
def test_undefined_cases_are_refused(real: Tensor, fake: Tensor, projections: int, message: str) -> None:
    """Undefined input is an error."""
    with pytest.raises(MetricError, match=message):
        mind(real, fake, projections=projections)


def test_a_training_programs_autocast_changes_nothing() -> None:
    """Products stay float32 under autocast."""
    real, fake = features(30, 8, 1).float(), features(30, 8, 2, shift=0.3).float()
    expected = mind(real, fake, projections=20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert mind(real, fake, projections=20) == expected
