"""Intra-class FID: the mean of FIDs, closed forms, faults that FID misses, and its error."""

import numpy as np
import pytest
import torch
from class_helpers import gaussians
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.fid import fid
from ganeval.metrics.intra_fid import intra_fid
from ganeval.uncertainty import Estimate


def found(real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor], ddof: int = 1) -> Estimate:
    return intra_fid(real[0], fake[0], real_labels=real[1], fake_labels=fake[1], ddof=ddof)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("width", [4, 40])
def test_it_is_the_mean_of_fids(width: int, ddof: int) -> None:
    """A loop over classes gives the same value and details, for more and for fewer images than dimensions."""
    real, fake = gaussians(60, 1, width=width), gaussians(45, 2, width=width)
    estimate = found(real, fake, ddof)
    expected = {f"class {k}": fid(real[0][real[1] == k], fake[0][fake[1] == k], ddof=ddof).value for k in range(3)}
    assert estimate.details == pytest.approx(expected)
    assert estimate.value == pytest.approx(np.mean(list(expected.values())))


def test_many_images_give_the_closed_form() -> None:
    """Gaussians of one covariance whose means lie 1, 2 and 3 apart: (1 + 4 + 9) / 3, within three errors."""
    (real, labels), (fake, _) = gaussians(9000, 1), gaussians(9000, 2)
    fake[:, 4] += labels + 1
    estimate = found((real, labels), (fake, labels))
    assert estimate.standard_error is not None
    assert estimate.value == pytest.approx(14 / 3, abs=3 * estimate.standard_error)
    assert estimate.details["class 2"] == pytest.approx(9, abs=0.4)
    assert estimate.standard_error < 0.1


def test_classes_given_for_one_another_show() -> None:
    """If each class is exchanged for the next, FID of all images stays small, and intra-class FID does not."""
    real, (fake, labels) = gaussians(600, 1), gaussians(600, 2)
    swapped = found(real, (fake, (labels + 1) % 3))
    assert fid(real[0], fake).value < 0.1
    assert found(real, (fake, labels)).value < 0.3
    # Two means, each 2 from the origin on axes of their own.
    assert swapped.value == pytest.approx(8, abs=1)


def test_neither_order_nor_names_nor_a_rotation_matter() -> None:
    """The value is invariant when images move with their labels, and for any numbers as classes."""
    (real, a), (fake, b) = gaussians(60, 1), gaussians(50, 2)
    expected = found((real, a), (fake, b))
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
    for after in (
        found((real[order], a[order]), (fake.flip(0), b.flip(0))),
        found((real, 100 - a), (fake, 100 - b)),
        found((real @ rotation, a), (fake @ rotation, b)),
    ):
        assert after.value == pytest.approx(expected.value)
        assert after.standard_error == pytest.approx(expected.standard_error)


def test_standard_error_matches_the_spread_over_draws() -> None:
    """Within 17%, as 150 draws know it to 6%, and the interval holds the mean as often as it says."""
    draws = [found(gaussians(150, 2 * i), gaussians(90, 2 * i + 1, wrong=0.3)) for i in range(150)]
    values = np.array([draw.value for draw in draws])
    assert np.mean([draw.standard_error for draw in draws]) == pytest.approx(values.std(), rel=0.17)
    held = [draw.interval is not None and draw.interval[0] <= values.mean() <= draw.interval[1] for draw in draws]
    assert 0.90 <= np.mean(held) <= 0.99


def test_what_two_sets_share_is_their_covariance() -> None:
    """Over draws of the reals, the covariance of two sets of fakes is what `shared` says."""
    fakes = [gaussians(200, seed, classes=2, apart=4.0) for seed in (1001, 1002)]
    draws = [[found(gaussians(60, i, classes=2), fake) for fake in fakes] for i in range(140)]
    covariance = np.cov([[one.value for one in draw] for draw in draws], rowvar=False)[0, 1]
    said = [float(one.shared @ other.shared) for one, other in draws if one.shared is not None is not other.shared]
    assert np.mean(said) == pytest.approx(covariance, rel=0.3)


def test_few_images_a_class_are_remarked_upon() -> None:
    """The note gives the smallest class's number of images; large classes have no note."""
    few = found(gaussians(60, 1), gaussians(32, 2))
    assert len(few.notes) == 1
    assert few.notes[0].startswith("10 images of a class for 5 dimensions: ")
    assert found(gaussians(300, 1), gaussians(300, 2)).notes == ()


def test_a_class_of_one_image_needs_another_divisor_or_more_images() -> None:
    """A covariance needs 2 images for every divisor."""
    (real, labels), fake = gaussians(4, 1), gaussians(30, 2)
    with pytest.raises(MetricError, match="at least 2 real images of every class, found 1 of class 1"):
        found((real, labels), fake, ddof=0)
