"""MiFID: its definition, torchmetrics with the sets exchanged, copies, and its standard error."""

import math
from importlib import import_module

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp
from torch import Tensor
from torchmetrics.image.mifid import MemorizationInformedFrechetInceptionDistance

from ganeval.errors import MetricError
from ganeval.metrics.fid import fid
from ganeval.metrics.mifid import mifid

# The table's function of the same name hides the module from an ordinary import.
module = import_module("ganeval.metrics.mifid")


def features(n: int, d: int, seed: int = 0, *, shift: float = 0.0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.randn(n, d, generator=rng, dtype=torch.float64) + shift).relu() + 0.05


def naive(real: Tensor, fake: Tensor, threshold: float) -> float:
    """A loop over fakes and reals."""

    def cosine(a: Tensor, b: Tensor) -> float:
        return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))

    minima = [min(1 - abs(cosine(x, y)) for y in real) for x in fake]
    mean = sum(minima) / len(minima)
    return fid(real, fake).value / (mean if mean < threshold else 1.0)


@settings(max_examples=25)
@given(st.integers(2, 15), st.integers(2, 15), st.integers(2, 6), st.sampled_from([0.01, 0.1, 1.0]), st.booleans())
def test_mifid_is_its_definition(n: int, m: int, d: int, threshold: float, signed: bool) -> None:
    """A loop gives the same number on either side of the threshold, and opposite directions count as near."""
    real, fake = features(n, d, n), features(m, d, m + 100, shift=0.3)
    if signed:
        real, fake = real - 0.5, 0.5 - fake
    assert mifid(real, fake, threshold=threshold).value == pytest.approx(naive(real, fake, threshold), rel=1e-7)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_mifid_is_torchmetrics_with_the_sets_exchanged(shift: float) -> None:
    """FID is symmetric, so passing the fakes as reals to torchmetrics gives the right minimum."""
    real, fake = features(200, 6, 1), features(80, 6, 2, shift=shift)

    def peer(first: Tensor, second: Tensor) -> float:
        metric = MemorizationInformedFrechetInceptionDistance(feature=torch.nn.Identity())
        metric.update(first, real=True)
        metric.update(second, real=False)
        return float(metric.compute())

    assert mifid(real, fake).value == pytest.approx(peer(fake, real), rel=1e-6)
    assert mifid(real, fake).value != pytest.approx(peer(real, fake), rel=0.05)


def test_the_threshold_is_that_of_torchmetrics() -> None:
    """At mean distances a little above and a little below 0.1, both divide by what they divide by."""
    for d, above in ((10, False), (14, True)):
        real, fake = features(200, d, 1), features(80, d, 2)
        metric = MemorizationInformedFrechetInceptionDistance(feature=torch.nn.Identity())
        metric.update(fake, real=True)
        metric.update(real, real=False)
        found = mifid(real, fake)
        assert found.value == pytest.approx(float(metric.compute()), rel=1e-6)
        assert 0.07 < found.details["distance"] < 0.14
        assert (found.value == found.details["fid"]) is above


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_directions_that_are_nearly_the_same_are_told_apart(dtype: torch.dtype) -> None:
    """The nearest real is found where float32 products of all pairs are equal."""
    real, fake = (side.float().to(dtype) for side in (features(60, 8, 1, shift=5) + 1e4, features(50, 8, 2) + 1e4))
    x, y = (side.double() / side.double().norm(dim=1, keepdim=True) for side in (real, fake))
    expected = float(((y[:, None] - x[None]).square().sum(2) / 2).min(1).values.mean())
    assert mifid(real, fake).details["distance"] == pytest.approx(expected, rel=1e-3)


def test_a_memorising_generator_is_worse_than_its_fid() -> None:
    """Near-copies of some reals look no worse than new images to FID, and far worse to MiFID."""
    real, fresh = features(300, 6, 1), features(100, 6, 2)
    copies = real[:100] + 1e-3 * features(100, 6, 3)
    honest, memorised = mifid(real, fresh), mifid(real, copies)
    assert memorised.details["fid"] < 1.2 * honest.details["fid"]
    assert memorised.details["distance"] < 1e-3 * honest.details["distance"]
    assert memorised.value > 100 * honest.value


def test_the_details_say_what_it_is_made_of() -> None:
    """The details have FID and the mean distance; at or above the threshold the value and error are FID's."""
    real, fake = features(60, 6, 1), features(50, 6, 2, shift=0.5)
    plain, estimate = fid(real, fake), mifid(real, fake, threshold=1.0)
    assert estimate.details["fid"] == pytest.approx(plain.value)
    assert estimate.value == pytest.approx(plain.value / estimate.details["distance"])
    above = mifid(real, fake, threshold=1e-4)
    assert above.value == pytest.approx(plain.value)
    assert above.standard_error == pytest.approx(plain.standard_error)


def test_copies_among_the_fakes_are_at_distance_zero() -> None:
    """Copies have a distance of exactly 0, also in float32 and for any scale of an image."""
    real = features(60, 6, 1).float()
    fake = torch.cat([real[:30] * 2, features(30, 6, 2).float()])
    expected = mifid(real, fake[30:]).details["distance"] / 2
    assert mifid(real, fake).details["distance"] == pytest.approx(expected, rel=1e-9)


