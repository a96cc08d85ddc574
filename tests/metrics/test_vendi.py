"""Vendi score: its definition, copies, orthogonal images, orders, and its standard error."""

import math
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from vendi_score import vendi as peer

from ganeval import linalg
from ganeval.errors import MetricError
from ganeval.metrics.vendi import vendi

vendi_module = import_module("ganeval.metrics.vendi")


def features(n: int, d: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.randn(n, d, generator=rng, dtype=torch.float64) + 0.3).relu() + 0.01


def naive(fake: Tensor, order: float) -> float:
    """By the matrix of all cosines, in numpy."""
    rows = fake.double().numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(rows @ rows.T / len(rows))
    values = values[values > 1e-12]
    if order == 1:
        return float(np.exp(-np.sum(values * np.log(values))))
    if order == math.inf:
        return float(1 / values.max())
    return float(np.sum(values**order) ** (1 / (1 - order)))


@settings(max_examples=40)
@given(st.integers(2, 30), st.integers(1, 12), st.sampled_from([1.0, 0.5, 2.0, 3.5, math.inf]), st.integers(0, 1000))
def test_vendi_is_its_definition(n: int, d: int, order: float, seed: int) -> None:
    """With more and with fewer images than dimensions, for every order."""
    fake = features(n, d, seed)
    estimate = vendi(fake, order=order)
    assert estimate.value == pytest.approx(naive(fake, order), rel=1e-8)
    if n == 2:
        assert (estimate.standard_error, estimate.interval) == (None, None)
        assert "no error bar" in estimate.method
    else:
        assert estimate.interval is not None
        assert 1 <= estimate.interval[0] <= estimate.interval[1] <= n


@pytest.mark.parametrize(("n", "d"), [(120, 16), (30, 64)])
@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, math.inf])
def test_vendi_is_the_authors_number(n: int, d: int, order: float) -> None:
    """The vendi-score package on the same float64 features; it decomposes X'X, whose zeros weigh 1e-8 at order 0.5."""
    fake = features(n, d, 5)
    expected = peer.score_dual(fake.numpy(), q="inf" if order == math.inf else order)
    assert vendi(fake, order=order).value == pytest.approx(expected, rel=1e-6 if order < 1 else 1e-10)


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, math.inf])
def test_images_at_right_angles_all_count(order: float) -> None:
    """n orthogonal images score n, k distinct ones with any repetitions score k, and copies of one score 1."""
    assert vendi(torch.eye(7), order=order).value == pytest.approx(7, rel=1e-9)
    assert vendi(torch.eye(7)[:3].repeat(5, 1), order=order).value == pytest.approx(3, rel=1e-9)
    alike = vendi(torch.ones(40, 7), order=order)
    assert alike.value == pytest.approx(1, rel=1e-9)
    assert alike.standard_error == pytest.approx(0, abs=1e-6)


def test_two_directions_are_the_closed_form() -> None:
    """Two images at cosine c have the eigenvalues (1 +- c) / 2."""
    c = 0.3
    fake = torch.tensor([[1.0, 0.0], [c, math.sqrt(1 - c * c)]], dtype=torch.float64)
    p, q = (1 + c) / 2, (1 - c) / 2
    assert vendi(fake).value == pytest.approx(math.exp(-p * math.log(p) - q * math.log(q)), rel=1e-12)


def test_orders_fall() -> None:
    """The higher the order, the lower the score; it is continuous at 1."""
    fake = features(300, 12, 1)
    scores = [vendi(fake, order=order).value for order in (0.1, 0.5, 1.0, 2.0, 10.0, math.inf)]
    assert scores == sorted(scores, reverse=True)
    for near in (0.9999, 1.0001):
        estimate, shannon = vendi(fake, order=near), vendi(fake)
        assert estimate.value == pytest.approx(shannon.value, rel=1e-3)
        assert estimate.standard_error == pytest.approx(shannon.standard_error, rel=1e-3)


