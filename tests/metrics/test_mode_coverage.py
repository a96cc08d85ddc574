"""Mode coverage, class balance and mixtures: counts by hand, naive loops, and simulated draws."""

import math
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.mode_coverage import mode_coverage, modes_covered

module = import_module("ganeval.metrics.mode_coverage")


def logits(labels: list[int] | np.ndarray, width: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.as_tensor(labels), width).float()


def test_coverage_and_balance_are_counts() -> None:
    """Of four classes the reals have three, of which the fakes have two, and a quarter of the fakes is elsewhere."""
    found = mode_coverage(logits([0, 0, 1, 2], 4), logits([0, 0, 1, 3], 4))
    coverage, balance = found["mode_coverage"], found["class_balance"]
    assert coverage.value == pytest.approx(2 / 3)
    assert coverage.details == {"modes": 3, "covered": 2, "fakes_elsewhere": 0.25}
    assert balance.value == 0.25
    assert balance.details == {"classes": 4}


def test_least_asks_for_more_than_a_stray_fake() -> None:
    """A mode with one fake is covered at 1, and not at 2."""
    real, fake = logits([0, 1], 2), logits([0, 0, 0, 1], 2)
    assert mode_coverage(real, fake)["mode_coverage"].value == 1
    assert mode_coverage(real, fake, least=2)["mode_coverage"].value == 0.5


def test_the_same_predictions_are_perfect() -> None:
    """Coverage and balance are 1 in any order and multiple, with an interval of non-zero width."""
    real = logits([0, 1, 1, 2] * 100, 3)
    found = mode_coverage(real, real.flip(0).repeat(2, 1))
    assert (found["mode_coverage"].value, found["class_balance"].value) == (1, 0)
    assert found["mode_coverage"].interval is not None
    assert found["mode_coverage"].interval[0] < 1
    assert found["class_balance"].standard_error > 0


def test_only_the_largest_logit_counts() -> None:
    """Adding a constant to an image's logits, or scaling them, changes nothing."""
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(200, 5, generator=rng), torch.randn(100, 5, generator=rng)
    assert mode_coverage(real, fake) == mode_coverage(real * 3 + torch.randn(200, 1, generator=rng), fake.half())


@pytest.mark.parametrize(("modes", "count"), [(100, 60), (40, 100)])
def test_coverage_error_matches_the_spread_over_many_draws(
    modes: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root mean square error agrees to 30%: the jackknife is too large where few fakes meet many modes."""
    # The bootstrap of the class balance, which takes most of the time, is not looked at.
    monkeypatch.setattr(module, "standard_error", lambda *given, **options: 0.0)
    rng = np.random.RandomState(0)
    shares = rng.dirichlet(np.ones(modes))
    real = logits(np.arange(modes), modes)
    draws = [logits(rng.choice(modes, count, p=shares), modes) for _ in range(150)]
    found = [mode_coverage(real, fake)["mode_coverage"] for fake in draws]
    errors = np.array([estimate.standard_error for estimate in found])
    spread = np.std([estimate.value for estimate in found], ddof=1)
    assert math.sqrt((errors**2).mean()) == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize(("fakes", "least", "most"), [([2, 2], 0.1, 0.3), ([4, 0], 0.15, 0.3), ([400, 0], 0.15, 0.25)])
def test_what_few_fakes_cover_is_never_certain(fakes: list[int], least: float, most: float) -> None:
    """Coverage by single fakes, and modes without a fake, have a non-zero error."""
    found = mode_coverage(logits([0, 1], 3), logits(np.repeat([0, 1], fakes), 3))["mode_coverage"]
    assert found.standard_error is not None
    assert least < found.standard_error < most


@pytest.mark.parametrize("damage", [0.0, 0.5])
def test_balance_error_matches_the_spread_over_many_draws(damage: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """For equal and for different shares the error of 30 draws agrees to 20%: three times the noise of 120 draws."""
    rng = np.random.RandomState(0)
    shares = np.exp(damage * rng.normal(size=10))
    sets = [[logits(rng.choice(10, 300, p=of), 10) for of in (None, shares / shares.sum())] for _ in range(120)]
    errors = [mode_coverage(*pair)["class_balance"].standard_error for pair in sets[:30]]
    monkeypatch.setattr(module, "standard_error", lambda *given, **options: 0.0)
    values = [mode_coverage(*pair)["class_balance"].value for pair in sets]
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.2)


def test_chance_is_pointed_out() -> None:
    """Few images for the number of classes give a note with both numbers."""
    (note,) = mode_coverage(logits([0, 1] * 20, 2), logits([0, 1] * 30, 2))["class_balance"].notes
    assert "40 images for 2 classes" in note
    assert mode_coverage(logits([0, 1] * 100, 2), logits([0, 1] * 100, 2))["class_balance"].notes == ()


@given(st.integers(1, 40), st.integers(1, 6), st.floats(0.1, 3.0), st.integers(1, 3), st.integers(0, 1000))
def test_modes_of_a_mixture_are_those_of_a_naive_loop(
    count: int, modes: int, radius: float, least: int, seed: int
) -> None:
    """Each sample goes to its nearest centre, if that is within the radius."""
    rng = torch.Generator().manual_seed(seed)
    samples, centres = 2 * torch.randn(count, 2, generator=rng), 2 * torch.randn(modes, 2, generator=rng)
    counts = [0] * modes
    for sample in samples.double():
        distances = [math.dist(sample.tolist(), centre.tolist()) for centre in centres.double()]
        nearest = distances.index(min(distances))
        counts[nearest] += distances[nearest] <= radius
    found = modes_covered(samples, centres, radius, least=least)
    assert found.counts.tolist() == counts
    assert found.covered == sum(number >= least for number in counts)
    assert found.quality == pytest.approx(sum(counts) / count)


def test_the_rim_belongs_to_a_mode() -> None:
    """A sample at exactly the radius counts, a tie goes to the first centre, and one beyond has no mode."""
    found = modes_covered(
        torch.tensor([[3.0, 4.0], [5.0, 0.0], [0.0, 5.1]]), torch.tensor([[0.0, 0.0], [10.0, 0.0]]), 5
    )
    assert found.counts.tolist() == [2, 0]
    assert found.covered == 1
    assert found.quality == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        (torch.zeros(5, 1), torch.zeros(5, 1), {}, "at least 2 classes, found 1"),
        (torch.zeros(5, 3), torch.zeros(5, 3), {"least": 0}, "from 1 to 5, the number of fakes, found 0"),
        (torch.zeros(5, 3), torch.zeros(5, 3), {"least": 6}, "found 6"),
        (torch.zeros(5, 3), torch.zeros(5, 4), {}, "3 dimensions and fake ones 4"),
        (torch.full((5, 3), math.nan), torch.zeros(5, 3), {}, "5 of 5 images"),
    ],
)
def test_undefined_input_is_refused_with_the_reason(
    real: Tensor, fake: Tensor, options: dict[str, int], message: str
) -> None:
    """Undefined input is an error with a reason."""
    with pytest.raises(MetricError, match=message):
        mode_coverage(real, fake, **options)


@pytest.mark.parametrize(("radius", "least"), [(0.0, 1), (-1.0, 1), (math.inf, 1), (math.nan, 1), (1.0, 0)])
def test_a_radius_that_covers_nothing_or_everything_is_refused(radius: float, least: int) -> None:
    """A radius that covers nothing or everything, and a mode that needs no sample, are refused."""
    with pytest.raises(MetricError, match="radius must be above 0 and a mode needs at least 1 sample"):
        modes_covered(torch.zeros(3, 2), torch.zeros(2, 2), radius, least=least)
