"""PSNR, SSIM and L1 of image pairs: closed forms, naive formulas, and the packages whose conventions they follow."""

import math

import numpy as np
import piq
import pytest
import torch
from pair_helpers import array, china, pairs
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio as torchmetrics_psnr
from torchmetrics.functional.image import structural_similarity_index_measure

from ganeval.errors import MetricError
from ganeval.metrics import l1, psnr, ssim
from ganeval.metrics.ssim import CONVENTIONS

# Both sides compute in float64; what differs is the order of sums.
EXACT = 1e-12


@pytest.mark.parametrize("offset", [1, 16, 100])
def test_psnr_of_a_constant_offset_is_the_closed_form(offset: int) -> None:
    """An offset of d everywhere has an MSE of d^2, and a PSNR of 20 log10(255 / d)."""
    real = torch.full((2, 3, 8, 8), 100, dtype=torch.uint8)
    assert psnr(real, real + offset).tolist() == pytest.approx([20 * math.log10(255 / offset)] * 2, abs=EXACT)


def test_psnr_of_equal_images_is_infinite_or_the_cap() -> None:
    """It is never 0 and never NaN."""
    real, fake = pairs(2)
    assert psnr(real, real).tolist() == [math.inf, math.inf]
    capped = psnr(real, torch.stack((real[0], fake[1])), cap=80.0).tolist()
    assert capped == [80.0, psnr(real, fake)[1].item()]
    # piq adds 1e-8 to the MSE of images on 0..1.
    theirs = piq.psnr(*(torch.stack(some).double() for some in ((real[0], fake[1]), tuple(real))), 255.0, "none")
    assert capped == pytest.approx(theirs.tolist(), abs=1e-4)


def test_published_values_of_bicubic_x4_are_reproduced() -> None:
    """The photograph of a temple, reduced by Pillow: PSNR and SSIM by convention, to the digits that were noted."""
    real, fake = china()
    assert psnr(real, fake, channel="y", border=4).item() == pytest.approx(22.43, abs=0.006)
    assert psnr(real, fake, border=4).item() == pytest.approx(21.07, abs=0.006)
    assert ssim(real, fake, channel="y", border=4).item() == pytest.approx(0.637, abs=0.0006)
    found = {name: ssim(real, fake, convention=name).item() for name in CONVENTIONS}
    expected = {"wang": 0.6225, "skimage": 0.6447, "torchmetrics": 0.6222, "piq": 0.8043}
    assert found == pytest.approx(expected, abs=0.00006)


def test_psnr_agrees_with_scikit_image_and_torchmetrics() -> None:
    """On RGB as it is, to rounding."""
    real, fake = china()
    assert psnr(real, fake).item() == pytest.approx(peak_signal_noise_ratio(array(real), array(fake)), abs=EXACT)
    theirs = torchmetrics_psnr(fake.double(), real.double(), data_range=255.0)
    assert psnr(real, fake).item() == pytest.approx(theirs.item(), abs=1e-6)


def basicsr_y(image: np.ndarray) -> np.ndarray:
    """BasicSR's rgb2ycbcr(y_only=True) of uint8 [H, W, 3], on 0..255: on floats, and not rounded."""
    return np.dot(image.astype(np.float64) / 255, [65.481, 128.553, 24.966]) + 16.0


def basicsr_psnr(real: np.ndarray, fake: np.ndarray, border: int) -> float:
    """BasicSR's calculate_psnr with test_y_channel."""
    x, y = (basicsr_y(one[border:-border, border:-border]) for one in (real, fake))
    return float(10 * np.log10(255.0**2 / np.mean((x - y) ** 2)))


def test_the_y_channel_with_a_border_is_basicsr_s() -> None:
    """PSNR and SSIM, by BasicSR's formulas written naively; its SSIM is Wang's on what remains."""
    real, fake = china()
    expected = basicsr_psnr(array(real), array(fake), 4)
    assert psnr(real, fake, channel="y", border=4).item() == pytest.approx(expected, abs=EXACT)
    real, fake = real[..., 100:140, 100:140], fake[..., 100:140, 100:140]
    x, y = (basicsr_y(array(one)[4:-4, 4:-4]) for one in (real, fake))
    assert ssim(real, fake, channel="y", border=4).item() == pytest.approx(naive_ssim(x, y, GAUSSIAN), abs=EXACT)


def gaussian_window() -> np.ndarray:
    """11 x 11, sigma 1.5, sum 1."""
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    return np.outer(line, line) / line.sum() ** 2


GAUSSIAN = gaussian_window()


def naive_ssim(x: np.ndarray, y: np.ndarray, window: np.ndarray) -> float:
    """The formula of the paper at each place of the window, one after the other."""
    size, c1, c2 = len(window), (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = []
    for row in range(x.shape[0] - size + 1):
        for column in range(x.shape[1] - size + 1):
            a, b = (one[row : row + size, column : column + size] for one in (x, y))
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            covariance = (window * (a - ma) * (b - mb)).sum()
            found.append(
                (2 * ma * mb + c1) * (2 * covariance + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)),
            )
    return float(np.mean(found))


@pytest.mark.parametrize(("height", "width"), [(11, 11), (13, 17)])
def test_ssim_is_the_formula_of_the_paper(height: int, width: int) -> None:
    """On small noise, each channel alone."""
    real, fake = pairs(1, height, width)
    expected = [
        naive_ssim(array(real)[..., c].astype(float), array(fake)[..., c].astype(float), GAUSSIAN) for c in (0, 1, 2)
    ]
    assert ssim(real, fake).item() == pytest.approx(np.mean(expected), abs=EXACT)


