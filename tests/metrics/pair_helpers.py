"""Image pairs for tests: scikit-learn's photograph of a temple, and what bicubic x4 leaves of it."""

from functools import cache

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor


@cache
def china() -> tuple[Tensor, Tensor]:
    """The photograph, 424 x 640, and itself reduced by four and enlarged again, uint8 [1, 3, H, W] each."""
    sharp = load_sample_image("china.jpg")[:424, :640]
    small = Image.fromarray(sharp).resize((160, 106), Image.Resampling.BICUBIC)
    return batch(sharp), batch(np.array(small.resize((640, 424), Image.Resampling.BICUBIC)))


def batch(image: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] as uint8 [1, 3, H, W]."""
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].contiguous()


def array(images: Tensor) -> np.ndarray:
    """The reverse of `batch`."""
    return images[0].permute(1, 2, 0).numpy()


def pairs(count: int, height: int = 16, width: int = 16, *, noise: int = 20, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random reals and the same with noise, uint8 [count, 3, height, width] each."""
    rng = torch.Generator().manual_seed(seed)
    real = torch.randint(0, 256, (count, 3, height, width), generator=rng)
    fake = real + torch.randint(-noise, noise + 1, real.shape, generator=rng)
    return real.to(torch.uint8), fake.clamp(0, 255).to(torch.uint8)
