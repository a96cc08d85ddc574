"""RKE, RRKE, FKEA, Vendi scores with a Gaussian kernel: reference values, each other's limits, and standard errors."""

import math
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import Tensor

from ganeval import linalg
from ganeval.errors import MetricError
from ganeval.metrics import ustatistics
from ganeval.metrics.cmmd import cmmd
from ganeval.metrics.fkea import fkea
from ganeval.metrics.gaussian_kernel import bandwidth, fourier_features, kernel_matrix
from ganeval.metrics.ken import ken
from ganeval.metrics.rke import rke
from ganeval.metrics.rrke import rrke
from ganeval.metrics.vendi import vendi
from ganeval.uncertainty import Estimate

vendi_module = import_module("ganeval.metrics.vendi")
REAL = torch.from_numpy(np.random.RandomState(0).randn(500, 16))
FAKE = torch.from_numpy(np.random.RandomState(1).randn(400, 16) * 1.2 + 0.5)


def features(n: int, d: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.randn(n, d, generator=rng, dtype=torch.float64) + 0.3).relu() + 0.01


def test_published_code_gives_these_values() -> None:
    """RKE-MC and the Vendi scores of orders 1 and infinity of the published code, for a bandwidth of 4."""
    assert rke(REAL, FAKE, sigma=4.0).value == pytest.approx(11.410243, abs=5e-7)
    assert vendi(FAKE, sigma=4.0).value == pytest.approx(57.650034, abs=5e-7)
    assert vendi(FAKE, sigma=4.0, order=math.inf).value == pytest.approx(3.566577, abs=5e-7)


def test_rke_is_the_vendi_score_of_order_2() -> None:
    """The sum of squared elements is that of squared eigenvalues; float32 agrees to its precision."""
    expected = vendi(FAKE, sigma=3.0, order=2.0).value
    assert rke(REAL, FAKE, sigma=3.0).value == pytest.approx(expected, rel=1e-12)
    assert rke(REAL, FAKE.float(), sigma=3.0).value == pytest.approx(expected, rel=1e-6)


def test_fkea_tends_to_the_exact_score() -> None:
    """With 2000 frequencies it is within 3% for orders 1, 2 and infinity, and with more of them nearer."""
    fake = FAKE[:200]
    for order in (1.0, 2.0, math.inf):
        exact = vendi(fake, sigma=4.0, order=order).value
        few, many = (
            abs(fkea(REAL, fake, sigma=4.0, order=order, features=count).value / exact - 1) for count in (100, 2000)
        )
        assert many < 0.03
        assert many < few


def test_fkea_is_the_entropy_of_its_features() -> None:
    """The eigenvalues of the 2 r x 2 r matrix and of the n x n matrix of the same features give the same score."""
    rows = fourier_features(FAKE, 3.0, 25, seed=4)
    assert rows.square().sum(1).numpy() == pytest.approx(np.ones(400), rel=1e-12)
    values = np.linalg.eigvalsh((rows @ rows.T / 400).numpy())
    values = values[values > 1e-13]
    assert fkea(REAL, FAKE, sigma=3.0, features=25, seed=4).value == pytest.approx(
        math.exp(-(values * np.log(values)).sum()), rel=1e-9
    )


@pytest.mark.parametrize("metric", [rke, fkea])
def test_groups_of_copies_are_modes(metric: object) -> None:
    """Equally large groups of copies that are far apart count one each; those of one group are one mode."""
    groups = 50 * torch.eye(6).repeat(40, 1)
    assert callable(metric)
    assert metric(torch.eye(6), groups, sigma=1.0).value == pytest.approx(6.0, rel=0.02)
    assert metric(torch.eye(6), groups[:1].repeat(50, 1), sigma=1.0).value == pytest.approx(1.0, rel=1e-9)


def test_the_bandwidth_is_half_the_root_mean_square_distance_of_two_reals() -> None:
    """As the pairs of different reals have it, whatever is added to all; a given one is taken as it is."""
    pairs = torch.pdist(REAL).square().mean().sqrt()
    for real in (REAL, REAL + 100):
        assert bandwidth(real, FAKE, None, "RKE").sigma == pytest.approx(float(pairs) / 2, rel=1e-9)
    assert bandwidth(REAL, FAKE, 3.0, "RKE").influences is None
    given, taken = rke(REAL, FAKE, sigma=float(pairs) / 2), rke(REAL, FAKE)
    assert taken.value == pytest.approx(given.value, rel=1e-9)
    assert taken.details["sigma"] == pytest.approx(float(pairs) / 2)
    assert given.standard_error is not None
    assert taken.standard_error is not None
    assert taken.standard_error > given.standard_error


