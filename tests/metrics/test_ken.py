"""KEN: a reference value, its definition, the images of its modes, and its standard error."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.gaussian_kernel import fourier_features, kernel_matrix
from ganeval.metrics.ken import ken, novel_modes

REAL = torch.from_numpy(np.random.RandomState(0).randn(500, 16))
FAKE = torch.from_numpy(np.random.RandomState(1).randn(400, 16) * 1.2 + 0.5)


def naive(similarities: Tensor, n: int, eta: float) -> tuple[float, float]:
    """KEN and its mass by the unsymmetric block matrix of the paper, for n fakes before the reals."""
    m = len(similarities) - n
    scaled = similarities.clone()
    scaled[:n, :n] /= n
    scaled[:n, n:] *= math.sqrt(eta / (n * m))
    scaled[n:, :n] *= -math.sqrt(eta / (n * m))
    scaled[n:, n:] *= -eta / m
    values = torch.linalg.eigvals(scaled).real
    values = values[values > 1e-10]
    mass = float(values.sum())
    return -float((values * (values / mass).log()).sum()), mass


def groups(counts: list[int], *, spread: float = 0.3, seed: int = 0) -> Tensor:
    """Clusters far apart, with so many images each."""
    rng = torch.Generator().manual_seed(seed)
    centres = 10 * torch.eye(8, dtype=torch.float64)
    rows = [centres[place].expand(count, -1) for place, count in enumerate(counts)]
    together = torch.cat(rows)
    return together + spread * torch.randn(together.shape, generator=rng, dtype=torch.float64)


def test_published_code_gives_these_values() -> None:
    """The score is 2.543867 and its mass 0.553186 for a bandwidth of 4."""
    found = ken(REAL, FAKE, sigma=4.0)
    assert found.value == pytest.approx(2.543867, abs=5e-7)
    assert found.details["mass"] == pytest.approx(0.553186, abs=5e-7)
    assert found.details["exact"] == 1


@pytest.mark.parametrize("eta", [0.5, 1.0, 3.0])
def test_ken_is_its_definition(eta: float) -> None:
    """The eigenvalues of the block matrix give the same score, of the exact kernel and of random features."""
    real, fake = REAL[:70], FAKE[:50]
    both = torch.cat([fake, real])
    value, mass = naive(kernel_matrix(both, 3.0), 50, eta)
    found = ken(real, fake, sigma=3.0, eta=eta)
    assert found.value == pytest.approx(value, rel=1e-6)
    assert found.details["mass"] == pytest.approx(mass, rel=1e-6)
    rows = fourier_features(both, 3.0, 20, seed=3)
    random = ken(real, fake, sigma=3.0, eta=eta, features=20, seed=3)
    assert random.details["exact"] == 0
    assert random.value == pytest.approx(naive(rows @ rows.T, 50, eta)[0], rel=1e-6)


def test_random_features_tend_to_the_exact_kernel() -> None:
    """With 400 frequencies the score is within a tenth of the exact one, and with fewer it is further off."""
    exact = ken(REAL, FAKE, sigma=6.0).value
    few, many = (abs(ken(REAL, FAKE, sigma=6.0, features=count).value - exact) for count in (20, 400))
    assert many < 0.1 * exact < few


def test_a_new_mode_has_its_share_as_mass_and_its_images() -> None:
    """A quarter of the fakes lies where no real does: the mass is a quarter, and these images show the mode."""
    real, fake = groups([100, 100, 100]), groups([90, 90, 90, 90], seed=1)
    found = ken(real, fake, sigma=4.0)
    assert found.details["mass"] == pytest.approx(0.25, abs=0.03)
    first, *others = novel_modes(real, fake, sigma=4.0, count=5)
    assert first.excess == pytest.approx(0.25, abs=0.02)
    assert all(270 <= row < 360 for row in first.images.tolist())
    assert first.loadings.tolist() == sorted(first.loadings.tolist(), reverse=True)
    assert all(0.9 < loading <= 1 for loading in first.loadings.tolist())
    assert all(one.excess < 0.05 for one in others)


def test_exchanged_sets_show_what_the_fakes_lack() -> None:
    """Of the two directions only the one with a missing mode finds it."""
    real, fake = groups([80, 80, 80]), groups([120, 120], seed=1)
    missing = novel_modes(fake, real, sigma=4.0, modes=1)[0]
    assert missing.excess == pytest.approx(1 / 3, abs=0.02)
    assert all(row >= 160 for row in missing.images.tolist())


def test_equal_sets_have_no_novelty() -> None:
    """The score and its error are 0, and there are no modes."""
    found = ken(REAL[:60], REAL[:60].clone())
    assert found.value == pytest.approx(0.0, abs=1e-7)
    assert found.interval is not None
    assert all(mode.excess < 1e-9 for mode in novel_modes(REAL[:60], REAL[:60].clone()))


@pytest.mark.parametrize("options", [{"sigma": 2.0, "features": 60}, {"features": 30}])
def test_standard_error_matches_the_spread_over_many_draws(options: dict[str, float]) -> None:
    """The error agrees with the spread of 100 draws of both sets, which is known to 7%."""
    draws = []
    # Twice 60 images have the exact kernel at 60 frequencies.
    count = int(options["features"]) if "sigma" in options else 150
    for seed in range(100):
        rng = torch.Generator().manual_seed(seed)
        real, fake = (torch.randn(count, 4, generator=rng, dtype=torch.float64) + shift for shift in (0, 0.7))
        draws.append(ken(real, fake, **options))  # type: ignore[arg-type]
    spread = float(np.std([draw.value for draw in draws]))
    mean = float(np.mean([draw.standard_error for draw in draws if draw.standard_error is not None]))
    assert 0.8 * spread < mean < 1.35 * spread


@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        (REAL[:1], FAKE, {}, "at least 2 real and 2 fake images, found 1 and 400"),
        (REAL[:1].repeat(9, 1), FAKE, {}, "which are all equal; set its option sigma"),
        (REAL, FAKE, {"sigma": 0.0}, "sigma of KEN must be above 0"),
        (REAL, FAKE, {"eta": 0.0}, "eta must be above 0 and finite, found 0"),
        (REAL, FAKE, {"features": 0}, "at least 1 random frequency"),
        (REAL, FAKE[:, :4], {}, "16 dimensions and fake ones 4"),
    ],
)
def test_undefined_cases_are_refused(real: Tensor, fake: Tensor, options: dict[str, float], message: str) -> None:
    """Undefined input is an error."""
    with pytest.raises(MetricError, match=message):
        ken(real, fake, **options)  # type: ignore[arg-type]
