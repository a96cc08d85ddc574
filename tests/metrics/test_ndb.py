"""NDB and JSD: naive loops, SciPy, and the standard errors of binned shares against simulated draws."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import norm
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics import shares
from ganeval.metrics.ndb import ndb
from ganeval.metrics.shares import (
    Statistic,
    different_share,
    jensen_shannon,
    standard_error,
    total_variation,
    z_scores,
)


def draw(n: int, d: int, seed: int, *, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def blobs(counts: list[int], seed: int) -> Tensor:
    """Points around corners that k-means separates reliably."""
    corners = 50 * torch.eye(len(counts))
    return torch.cat(
        [corner + draw(n, len(counts), seed + i) for i, (corner, n) in enumerate(zip(corners, counts, strict=True))]
    )


def naive(real: list[int], fake: list[int]) -> tuple[float, float]:
    """NDB / K and JSD of counts, a bin at a time."""
    n, m, different, divergence = sum(real), sum(fake), 0, 0.0
    for a, b in zip(real, fake, strict=True):
        p, q, pooled = a / n, b / m, (a + b) / (n + m)
        z = (p - q) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        different += 2 * norm.cdf(-abs(z)) < 0.05
        divergence += sum(0.5 * part * math.log(part / ((p + q) / 2)) for part in (p, q) if part > 0)
    return different / len(real), divergence


def test_known_bins_give_the_naive_numbers() -> None:
    """Four clusters are four bins, and their counts decide everything."""
    real, fake = [40, 60, 50, 50], [45, 25, 80, 0]
    found = ndb(blobs(real, 1), blobs(fake, 9), bins=4)
    share, divergence = naive(real, fake)
    assert found["ndb"].value == share
    assert found["ndb"].details == {"bins": 4, "different": 4 * share}
    assert found["jsd"].value == pytest.approx(divergence, rel=1e-12)


def test_divergence_is_scipys() -> None:
    """Its square root, in nats, for counts with empty bins too."""
    rng = np.random.RandomState(0)
    real, fake = rng.poisson(3, size=(2, 5, 20))
    expected = jensenshannon(real / real.sum(1, keepdims=True), fake / fake.sum(1, keepdims=True), axis=1) ** 2
    assert jensen_shannon(real, fake) == pytest.approx(expected, rel=1e-9)


def test_limits_are_reached() -> None:
    """Equal shares give 0 for all sizes; sets without a common bin give log 2 and 1."""
    real, fake = np.array([10, 20, 0]), np.array([50, 100, 0])
    assert (jensen_shannon(real, fake), total_variation(real, fake)) == (0, 0)
    assert z_scores(real, fake).tolist() == [0, 0, 0]
    apart = np.array([0, 0, 7])
    assert jensen_shannon(real, apart) == pytest.approx(math.log(2), rel=1e-12)
    assert total_variation(real, apart) == pytest.approx(1, rel=1e-12)
    assert standard_error(np.array([9, 0]), np.array([30, 0]), total_variation, seed=0) == 0


@pytest.mark.parametrize("statistic", [partial(different_share, level=0.05), jensen_shannon, total_variation])
@pytest.mark.parametrize("strength", [0.0, 0.8])
def test_standard_error_matches_the_spread_over_many_draws(statistic: Statistic, strength: float) -> None:
    """For counts in fixed bins, from equal to very different shares, the error agrees to 15%."""
    rng = np.random.RandomState(1)
    p = rng.dirichlet(np.full(60, 4.0))
    q = p * np.exp(strength * rng.normal(size=60))
    real, fake = rng.multinomial(3000, p, size=12), rng.multinomial(1500, q / q.sum(), size=12)
    errors = [standard_error(a, b, statistic, seed=0) for a, b in zip(real, fake, strict=True)]
    # 2,000 pairs of draws give the spread to 2%; the errors of 12 draws have a mean within 6%.
    pairs = statistic(rng.multinomial(3000, p, size=2000), rng.multinomial(1500, q / q.sum(), size=2000))
    assert np.mean(errors) == pytest.approx(pairs.std(), rel=0.15)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_fresh_reals_with_fresh_bins_spread_about_as_much(shift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bins depend on the reals, which the error omits: it agrees to a factor of 1.7."""
    sets = [(draw(400, 4, 2 * i), draw(400, 4, 2 * i + 1, shift=shift)) for i in range(40)]
    some = [ndb(*pair, bins=20) for pair in sets[:15]]
    # The values alone.
    monkeypatch.setattr(shares, "DRAWS", 2)
    found = [ndb(*pair, bins=20) for pair in sets]
    for name in ("ndb", "jsd"):
        values = np.array([pair[name].value for pair in found])
        errors = np.array([pair[name].standard_error for pair in some])
        assert 1 / 1.7 < errors.mean() / values.std(ddof=1) < 1.7