def test_nothing_but_copies_is_refused() -> None:
    """Only copies are refused, because MiFID would be infinite or undefined."""
    real = features(20, 6, 1)
    with pytest.raises(MetricError, match=r"MiFID is infinite: 10 of 10 equal a real\. Use FID instead, and nn"):
        mifid(real, real[:10])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sets_without_a_direction_are_not_called_copies(dtype: torch.dtype) -> None:
    """Grey 10 and grey 200 have one direction but are not copies; in one dimension there is no direction."""
    dark, light = (torch.full((20, 48), grey / 255, dtype=dtype) for grey in (10, 200))
    with pytest.raises(
        MetricError, match="infinite: 0 of 20 equal a real, and the others differ from one only in length"
    ):
        mifid(dark, light)
    with pytest.raises(MetricError, match="20 of 20 equal a real"):
        mifid(dark, dark)
    with pytest.raises(MetricError, match="features of one dimension have only a sign"):
        mifid(features(20, 1, 1).to(dtype), features(20, 1, 2).to(dtype))


def test_some_multiples_of_reals_are_remarked_on() -> None:
    """Fakes that differ from reals in length only are counted in a remark; copies need none."""
    real, fresh = features(60, 6, 1).float(), features(30, 6, 2).float()
    (note,) = mifid(real, torch.cat([fresh, real[:5] * 3, real[5:12]]), threshold=1.0).notes
    assert note.startswith("5 of 42 fakes have the direction of a real without being equal to it")
    assert mifid(real, torch.cat([fresh, real[5:12]]), threshold=1.0).notes == ()


def test_a_small_distance_is_no_copy_where_float64_can_tell() -> None:
    """Features of nearly the same direction have the value of the definition with 60 digits."""
    real, fake = features(12, 3, 1) + 1e5, features(9, 3, 2) + 1e5
    with mp.workdps(60):
        rows = [[[mp.mpf(float(x)) for x in row] for row in side] for side in (real, fake)]
        lengths = [[mp.sqrt(sum(x * x for x in row)) for row in side] for side in rows]
        minima = [
            min(
                1 - abs(sum(a * b for a, b in zip(one, other, strict=True))) / (length * across)
                for other, across in zip(rows[0], lengths[0], strict=True)
            )
            for one, length in zip(rows[1], lengths[1], strict=True)
        ]
        expected = float(sum(minima) / len(minima))
    assert expected < 1e-10
    assert mifid(real, fake).details["distance"] == pytest.approx(expected, rel=1e-5)


def test_neither_order_nor_blocks_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value is invariant up to rounding."""
    real, fake = features(40, 6, 1), features(30, 6, 2, shift=0.3)
    before = mifid(real, fake, threshold=1.0)
    monkeypatch.setitem(mifid.__globals__, "BLOCK_ROWS", 7)
    monkeypatch.setitem(mifid.__globals__, "BLOCK_COLUMNS", 13)
    after = mifid(real.flip(0), fake.flip(0), threshold=1.0)
    assert after.value == pytest.approx(before.value, rel=1e-9)
    assert after.standard_error == pytest.approx(before.standard_error, rel=1e-7)


@pytest.mark.parametrize(
    ("n", "m", "shift", "most"), [(150, 100, 0.8, 1.15), (100, 150, 0.8, 1.15), (100, 100, 0.2, 1.4)]
)
def test_standard_error_matches_the_spread_over_many_draws(n: int, m: int, shift: float, most: float) -> None:
    """The error agrees within the 5% of 200 draws; close to equal distributions it is conservative."""
    draws = [mifid(features(n, 6, 2 * i), features(m, 6, 2 * i + 1, shift=shift), threshold=1.0) for i in range(200)]
    spread = float(torch.tensor([draw.value for draw in draws]).std())
    mean = float(torch.tensor([draw.standard_error for draw in draws]).mean())
    assert 0.87 * spread < mean < most * spread


def test_the_threshold_is_pointed_out_where_it_decides() -> None:
    """A note is given only if the mean distance cannot be distinguished from the threshold."""
    real, fake = features(100, 6, 1), features(100, 6, 2, shift=0.3)
    distance = mifid(real, fake).details["distance"]
    (note,) = mifid(real, fake, threshold=distance * 1.01).notes
    assert "close to the threshold" in note
    assert mifid(real, fake, threshold=3 * distance).notes == ()


@pytest.mark.parametrize(
    ("real", "fake", "threshold", "message"),
    [
        (torch.ones(1, 4), torch.ones(5, 4), 0.1, "at least 2 real images, found 1"),
        (torch.ones(5, 4), torch.ones(5, 3), 0.1, "4 dimensions and fake ones 3"),
        (torch.ones(5, 4), torch.full((5, 4), math.nan), 0.1, "5 of 5 images"),
        (torch.ones(5, 4), torch.ones(5, 4), 0.0, "threshold must be above 0, found 0"),
        (torch.ones(5, 4), torch.ones(5, 4), math.nan, "threshold.* must be a number, found NaN"),
        (torch.eye(5)[:, :4], torch.ones(6, 4), 0.1, "1 of 5 images have features of zeros only"),
        (torch.ones(6, 4), torch.eye(5)[:, :4], 0.1, "1 of 5 images have features of zeros only"),
    ],
)
def test_undefined_cases_are_refused(real: Tensor, fake: Tensor, threshold: float, message: str) -> None:
    """Undefined input is an error."""
    with pytest.raises(MetricError, match=message):
        mifid(real, fake, threshold=threshold)


def test_a_training_programs_autocast_changes_nothing() -> None:
    """Products stay float32 under autocast."""
    real, fake = features(30, 8, 1).float(), features(30, 8, 2, shift=0.3).float()
    expected = mifid(real, fake, threshold=1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert mifid(real, fake, threshold=1.0) == expected
