"""KID: the naive matrices, torch-fidelity's subsets, and a standard error that is the spread over draws."""

import math
from fractions import Fraction
from functools import cache
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_fidelity.metric_kid import kid_features_to_metric

from ganeval.errors import MetricError
from ganeval.metrics import ustatistics
from ganeval.metrics.kid import kid


def naive(real: Tensor, fake: Tensor) -> float:
    """KID by its definition, a pair at a time."""
    x, y = real.double().tolist(), fake.double().tolist()

    def k(a: list[float], b: list[float]) -> float:
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    def apart(rows: list[list[float]]) -> float:
        pairs = [k(a, b) for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j]
        return sum(pairs) / len(pairs)

    return apart(x) + apart(y) - 2 * sum(k(a, b) for a in x for b in y) / (len(x) * len(y))


def features(n: int, d: int, seed: int = 0, *, shift: float = 0.0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.randn(n, d, generator=rng, dtype=torch.float64) + shift).relu()


@settings(max_examples=30)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 6), st.integers(0, 10_000))
def test_kid_is_its_definition_and_symmetric(n: int, m: int, d: int, seed: int) -> None:
    """A loop over pairs gives the same number for all sizes, and so does exchanging the sets."""
    real, fake = features(n, d, seed), features(m, d, seed + 1, shift=0.3)
    there, back = kid(real, fake), kid(fake, real)
    assert there.value == pytest.approx(naive(real, fake), rel=1e-9, abs=1e-11)
    assert there.value == pytest.approx(back.value, rel=1e-9, abs=1e-11)
    if min(n, m) >= 4:
        assert there.standard_error == pytest.approx(back.standard_error, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("n", "m", "subsets", "size"), [(60, 45, 50, 40), (300, 400, 10, 30), (50, 50, 5, 50)])
def test_subsets_are_those_of_torch_fidelity(n: int, m: int, subsets: int, size: int) -> None:
    """Mean and std over subsets equal the peer's at its seed, fakes as its input1, by either way of summing."""
    real, fake = features(n, 16, 1), features(m, 16, 2, shift=0.2)
    options = {"kid_subsets": subsets, "kid_subset_size": size, "rng_seed": 2020, "verbose": False}
    peer = kid_features_to_metric(fake, real, **options)
    estimate = kid(real, fake, subsets=subsets, subset_size=size)
    assert estimate.value == pytest.approx(peer["kernel_inception_distance_mean"], rel=1e-10)
    assert estimate.details["std"] == pytest.approx(peer["kernel_inception_distance_std"], rel=1e-8, abs=1e-13)


def test_float32_subsets_are_those_of_torch_fidelity() -> None:
    """At the sizes of papers the numbers agree to the rounding of the peer's float32 sums."""
    real, fake = features(1200, 64, 1).float(), features(1100, 64, 2, shift=0.1).float()
    peer = kid_features_to_metric(fake, real, rng_seed=2020, kid_subsets=20, kid_subset_size=1000, verbose=False)
    estimate = kid(real, fake, subsets=20, subset_size=1000)
    assert estimate.value == pytest.approx(peer["kernel_inception_distance_mean"], rel=1e-5)
    assert estimate.details["std"] == pytest.approx(peer["kernel_inception_distance_std"], rel=1e-3)


