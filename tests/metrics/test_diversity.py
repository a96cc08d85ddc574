"""Diversity: its definition, copies, blocks, and a standard error that is the spread over draws."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics import ustatistics
from ganeval.metrics.diversity import diversity


def features(n: int, d: int, seed: int = 0, *, scale: float = 1.0) -> Tensor:
    return (torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale).relu()


def naive(side: Tensor) -> float:
    """The mean over pairs, one by one."""
    distances = [float((a - b).norm()) for a, b in combinations(side.double(), 2)]
    return sum(distances) / len(distances)


@settings(max_examples=30)
@given(st.integers(2, 20), st.integers(2, 20), st.integers(1, 8), st.integers(0, 1000))
def test_diversity_is_its_definition(n: int, m: int, d: int, seed: int) -> None:
    """A loop over pairs gives the same number."""
    real, fake = features(n, d, seed) + 0.1 * torch.arange(n)[:, None], features(m, d, seed + 1)
    estimate = diversity(real, fake)
    assert estimate.details == pytest.approx({"real": naive(real), "fake": naive(fake)}, rel=1e-6, abs=1e-7)
    assert estimate.value == pytest.approx(naive(fake) / naive(real), rel=1e-6, abs=1e-7)


def test_a_set_and_its_multiples_are_the_closed_form() -> None:
    """The diversity of a set against itself is 1, at twice the scale 2, and shifts do not matter."""
    real = features(30, 5)
    assert diversity(real, real).value == pytest.approx(1, rel=1e-12)
    assert diversity(real, 2 * real + 1000).value == pytest.approx(2, rel=1e-9)


def test_a_collapsed_generator_has_none() -> None:
    """Copies of one image score 0 without error, and two copied images half of their distance, at any offset."""
    real = features(30, 5)
    estimate = diversity(real, torch.full((40, 5), 100.0))
    assert (estimate.value, estimate.standard_error) == (0, 0)
    pair = torch.tensor([[1000.0, 0.0, 0.0, 0.0, 0.0], [1003.0, 4.0, 0.0, 0.0, 0.0]]).repeat(20, 1)
    assert diversity(real, pair).details["fake"] == pytest.approx(5 * 20 / 39, rel=1e-6)


def test_neither_order_nor_rotation_nor_tiles_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all pairs the value is invariant up to rounding."""
    real, fake = features(40, 6, 1), features(30, 6, 2, scale=0.5)
    before = diversity(real, fake)
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    monkeypatch.setattr(ustatistics, "BLOCK_ROWS", 7)
    monkeypatch.setattr(ustatistics, "BLOCK_COLUMNS", 9)
    for after in (diversity(real.flip(0), fake, seed=1), diversity(real @ rotation, fake @ rotation)):
        assert after.value == pytest.approx(before.value, rel=1e-9)
        assert after.standard_error == pytest.approx(before.standard_error, rel=1e-7)


def test_blocks_are_seeded_unbiased_and_nearly_as_sharp() -> None:
    """Over 100 seeds their mean is the value for all pairs, and their error hardly larger."""
    real, fake = features(300, 6, 1), features(200, 6, 2, scale=0.5)
    whole = diversity(real, fake)
    draws = [diversity(real, fake, block=20, seed=seed) for seed in range(100)]
    values = np.array([draw.value for draw in draws])
    assert draws[0] == diversity(real, fake, block=20, seed=0)
    assert values.std() > 0
    assert whole.standard_error is not None
    assert abs(values.mean() - whole.value) < 4 * values.std() / 10
    assert np.mean([draw.standard_error for draw in draws]) == pytest.approx(whole.standard_error, rel=0.15)


@pytest.mark.parametrize(("n", "m", "block"), [(80, 80, 5000), (50, 150, 5000), (100, 100, 20)])
def test_standard_error_matches_the_spread_over_many_draws(n: int, m: int, block: int) -> None:
    """Within 14%, for all pairs and for blocks; 200 draws know it to 5%."""
    draws = [
        diversity(features(n, 5, 2 * i), features(m, 5, 2 * i + 1, scale=0.7), block=block, seed=i) for i in range(200)
    ]
    spread = float(np.std([draw.value for draw in draws]))
    assert np.mean([draw.standard_error for draw in draws]) == pytest.approx(spread, rel=0.14)


def test_too_few_images_have_a_value_and_no_error() -> None:
    """With three images the variance has no estimate, and the method says so."""
    estimate = diversity(features(3, 4, 1), features(9, 4, 2))
    assert estimate.value > 0
    assert estimate.standard_error is None
    assert "fewer than 4 images" in estimate.method


def test_float16_features_are_widened() -> None:
    """The number is that of the same values in float64."""
    real, fake = features(30, 8, 1).half(), features(30, 8, 2).half()
    assert diversity(real, fake).value == pytest.approx(diversity(real.double(), fake.double()).value, rel=1e-12)


@pytest.mark.parametrize(
    ("real", "fake", "block", "message"),
    [
        (torch.ones(1, 4), torch.ones(5, 4), 10, "at least 2 real and 2 fake images, found 1 and 5"),
        (torch.ones(5, 4), torch.ones(5, 3), 10, "4 dimensions and fake ones 3"),
        (torch.ones(5, 4), torch.full((5, 4), math.nan), 10, "5 of 5 images"),
        (torch.full((50, 4), 0.1), torch.eye(4), 10, "All 50 reals have the same features"),
        (torch.eye(4), torch.eye(4), 3, "at least 4 images, found 3"),
    ],
)
def test_undefined_cases_are_refused(real: Tensor, fake: Tensor, block: int, message: str) -> None:
    """Undefined input is an error."""
    with pytest.raises(MetricError, match=message):
        diversity(real, fake, block=block)
