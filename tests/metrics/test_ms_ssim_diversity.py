"""MS-SSIM: torchmetrics' numbers for every pair, scales by size, and an error that is the spread over draws."""

import sys
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as similarity

from ganeval.errors import MetricError
from ganeval.metrics.ms_ssim_diversity import SMALLEST, WEIGHTS, ms_ssim_diversity

# The package has a function of this name, which hides the module.
MODULE = sys.modules[ms_ssim_diversity.__module__]
KINDS = torch.rand(4, 3, 3, 3, generator=torch.Generator().manual_seed(7))


def images(count: int, seed: int, *, alike: float = 0.5, size: int = 12, grey: bool = False) -> Tensor:
    """[count, 3 * size * size] on 0..1: one of four smooth pictures, and noise; alike: the share of the former."""
    rng = torch.Generator().manual_seed(seed)
    smooth = torch.nn.functional.interpolate(KINDS, size=size, mode="bilinear")
    chosen = smooth[torch.randint(4, (count,), generator=rng)]
    found = alike * chosen + (1 - alike) * torch.rand(count, 3, size, size, generator=rng)
    return (found[:, :1].expand(-1, 3, -1, -1) if grey else found).flatten(1)


def naive(side: Tensor, size: int, scales: int) -> float:
    """The mean over all pairs, one by one."""
    pictures = side.reshape(-1, 3, size, size)
    betas = tuple(weight * 1.0001 / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales])
    found = [
        float(similarity(one[None], other[None], data_range=1.0, betas=betas))
        for one, other in combinations(pictures, 2)
    ]
    return float(np.mean(found))


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(("size", "scales"), [(12, 1), (28, 2)])
def test_it_is_the_mean_over_all_pairs(size: int, scales: int, grey: bool) -> None:
    """A loop over torchmetrics' numbers gives both means, where there are pairs enough; grey pictures are pictures."""
    real, fake = images(7, 1, size=size, grey=grey), images(9, 2, size=size, alike=0.8, grey=grey)
    estimate = ms_ssim_diversity(real, fake)
    assert estimate.details == pytest.approx(
        {"real": naive(real, size, scales), "fake": naive(fake, size, scales), "scales": scales, "pixels": size},
        rel=1e-4,
    )
    assert estimate.value == pytest.approx(estimate.details["fake"] / estimate.details["real"])


@pytest.mark.parametrize("scales", [1, 2, 3, 4, 5])
def test_as_many_scales_as_fit(scales: int) -> None:
    """Scales are as many as torchmetrics can use at the smallest size, and not at a pixel less."""
    for size, expected in ((SMALLEST[scales - 1], scales), (SMALLEST[scales - 1] - 1, scales - 1)):
        if expected == 0:
            continue
        estimate = ms_ssim_diversity(images(4, 1, size=size), images(4, 2, size=size), pairs=4)
        assert estimate.details["scales"] == expected


def test_five_scales_are_those_of_torchmetrics() -> None:
    """Where all scales fit, every pair's number is torchmetrics' own, whose weights add up to 1.0001."""
    real, fake = (images(4, seed, size=SMALLEST[-1]) for seed in (1, 2))
    for side, name in ((real, "real"), (fake, "fake")):
        pictures = side.reshape(-1, 3, SMALLEST[-1], SMALLEST[-1])
        pairs = list(combinations(range(4), 2))
        peer = [float(similarity(pictures[[i]], pictures[[j]], data_range=1.0)) for i, j in pairs]
        # Four images on a circle are paired with their neighbours alone: of the six pairs, four.
        order = ms_ssim_diversity(real, fake, pairs=4).details[name]
        assert any(abs(np.mean([peer[i] for i in chosen]) - order) < 1e-7 for chosen in combinations(range(6), 4))


def test_a_set_is_as_varied_as_itself_and_copies_are_not() -> None:
    """It is 1 for the same images, the inverse for a collapsed generator, and below 1 for noise."""
    real = images(40, 1)
    # Each in an order of its own: of an odd number of images all pairs can be drawn, and they are the same ones.
    assert ms_ssim_diversity(real[:39], real[:39].flip(0)).value == pytest.approx(1, rel=1e-5)
    collapsed = ms_ssim_diversity(real, real[:1].expand(20, -1))
    assert collapsed.details["fake"] == pytest.approx(1, abs=1e-5)
    assert collapsed.value == pytest.approx(1 / collapsed.details["real"], rel=1e-5)
    assert ms_ssim_diversity(real, images(40, 3, alike=0.0)).value < 0.6
    assert ms_ssim_diversity(real, images(40, 3, alike=0.9)).value > 1.5