def test_share_of_different_bins_is_about_the_level_for_alike_sets() -> None:
    """About 5% of the bins differ by chance; k-means evens out the reals' own noise, so rather fewer."""
    found = [ndb(draw(1000, 3, 2 * i), draw(1000, 3, 2 * i + 1))["ndb"] for i in range(10)]
    assert found[0].details["bins"] == 100
    assert 0.01 < np.mean([estimate.value for estimate in found]) < 0.06


def test_a_dropped_mode_is_noticed() -> None:
    """Fakes that miss a bin differ there, and have a little more in all others."""
    found = ndb(blobs([100, 100, 100], 1), blobs([150, 150, 0], 9), bins=3)
    assert found["ndb"].value == 1
    assert found["jsd"].value > 0.1


def test_fewer_images_get_fewer_bins_and_a_note() -> None:
    """There are ten images of the smaller set per bin, with a note if that is fewer than 100 bins."""
    found = ndb(draw(500, 3, 1), draw(70, 3, 2))["ndb"]
    assert found.details["bins"] == 7
    assert "70 images are enough for 7 bins" in found.notes[0]
    assert ndb(draw(1000, 3, 1), draw(1000, 3, 2))["jsd"].notes == ()


def test_seed_decides_everything() -> None:
    """Equal seeds give equal bins; the order of the fakes does not matter."""
    real, fake = draw(300, 4, 1), draw(300, 4, 2, shift=0.2)
    assert ndb(real, fake, seed=1) == ndb(real, fake.flip(0), seed=1)
    assert ndb(real, fake, seed=1)["jsd"].value != ndb(real, fake, seed=2)["jsd"].value


@pytest.mark.parametrize("exponent", [10, 66, 120, -30, -100, -120, 1000, -1000])
def test_scale_plays_no_part(exponent: int) -> None:
    """Features times a power of two give bit-equal numbers, for large and small factors."""
    real, fake = draw(300, 4, 1).double(), draw(300, 4, 2, shift=0.5).double()
    assert ndb(real * 2.0**exponent, fake * 2.0**exponent) == ndb(real, fake)


def outliers(first: float, last: float) -> Tensor:
    """Images of which the first and the last are far from all others."""
    found = draw(100, 3, 1).double()
    found[0], found[-1] = first, last
    return found


@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        (outliers(0, 1e25), draw(90, 3, 2).double(), {}, "found only 2 of 9 bins .* choose fewer bins"),
        (draw(100, 3, 1), outliers(0, 1e60), {}, "fakes are up to 1e.60 .* leave them out"),
        (outliers(-1.7e308, 1.7e308), draw(90, 3, 2), {}, "further apart than float64 can hold"),
        (draw(100, 3, 1), draw(19, 3, 2), {}, r"at least 20 images of each set \(10 per bin\), found 19"),
        (draw(100, 3, 1), draw(90, 3, 2), {"bins": 10}, "at least 100 images of each set .* choose 2 to 9 bins"),
        (draw(100, 3, 1), draw(90, 3, 2), {"bins": 1}, "choose 2 to 9"),
        (draw(100, 3, 1), draw(90, 3, 2), {"level": 1.0}, "between 0 and 1, found 1.0"),
        (torch.ones(100, 3), draw(90, 3, 2), {}, "as many different reals, found 1"),
        (draw(100, 3, 1), draw(90, 4, 2), {}, "3 dimensions and fake ones 4"),
    ],
)
def test_what_cannot_be_binned_is_refused(real: Tensor, fake: Tensor, options: dict[str, object], message: str) -> None:
    """Sets that cannot be binned are refused with the reason and what would work."""
    with pytest.raises(MetricError, match=message):
        ndb(real, fake, **options)
