"""Edges, patches and label maps of image pairs: closed forms, naive loops, and the jackknife."""

import math

import numpy as np
import pytest
import torch
from pair_helpers import pairs
from skimage.filters import sobel_h, sobel_v
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics import edge, patch_frechet, segmentation
from ganeval.metrics.pooled import GROUPS, Pooled


def test_edge_of_a_ramp_is_its_slope() -> None:
    """Against a flat image, in any direction; a constant offset does not count."""
    across = torch.arange(12, dtype=torch.uint8).expand(1, 3, 12, 12) * 4
    down = across.transpose(2, 3)
    flat = torch.full_like(across, 9)
    assert edge(across, flat).item() == pytest.approx(4 / 255, abs=1e-15)
    assert edge(across, down).item() == pytest.approx(4 * math.sqrt(2) / 255, abs=1e-15)
    assert edge(across, across + 10).item() == 0


def test_edge_is_the_distance_of_scikit_image_s_gradients() -> None:
    """Its filters are divided by 4 instead of 8."""
    real, fake = pairs(1)
    expected = []
    for channel in range(3):
        x, y = (side[0, channel].numpy() / 255 for side in (real, fake))
        difference = [filtered(x)[1:-1, 1:-1] - filtered(y)[1:-1, 1:-1] for filtered in (sobel_h, sobel_v)]
        expected.append(np.hypot(*difference).mean() / 2)
    assert edge(real, fake).item() == pytest.approx(np.mean(expected), rel=1e-12)


def test_patches_have_the_frechet_distance_of_their_moments() -> None:
    """Of all patches of all images, by numpy and scipy."""
    from scipy.linalg import sqrtm

    real, fake = pairs(3, 9, 11)

    def patches(side: Tensor) -> np.ndarray:
        images = side.numpy() / 255
        return np.array(
            [
                image[:, row : row + 3, column : column + 3].ravel()
                for image in images
                for row in range(0, 7, 2)
                for column in range(0, 9, 2)
            ]
        )

    x, y = patches(real), patches(fake)
    first, second = (np.cov(side, rowvar=False, bias=True) for side in (x, y))
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert patch_frechet(real, fake, size=3, stride=2).value == pytest.approx(expected, rel=1e-6)


def test_patches_see_blur_and_not_place() -> None:
    """A shifted texture is nearer than a blurred one, which PSNR would have the other way round."""
    rng = torch.Generator().manual_seed(0)
    real = torch.rand(6, 3, 32, 32, generator=rng)
    blurred = torch.nn.functional.avg_pool2d(real, 3, stride=1, padding=1, count_include_pad=False)
    assert patch_frechet(real, real.roll(5, 3)).value < patch_frechet(real, blurred).value / 10


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    """Exactly, with a pair in each group; nearly, with several."""
    values = torch.randn(GROUPS, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pooled = Pooled()
    for value in values:
        pooled.add(torch.stack((value, torch.ones_like(value))))
    found = pooled.estimate(lambda sums: float(sums[0] / sums[1]))
    assert found.value == pytest.approx(values.mean().item(), abs=1e-14)
    assert found.standard_error == pytest.approx(values.std().item() / math.sqrt(GROUPS), rel=1e-12)
    assert "jackknife over 32 pairs" in found.method


def test_the_jackknife_s_error_is_the_spread_over_draws() -> None:
    """Of the patch distance of 40 pairs in 32 groups, over 60 draws: to the 25% that 60 draws can tell."""
    values, errors = [], []
    for seed in range(60):
        real, fake = pairs(40, 4, 2, seed=seed)
        # What varies from pair to pair is the strength of the noise.
        weight = torch.rand(40, 1, 1, 1, generator=torch.Generator().manual_seed(seed))
        found = patch_frechet(real / 255, real / 255 * (1 - weight) + fake / 255 * weight * 0.5, size=2, stride=2)
        values.append(found.value)
        errors.append(found.standard_error or 0.0)
    assert np.std(values) == pytest.approx(math.sqrt(np.mean(np.square(errors))), rel=0.25)


def naive(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """The formulas, class by class."""
    classes = sorted({*true.ravel(), *predicted.ravel()})
    hits = {c: np.sum((true == c) & (predicted == c)) for c in classes}
    return {
        "pixel_accuracy": float(np.mean(true == predicted)),
        "class_accuracy": float(np.mean([hits[c] / np.sum(true == c) for c in classes if np.any(true == c)])),
        "iou": float(np.mean([hits[c] / np.sum((true == c) | (predicted == c)) for c in classes])),
    }


def test_label_maps_agree_as_the_formulas_say() -> None:
    """Pooled over all pairs, with a class that is never predicted and one that is never true."""
    rng = np.random.RandomState(0)
    true, predicted = rng.randint(0, 5, (4, 6, 7)), rng.randint(1, 6, (4, 6, 7))
    found = segmentation(torch.from_numpy(true), torch.from_numpy(predicted))
    assert {name: one.value for name, one in found.items()} == pytest.approx(naive(true, predicted), abs=1e-15)
    assert all(one.standard_error for one in found.values())


def test_pixels_of_the_ignored_class_do_not_count() -> None:
    """By their true class."""
    true = torch.tensor([[[0, 0, 1, 255]]])
    found = segmentation(true, torch.tensor([[[0, 1, 1, 0]]]))
    assert found["pixel_accuracy"].value == pytest.approx(2 / 3)
    assert found["iou"].value == 0.5
    assert segmentation(true, true, ignore=None)["iou"].value == 1
    assert found["iou"].standard_error is None


def test_equal_maps_agree_wholly() -> None:
    """Every value is 1."""
    labels = torch.arange(12).reshape(2, 2, 3) % 4
    assert {one.value for one in segmentation(labels, labels).values()} == {1.0}


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        (torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).long(), "true label maps must be whole numbers"),
        (torch.zeros(1, 2, 2).long(), torch.zeros(2, 2).long(), r"predicted label maps .* found int64 \[2, 2\]"),
        (torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 3).long(), "must have one size"),
        (torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 2).long() + 256, "from 0 to 255, found 256 to 256"),
        (torch.zeros(1, 2, 2).long() - 1, torch.zeros(1, 2, 2).long(), "true classes must be from 0"),
        (torch.full((1, 2, 2), 255), torch.zeros(1, 2, 2).long(), "No pixel is counted"),
        (np.zeros((1, 2, 2), np.int64), torch.zeros(1, 2, 2).long(), "true label maps .* found ndarray"),
        (torch.zeros(1, 2, 2).long(), [[[0, 0], [0, 0]]], "predicted label maps .* found list"),
    ],
)
def test_what_are_no_label_maps_is_refused(true: Tensor, predicted: Tensor, message: str) -> None:
    """With what was found."""
    with pytest.raises(MetricError, match=message):
        segmentation(true, predicted)


def test_images_too_small_and_options_out_of_range_are_refused() -> None:
    """For gradients and patches."""
    with pytest.raises(MetricError, match="at least 3 x 3"):
        edge(*pairs(1, 2, 8))
    with pytest.raises(MetricError, match="Patches of 5 x 5 pixels do not fit into images of 8 x 4"):
        patch_frechet(*pairs(1, 4, 8))
    with pytest.raises(MetricError, match="1 to 11"):
        patch_frechet(*pairs(1), size=12)
