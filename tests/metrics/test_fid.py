"""Fréchet distance and FID: closed forms, the dense definition, and the few-images identities."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.fid import fid, frechet_distance
from ganeval.metrics.moments import Moments


def naive(real: Tensor, fake: Tensor, *, ddof: int = 1) -> float:
    """FID by its definition: numpy covariances and the eigenvalues of their product."""
    x, y = real.double().numpy(), fake.double().numpy()
    s1, s2 = np.cov(x, rowvar=False, ddof=ddof), np.cov(y, rowvar=False, ddof=ddof)
    roots = np.sqrt(np.linalg.eigvals(s1 @ s2).astype(complex)).real
    gap = x.mean(0) - y.mean(0)
    return float(gap @ gap + np.trace(s1) + np.trace(s2) - 2 * roots.sum())


def exact(real: Tensor, fake: Tensor) -> float:
    """The same with 60 digits, from the dense definition."""
    with mpmath.workdps(60):
        x, y = (mpmath.matrix(data.double().tolist()) for data in (real, fake))
        (m1, s1), (m2, s2) = (_moments(data) for data in (x, y))
        values, _ = mpmath.eig(s1 * s2)
        root = sum(mpmath.sqrt(max(mpmath.re(value), 0)) for value in values)
        gap = m1 - m2
        trace = sum(s1[i, i] + s2[i, i] for i in range(s1.rows))
        return float((gap * gap.T)[0] + trace - 2 * root)


def _moments(x: mpmath.matrix) -> tuple[mpmath.matrix, mpmath.matrix]:
    n, d = x.rows, x.cols
    mean = mpmath.matrix([[sum(x[i, j] for i in range(n)) / n for j in range(d)]])
    centred = mpmath.matrix(n, d)
    for i in range(n):
        for j in range(d):
            centred[i, j] = x[i, j] - mean[j]
    return mean, centred.T * centred / (n - 1)


def features(n: int, d: int, seed: int = 0, *, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=rng) / math.sqrt(d)
    return (torch.randn(n, d, generator=rng) @ mix * scale + shift).relu() + 0.05 * torch.randn(n, d, generator=rng)


def test_distance_of_commuting_gaussians_is_the_closed_form() -> None:
    """For diagonal covariances the distance is the sum of squared differences of means and standard deviations."""
    a, b = torch.tensor([1.0, 4.0, 9.0]), torch.tensor([4.0, 4.0, 1.0])
    value = frechet_distance(torch.zeros(3), a.diag(), torch.tensor([1.0, 2.0, 2.0]), b.diag())
    assert value == pytest.approx(9 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2, rel=1e-14)


def test_distance_of_two_by_two_covariances_is_the_closed_form() -> None:
    """tr (S1 S2)^(1/2) = sqrt(tr(S1 S2) + 2 sqrt(det S1 S2)) in two dimensions, also when they do not commute."""
    s1, s2 = torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double(), torch.tensor([[1.0, -0.7], [-0.7, 3.0]]).double()
    root = math.sqrt(float((s1 @ s2).trace()) + 2 * math.sqrt(float(torch.det(s1) * torch.det(s2))))
    expected = float(s1.trace() + s2.trace()) - 2 * root
    assert frechet_distance(torch.zeros(2), s1, torch.zeros(2), s2) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("n", "m", "d"), [(60, 80, 12), (5, 80, 12), (80, 5, 12), (6, 9, 12), (2, 2, 12), (12, 13, 12)]
)
def test_fid_equals_the_dense_formula_in_high_precision(n: int, m: int, d: int) -> None:
    """For any number of images relative to the dimensions, the value is the definition's to 1e-10 relative."""
    real, fake = features(n, d, 1), features(m, d, 2, scale=1.2)
    assert fid(real, fake).value == pytest.approx(exact(real, fake), rel=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 20), st.integers(0, 10_000))
