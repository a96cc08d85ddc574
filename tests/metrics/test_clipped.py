"""Clipped density and coverage: the definitions, the authors' values, the inverse map, and honest errors."""

import itertools
import math
from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest
import torch
from core_helpers import values_alone
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval import distances
from ganeval.errors import MetricError
from ganeval.metrics import clipped, cover
from ganeval.metrics.clipped import NAMES, expected_coverage, good_share


def features(n: int, d: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + shift


def values(real: Tensor, fake: Tensor, *, k: int = 5) -> dict[str, float]:
    return {name: estimate.value for name, estimate in clipped(real, fake, k=k).items()}


def naive_expected(k: int, n: int, m: int) -> Fraction:
    """By the paper's sum, in whole numbers."""
    if m < k:
        return Fraction(0)

    def beta(a: int, b: int) -> Fraction:
        return Fraction(factorial(a - 1) * factorial(b - 1), factorial(a + b - 1))

    terms = (min(j, k) * comb(m, j) * beta(k + j, n - k + m - j) for j in range(1, m + 1))
    return sum(terms, Fraction(0)) / beta(k, n - k) / k


def naive(real: Tensor, fake: Tensor, k: int) -> dict[str, float]:
    """By the definitions, from all distances in float64."""
    x, y = real.double().numpy(), fake.double().numpy()
    among = np.square(x[:, None] - x).sum(-1)
    np.fill_diagonal(among, np.inf)
    across = np.square(x[:, None] - y).sum(-1)
    radii = np.sort(among, 1)[:, k - 1]
    limit = np.minimum(radii, np.median(np.sqrt(radii)) ** 2)
    tied = 1 + 1e-12

    def density(squares: np.ndarray) -> float:
        return float(np.minimum((squares <= limit[:, None] * tied).sum(0), k).mean()) / k

    raw = Fraction(int(np.minimum((across < radii[:, None] / tied).sum(1), k).sum()), k * len(x))
    coverage = naive_good(raw, k, len(x), len(y)) / (len(y) + 1)
    return {"clipped_density": min(1.0, density(across) / density(among)), "clipped_coverage": coverage}


def naive_good(raw: Fraction, k: int, n: int, m: int) -> int:
    """The smallest number of good fakes that are expected to cover as much, by whole numbers; m + 1 if none does."""
    return next((good for good in range(m + 1) if naive_expected(k, n, good) >= raw), m + 1)


@settings(max_examples=30)
@given(
    st.tuples(st.integers(7, 25), st.integers(7, 25), st.integers(1, 6), st.integers(1, 5), st.integers(0, 1000)),
    st.sampled_from(["plain", "integers", "copies"]),
    st.sampled_from([40, 1 << 24]),
)
def test_values_are_the_definitions(sizes: tuple[int, int, int, int, int], kind: str, tile_bytes: int) -> None:
    """Values agree with the definitions for plain features, ties and copies, for every tile size."""
    n, m, d, k, seed = sizes
    real, fake = features(n, d, seed), features(m, d, seed + 1, scale=0.8)
    if kind == "integers":
        real, fake = real.round(), fake.round()
    if kind == "copies":
        fake[: min(n, m) // 2] = real[: min(n, m) // 2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "TILE_BYTES", tile_bytes)
        with values_alone():
            found = values(real, fake, k=k)
        assert found == pytest.approx(naive(real, fake, k), rel=1e-12)


@pytest.mark.parametrize("n", [7, 8, 12])
def test_equal_fractions_are_equal(n: int) -> None:
    """Where a coverage is exactly the expected one, rounding must not ask for one fake more."""
    equal = 0
    for k, m in itertools.product((1, 2, 5), (7, 15)):
        expected = expected_coverage(k, n, m)
        for covered in range(n * k + 1):
            raw = Fraction(covered, n * k)
            good = naive_good(raw, k, n, m)
            equal += 0 < good <= m and naive_expected(k, n, good) == raw
            # As the mean of the counts, divided by k.
            assert good_share(covered / n / k, expected) == good / (m + 1)
    assert equal > 3


def test_values_are_those_of_the_authors_code() -> None:
    """On a fixed pair of sets the values are those that nicolassalvy/ClippedDensityCoverage gave."""
    real = torch.from_numpy(np.random.RandomState(0).randn(500, 16))
    fake = torch.from_numpy(np.random.RandomState(1).randn(400, 16) * 1.2 + 0.5)
    found = clipped(real, fake)
    # Their values are known to six digits.
    assert found["clipped_density"].value == pytest.approx(0.254255, abs=5e-7)
    assert found["clipped_coverage"].value == pytest.approx(0.236908, abs=5e-7)
    assert found["clipped_coverage"].details["raw"] == pytest.approx(0.1892, rel=1e-12)


@pytest.mark.parametrize(("k", "reals", "fakes"), [(1, 2, 9), (3, 10, 30), (5, 40, 60)])
def test_the_expected_coverage_is_the_papers_sum(k: int, reals: int, fakes: int) -> None:
    """Each value agrees with the sum of exact fractions to float64's precision."""
    found = expected_coverage(k, reals, fakes)
    assert found.tolist() == pytest.approx([float(naive_expected(k, reals, m)) for m in range(fakes + 1)], rel=1e-12)


def test_the_expected_coverage_of_many_images_is_exact() -> None:
    """At 50,000 images it rises, and agrees with the beta-binomial distribution, to a relative error of 1e-9."""
    from scipy.stats import betabinom

    found = expected_coverage(5, 50_000, 50_000)
    assert (np.diff(found[5:]) > 0).all()
    inside = np.arange(5)
    for good in (5, 100, 20_000, 50_000):
        # scipy's own terms are accurate to about 1e-11, of which 1 - sum keeps less where few are inside.
        missing = ((5 - inside) * betabinom.pmf(inside, good, 5, 49_995)).sum() / 5
        assert found[good] == pytest.approx(1 - missing, rel=1e-6 if good < 1000 else 1e-9)


def test_the_inverse_gives_the_number_of_good_fakes() -> None:
    """What is expected of m good fakes is mapped to m of M + 1."""
    expected = expected_coverage(5, 300, 200)
    assert [good_share(expected[m], expected) for m in (5, 77, 200)] == [m / 201 for m in (5, 77, 200)]
    assert good_share(0.0, expected) == 0
    assert good_share(1.0, expected) == 1


@pytest.mark.parametrize("bad", [0.0, 0.3, 0.7])
def test_values_are_the_share_of_good_fakes(bad: float) -> None:
    """With a share of fakes far away, both values are the rest, within three standard errors and a small bias."""
    real, fake = features(1000, 8, 0), features(1000, 8, 1)
    fake[: round(bad * len(fake))] += 100
    for estimate in clipped(real, fake).values():
        assert estimate.standard_error is not None
        assert estimate.value == pytest.approx(1 - bad, abs=3 * estimate.standard_error + 0.01)


def test_errors_match_the_spread_over_many_draws() -> None:
    """For overlapping sets the mean error, of 15 draws, is the spread of 60."""
    sets = [(features(120, 6, 2 * i), features(120, 6, 2 * i + 1, shift=0.6)) for i in range(60)]
    with values_alone():
        draws = [clipped(*pair) for pair in sets]
    some = [clipped(*pair) for pair in sets[:15]]
    for name in NAMES:
        spread = float(np.std([draw[name].value for draw in draws], ddof=1))
        error = float(np.mean([draw[name].standard_error for draw in some]))
        # The spread of 60 draws is known to a tenth; halves are off by up to a quarter, as variance is not quite 1 / n.
        assert 0.7 * spread < error < 1.4 * spread


def test_errors_are_made_of_the_halves_own_values() -> None:
    """Half values of the density, from the full neighbour lists, equal those computed on the halves."""
    real, fake = features(61, 5, 0), features(52, 5, 1, scale=0.8, shift=0.5)
    rngs, square = [np.random.RandomState([3, side]) for side in (0, 1)], 0.0
    for _ in range(40):
        x, y = (
            torch.from_numpy(rng.permutation(len(side)) < len(side) // 2)
            for rng, side in zip(rngs, (real, fake), strict=True)
        )
        with values_alone():
            one, other = (
                clipped(real[of_real], fake[of_fake], k=3)["clipped_density"].details
                for of_real, of_fake in ((x, y), (~x, ~y))
            )
        square += (one["fakes"] / one["reals"] - other["fakes"] / other["reals"]) ** 2 / 40
    found = clipped(real, fake, k=3, seed=3)["clipped_density"]
    assert found.standard_error == pytest.approx(math.sqrt(square) / 2, rel=1e-9)


def test_no_error_bar_where_it_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small halves, or too many pairs: the value is given without an error, and the method says why."""
    small = clipped(features(10, 3, 0), features(12, 3, 1))["clipped_density"]
    assert small.standard_error is None
    assert "halves of 10 images have too few images for k = 5" in small.method
    real, fake = features(60, 6, 0), features(50, 6, 1)
    expected = values(real, fake)
    monkeypatch.setattr(cover, "PAIRS", 100)
    found = clipped(real, fake)
    assert {name: estimate.value for name, estimate in found.items()} == expected
    assert all(estimate.interval is None and "more than 100 pairs" in estimate.method for estimate in found.values())


def test_undefined_input_is_refused_with_what_would_work() -> None:
    """Too few images for the radius are refused."""
    with pytest.raises(MetricError, match="choose a k of 1 to 4"):
        clipped(torch.ones(5, 4), torch.ones(9, 4))