def likeness(one: Tensor, other: Tensor, **options: object) -> Tensor:
    """The luminance of SSIM alone, by pixel: as the similarity does, it varies with the pictures and the noise."""
    return ((2 * one * other + 0.1) / (one**2 + other**2 + 0.1)).mean((1, 2, 3))


@pytest.mark.parametrize(("n", "m", "pairs"), [(60, 60, 60), (80, 80, 30), (50, 40, 100)])
def test_standard_error_matches_the_spread_over_draws(
    n: int, m: int, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error agrees within a quarter for fewer pairs than images, as many, and more; intervals contain the mean.

    It is made of the similarities of pairs, whatever they are; that of torchmetrics takes most of the time.
    """
    monkeypatch.setattr(MODULE, "_torchmetrics", lambda: likeness)
    draws = [
        ms_ssim_diversity(images(n, 2 * i), images(m, 2 * i + 1, alike=0.7), pairs=pairs, seed=i) for i in range(120)
    ]
    values = np.array([draw.value for draw in draws])
    ratio = np.mean([draw.standard_error for draw in draws]) / values.std()
    assert 0.8 < ratio < 1.25
    held = [draw.interval is not None and draw.interval[0] <= values.mean() <= draw.interval[1] for draw in draws]
    assert np.mean(held) >= 0.88


def test_batches_do_not_matter_and_seeds_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs are drawn by the seed and do not depend on the batch size."""
    real, fake = images(60, 1), images(60, 2, alike=0.7)
    expected = ms_ssim_diversity(real, fake, pairs=60)
    assert ms_ssim_diversity(real, fake, pairs=60) == expected
    assert ms_ssim_diversity(real, fake, pairs=60, seed=1).value != expected.value
    monkeypatch.setattr(MODULE, "BATCH", 1)
    assert ms_ssim_diversity(real, fake, pairs=60).value == pytest.approx(expected.value, rel=1e-4)


def test_what_two_sets_share_is_no_more_than_the_error() -> None:
    """Both know the same reals, in the same pairs."""
    real = images(60, 1)
    one, other = (ms_ssim_diversity(real, images(m, 2, alike=0.7), pairs=100) for m in (40, 60))
    assert one.shared is not None
    assert other.shared is not None
    assert one.standard_error is not None
    assert 0 < np.linalg.norm(one.shared) < one.standard_error
    cosine = one.shared @ other.shared / (np.linalg.norm(one.shared) * np.linalg.norm(other.shared))
    assert cosine == pytest.approx(1)


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (torch.rand(3, 432), torch.rand(9, 432), "at least 4 images of each set, found 3 and 9"),
        (torch.rand(9, 433), torch.rand(9, 433), "433 values do not form one; choose a size, for example pixels:32"),
        (torch.rand(9, 300), torch.rand(9, 300), "at least 11 x 11 pixels, found 10 x 10"),
        (torch.rand(9, 432), 2 * torch.rand(9, 432), "pixels on 0..1, found values from"),
        (torch.rand(9, 432) - 0.5, torch.rand(9, 432), "pixels on 0..1, found values from -0"),
    ],
)
def test_undefined_cases_are_refused(real: Tensor, fake: Tensor, message: str) -> None:
    """Too few images, non-square or small images, and another range are refused."""
    with pytest.raises(MetricError, match=message):
        ms_ssim_diversity(real, fake)


def test_no_pair_is_no_comparison() -> None:
    """Zero pairs are refused with the requested number."""
    with pytest.raises(MetricError, match="at least 1 pair, found 0"):
        ms_ssim_diversity(images(9, 1), images(9, 2), pairs=0)


def test_reals_without_likeness_are_no_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reals without similarity are refused, as the ratio is undefined."""
    monkeypatch.setattr(MODULE, "_torchmetrics", lambda: lambda one, other, **options: torch.zeros(len(one)))
    with pytest.raises(MetricError, match="All paired reals have a similarity of 0"):
        ms_ssim_diversity(images(9, 1), images(9, 2))


def test_without_torchmetrics_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra, imported where it is used."""
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", None)
    with pytest.raises(MetricError, match=r"pip install 'ganeval\[msssim\]'"):
        ms_ssim_diversity(images(9, 1), images(9, 2))