def test_fid_is_symmetric_and_close_to_the_naive_way(n: int, m: int, d: int, seed: int) -> None:
    """Exchanging the sets changes neither value nor standard error, and the naive way agrees to its own rounding."""
    real, fake = features(n, d, seed), features(m, d, seed + 1, shift=0.3)
    there, back = fid(real, fake), fid(fake, real)
    assert there.value == pytest.approx(back.value, rel=1e-9, abs=1e-9)
    assert there.standard_error == pytest.approx(back.standard_error, rel=1e-6, abs=1e-9)
    if d > 1:
        # Roots of rounding-level eigenvalues: sqrt(1e-16) a zero eigenvalue.
        assert there.value == pytest.approx(naive(real, fake), abs=1e-6 * max(1.0, there.value))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 50), st.integers(1, 20), st.integers(0, 10_000), st.sampled_from(["plain", "dead", "twice"]))
def test_fid_of_a_set_with_itself_is_zero(n: int, d: int, seed: int, kind: str) -> None:
    """To 1e-6 of the spread, also with dead dimensions and repeated images."""
    data = features(n, d, seed)
    if kind == "dead":
        data[:, d // 2 :] = 3.0
    if kind == "twice":
        data = data.repeat(2, 1)
    assert fid(data, data).value <= 1e-6 * max(1.0, float(data.var(0).sum()))


def test_fid_does_not_depend_on_the_order_of_images() -> None:
    """A permutation of either set changes the value by rounding alone."""
    real, fake = features(300, 20, 1), features(200, 20, 2)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    assert fid(real[order], fake).value == pytest.approx(fid(real, fake).value, rel=1e-11)


def test_fid_does_not_depend_on_a_rotation_of_feature_space() -> None:
    """An orthogonal map applied to both sets leaves the distance unchanged."""
    real, fake = features(300, 20, 1).double(), features(200, 20, 2).double()
    rotation = torch.linalg.qr(torch.randn(20, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    assert fid(real @ rotation, fake @ rotation).value == pytest.approx(fid(real, fake).value, rel=1e-10)


def test_ddof_zero_is_the_population_covariance() -> None:
    """StyleGAN's covariance is over n."""
    real, fake = features(60, 8, 1), features(90, 8, 2)
    assert fid(real, fake, ddof=0).value == pytest.approx(naive(real, fake, ddof=0), rel=1e-9)


@pytest.mark.parametrize("count", [10, 200])
def test_stored_moments_give_the_same_value_and_no_noise_of_their_own(count: int) -> None:
    """Moments as the reference change the value by rounding, and the error is then only that of the fakes."""
    real, fake = features(300, 20, 1), features(count, 20, 2)
    full, stored = fid(real, fake), fid(Moments.of(real).gaussian(), fake)
    assert stored.value == pytest.approx(full.value, rel=1e-9)
    assert full.standard_error is not None
    assert stored.standard_error is not None
    assert 0 < stored.standard_error < full.standard_error


def test_two_stored_sets_have_no_error_bar() -> None:
    """Without images there is no error bar, and the method says so."""
    gaussians = [Moments.of(features(300, 5, seed)).gaussian() for seed in (1, 2)]
    estimate = fid(*gaussians)
    assert estimate.standard_error is None
    assert estimate.interval is None
    assert "no images" in estimate.method


@pytest.mark.parametrize(("n", "d"), [(24, 40), (60, 40)])
def test_standard_error_is_the_derivative_with_respect_to_weights(n: int, d: int) -> None:
    """An image of weight 1 + h moves FID by h / n times its influence: the infinitesimal jackknife, numerically."""
    real, fake = features(n, d, 1).double(), features(n + 10, d, 2, scale=1.3).double()
    fixed, step = Moments.of(fake).gaussian(ddof=0), 1e-4

    def value(index: int, h: float) -> float:
        weights = torch.ones(n, dtype=torch.float64)
        weights[index] += h
        weights /= weights.sum()
        centred = real - weights @ real
        covariance = centred.T @ (centred * weights[:, None])
        return frechet_distance(weights @ real, covariance, fixed.mean, fixed.covariance)

    influences = torch.tensor([(value(i, step) - value(i, -step)) / (2 * step) * n for i in range(n)])
    # Central differences are off by step^2; the trace's square root bends most where eigenvalues are small.
    assert fid(real, fixed, ddof=0).standard_error == pytest.approx(math.sqrt(float(influences.var()) / n), rel=1e-3)


def test_standard_error_matches_the_spread_over_many_draws() -> None:
    """For different distributions the mean standard error is the spread over draws, within the noise of 200 of them."""
    rng = torch.Generator().manual_seed(7)

    def draw(n: int, shift: float) -> Tensor:
        return (torch.randn(n, 6, generator=rng) + shift).relu()

    estimates = [fid(draw(300, 0.0), draw(300, 0.8)) for _ in range(200)]
    values = torch.tensor([estimate.value for estimate in estimates])
    errors = torch.tensor([estimate.standard_error for estimate in estimates])
    # A standard deviation from 200 draws is known to 1 / sqrt(400) = 5%; three of these.
    assert float(errors.mean()) == pytest.approx(float(values.std()), rel=0.15)


def test_few_images_are_pointed_out() -> None:
    """Fewer than ten images per dimension give a note with both numbers."""
    (note,) = fid(features(10, 20, 1), features(300, 20, 2)).notes
    assert "10 images" in note
    assert "20 dimensions" in note
    (note,) = fid(features(100, 20, 1), features(300, 20, 2)).notes
    assert "biased upwards" in note
    assert fid(features(200, 20, 1), features(200, 20, 2)).notes == ()


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (torch.ones(1, 4), torch.ones(5, 4), "at least 2 real images, found 1"),
        (torch.ones(5, 4), torch.full((5, 4), math.nan), "5 of 5 images have NaN"),
        (torch.ones(5, 4), torch.tensor([[1.0], [math.inf]]).expand(2, 4), "1 of 2 images have NaN or infinite"),
        (torch.ones(5, 4), torch.ones(5, 3), "4 dimensions and fake ones 3"),
        (torch.ones(5), torch.ones(5), r"\[images, dimensions\]"),
        (torch.ones(5, 4, dtype=torch.long), torch.ones(5, 4), "floating point"),
    ],
)
def test_undefined_input_is_refused_with_the_reason(real: Tensor, fake: Tensor, message: str) -> None:
    """Undefined input is an error with a reason."""
    with pytest.raises(MetricError, match=message):
        fid(real, fake)


def test_constant_features_are_exact() -> None:
    """The distance of two point masses is the squared distance of their means."""
    assert fid(torch.zeros(5, 4), torch.ones(7, 4)).value == pytest.approx(4.0, abs=1e-12)


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (torch.tensor([[1.0, 0.5], [0.0, 1.0]]), "not symmetric"),
        (torch.tensor([[1.0, 2.0], [2.0, 1.0]]), "smallest eigenvalue is -"),
        (torch.tensor([[math.nan, 0.0], [0.0, 1.0]]), "NaN"),
        (torch.eye(3), r"\[D, D\]"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance: Tensor, message: str) -> None:
    """A matrix that is not a covariance is an error, and is not repaired silently."""
    with pytest.raises(MetricError, match=message):
        frechet_distance(torch.zeros(2), torch.eye(2), torch.zeros(2), covariance)


@pytest.mark.parametrize("dimensions", [1, 3, 20])
@pytest.mark.parametrize("samples", [2, 40])
def test_moments_in_numpy_have_the_distance_that_sqrtm_gives(dimensions: int, samples: int) -> None:
    """The distance of random, also singular, moments agrees in numpy and torch, for every float type."""
    rng = np.random.RandomState(dimensions + samples)
    first, second = rng.randn(samples, dimensions), 2 * rng.randn(samples + 1, dimensions) + 1
    moments = [
        part for rows in (first, second) for part in (rows.mean(0), np.cov(rows, rowvar=False).reshape(-1, dimensions))
    ]
    gap, root = moments[0] - moments[2], scipy.linalg.sqrtm((moments[1] @ moments[3]).astype(complex)).real
    expected = gap @ gap + np.trace(moments[1]) + np.trace(moments[3]) - 2 * np.trace(root)
    # Of a singular product sqrtm knows half the digits.
    tolerance = 1e-9 if samples > dimensions else 1e-5
    assert frechet_distance(*moments) == pytest.approx(expected, rel=tolerance, abs=tolerance)
    assert frechet_distance(*map(torch.from_numpy, moments)) == frechet_distance(*moments)
    halves = [part.astype(np.float32) for part in moments]
    assert frechet_distance(*halves) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("mean", "covariance", "message"),
    [
        (np.zeros((2, 1)), np.eye(2), r"must be \[D\] and its covariance \[D, D\], found \[2, 1\] and \[2, 2\]"),
        (np.zeros(0), np.zeros((0, 0)), r"found \[0\]"),
        (np.zeros(3), np.eye(3), "2 and 3 dimensions"),
        (np.zeros(2), np.full((2, 2), np.nan), "NaN or infinity"),
        (np.zeros(2), np.array([[1.0, 0.1], [0.0, 1.0]]), "second covariance is not symmetric"),
        (
            np.zeros(2),
            np.array([[1.0, 3.0], [3.0, 1.0]]),
            "second covariance is not .* smallest eigenvalue is -2, its largest 4",
        ),
        (
            np.zeros(2, complex),
            np.eye(2),
            "second mean must be a dense array or tensor of real numbers, found complex128",
        ),
        ([0.0, 0.0], np.eye(2), "found list"),
        (torch.zeros(2, device="meta"), np.eye(2), "found torch.float32"),
        (torch.zeros(2), torch.eye(2).to_sparse(), "second covariance must be a dense"),
    ],
)
def test_moments_are_checked(mean: Any, covariance: Any, message: str) -> None:
    """Shapes, symmetry, positive semidefiniteness and finite real numbers, of either side, by name."""
    with pytest.raises(MetricError, match=message):
        frechet_distance(np.zeros(2), np.eye(2), mean, covariance)


