"""FWD: the filter bank, pytorchfwd's values, single bands, and its standard error."""

import math
from importlib import import_module
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.fid import fid
from ganeval.metrics.fwd import fwd


def images(n: int, size: int, seed: int, *, power: float = 1.0) -> Tensor:
    """float64 [n, 3 * size * size]."""
    return torch.from_numpy(np.random.RandomState(seed).rand(n, 3 * size**2) ** power)


def packets(side: Tensor, size: int, level: int) -> list[Tensor]:
    """By the filter bank: sums and differences of neighbours over sqrt(2), in both directions, at every level."""
    found = [side.reshape(-1, 3, size, size)]
    for _ in range(level):
        halved = []
        for image, (down, across) in product(found, product((1, -1), repeat=2)):
            rows = (image[:, :, ::2] + down * image[:, :, 1::2]) / math.sqrt(2)
            halved.append((rows[..., ::2] + across * rows[..., 1::2]) / math.sqrt(2))
        found = halved
    return [packet.flatten(1) for packet in found]


@pytest.mark.parametrize(("size", "level"), [(8, 1), (8, 3), (12, 2)])
def test_fwd_is_the_mean_fid_of_the_filter_bank(size: int, level: int) -> None:
    """Packets of the recursive filters, one FID each, with more and with fewer images than coefficients."""
    real, fake = images(40, size, 0), images(30, size, 1, power=1.3)
    sides = zip(packets(real, size, level), packets(fake, size, level), strict=True)
    expected = np.mean([fid(x, y).value for x, y in sides])
    found = fwd(real, fake, level=level)
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.details == {"level": level, "packets": 4**level, "pixels": size}


def test_pytorchfwd_gives_these_values() -> None:
    """pytorchfwd 1.0.1 on the same images, at levels 2 and 4."""
    rng = np.random.RandomState(0)
    real = torch.from_numpy(rng.rand(60, 3 * 16 * 16))
    fake = torch.from_numpy(rng.rand(50, 3 * 16 * 16) ** 1.3)
    assert fwd(real, fake, level=2).value == pytest.approx(2.244093327809728, rel=1e-9)
    assert fwd(real, fake).value == pytest.approx(0.03115705854864744, rel=1e-9)


def test_a_change_of_brightness_is_in_one_packet() -> None:
    """Adding c to every pixel moves the mean band alone: by 3 S^2 c^2 over the number of packets."""
    real = images(300, 8, 0)
    found = fwd(real, real + 0.25, level=2)
    assert found.value == pytest.approx(3 * 8**2 * 0.25**2 / 16, rel=1e-9)


def test_noise_is_noticed_that_is_small_beside_the_images() -> None:
    """Noise of a thousandth of the images' variance moves smooth images' FWD by many standard errors."""
    smooth = torch.from_numpy(np.random.RandomState(0).rand(400, 3, 1, 1)).expand(-1, -1, 8, 8).flatten(1)
    other = torch.from_numpy(np.random.RandomState(1).rand(400, 3, 1, 1)).expand(-1, -1, 8, 8).flatten(1)
    noise = 0.01 * torch.from_numpy(np.random.RandomState(2).randn(400, 192))
    plain, noisy = fwd(smooth, other, level=3), fwd(smooth, other + noise, level=3)
    banded = [fid(x, y).value for x, y in zip(packets(smooth, 8, 3), packets(other + noise, 8, 3), strict=True)]
    assert noisy.value != plain.value
    assert min(banded) > 1e-4


def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that are transformed a few at a time have the same value, but for rounding.

    Some processors' matrix products of fewer rows differ in the last bit (seen on an Intel Xeon, not on an AMD EPYC).
    """
    real, fake = images(40, 8, 0), images(30, 8, 1)
    expected = fwd(real, fake)
    monkeypatch.setattr(import_module("ganeval.metrics.fwd"), "PIECE", 8 * 192 * 7)
    found = fwd(real, fake)
    assert found.value == pytest.approx(expected.value, rel=1e-12)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-12)


def test_a_level_that_the_size_does_not_allow_is_lowered_and_said() -> None:
    """Images of 12 pixels can be halved twice; those of 16 pixels four times, without a note."""
    found = fwd(images(20, 12, 0), images(20, 12, 1))
    assert found.details["level"] == 2
    assert "Level 2 instead of 4" in found.notes[0]
    assert fwd(images(20, 16, 0), images(20, 16, 1)).notes == ()


def test_standard_error_matches_the_spread_over_many_draws() -> None:
    """The error agrees with the spread of 100 draws, which is known to 7%."""
    draws = []
    for seed in range(100):
        rng = np.random.RandomState(seed)
        shades = rng.rand(2, 150, 1) * np.array([1.0, 0.7])[:, None, None]
        sides = torch.from_numpy(shades + 0.1 * rng.randn(2, 150, 3 * 4**2))
        draws.append(fwd(sides[0], sides[1], level=1))
    spread = float(np.std([draw.value for draw in draws]))
    mean = float(np.mean([draw.standard_error for draw in draws if draw.standard_error is not None]))
    assert 0.83 * spread < mean < 1.2 * spread


@pytest.mark.parametrize(
    ("real", "fake", "level", "message"),
    [
        (torch.rand(5, 3 * 7**2), torch.rand(5, 3 * 7**2), 4, "can be halved, found 7 x 7 pixels"),
        (torch.rand(5, 50), torch.rand(5, 50), 4, "50 values do not form one"),
        (torch.rand(5, 2), torch.rand(5, 2), 4, "2 values do not form one"),
        (torch.rand(1, 12), torch.rand(5, 12), 1, "at least 2 real and 2 fake images, found 1 and 5"),
        (torch.rand(5, 12), torch.rand(5, 12), 0, "level of FWD must be from 1 to 12, found 0"),
        (torch.rand(5, 12), torch.rand(5, 12), 99, "level of FWD must be from 1 to 12, found 99"),
        (torch.rand(5, 12), torch.rand(5, 48), 1, "12 dimensions and fake ones 48"),
    ],
)
def test_undefined_cases_are_refused(real: Tensor, fake: Tensor, level: int, message: str) -> None:
    """Undefined input is an error."""
    with pytest.raises(MetricError, match=message):
        fwd(real, fake, level=level)