@pytest.mark.parametrize("metric", [rke, rrke, fkea])
def test_shifts_rotations_scales_and_blocks_change_nothing(metric: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores depend on distances relative to those of the reals; random frequencies are redrawn by a rotation."""
    assert callable(metric)
    options = {} if metric is rke else {"features": 100}
    real, fake = REAL[:100], FAKE[:80]
    expected = metric(real, fake, **options)
    monkeypatch.setattr(ustatistics, "BLOCK_ROWS", 7)
    monkeypatch.setattr(ustatistics, "BLOCK_COLUMNS", 9)
    monkeypatch.setattr(linalg, "CHUNK", 30)
    for scale, shift in ((1.0, 1e4), (1e-6, 0.0), (1e6, 3.0)):
        found = metric(real * scale + shift, fake * scale + shift, **options)
        assert found.value == pytest.approx(expected.value, rel=1e-7)
        assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-4)
    if metric is rke:
        rng = torch.Generator().manual_seed(0)
        rotation = torch.linalg.qr(torch.randn(16, 16, generator=rng, dtype=torch.float64))[0]
        assert rke(real @ rotation, fake @ rotation).value == pytest.approx(expected.value, rel=1e-9)


def test_the_kernel_matrix_is_its_definition() -> None:
    """Elements are those of differences of rows, with ones on the diagonal, and equal rows have 1."""
    rows = torch.cat([FAKE[:20], FAKE[:1]]) + 1e3
    expected = (-torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square() / 18).exp()
    assert kernel_matrix(rows, 3.0).numpy() == pytest.approx(expected.numpy(), rel=1e-8)
    assert kernel_matrix(rows, 3.0)[0, -1] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("metric", "given"), [(rke, True), (rke, False), (rrke, False), (fkea, False)])
def test_standard_error_matches_the_spread_over_many_draws(
    metric: object, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without a given bandwidth, the error agrees with the spread of 150 draws of both sets, known to 6%.

    The error is that of 30 of them.
    """
    assert callable(metric)
    options: dict[str, object] = {"sigma": 1.5} if given else {}
    options |= {"features": 20} if metric is fkea else {}

    def draws(count: int) -> list[Estimate]:
        return [metric(features(120, 8, seed), features(120, 8, seed + 1000), **options) for seed in range(count)]

    mean = float(np.mean([draw.standard_error for draw in draws(30) if draw.standard_error is not None]))
    # The jackknife of FKEA takes most of its time.
    monkeypatch.setattr(vendi_module, "GROUPS", 2)
    spread = float(np.std([draw.value for draw in draws(150)]))
    assert 0.83 * spread < mean < 1.3 * spread


def test_the_shared_part_is_the_bandwidths() -> None:
    """Of two sets of fakes the errors due to the reals point the same way; a given bandwidth has none."""
    one, other = rke(REAL, FAKE[:200]), rke(REAL, FAKE[200:])
    assert one.shared is not None
    assert other.shared is not None
    cosine = one.shared @ other.shared / np.linalg.norm(one.shared) / np.linalg.norm(other.shared)
    assert cosine == pytest.approx(1.0)
    given = rke(REAL, FAKE, sigma=3.0)
    assert given.shared is not None
    assert np.linalg.norm(given.shared) == 0


def test_too_few_frequencies_are_pointed_out() -> None:
    """A score near twice their number has a note with the number to set."""
    assert any("set the option features to" in note for note in fkea(REAL, FAKE, features=20).notes)
    assert not any("frequencies" in note for note in fkea(REAL, FAKE, sigma=20.0).notes)


@pytest.mark.parametrize("metric", [rke, fkea])
@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        (REAL, FAKE[:1], {}, "at least 2 fake images, found 1"),
        (REAL[:1].repeat(9, 1), FAKE, {}, "distances between reals, which are all equal; set its option sigma"),
        (REAL, FAKE, {"sigma": 0.0}, "sigma of .* must be above 0 and finite, found 0"),
        (REAL, FAKE, {"sigma": math.inf}, "sigma of .* must be above 0 and finite, found inf"),
    ],
)
def test_undefined_cases_are_refused(
    metric: object, real: Tensor, fake: Tensor, options: dict[str, float], message: str
) -> None:
    """Undefined input is an error."""
    assert callable(metric)
    with pytest.raises(MetricError, match=message):
        metric(real, fake, **options)