@pytest.mark.parametrize("scale", [1e-80, 1e-40, 1e40, 1e76, 1e80, 1e120])
@pytest.mark.parametrize("count", [4, 40])
def test_fid_of_features_of_any_size_is_scaled(scale: float, count: int) -> None:
    """Features scaled by c have c squared times the FID and error, even if products of covariances overflow."""
    real, fake = torch.randn(count, 6, dtype=torch.float64), torch.randn(count + 1, 6, dtype=torch.float64) + 1
    one, many = fid(real, fake), fid(real * scale, fake * scale)
    assert many.value / scale**2 == pytest.approx(one.value, rel=1e-9)
    assert many.standard_error / scale**2 == pytest.approx(one.standard_error, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-150, 1e80, 1e150])
def test_moments_of_any_size_are_scaled(scale: float) -> None:
    """The distance of moments keeps its digits even if the product of the covariances overflows."""
    one, other = np.diag([1.0, 2.0, 3.0]), np.diag([3.0, 1.0, 5.0])
    found = frechet_distance(np.zeros(3), one * scale, np.zeros(3), other * scale)
    assert found / scale == pytest.approx(((np.sqrt(np.diag(one)) - np.sqrt(np.diag(other))) ** 2).sum(), rel=1e-12)


def test_what_float64_cannot_hold_is_refused() -> None:
    """An overflow is an error, not an infinite value or a solver's error."""
    with pytest.raises(MetricError, match="exceed the range of float64"):
        frechet_distance(np.full(2, 1e200), np.eye(2), np.zeros(2), np.eye(2))
    with pytest.raises(MetricError, match="exceed the range of float64"):
        fid(torch.randn(9, 3, dtype=torch.float64) * 1e160, torch.randn(9, 3, dtype=torch.float64))


def test_float16_and_float64_features_agree() -> None:
    """Half-precision features are widened before anything is summed."""
    real, fake = features(50, 8, 1).half(), features(50, 8, 2).half()
    assert fid(real, fake).value == pytest.approx(fid(real.double(), fake.double()).value, rel=1e-12)
