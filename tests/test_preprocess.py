"""Every published resize is reproduced to float32 rounding, at any size."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torchvision.transforms.functional import center_crop

from ganeval.preprocess import Preprocess, resample, resampling_matrix
from ganeval.protocols import PROTOCOLS, Resize

RESIZES: tuple[Resize, ...] = ("tf1", "pytorch", "pytorch-antialias", "clean")


def published(images: Tensor, size: int, resize: Resize) -> Tensor:
    """The tool's own resize of uint8 images to size x size."""
    floats = images.float()
    if resize == "tf1":
        return interpolate_bilinear_2d_like_tensorflow1x(floats, (size, size), align_corners=False)
    if resize == "clean":
        planes = [
            np.asarray(Image.fromarray(plane.numpy()).resize((size, size), Image.Resampling.BICUBIC)).clip(0, 255)
            for plane in floats.flatten(0, 1)
        ]
        return torch.from_numpy(np.stack(planes)).unflatten(0, images.shape[:2])
    return F.interpolate(
        floats, (size, size), mode="bilinear", align_corners=False, antialias=resize == "pytorch-antialias"
    )


def tolerance(*sizes: int) -> float:
    """What two float32 roundings may differ by, of 255: a step from black to white at a position known to an ulp.

    PyTorch itself differs by this much between one thread and two (it fuses its multiplications differently); a wrong
    convention is off by whole grey levels on noise.
    """
    return 2e-4 + 255 * max(sizes) * torch.finfo(torch.float32).eps


def noise(height: int, width: int, n: int = 1, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, height, width), generator=rng, dtype=torch.uint8)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize(
    ("height", "width"), [(32, 32), (256, 256), (299, 299), (299, 100), (427, 640), (598, 300), (1024, 700), (1, 5)]
)
def test_every_resize_is_the_tools_own(resize: Resize, height: int, width: int) -> None:
    """On noise, other conventions would differ, whether enlarging, reducing, both or neither."""
    images = noise(height, width)
    difference = (resample(images, 299, 299, resize) - published(images, 299, resize)).abs().max()
    assert float(difference) < tolerance(height, width)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 64), st.sampled_from(RESIZES))
def test_any_size_agrees(height: int, width: int, size: int, resize: Resize) -> None:
    """All pairs of sizes agree."""
    images = noise(height, width)
    difference = (resample(images, size, size, resize) - published(images, size, resize)).abs().max()
    assert float(difference) < tolerance(height, width, size)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize(("height", "width"), [(40, 40), (40, 61), (30, 25)])
def test_a_crop_is_the_middle_of_the_whole(resize: Resize, height: int, width: int) -> None:
    """What is kept is as torchvision's centre crop of the resized image has it, to float32 rounding."""
    for images in (noise(40, 61), noise(40, 61).float()):
        before = images.clone()
        kept = resample(images, height, width, resize, crop=24)
        expected = center_crop(resample(images, height, width, resize), [24, 24])
        assert kept.dtype == torch.float32
        assert float((kept - expected).abs().max()) < tolerance(61)
        kept.zero_()
        assert torch.equal(images, before)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(RESIZES))
def test_rows_of_an_operator_are_averages(size_in: int, size_out: int, resize: Resize) -> None:
    """A constant image stays constant: every row sums to one."""
    sums = resampling_matrix(size_in, size_out, resize).sum(1)
    # PyTorch's antialiasing normalises its weights in float32.
    assert torch.allclose(sums, torch.ones_like(sums), atol=1e-6)


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_preprocessing_does_not_depend_on_the_batch(name: str) -> None:
    """An image has the same result alone and among others, and the input is unchanged."""
    protocol = PROTOCOLS[name]
    preprocess = Preprocess(299, protocol.resize, protocol.normalisation)
    images = noise(64, 48, n=5)
    before = images.clone()
    together = preprocess(images)
    assert torch.allclose(together[3:4], preprocess(images[3:4]), atol=1e-6)
    assert torch.equal(images, before)
    assert together.dtype == torch.float32
    assert float(together.abs().max()) <= 1.0 + 1e-6


def test_resampling_is_differentiable() -> None:
    """A gradient reaches the pixels."""
    images = noise(20, 30).float().requires_grad_()
    preprocess = Preprocess(16, "clean", "(x-128)/128")
    preprocess(images).sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().sum()) > 0
