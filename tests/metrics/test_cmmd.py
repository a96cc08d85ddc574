"""CMMD: its definition, a published implementation's value, its error, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics import ustatistics
from ganeval.metrics.cmmd import cmmd


def reference() -> tuple[Tensor, Tensor]:
    """500 reals and 400 fakes of 16 dimensions, float64."""
    real, fake = np.random.RandomState(0).randn(500, 16), np.random.RandomState(1).randn(400, 16) * 1.2 + 0.5
    return torch.from_numpy(real), torch.from_numpy(fake)


def features(n: int, d: int, seed: int, *, shift: float = 0.0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.randn(n, d, generator=rng, dtype=torch.float64) + 0.3 + shift).relu() + 0.01


def naive(real: Tensor, fake: Tensor, sigma: float) -> float:
    """By three whole kernel matrices of differences of rows."""
    x, y = (side / side.norm(dim=1, keepdim=True) for side in (real.double(), fake.double()))

    def mean(a: Tensor, b: Tensor) -> float:
        return float((-(a[:, None] - b[None]).square().sum(2) / (2 * sigma**2)).exp().mean())

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


def test_the_published_code_gives_this_value() -> None:
    """cmmd-pytorch's distance of these unit rows is 1.674021; float32 agrees to its precision."""
    real, fake = reference()
    assert cmmd(real, fake).value == pytest.approx(1.674021, abs=5e-7)
    assert cmmd(real.float(), fake.float()).value == pytest.approx(1.674021, rel=1e-6)


@settings(max_examples=30)
@given(
    st.integers(2, 12), st.integers(2, 12), st.integers(1, 6), st.sampled_from([0.3, 2.0, 10.0]), st.integers(0, 999)
)
def test_cmmd_is_its_definition_and_symmetric(n: int, m: int, d: int, sigma: float, seed: int) -> None:
    """Whole matrices give the same number for all sizes and bandwidths, and so does exchanging the sets."""
    real, fake = features(n, d, seed), features(m, d, seed + 1, shift=0.3)
    there, back = cmmd(real, fake, sigma=sigma), cmmd(fake, real, sigma=sigma)
    assert there.value == pytest.approx(naive(real, fake, sigma), rel=1e-9, abs=1e-9)
    assert there.value == pytest.approx(back.value, rel=1e-9, abs=1e-9)


def test_blocks_lengths_and_rotations_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """CMMD depends on directions alone, and not on how the matrices are cut."""
    real, fake = (side[:100] for side in reference())
    fake = fake[:80]
    expected = cmmd(real, fake)
    monkeypatch.setattr(ustatistics, "BLOCK_ROWS", 7)
    monkeypatch.setattr(ustatistics, "BLOCK_COLUMNS", 9)
    rng = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(16, 16, generator=rng, dtype=torch.float64))[0]
    for scaled in (1.0, torch.rand(len(fake), 1, generator=rng).double() + 0.1):
        found = cmmd(real @ rotation, scaled * fake @ rotation)
        assert found.value == pytest.approx(expected.value, rel=1e-9)
        assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-6)


def test_equal_sets_have_the_value_0_and_single_directions_the_closed_form() -> None:
    """Two directions at a right angle: 2000 (1 - exp(-1 / sigma^2))."""
    real, fake = torch.tensor([[1.0, 0.0]]).repeat(5, 1), torch.tensor([[0.0, 2.0]]).repeat(7, 1)
    assert cmmd(real, real).value == 0
    assert cmmd(real, fake, sigma=0.5).value == pytest.approx(2000 * -math.expm1(-4), rel=1e-12)


def test_nearly_equal_rows_keep_their_digits() -> None:
    """Features with a common part ten thousand times as large as their differences have the value of float64."""
    real, fake = (side.float().double() for side in reference())
    real, fake = real.float() + 4096, fake.float() + 4096
    assert cmmd(real, fake).value == pytest.approx(naive(real, fake, 10.0), rel=1e-6)


def test_the_bias_is_that_of_the_pairs_of_an_image_with_itself() -> None:
    """The unbiased value is near 0 for equal distributions on average, and the value above it."""
    found = [cmmd(features(60, 6, seed), features(60, 6, seed + 500)) for seed in range(150)]
    unbiased = np.array([one.details["unbiased"] for one in found])
    # 150 draws: three standard errors of their mean.
    assert abs(unbiased.mean()) < 3 * unbiased.std() / math.sqrt(150)
    assert all(one.value > one.details["unbiased"] for one in found)


@pytest.mark.parametrize(("shift", "times"), [(0.3, 4), (1.0, 1)])
def test_standard_error_matches_the_spread_over_many_draws(shift: float, times: int) -> None:
    """The error agrees with the spread of 110 draws, which is known to 7%.

    Near sets need more images for it: of few, the variance of single images is below the noise of its estimate, which
    is cut off at 0, as for KID, so that the error is about a quarter too large.
    """
    sizes = 80 * times, 60 * times
    found = [cmmd(features(sizes[0], 6, seed), features(sizes[1], 6, seed + 500, shift=shift)) for seed in range(110)]
    errors = [one.standard_error for one in found if one.standard_error is not None]
    assert 0.85 < np.mean(errors) / np.std([one.value for one in found]) < 1.25


def test_two_sets_share_the_part_of_the_reals() -> None:
    """The reals' part of the error is below the error, and 1000 times that of the kernel means."""
    real, fake = reference()
    found = cmmd(real, fake)
    assert found.shared is not None
    assert found.standard_error is not None
    assert 0.3 < np.linalg.norm(found.shared) / found.standard_error < 1


@pytest.mark.parametrize(
    ("real", "fake", "sigma", "message"),
    [
        (torch.ones(1, 4), torch.ones(5, 4), 10.0, "at least 2 real and 2 fake images, found 1 and 5"),
        (torch.eye(5)[:, :4], torch.ones(5, 4), 10.0, "1 of 5 images have features of zeros only"),
        (torch.ones(5, 4), torch.ones(5, 3), 10.0, "4 dimensions and fake ones 3"),
        (torch.ones(5, 4), torch.ones(5, 4), 0.0, "sigma of CMMD must be above 0 and finite, found 0"),
        (torch.ones(5, 4), torch.ones(5, 4), math.inf, "sigma of CMMD must be above 0 and finite, found inf"),
    ],
)
def test_undefined_cases_are_refused(real: Tensor, fake: Tensor, sigma: float, message: str) -> None:
    """Undefined input is an error."""
    with pytest.raises(MetricError, match=message):
        cmmd(real, fake, sigma=sigma)
