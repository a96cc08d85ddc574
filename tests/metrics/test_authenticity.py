"""Authenticity: the definition, closed forms, ties and copies, honest errors."""

import math

import numpy as np
import pytest
import torch
from core_helpers import values_alone
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.authenticity import authenticity
from ganeval.uncertainty import SPLITS, random_halves


def features(n: int, d: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + shift


def naive(real: Tensor, fake: Tensor) -> float:
    """AuthPct by its definition, from all differences."""
    between = (fake.double()[:, None] - real.double()[None]).square().sum(2)
    own = (real.double()[:, None] - real.double()[None]).square().sum(2)
    own.fill_diagonal_(math.inf)
    closest = between.min(1)
    return 100 * float((own.min(1).values[closest.indices] < closest.values).double().mean())


@settings(max_examples=40)
@given(
    st.tuples(st.integers(4, 60), st.integers(2, 40), st.integers(1, 10), st.integers(0, 1000)),
    st.sampled_from(["plain", "integers", "copies", "half"]),
)
def test_value_is_the_definition(sizes: tuple[int, int, int, int], kind: str) -> None:
    """For ties, the first of equally near reals counts, and an equal distance is not smaller."""
    n, m, d, seed = sizes
    real, fake = features(n, d, seed), features(m, d, seed + 1, shift=0.2)
    if kind == "integers":
        real, fake = real.round(), fake.round()
    if kind == "copies":
        fake[: min(n, m) // 2] = real[: min(n, m) // 2]
        real[-1] = real[0]
    if kind == "half":
        real, fake = real.half(), fake.half()
    assert authenticity(real, fake).value == pytest.approx(naive(real, fake), rel=1e-12)


def test_copies_are_not_authentic_and_what_is_far_away_is() -> None:
    """The value is 0 for the reals and 100 for distant fakes, with a non-zero error for both."""
    real = features(50, 5, 0)
    copies, far = authenticity(real, real.clone()), authenticity(real, real + 100)
    assert (copies.value, far.value) == (0.0, 100.0)
    assert copies.interval is not None
    assert far.interval is not None
    assert copies.interval[0] == 0
    assert 5 < copies.interval[1] < 10
    assert 90 < far.interval[0] < 95
    assert far.interval[1] == 100


def test_neither_order_nor_rotation_matters() -> None:
    """Permuting both sets and rotating feature space leave the value unchanged."""
    real, fake = features(80, 6, 0).double(), features(60, 6, 1).double()
    rotation = torch.linalg.qr(features(6, 6, 2).double())[0]
    assert authenticity(real.flip(0) @ rotation, fake.flip(0) @ rotation).value == authenticity(real, fake).value


def test_error_is_made_of_the_halves_own_values() -> None:
    """Half values from the full neighbour lists equal those computed on the halves."""
    real, fake = features(13, 3, 0), features(30, 3, 1)
    squares = []
    for halves in random_halves((13, 30), seed=4):
        one, other = (naive(real[torch.from_numpy(x)], fake[torch.from_numpy(y)]) for x, y in halves)
        squares.append((one - other) ** 2)
    assert len(squares) == SPLITS
    expected = math.sqrt(float(np.mean(squares))) / 2
    assert authenticity(real, fake, seed=4).standard_error == pytest.approx(expected, rel=1e-9)


def test_error_matches_the_spread_over_many_draws() -> None:
    """The error matches the spread, where a binomial error would be far too small."""
    sets = [(features(200, 4, 2 * i), features(400, 4, 2 * i + 1, shift=0.3)) for i in range(100)]
    with values_alone():
        draws = [authenticity(*pair) for pair in sets]
    spread = float(np.std([draw.value for draw in draws], ddof=1))
    error = float(np.mean([authenticity(*pair).standard_error for pair in sets[:20]]))
    # A spread of 100 draws is known to 7%; three of these.
    assert error == pytest.approx(spread, rel=0.21)
    share = draws[0].value / 100
    assert 100 * math.sqrt(share * (1 - share) / 400) < 0.7 * spread


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (torch.ones(3, 4), torch.ones(9, 4), "at least 4 real and 2 fake images, found 3 and 9"),
        (torch.ones(9, 4), torch.ones(1, 4), "found 9 and 1"),
        (torch.ones(9, 4), torch.ones(9, 3), "4 dimensions and fake ones 3"),
        (torch.ones(9, 4), torch.full((9, 4), math.nan), "9 of 9 images have NaN"),
    ],
)
def test_undefined_input_is_refused_with_the_reason(real: Tensor, fake: Tensor, message: str) -> None:
    """Undefined input is an error with a reason."""
    with pytest.raises(MetricError, match=message):
        authenticity(real, fake)
