"""Every published resize is reproduced to float32 rounding, at any size."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torchvision.transforms.functional import center_crop

from ganeval.preprocess import CHANNELS, Preprocess, resample, resampling_matrix
from ganeval.protocols import PROTOCOLS, Resize

RESIZES: tuple[Resize, ...] = ("tf1", "pytorch", "pytorch-antialias", "clean", "torch-bicubic")


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
    if resize == "torch-bicubic":
        return F.interpolate(floats, (size, size), mode="bicubic", antialias=True)
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
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from((*RESIZES[:4], "pil-bicubic")))
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
    # Channels of ImageNet and CLIP reach further than -1..1, and bicubic floats beyond black and white.
    bound = 1.0 if protocol.normalisation not in CHANNELS else 4.0
    assert float(together.abs().max()) <= bound + 1e-6


def test_resampling_is_differentiable() -> None:
    """A gradient reaches the pixels."""
    images = noise(20, 30).float().requires_grad_()
    preprocess = Preprocess(16, "clean", "(x-128)/128")
    preprocess(images).sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().sum()) > 0


def by_pillow(image: Tensor, height: int, width: int) -> Tensor:
    """Pillow's bicubic resize of a picture [3, H, W], its columns first in every version."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    for size in ((width, picture.height), (width, height)):
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


@settings(max_examples=60, deadline=None)
@given(*[st.integers(1, 200) for _ in range(4)])
def test_pictures_are_resized_as_by_pillow_bit_for_bit(height: int, width: int, to_height: int, to_width: int) -> None:
    """On noise of any size, enlarged and reduced."""
    images = noise(height, width, n=2)
    found = resample(images, to_height, to_width, "pil-bicubic")
    assert found.dtype == torch.float32
    for image, ours in zip(images, found, strict=True):
        assert torch.equal(ours, by_pillow(image, to_height, to_width).float())


@pytest.mark.parametrize("size", [32, 64, 256, 300, 512])
def test_squares_are_resized_as_by_the_installed_pillow(size: int) -> None:
    """Where both sides shrink alike, the order of the two passes is that of every Pillow."""
    image = noise(size, size)
    theirs = Image.fromarray(image[0].permute(1, 2, 0).numpy()).resize((224, 224), Image.Resampling.BICUBIC)
    ours = resample(image, 224, 224, "pil-bicubic")[0].permute(1, 2, 0)
    assert np.array_equal(ours.numpy().astype(np.uint8), np.asarray(theirs))


@pytest.mark.parametrize(("height", "width"), [(300, 250), (231, 640), (224, 224), (100, 103), (50, 225)])
def test_crops_are_those_of_the_tools(height: int, width: int) -> None:
    """The short side resized and the centre cut out is torchvision's; the centre cut out and resized is CMMD's."""
    transforms = torchvision.transforms
    image = noise(height, width)[0]
    theirs = transforms.CenterCrop(224)(
        transforms.Resize(224, transforms.InterpolationMode.BICUBIC)(Image.fromarray(image.permute(1, 2, 0).numpy()))
    )
    mean, std = CHANNELS["clip"]
    normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])
    ours = Preprocess(224, "pil-bicubic-then-crop", "clip")(image[None])[0]
    # Division and multiplication by 255 round differently.
    assert float((ours - normalise(theirs)).abs().max()) < 1e-6
    short = min(height, width)
    left, top = (width - short) // 2, (height - short) // 2
    square = Image.fromarray(image.permute(1, 2, 0).numpy()).crop((left, top, left + short, top + short))
    ours = Preprocess(336, "crop-then-pil-bicubic", "clip")(image[None])[0]
    assert float((ours - normalise(square.resize((336, 336), Image.Resampling.BICUBIC))).abs().max()) < 1e-6


@pytest.mark.parametrize("resize", ["pil-bicubic", "torch-bicubic"])
def test_the_two_protocols_of_dinov2_are_those_of_their_tools(resize: Resize) -> None:
    """dgm-eval quantises and clips, and EDM2 does neither; the normalisation is the same."""
    images = noise(256, 256)
    ours = Preprocess(224, resize, "imagenet")(images)[0]
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    if resize == "pil-bicubic":
        theirs = by_pillow(images[0], 224, 224).float()
    else:
        theirs = F.interpolate(images.float(), (224, 224), mode="bicubic", antialias=True)[0]
        assert theirs.min() < 0
        assert theirs.max() > 255
    assert float((ours - (theirs / 255 - mean) / std).abs().max()) < 1e-6