SIGMAS = [
    (1e300, "is 1e\\+300, and the distance between two images about [67].* all images are practically equal"),
    (1e6, "all images are practically equal in float64"),
    (1e-3, "no two images are similar in float64"),
    (5e-324, "no two images are similar"),
]


@pytest.mark.parametrize("metric", [rke, rrke, fkea, ken, lambda real, fake, sigma: vendi(fake, sigma=sigma)])
@pytest.mark.parametrize(("sigma", "message"), SIGMAS)
def test_a_bandwidth_far_from_all_distances_is_refused(metric: object, sigma: float, message: str) -> None:
    """A kernel matrix that is constant, or that of the identity, says nothing of the images."""
    assert callable(metric)
    with pytest.raises(MetricError, match=message):
        metric(REAL, FAKE, sigma=sigma)


def test_cmmd_tells_images_apart_at_large_bandwidths() -> None:
    """Its kernel is computed as a difference from 1, so that only bandwidths whose powers underflow are refused."""
    exact = [cmmd(REAL, FAKE, sigma=sigma).value * sigma**2 for sigma in (1e3, 1e9)]
    assert exact[0] == pytest.approx(exact[1], rel=1e-5)
    for sigma, message in ((1e300, "practically equal"), (1e-3, "no two images are similar")):
        with pytest.raises(MetricError, match=message):
            cmmd(REAL, FAKE, sigma=sigma)


def test_equal_fakes_are_one_mode_at_any_bandwidth() -> None:
    """A collapsed generator is a finding, and no fault of the bandwidth of the reals."""
    assert rke(REAL, FAKE[:1] + 1e-9 * FAKE, sigma=4.0).value == pytest.approx(1.0)
    assert vendi(FAKE[:1].repeat(9, 1), sigma=4.0).value == pytest.approx(1.0)


def test_rrke_of_published_code() -> None:
    """The published code gives 0.498188 for a bandwidth of 4, whichever set is called real."""
    for sets in ((REAL[:400], FAKE), (FAKE, REAL[:400])):
        assert rrke(*sets, sigma=4.0).value == pytest.approx(0.498188, abs=5e-7)


def test_rrke_is_its_definition() -> None:
    """The nuclear norm of the similarities, exact and of random features, for unequal numbers of images."""
    real, fake = REAL[:90], FAKE[:60]
    exact = (-torch.cdist(real, fake, compute_mode="donot_use_mm_for_euclid_dist").square() / 18).exp()
    mine, theirs = (fourier_features(side, 3.0, 20, seed=3) for side in (real, fake))
    for matrix, options in ((exact, {}), (mine @ theirs.T, {"features": 20, "seed": 3})):
        norm = float(torch.linalg.matrix_norm(matrix, "nuc")) / math.sqrt(90 * 60)
        found = rrke(real, fake, sigma=3.0, **options)  # type: ignore[arg-type]
        assert found.value == pytest.approx(-2 * math.log(norm), rel=1e-9)
        assert found.details["exact"] == (not options)


def test_rrke_counts_missing_modes() -> None:
    """It is 0 for equal sets, log(a / b) where fakes have b of a modes, and refused where they have none of them."""
    groups = 50 * torch.eye(6).repeat(40, 1)
    assert rrke(groups, groups, sigma=1.0).value == pytest.approx(0.0, abs=1e-9)
    for kept in (1, 2, 3):
        fakes = 50 * torch.eye(6)[:kept].repeat(40, 1)
        assert rrke(groups, fakes, sigma=1.0).value == pytest.approx(math.log(6 / kept), rel=1e-9)
    with pytest.raises(MetricError, match="no real is similar to any fake at this bandwidth"):
        rrke(groups, groups + 500, sigma=1.0)


def test_rrke_is_refused_without_frequencies_or_images() -> None:
    """No frequency and one image are errors."""
    with pytest.raises(MetricError, match="at least 1 random frequency"):
        rrke(REAL, FAKE, features=0)
    with pytest.raises(MetricError, match="at least 2 real and 2 fake images, found 500 and 1"):
        rrke(REAL, FAKE[:1])


def test_options_of_fkea_and_vendi_are_checked() -> None:
    """No frequencies, no order, and no bandwidth are errors."""
    with pytest.raises(MetricError, match="at least 1 random frequency"):
        fkea(REAL, FAKE, features=0)
    with pytest.raises(MetricError, match="FKEA's order must be above 0"):
        fkea(REAL, FAKE, order=0.0)
    with pytest.raises(MetricError, match="sigma of the Vendi score must be above 0"):
        vendi(FAKE, sigma=-1.0)
