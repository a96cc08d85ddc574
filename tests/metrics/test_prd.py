"""The curve of precision against recall: 1 everywhere for sets alike, 0 for sets apart."""

import numpy as np
import pytest
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.prd import ANGLES, prd_curve


def cloud(count: int, seed: int, *, shift: float = 0.0) -> Tensor:
    """float32 [count, 4] of a normal distribution."""
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)) + shift


def test_a_set_beside_itself_has_all_of_both() -> None:
    """For equal shares of bins the curve is min(slope, 1) and its inverse."""
    curve = prd_curve(cloud(100, 0), cloud(100, 0))
    assert curve.precision.shape == curve.recall.shape == (ANGLES,)
    assert np.maximum(curve.precision, curve.recall) == pytest.approx(np.ones(ANGLES))


def test_sets_apart_have_nothing_of_either() -> None:
    """No bin holds images of both."""
    curve = prd_curve(cloud(100, 0), cloud(100, 1, shift=1000.0))
    assert curve.precision == pytest.approx(np.zeros(ANGLES))
    assert curve.recall == pytest.approx(np.zeros(ANGLES))


def test_half_of_the_modes_is_half_of_the_recall() -> None:
    """Fakes of one of two modes have full precision and half of the recall."""
    real = torch.cat([cloud(200, 0), cloud(200, 1, shift=100.0)])
    curve = prd_curve(real, cloud(400, 2), bins=2)
    assert curve.precision.max() == pytest.approx(1.0, abs=0.02)
    assert curve.recall.max() == pytest.approx(0.5, abs=0.05)


def test_the_larger_set_is_cut_down_and_few_images_will_do() -> None:
    """Sizes may differ, and the number of bins is limited by the number of images."""
    curve = prd_curve(cloud(500, 0), cloud(5, 1))
    assert ((curve.precision >= 0) & (curve.precision <= 1)).all()
    assert np.array_equal(curve.precision, prd_curve(cloud(500, 0), cloud(5, 1)).precision)


def test_one_image_has_no_curve() -> None:
    """The message says how many are needed."""
    with pytest.raises(MetricError, match="at least 2"):
        prd_curve(cloud(10, 0), cloud(1, 1))
    with pytest.raises(MetricError, match="dimensions"):
        prd_curve(cloud(10, 0), torch.zeros(10, 3))


@pytest.mark.parametrize(("bins", "runs"), [(0, 5), (-1, 5), (20, 0)])
def test_a_curve_needs_bins_and_runs(bins: int, runs: int) -> None:
    """The message says how many were asked for."""
    with pytest.raises(MetricError, match=f"at least 1 bin and 1 run, found {bins} and {runs}"):
        prd_curve(cloud(10, 0), cloud(10, 1), bins=bins, runs=runs)