def test_the_seed_draws_the_subsets() -> None:
    """The same seed gives the same number, and another seed another; all pairs need no seed."""
    real, fake = features(60, 8, 1), features(60, 8, 2)
    first, again, other = (kid(real, fake, subsets=5, subset_size=20, seed=seed).value for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert kid(real, fake, seed=1) == kid(real, fake, seed=2)


def test_subsets_of_everything_are_all_pairs() -> None:
    """A subset as large as both sets gives the value of the sets."""
    real, fake = features(30, 8, 1), features(30, 8, 2)
    whole, estimate = kid(real, fake), kid(real, fake, subsets=3, subset_size=30)
    assert estimate.value == pytest.approx(whole.value, rel=1e-10)
    assert estimate.standard_error == pytest.approx(whole.standard_error, rel=1e-8)
    assert estimate.details["std"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("options", [{}, {"subsets": 4, "subset_size": 25}])
def test_kid_does_not_depend_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch, options: dict[str, int]) -> None:
    """Value and error are the same up to rounding for every block size."""
    real, fake = features(40, 8, 1), features(50, 8, 2)
    before = kid(real, fake, **options)
    monkeypatch.setattr(ustatistics, "BLOCK_ROWS", 7)
    monkeypatch.setattr(ustatistics, "BLOCK_COLUMNS", 9)
    after = kid(real, fake, **options)
    assert after.value == pytest.approx(before.value, rel=1e-10)
    assert after.standard_error == pytest.approx(before.standard_error, rel=1e-9)


@pytest.mark.parametrize(("offset", "spread"), [(10.5, 1.0), (100.0, 1e-4), (1000.0, 1e-3), (0.1, 1e16)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_features_have_in_common_costs_no_digits(offset: float, spread: float, dtype: torch.dtype) -> None:
    """KID agrees with exact fractions for features far from 0 or too large for float32's products, in either type."""
    real, fake = ((spread * (features(n, 4, n) + offset / spread)).float().to(dtype) for n in (9, 7))
    x, y = ([[Fraction(value) for value in row] for row in side.double().tolist()] for side in (real, fake))

    def mean(first: list[list[Fraction]], second: list[list[Fraction]]) -> Fraction:
        pairs = [
            (sum((p * q for p, q in zip(a, b, strict=True)), Fraction()) / 4 + 1) ** 3
            for i, a in enumerate(first)
            for j, b in enumerate(second)
            if first is not second or i != j
        ]
        return sum(pairs, Fraction()) / len(pairs)

    estimate = kid(real, fake)
    assert estimate.value == pytest.approx(float(mean(x, x) + mean(y, y) - 2 * mean(x, y)), rel=1e-9)
    assert estimate.standard_error is not None
    # As far apart as the sets are: what rounds the value rounds its error.
    assert estimate.standard_error < 100 * abs(estimate.value)


@pytest.mark.parametrize("options", [{}, {"subsets": 4, "subset_size": 10}, {"subsets": 300, "subset_size": 20}])
def test_leaving_out_what_cancels_changes_nothing(monkeypatch: pytest.MonkeyPatch, options: dict[str, int]) -> None:
    """Value, error and shared part agree with the direct formula where neither loses digits."""
    real, fake = features(50, 5, 1, shift=1.0), features(40, 5, 2, shift=1.2)
    usual = kid(real, fake, **options)
    monkeypatch.setattr(import_module("ganeval.metrics.kid"), "outgrown", lambda *_sides: True)
    other = kid(real, fake, **options)
    assert (other.value, other.standard_error) == pytest.approx((usual.value, usual.standard_error), rel=1e-9)
    assert other != usual
    if usual.shared is not None and other.shared is not None:
        np.testing.assert_allclose(other.shared, usual.shared, rtol=1e-9, atol=1e-12)


def test_kid_does_not_depend_on_order_or_rotation() -> None:
    """A permutation of images, and an orthogonal map of both sets, change the value by rounding only."""
    real, fake = features(40, 8, 1), features(50, 8, 2, shift=0.3)
    rng = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(8, 8, generator=rng, dtype=torch.float64))[0]
    value = kid(real, fake).value
    assert kid(real[torch.randperm(40, generator=rng)], fake).value == pytest.approx(value, rel=1e-10)
    assert kid(real @ rotation, fake @ rotation).value == pytest.approx(value, rel=1e-10)


def test_point_masses_are_the_closed_form() -> None:
    """With all reals at x and all fakes at y, KID is k(x, x) + k(y, y) - 2 k(x, y) without error."""
    real, fake = torch.tensor([[1.0, 2.0]]).repeat(6, 1), torch.tensor([[0.0, 2.0]]).repeat(9, 1)
    estimate = kid(real, fake)
    assert estimate.value == pytest.approx(3.5**3 + 3**3 - 2 * 3**3, rel=1e-12)
    assert estimate.standard_error == pytest.approx(0, abs=1e-6)


def test_twice_the_same_images_are_below_zero() -> None:
    """For a set with itself, pairs of an image with itself count only between the sets, so KID is negative."""
    data = features(30, 8)
    excess = np.mean([(float(x @ x) / 8 + 1) ** 3 for x in data])
    pairs = naive(data, torch.zeros(2, 8)) + 1  # k(x, 0) is 1 for every x, so this is the mean over pairs of reals.
    assert kid(data, data).value == pytest.approx(2 * (pairs - (29 * pairs + excess) / 30), rel=1e-9)
    assert kid(data, data).value < 0


@cache
def limit(shift: float) -> float:
    """KID of many images of these distributions."""
    return kid(features(4000, 32, 9001), features(4000, 32, 9002, shift=shift)).value


@pytest.mark.parametrize(
    ("shift", "n", "m", "options"),
    [
        (0.0, 60, 60, {}),
        (0.4, 60, 60, {}),
        (0.4, 90, 40, {}),
        (0.4, 60, 80, {"subsets": 10, "subset_size": 30}),
        (0.4, 60, 60, {"subsets": 8, "subset_size": 15}),
    ],
)
def test_standard_error_matches_the_spread_over_many_draws(
    shift: float, n: int, m: int, options: dict[str, int]
) -> None:
    """Whether the distributions differ or not, for unequal sizes, and for the mean over subsets.

    A spread from 160 draws is known to 5.6%, and by the same chance its centre is where it should be. Of equal
    distributions the error is a little large, because the part of the single images is never taken below zero.
    """
    estimates = [kid(features(n, 32, 2 * i), features(m, 32, 2 * i + 1, shift=shift), **options) for i in range(160)]
    values = torch.tensor([estimate.value for estimate in estimates])
    mean = float(torch.tensor([estimate.standard_error for estimate in estimates]).mean())
    assert float(values.std()) * 0.87 < mean < float(values.std()) * (1.15 if shift else 1.25)
    truth = limit(shift)
    inside = [estimate.interval[0] <= truth <= estimate.interval[1] for estimate in estimates if estimate.interval]
    assert 0.90 <= np.mean(inside) <= (0.98 if shift else 1.0)


def test_too_few_images_have_a_value_and_no_error() -> None:
    """With three images the variance has no estimate, and the method says so."""
    estimate = kid(features(3, 4, 1), features(9, 4, 2))
    assert math.isfinite(estimate.value)
    assert estimate.standard_error is None
    assert estimate.interval is None
    assert "fewer than 4 images" in estimate.method


def test_shorter_floats_are_widened() -> None:
    """float16 features, and sets of different types, give the number of the same values in float64."""
    real, fake = features(50, 8, 1).half(), features(60, 8, 2, shift=0.5).half()
    expected = kid(real.double(), fake.double()).value
    assert kid(real, fake).value == pytest.approx(expected, rel=1e-5)
    assert kid(real, fake.double()).value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("n", "d", "options", "message"),
    [
        (1, 4, {}, "at least 2 real and 2 fake images, found 1 and 9"),
        (9, 5, {}, "5 dimensions and fake ones 4"),
        (9, 4, {"subsets": 10}, "without subset_size; give both"),
        (9, 4, {"subset_size": 5}, "without subsets; give both"),
        (8, 4, {"subsets": 10, "subset_size": 9}, "8 real and 9 fake images: choose at least 1 subset of 2 to 8"),
        (8, 4, {"subsets": 10, "subset_size": 1}, "2 to 8 images"),
        (8, 4, {"subsets": 0, "subset_size": 5}, "at least 1 subset"),
    ],
)
def test_undefined_cases_are_refused_with_what_would_work(
    n: int, d: int, options: dict[str, int], message: str
) -> None:
    """Undefined input is an error that says what would work."""
    with pytest.raises(MetricError, match=message):
        kid(features(n, d), features(9, 4), **options)


def test_features_that_are_not_finite_are_refused() -> None:
    """Features that are not finite are refused on either side."""
    bad = torch.full((5, 4), math.nan)
    with pytest.raises(MetricError, match="5 of 5 images"):
        kid(bad, features(5, 4))
    with pytest.raises(MetricError, match="5 of 5 images"):
        kid(features(5, 4), bad)


def test_a_training_programs_autocast_changes_nothing() -> None:
    """Products stay float32 under autocast."""
    real, fake = features(30, 8, 1).float(), features(30, 8, 2, shift=0.3).float()
    expected = kid(real, fake)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert kid(real, fake) == expected