@pytest.mark.parametrize(("n", "d"), [(80, 12), (20, 40)])
def test_order_scale_rotation_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, n: int, d: int) -> None:
    """The score is invariant up to rounding: it depends on the directions of the images only."""
    fake = features(n, d, 1)
    rng = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(d, d, generator=rng, dtype=torch.float64))[0]
    value = vendi(fake).value
    monkeypatch.setattr(linalg, "CHUNK", 7)
    for other in (fake.flip(0), fake @ rotation, fake * torch.rand(n, 1, generator=rng).add(0.1)):
        assert vendi(other).value == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0])
def test_the_influence_is_the_derivative_with_respect_to_weights(order: float) -> None:
    """An image of weight 1 + h moves the score by h / n times its influence, as numerical derivatives do."""
    n, step = 150, 1e-4
    fake = features(n, 4, 3)
    rows = (fake / fake.norm(dim=1, keepdim=True)).numpy()

    def value(index: int, h: float) -> float:
        weights = np.ones(n)
        weights[index] += h
        values = np.linalg.eigvalsh(rows.T @ (rows * (weights / weights.sum())[:, None]))
        if order == 1:
            return float(np.exp(-np.sum(values * np.log(values))))
        return float(np.sum(values**order) ** (1 / (1 - order)))

    influences = np.array([(value(i, step) - value(i, -step)) / (2 * step) * n for i in range(n)])
    estimate = vendi(fake, order=order)
    assert estimate.method == "influence function"
    assert estimate.standard_error == pytest.approx(influences.std(ddof=1) / math.sqrt(n), rel=1e-5)


@pytest.mark.parametrize(
    ("n", "d", "order", "most"),
    [
        (300, 8, 1.0, 1.15),
        (60, 64, 2.0, 1.2),
        (60, 8, 1.0, 1.3),
        (30, 64, 0.5, 1.4),
    ],
)
def test_standard_error_matches_the_spread_over_many_draws(
    n: int, d: int, order: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of 40 draws agrees with the spread of 200, known to 5%; the jackknife's is conservative."""
    errors = [vendi(features(n, d, seed), order=order).standard_error for seed in range(40)]
    monkeypatch.setattr(vendi_module, "GROUPS", 2)
    spread = float(np.std([vendi(features(n, d, seed), order=order).value for seed in range(200)]))
    mean = float(np.mean([error for error in errors if error is not None]))
    assert 0.87 * spread < mean < most * spread


def test_the_jackknife_is_seeded_and_leaves_the_value_alone() -> None:
    """The same seed gives the same groups; another seed changes only the error, by little."""
    fake = features(100, 64, 1)
    first, again, other = (vendi(fake, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert "jackknife over 40 groups" in first.method
    assert first.value == other.value
    assert first.standard_error != other.standard_error
    assert first.standard_error == pytest.approx(other.standard_error, rel=0.5)


def test_few_images_are_pointed_out() -> None:
    """A score near the number of images has a note with both numbers."""
    (note,) = vendi(torch.eye(20)).notes
    assert "20 images for an effective number of 20" in note
    assert vendi(features(300, 4)).notes == ()


def test_float16_features_are_widened() -> None:
    """The number is that of the same values in float32."""
    fake = features(60, 8).half()
    assert vendi(fake).value == pytest.approx(vendi(fake.float()).value, rel=1e-12)
    assert vendi(fake).value == pytest.approx(vendi(fake.double()).value, rel=1e-6)


@pytest.mark.parametrize(
    ("fake", "order", "message"),
    [
        (torch.ones(1, 4), 1.0, "at least 2 images, found 1"),
        (torch.full((5, 4), math.nan), 1.0, "5 of 5 images"),
        (torch.eye(5)[:, :4], 1.0, "1 of 5 images have features of zeros only"),
        (torch.ones(5, 4), 0.0, "order must be above 0, found 0"),
        (torch.ones(5, 4), math.nan, "order.* must be a number, found NaN"),
    ],
)
def test_undefined_cases_are_refused(fake: Tensor, order: float, message: str) -> None:
    """Undefined input is an error."""
    with pytest.raises(MetricError, match=message):
        vendi(fake, order=order)
