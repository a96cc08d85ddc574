"""The modes that FKEA counts: clusters, the full kernel matrix, and the score itself."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.fkea import common_modes, fkea
from ganeval.metrics.gaussian_kernel import fourier_features

REAL = torch.from_numpy(np.random.RandomState(0).randn(500, 16))
FAKE = torch.from_numpy(np.random.RandomState(1).randn(400, 16) * 1.2 + 0.5)


def clusters(counts: list[int]) -> tuple[Tensor, Tensor]:
    """Clusters far apart with so many images each, in a random order, and which cluster each image is of."""
    rng = torch.Generator().manual_seed(0)
    order = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    order = order[torch.randperm(len(order), generator=rng)]
    noise = 0.3 * torch.randn(len(order), len(counts), generator=rng, dtype=torch.float64)
    return 10 * torch.eye(len(counts), dtype=torch.float64)[order] + noise, order


def of_kernel(rows: Tensor, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, the largest first, and vectors of the kernel matrix of all pairs, over their number."""
    differences = (rows[:, None] - rows[None]).numpy()
    values, vectors = np.linalg.eigh(np.exp(-(differences**2).sum(2) / (2 * sigma**2)) / len(rows))
    return values[::-1], vectors[:, ::-1]


@pytest.mark.parametrize("features", [200, 1000])
def test_clusters_are_modes_with_their_shares_and_images(features: int) -> None:
    """Of four clusters each is a mode, the largest first, for fewer random features than images and for more."""
    fake, order = clusters([400, 200, 120, 80])
    found = common_modes(fake[:50], fake, sigma=4.0, features=features, count=40)
    assert [mode.share for mode in found[:4]] == pytest.approx([0.5, 0.25, 0.15, 0.1], abs=0.03)
    for number, mode in enumerate(found[:4]):
        assert order[mode.images].tolist() == [number] * 40
        assert mode.loadings.tolist() == sorted(mode.loadings.tolist(), reverse=True)
        assert all(0.8 < loading <= 1 for loading in mode.loadings.tolist())
    assert all(mode.share < 0.02 for mode in found[4:])


def test_modes_are_those_of_the_full_kernel_matrix() -> None:
    """With 20,000 frequencies shares, images and loadings are those of the eigenvectors of the n x n matrix.

    The kernel is then approximated to 1 / sqrt(20,000) = 0.7%.
    """
    fake, _ = clusters([60, 40, 20])
    values, vectors = of_kernel(fake, 4.0)
    found = common_modes(fake, fake, sigma=4.0, features=20_000, modes=3, count=120)
    assert [mode.share for mode in found] == pytest.approx(values[:3].tolist(), rel=0.02)
    for place, mode in enumerate(found):
        expected = len(fake) * values[place] * vectors[:, place] ** 2
        assert mode.loadings.numpy() == pytest.approx(expected[mode.images.numpy()], abs=0.03)
        assert set(np.argsort(-expected)[: [60, 40, 20][place]]) <= set(mode.images.tolist())


@pytest.mark.parametrize("features", [30, 150])
def test_modes_are_the_eigenvectors_of_the_similarities_of_their_features(features: int) -> None:
    """The n x n matrix of inner products has the same shares and loadings, for 2 r below and above n."""
    rows = fourier_features(FAKE[:100], 3.0, features, seed=5).numpy()
    values, vectors = np.linalg.eigh(rows @ rows.T / 100)
    found = common_modes(REAL, FAKE[:100], sigma=3.0, features=features, seed=5, modes=6, count=100)
    for place, mode in enumerate(found, 1):
        along = np.sqrt(100 * values[-place]) * vectors[:, -place]
        along *= np.sign((along**3).sum())
        order = np.argsort(-along)[: (along > 0).sum()]
        assert mode.share == pytest.approx(values[-place], rel=1e-9)
        assert mode.images.tolist() == order.tolist()
        assert mode.loadings.numpy() == pytest.approx(along[order] ** 2, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("features", [20, 300])
def test_fkea_is_the_entropy_of_the_shares(features: int) -> None:
    """All shares have the sum 1, and the exponential of their entropy is the score."""
    found = common_modes(REAL, FAKE, features=features, modes=10_000, count=1)
    shares = torch.tensor([mode.share for mode in found], dtype=torch.float64)
    assert len(shares) <= min(2 * features, 400)
    assert float(shares.sum()) == pytest.approx(1.0, abs=1e-9)
    score = fkea(REAL, FAKE, features=features).value
    assert math.exp(-float(shares @ shares.log())) == pytest.approx(score, rel=1e-9)


def test_copies_of_one_image_are_one_mode() -> None:
    """Its share is 1, and its images come in their own order."""
    (only,) = common_modes(REAL, FAKE[:1].repeat(30, 1), count=4)
    assert only.share == pytest.approx(1.0, rel=1e-12)
    assert only.images.tolist() == [0, 1, 2, 3]
    assert only.loadings.numpy() == pytest.approx(np.ones(4), rel=1e-9)


@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        (REAL, FAKE[:1], {}, "at least 2 fake images, found 1"),
        (REAL[:1].repeat(9, 1), FAKE, {}, "which are all equal; set its option sigma"),
        (REAL, FAKE, {"sigma": 0.0}, "sigma of FKEA must be above 0"),
        (REAL, FAKE, {"features": 0}, "at least 1 random frequency"),
        (REAL, FAKE[:, :4], {}, "16 dimensions and fake ones 4"),
    ],
)
def test_undefined_cases_are_refused(real: Tensor, fake: Tensor, options: dict[str, float], message: str) -> None:
    """What FKEA refuses, its modes refuse too."""
    with pytest.raises(MetricError, match=message):
        common_modes(real, fake, **options)  # type: ignore[arg-type]
