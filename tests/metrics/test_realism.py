"""Realism and rarity of each image, their means, the peers, reals among each other, and honest errors."""

import math

import numpy as np
import pytest
import torch
from core_helpers import values_alone
from numpy.typing import NDArray
from torch import Tensor

from ganeval import distances
from ganeval.errors import MetricError
from ganeval.metrics import rarity, rarity_scores, realism, realism_scores

Floats = NDArray[np.float64]


def features(n: int, d: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + shift


def among(rows: Floats) -> Floats:
    """All distances of a set to itself, infinite for a row and itself."""
    found = np.asarray(np.sqrt(np.square(rows[:, None] - rows).sum(-1)))
    np.fill_diagonal(found, np.inf)
    return found


def naive_realism(radii: Floats, distances_to: Floats, median: float) -> Floats:
    """By the definition, from radii [N] and distances [N, M]."""
    kept = radii < median
    return np.asarray((radii[kept, None] / distances_to[kept]).max(0))


def naive_rarity(radii: Floats, distances_to: Floats) -> Floats:
    """By the definition, 0 outside."""
    least = np.where(distances_to < radii[:, None], radii[:, None], np.inf).min(0)
    return np.where(np.isfinite(least), least, 0.0)


@pytest.mark.parametrize("tile_bytes", [2000, 1 << 24])
@pytest.mark.parametrize(("n", "m", "d"), [(60, 45, 3), (41, 70, 12)])
def test_scores_are_the_definitions(n: int, m: int, d: int, tile_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of fakes agree with the definitions in float64, for every tile size."""
    monkeypatch.setattr(distances, "TILE_BYTES", tile_bytes)
    real, fake = features(n, d, 0).double(), features(m, d, 1, scale=1.2).double()
    x, y = real.numpy(), fake.numpy()
    across, ordered = np.sqrt(np.square(x[:, None] - y).sum(-1)), np.sort(among(x), 1)
    expected = naive_realism(ordered[:, 4], across, float(np.median(ordered[:, 4])))
    # Radii come from float32 where that is enough to order them.
    assert realism_scores(real, fake).numpy() == pytest.approx(expected, rel=1e-6)
    assert rarity_scores(real, fake).numpy() == pytest.approx(naive_rarity(ordered[:, 2], across), rel=1e-6)


def test_reals_are_scored_by_the_others() -> None:
    """The score of a real is that of a fake in its place, by the reals without it."""
    real = features(50, 3, 0).double()
    x, median = real.numpy(), float(np.median(np.sort(among(real.numpy()), 1)[:, 4]))
    of_realism, of_rarity = [], []
    for row in range(len(x)):
        others = np.delete(x, row, 0)
        ordered, across = np.sort(among(others), 1), np.linalg.norm(others - x[row], axis=1)[:, None]
        of_realism += naive_realism(ordered[:, 4], across, median).tolist()
        of_rarity += naive_rarity(ordered[:, 2], across).tolist()
    # Neighbours are listed by float32.
    assert realism_scores(real).tolist() == pytest.approx(of_realism, rel=1e-5)
    assert rarity_scores(real).tolist() == pytest.approx(of_rarity, rel=1e-5)


def test_other_reals_score_like_the_reals() -> None:
    """Fakes of the reals' distribution have the reals' median realism, and a rarity ratio of 1."""
    real, fake = features(1500, 4, 0), features(1500, 4, 1)
    found, ratio = realism(real, fake), rarity(real, fake)
    assert found.standard_error is not None
    assert ratio.standard_error is not None
    assert found.value == pytest.approx(found.details["reals"], abs=3 * found.standard_error)
    assert ratio.value == pytest.approx(1, abs=3 * ratio.standard_error)
    assert found.value == pytest.approx(float(realism_scores(real, fake).median()), rel=1e-3)
    assert ratio.details["fakes"] == pytest.approx(float(rarity_scores(real, fake).mean()), rel=1e-9)
    assert ratio.value == pytest.approx(ratio.details["fakes"] / ratio.details["reals"], rel=1e-12)


def test_truncation_makes_fakes_realistic_and_common() -> None:
    """Fakes near the middle have a higher realism and a lower rarity; those that are spread out the reverse."""
    real, fake = features(800, 4, 0), features(800, 4, 1)
    narrow, alike, wide = (float(realism_scores(real, scale * fake).median()) for scale in (0.5, 1, 1.5))
    assert narrow > alike > wide
    assert rarity(real, 0.5 * fake).value < 0.85
    inside = [scores[scores > 0].mean() for scores in (rarity_scores(real, scale * fake) for scale in (0.5, 1, 1.5))]
    assert inside[0] < inside[1] < inside[2]


def test_a_copy_has_no_limit_and_strangers_have_no_rarity() -> None:
    """The realism of a copy is infinite, and the rarity of a fake far from all reals 0."""
    real = features(100, 4, 0)
    scores = realism_scores(real, real.clone())
    assert int(scores.isinf().sum()) == 50
    assert rarity_scores(real, features(5, 4, 1, shift=100)).tolist() == [0.0] * 5
    assert rarity(real, features(50, 4, 1, shift=100)).value == 0


def test_a_copy_of_the_only_neighbourhood_has_an_error_bar() -> None:
    """Where one real alone has a neighbourhood and a fake equals it, halves without that real raise no warning."""
    near, far = torch.zeros(6, 3), features(8, 3, 0) * torch.linspace(1, 2, 8)[:, None] + 20
    real = torch.cat([near, far])
    (kept,) = realism_scores(real, real).isinf().nonzero()
    found = realism(real, torch.cat([real[kept], features(13, 3, 1) + 20]))
    assert found.standard_error is not None
    assert math.isfinite(found.standard_error)


@pytest.mark.parametrize("metric", [realism, rarity])
def test_errors_match_the_spread_over_many_draws(metric: object) -> None:
    """For overlapping sets the mean error, of 15 draws, is the spread of 60."""
    assert callable(metric)
    sets = [(features(160, 6, 2 * i), features(160, 6, 2 * i + 1, shift=0.4)) for i in range(60)]
    with values_alone():
        spread = float(np.std([metric(*pair).value for pair in sets], ddof=1))
    error = float(np.mean([metric(*pair).standard_error for pair in sets[:15]]))
    # The spread of 60 draws is known to a tenth; halves are off by up to a quarter, as variance is not quite 1 / n.
    assert 0.7 * spread < error < 1.4 * spread


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: realism(torch.ones(20, 3), features(20, 3, 0)), "No real has a neighbourhood of its own"),
        (lambda: realism(features(20, 3, 0), features(20, 3, 0)), "the median realism is infinite"),
        (lambda: realism_scores(features(5, 3, 0)), "no 5 nearest neighbours"),
        (lambda: realism(features(20, 3, 0), features(20, 3, 1), k=-1), "k must be at least 1, found -1"),
        (lambda: realism_scores(features(20, 3, 0), k=0), "k must be at least 1, found 0"),
        (lambda: rarity_scores(features(20, 3, 0), k=-2), "k must be at least 1, found -2"),
        (lambda: realism_scores(features(6, 3, 0)), "more than 6 images, found 6"),
        (lambda: rarity(torch.ones(20, 3), features(20, 3, 0)), "none is rare"),
        (lambda: rarity_scores(features(4, 3, 0)), "needs 5 reals, found 4"),
    ],
)
def test_undefined_input_is_refused_with_what_would_work(call: object, message: str) -> None:
    """Too few reals and reals without neighbourhoods are refused, as is a median of copies."""
    assert callable(call)
    with pytest.raises(MetricError, match=message):
        call()