def peers(real: Tensor, fake: Tensor, dtype: torch.dtype) -> dict[str, float]:
    """SSIM as the packages compute it on the same images, in float64; dtype: that of torchmetrics."""
    x, y = real.double(), fake.double()
    return {
        "wang": structural_similarity(
            array(real), array(fake), channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        ),
        "skimage": structural_similarity(array(real), array(fake), channel_axis=2),
        "torchmetrics": structural_similarity_index_measure(y.to(dtype), x.to(dtype), data_range=255.0).item(),
        "piq": piq.ssim(y, x, data_range=255.0).item(),
    }


@pytest.mark.parametrize("rows", [slice(20, 404), slice(0, 37), slice(0, 383)], ids=["reduced", "flat", "not-reduced"])
def test_every_convention_of_ssim_is_that_of_its_package(rows: slice) -> None:
    """To 1e-6, on parts of a photograph: the peers take their window in float32 or sum in other orders.

    To 1e-4 of torchmetrics on large parts, where its float64 is ten times slower than its float32.
    """
    real, fake = (images[..., rows, :390] for images in china())
    large = real.shape[2] > 100
    expected = peers(real, fake, torch.float32 if large else torch.float64)
    found = {name: ssim(real, fake, convention=name).item() for name in CONVENTIONS}
    assert found.pop("torchmetrics") == pytest.approx(expected.pop("torchmetrics"), abs=1e-4 if large else 1e-6)
    assert found == pytest.approx(expected, abs=1e-6)


def test_piq_without_its_reduction_is_wang_s() -> None:
    """piq.ssim(downsample=False)."""
    real, fake = (images[..., 100:200, 100:240] for images in china())
    expected = piq.ssim(fake.double(), real.double(), data_range=255.0, downsample=False).item()
    assert ssim(real, fake).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", [psnr, ssim, l1])
def test_symmetry_identity_and_independence_of_pairs(metric) -> None:  # type: ignore[no-untyped-def]
    """Real and fake may change places, equal images have the best value, and a pair's value is its own."""
    real, fake = pairs(4)
    values = metric(real, fake)
    assert torch.equal(values, metric(fake, real))
    assert metric(real, real).tolist() == [{psnr: math.inf, ssim: 1.0, l1: 0.0}[metric]] * 4
    order = torch.tensor([2, 0, 3, 1])
    assert torch.equal(metric(real[order], fake[order]), values[order])
    assert torch.equal(torch.cat([metric(real[i : i + 1], fake[i : i + 1]) for i in range(4)]), values)


@pytest.mark.parametrize("metric", [psnr, ssim, l1])
def test_floats_on_0_to_1_are_the_same_images(metric) -> None:  # type: ignore[no-untyped-def]
    """To the rounding of float32."""
    real, fake = pairs(2)
    values = metric(real.float() / 255, fake.float() / 255)
    assert values.tolist() == pytest.approx(metric(real, fake).tolist(), abs=1e-5)


def test_l1_is_the_share_of_the_range() -> None:
    """51 of 255 levels are 0.2."""
    real = torch.full((1, 1, 4, 4), 100, dtype=torch.uint8)
    assert l1(real, real + 51).item() == 0.2


@pytest.mark.parametrize("metric", [psnr, ssim, l1])
@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9), "must have one size"),
        (torch.zeros(3, 8, 8), torch.zeros(3, 8, 8), r"\[N, C, height, width\]"),
        (torch.zeros(0, 3, 8, 8), torch.zeros(0, 3, 8, 8), r"\[N, C, height, width\]"),
        (torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8), "1 or 3 channels"),
        (torch.zeros(1, 3, 12, 12) - 1, torch.zeros(1, 3, 12, 12), "found values from -1 to -1"),
        (torch.zeros(1, 3, 12, 12), torch.full((1, 3, 12, 12), math.nan), "fakes .* from nan to nan"),
        (torch.zeros(1, 3, 12, 12).long(), torch.zeros(1, 3, 12, 12), "found int64"),
        (np.zeros((1, 3, 12, 12)), torch.zeros(1, 3, 12, 12), "reals .* torch tensor, found ndarray; convert"),
        (torch.zeros(1, 3, 12, 12), [[[[0.5]]]], "fakes .* torch tensor, found list; convert"),
    ],
)
def test_what_are_no_image_pairs_is_refused(metric, real: Tensor, fake: Tensor, message: str) -> None:  # type: ignore[no-untyped-def]
    """With what was found."""
    with pytest.raises(MetricError, match=message):
        metric(real, fake)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"border": 4}, "leaves nothing of images of 8 x 8"),
        ({"border": -1}, "leaves nothing"),
        ({"channel": "yuv"}, "must be 'rgb' or 'y', found 'yuv'"),
        ({"cap": 0.0}, "above 0 dB"),
    ],
)
def test_options_that_psnr_cannot_use_are_refused(options: dict[str, object], message: str) -> None:
    """With what is allowed."""
    with pytest.raises(MetricError, match=message):
        psnr(*pairs(1, 8, 8), **options)  # type: ignore[arg-type]


def test_ssim_needs_room_for_its_window() -> None:
    """And a convention that exists; luma needs three channels."""
    with pytest.raises(MetricError, match="at least 11 x 11 pixels, found 16 x 10"):
        ssim(*pairs(1, 10, 16))
    with pytest.raises(MetricError, match="must be 'wang' or 'skimage' or 'torchmetrics' or 'piq', found 'matlab'"):
        ssim(*pairs(1), convention="matlab")  # type: ignore[arg-type]
    with pytest.raises(MetricError, match="one channel"):
        psnr(*(side[:, :1] for side in pairs(1)), channel="y")
