"""MS-SSIM of image pairs: the formula, and the packages whose conventions it follows."""

import math

import piq
import pytest
import torch
import torch.nn.functional as F
from pair_helpers import china, pairs
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from ganeval.errors import MetricError
from ganeval.metrics import ms_ssim, ssim
from ganeval.metrics.ssim import C1, C2, WEIGHTS

# Odd and even sides; the smallest that torchmetrics takes is 176.
PARTS = {"even": (slice(0, 192), slice(0, 256)), "odd": (slice(0, 181), slice(0, 203))}


def part(name: str) -> tuple[Tensor, Tensor]:
    """A part of the photograph, and of what bicubic x4 leaves of it."""
    rows, columns = PARTS[name]
    real, fake = (side[..., rows, columns] for side in china())
    return real, fake


@pytest.mark.parametrize("name", PARTS)
def test_piq_s_convention_is_piq_s(name: str) -> None:
    """To the 1e-6 of a window in float32."""
    real, fake = part(name)
    expected = piq.multi_scale_ssim(fake.double(), real.double(), data_range=255.0).item()
    assert ms_ssim(real, fake, convention="piq").item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", PARTS)
def test_torchmetrics_convention_is_torchmetrics(name: str) -> None:
    """With its option normalize="relu", to rounding of float64 sums."""
    real, fake = part(name)
    expected = multiscale_structural_similarity_index_measure(
        fake.double(), real.double(), data_range=255.0, normalize="relu"
    ).item()
    assert ms_ssim(real, fake, convention="torchmetrics").item() == pytest.approx(expected, abs=1e-6)


def naive(real: Tensor, fake: Tensor) -> float:
    """Wang's MS-SSIM at two scales, with sums over unfolded windows, of one channel [H, W]."""
    line = torch.exp(-((torch.arange(11.0, dtype=torch.float64) - 5) ** 2) / 4.5)
    window = (torch.outer(line, line) / line.sum() ** 2).flatten()[:, None]
    factors = []
    for scale in (1, 2):
        a, b = (F.unfold(side[None, None], 11)[0] for side in (real, fake))
        ma, mb = ((window * one).sum(0) for one in (a, b))
        va, vb = ((window * (one - mean) ** 2).sum(0) for one, mean in ((a, ma), (b, mb)))
        contrast = (2 * (window * (a - ma) * (b - mb)).sum(0) + C2) / (va + vb + C2)
        luminance = (2 * ma * mb + C1) / (ma**2 + mb**2 + C1)
        factors.append((contrast if scale == 1 else contrast * luminance).mean().item())
        # An odd side is continued by its last pixel.
        real, fake = (
            F.avg_pool2d(F.pad(side[None, None], (0, side.shape[1] % 2, 0, side.shape[0] % 2), "replicate"), 2)[0, 0]
            for side in (real, fake)
        )
    weights = [weight * sum(WEIGHTS) / sum(WEIGHTS[:2]) for weight in WEIGHTS[:2]]
    return math.prod(factor**weight for factor, weight in zip(factors, weights, strict=True))


@pytest.mark.parametrize(("height", "width"), [(24, 26), (23, 27)])
def test_wang_s_convention_is_the_formula(height: int, width: int) -> None:
    """At two scales, written naively, with odd sides."""
    real, fake = pairs(1, height, width)
    expected = sum(naive(real[0, channel].double(), fake[0, channel].double()) for channel in range(3)) / 3
    assert ms_ssim(real, fake, scales=2).item() == pytest.approx(expected, abs=1e-12)


def test_one_scale_is_ssim_to_the_sum_of_the_weights() -> None:
    """Which is 1.0001; of one channel, since the power is taken of each."""
    real, fake = (side[:, :1] for side in pairs(2))
    assert ms_ssim(real, fake, scales=1).tolist() == pytest.approx((ssim(real, fake) ** sum(WEIGHTS)).tolist())


def test_symmetry_and_identity() -> None:
    """Real and fake may change places; equal images have 1."""
    real, fake = pairs(3, 24, 24)
    assert torch.equal(ms_ssim(real, fake, scales=2), ms_ssim(fake, real, scales=2))
    assert ms_ssim(real, real, scales=2).tolist() == [1.0] * 3


def test_what_ms_ssim_cannot_use_is_refused() -> None:
    """With the number of scales that fit."""
    with pytest.raises(MetricError, match=r"scale 3 has 10 x 10.*ms_ssim\.scales=2"):
        ms_ssim(*pairs(1, 40, 40))
    with pytest.raises(MetricError, match="at least 11 x 11"):
        ms_ssim(*pairs(1, 10, 10))
    with pytest.raises(MetricError, match="scales is 6; choose 1 to 5"):
        ms_ssim(*pairs(1), scales=6)
    with pytest.raises(MetricError, match="'convention' must be 'wang' or 'torchmetrics' or 'piq', found 'skimage'"):
        ms_ssim(*pairs(1), convention="skimage")  # type: ignore[arg-type]
