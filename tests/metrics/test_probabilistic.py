"""P-precision and P-recall: the definition, the authors' values, copies, and honest errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganeval import distances
from ganeval.errors import MetricError
from ganeval.metrics import probabilistic
from ganeval.metrics.probabilistic import NAMES


def features(n: int, d: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + shift


def values(real: Tensor, fake: Tensor, *, k: int = 4) -> dict[str, float]:
    return {name: estimate.value for name, estimate in probabilistic(real, fake, k=k).items()}


def naive(real: Tensor, fake: Tensor, k: int) -> dict[str, float]:
    """By the definition, from all distances in float64."""
    x, y = real.double().numpy(), fake.double().numpy()

    def supported(by: np.ndarray, rows: np.ndarray) -> float:
        among = np.sqrt(np.square(by[:, None] - by).sum(-1))
        np.fill_diagonal(among, np.inf)
        radius = 1.2 * np.sort(among, 1)[:, k - 1].mean()
        across = np.sqrt(np.square(by[:, None] - rows).sum(-1))
        return float(1 - np.minimum(across / radius, 1).prod(0).mean())

    return {"p_precision": supported(x, y), "p_recall": supported(y, x)}


@settings(max_examples=30)
@given(
    st.tuples(st.integers(7, 40), st.integers(7, 40), st.integers(1, 30), st.integers(1, 5), st.integers(0, 1000)),
    st.sampled_from(["plain", "copies", "near copies"]),
    st.sampled_from([400, 1 << 24]),
)
def test_values_are_the_definition(sizes: tuple[int, int, int, int, int], kind: str, tile_bytes: int) -> None:
    """Values agree with the definition for plain features and copies, for every tile size."""
    n, m, d, k, seed = sizes
    real, fake = features(n, d, seed), features(m, d, seed + 1, scale=0.8)
    if kind != "plain":
        fake[: min(n, m) // 2] = real[: min(n, m) // 2] + (1e-4 if kind == "near copies" else 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "TILE_BYTES", tile_bytes)
        # Squared distances are of float32.
        assert values(real, fake, k=k) == pytest.approx(naive(real, fake, k), rel=2e-5)


def test_values_are_those_of_the_authors_code() -> None:
    """On a fixed pair of sets the values are those that kdst-team/Probablistic_precision_recall gave."""
    real = torch.from_numpy(np.random.RandomState(0).randn(500, 16))
    fake = torch.from_numpy(np.random.RandomState(1).randn(400, 16) * 1.2 + 0.5)
    # Their values are known to six digits.
    assert values(real, fake) == pytest.approx({"p_precision": 0.305005, "p_recall": 0.894767}, abs=1e-6)


def test_p_precision_and_p_recall_trade_places_with_the_sets() -> None:
    """P-recall of B by A equals P-precision of A by B, with its error."""
    real, fake = features(50, 6, 0), features(70, 6, 1, scale=0.7)
    there, back = probabilistic(real, fake), probabilistic(fake, real)
    for name, other in zip(NAMES, NAMES[::-1], strict=True):
        assert there[name].value == pytest.approx(back[other].value, rel=1e-6)
        assert there[name].standard_error == pytest.approx(back[other].standard_error, rel=1e-5)


def test_copies_are_certain_and_strangers_are_impossible() -> None:
    """Copies of the reals have the value 1 and sets far apart 0, with an interval that is not empty."""
    real = features(60, 5, 0)
    for fake, expected in ((real.clone(), 1.0), (features(50, 5, 1, shift=1000), 0.0)):
        for estimate in probabilistic(real, fake).values():
            assert estimate.value == expected
            assert estimate.interval is not None
            assert estimate.interval[1] - estimate.interval[0] > 0.01


def test_the_jackknife_leaves_out_each_image() -> None:
    """The error is that of values without each fake, and without each real, computed anew."""
    real, fake = features(30, 3, 0), features(25, 3, 1, scale=0.9)
    fake[:3] = real[:3]
    variance = dict.fromkeys(NAMES, 0.0)
    without_a_real = [values(real[torch.arange(30) != row], fake) for row in range(30)]
    without_a_fake = [values(real, fake[torch.arange(25) != row]) for row in range(25)]
    for left in (without_a_real, without_a_fake):
        for name in NAMES:
            variance[name] += (len(left) - 1) * float(np.var([one[name] for one in left]))
    found = probabilistic(real, fake)
    for name in NAMES:
        # The change of the radius moves the products by its first order.
        assert found[name].standard_error == pytest.approx(math.sqrt(variance[name]), rel=0.03)


def test_errors_match_the_spread_over_many_draws() -> None:
    """For overlapping sets the mean error is the spread of 100 draws."""
    draws = [probabilistic(features(160, 6, 2 * i), features(160, 6, 2 * i + 1, shift=0.6)) for i in range(100)]
    for name in NAMES:
        spread = float(np.std([draw[name].value for draw in draws], ddof=1))
        error = float(np.mean([draw[name].standard_error for draw in draws]))
        # The spread of 100 draws is known to 7%; the jackknife errs upwards, by a fifth for equal distributions.
        assert 0.85 * spread < error < 1.4 * spread


def test_no_error_bar_where_no_image_can_be_left_out() -> None:
    """With just enough images for the radius the value has no error, and the method says why."""
    estimate = probabilistic(features(5, 3, 0), features(5, 3, 1))["p_precision"]
    assert estimate.standard_error is None
    assert "no more images than the radius needs" in estimate.method


@pytest.mark.parametrize(
    ("fake", "options", "message"),
    [
        (torch.ones(4, 3), {}, "choose a k of 1 to 3"),
        (torch.ones(2, 3), {}, "choose a k of 1, or give more images"),
        (torch.rand(9, 3), {"scale": 0.0}, "must be above 0, found 0; 1.2 is the usual one"),
        (torch.ones(9, 3), {}, "Every fake image has 4 copies"),
    ],
)
def test_undefined_input_is_refused_with_what_would_work(fake: Tensor, options: dict[str, float], message: str) -> None:
    """Undefined input is an error that says what would work."""
    with pytest.raises(MetricError, match=message):
        probabilistic(features(9, 3, 0), fake, **options)  # type: ignore[arg-type]
