"""FID-infinity: the line through FIDs at 15 sizes, written out, and a standard error that is the spread over draws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.fid import fid, frechet_distance
from ganeval.metrics.fid_infinity import _sizes, fid_infinity
from ganeval.metrics.moments import Moments


def features(n: int, d: int, seed: int = 0, *, shift: float = 0.0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.randn(n, d, generator=rng, dtype=torch.float64) + shift).relu()


def naive(real: Tensor, fake: Tensor, *, seed: int, ddof: int = 1) -> float:
    """Every size on its own, with numpy's covariances, and numpy's line."""
    order = np.random.RandomState(seed).permutation(len(fake))
    sizes = [int(size) for size in np.linspace(max(len(fake) // 10, 2), len(fake), 15)]
    values = []
    for size in sizes:
        sides = []
        for rows in (real.double().numpy(), fake.double().numpy()[order[:size]]):
            covariance = np.cov(rows, rowvar=False, ddof=ddof).reshape(rows.shape[1], -1)
            sides += [torch.from_numpy(rows.mean(0)), torch.from_numpy(covariance)]
        values.append(frechet_distance(*sides))
    return float(np.polyfit([1 / size for size in sizes], values, 1)[1])


@settings(max_examples=25)
@given(st.integers(2, 40), st.integers(4, 80), st.integers(1, 12), st.integers(0, 1000), st.integers(0, 1))
def test_fid_infinity_is_its_definition(n: int, m: int, d: int, seed: int, ddof: int) -> None:
    """Accumulated moments and small decompositions agree, for more and fewer images than dimensions."""
    real, fake = features(n, d, seed), features(m, d, seed + 1, shift=0.3)
    estimate = fid_infinity(real, fake, seed=seed, ddof=ddof)
    scale = max(1.0, estimate.details["fid"])
    # The dense covariance of few images has zero eigenvalues, whose roots are 1e-8 of the largest.
    assert estimate.value == pytest.approx(naive(real, fake, seed=seed, ddof=ddof), abs=3e-5 * scale)
    assert estimate.details["fid"] == pytest.approx(fid(real, fake, ddof=ddof).value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("count", "first"), [(4, 2), (150, 15), (50_000, 5000), (200_000, 5000)])
def test_sizes_are_those_of_dgm_eval(count: int, first: int) -> None:
    """15 sizes at equal steps, from a tenth of the fakes, and from at most 5,000, to all of them."""
    assert _sizes(count).tolist() == [int(size) for size in np.linspace(first, count, 15)]


def test_the_bias_is_gone() -> None:
    """For two different distributions the mean over draws is FID of very many images, where FID's own is not.

    60 draws know their mean to an eighth of a standard deviation; four of these are less than half of FID's bias.
    """
    real = features(20_000, 16, 1)
    truth = fid(real, features(20_000, 16, 2, shift=0.3)).value
    draws = [fid_infinity(real, features(200, 16, seed, shift=0.3)) for seed in range(3, 63)]
    values, plain = (
        [pick(draw) for draw in draws] for pick in (lambda draw: draw.value, lambda draw: draw.details["fid"])
    )
    noise = 4 * float(np.std(values)) / math.sqrt(60)
    assert abs(np.mean(values) - truth) < noise
    assert np.mean(plain) - truth > 2 * noise


@pytest.mark.parametrize(("shift", "least"), [(0.6, 0.87), (0.0, 0.78)])
def test_standard_error_matches_the_spread_over_many_draws(shift: float, least: float) -> None:
    """The error agrees within the 6% of 130 draws; for equal distributions second-order noise is partly missed."""
    draws = [
        fid_infinity(features(300, 8, 2 * i), features(300, 8, 2 * i + 1, shift=shift), seed=i) for i in range(130)
    ]
    spread = float(np.std([draw.value for draw in draws]))
    mean = float(np.mean([draw.standard_error for draw in draws if draw.standard_error is not None]))
    assert least * spread < mean < 1.15 * spread


def test_the_seed_orders_the_fakes() -> None:
    """The same seed gives the same number, and another seed one within the error bar."""
    real, fake = features(300, 8, 1), features(300, 8, 2, shift=0.3)
    first, again, other = (fid_infinity(real, fake, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.standard_error is not None
    assert 0 < abs(first.value - other.value) < 3 * first.standard_error


def test_the_order_of_reals_and_a_rotation_change_nothing() -> None:
    """The value is invariant up to rounding."""
    real, fake = features(100, 8, 1), features(60, 8, 2, shift=0.3)
    rotation = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    value = fid_infinity(real, fake).value
    assert fid_infinity(real.flip(0), fake).value == pytest.approx(value, rel=1e-8)
    assert fid_infinity(real @ rotation, fake @ rotation).value == pytest.approx(value, rel=1e-8)


def test_moments_may_stand_for_the_reals() -> None:
    """The value is the same, and the reals no longer add to the error."""
    real, fake = features(200, 8, 1), features(150, 8, 2, shift=0.3)
    full, stored = fid_infinity(real, fake), fid_infinity(Moments.of(real).gaussian(), fake)
    assert stored.value == pytest.approx(full.value, rel=1e-9)
    assert full.standard_error is not None
    assert stored.standard_error is not None
    assert 0 < stored.standard_error < full.standard_error
    carried = fid_infinity(Moments.of(real).gaussian(features=real), Moments.of(fake).gaussian(features=fake))
    assert carried.value == pytest.approx(full.value, rel=1e-9)
    assert carried.standard_error == pytest.approx(full.standard_error, rel=1e-7)


def test_constant_fakes_have_no_bias() -> None:
    """Every size gives the same distance, and so does the line."""
    estimate = fid_infinity(features(50, 4, 1), torch.ones(40, 4))
    assert estimate.value == pytest.approx(estimate.details["fid"], rel=1e-9)


def test_sizes_below_the_dimensions_are_pointed_out() -> None:
    """The note has both numbers, and the number of images that would do."""
    (note,) = fid_infinity(features(100, 20, 1), features(100, 20, 2)).notes
    assert "10 fakes for 20 dimensions" in note
    assert "Use 200 fakes" in note
    assert fid_infinity(features(100, 4, 1), features(100, 4, 2)).notes == ()


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (torch.ones(5, 4), torch.ones(3, 4), "at least 4 fake images for a line over sizes, found 3"),
        (torch.ones(1, 4), torch.ones(9, 4), "at least 2 real images, found 1"),
        (torch.ones(5, 4), torch.ones(9, 3), "4 dimensions and fake ones 3"),
        (torch.ones(5, 4), torch.full((9, 4), math.nan), "9 of 9 images"),
    ],
)
def test_undefined_cases_are_refused(real: Tensor, fake: Tensor, message: str) -> None:
    """Undefined input is an error."""
    with pytest.raises(MetricError, match=message):
        fid_infinity(real, fake)


def test_fakes_known_by_their_moments_alone_are_refused() -> None:
    """Fakes known by their moments only are refused, as they have no subsets."""
    with pytest.raises(MetricError, match="subsets of the fakes"):
        fid_infinity(features(9, 3), Moments.of(features(9, 3)).gaussian())
