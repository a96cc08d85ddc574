"""Pictures of samples: a model's images on a fixed latent, side by side in one PNG."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ganeval.errors import TrainingError
from ganeval.images import to_uint8
from ganeval.sources.sandbox import Sandbox
from reference_models.base import GAN


def fixed_samples(model: GAN, count: int, *, seed: int, device: str) -> Tensor:
    """uint8 [count, C, H, W]: the same latents every time, and the classes in turn, one a column of ten."""
    rng = torch.Generator(device).manual_seed(seed)
    labels = None if model.data.classes is None else torch.arange(count, device=device) % model.data.classes
    with Sandbox(model, seed), torch.no_grad():
        images = model.generate(model.latent(count, rng=rng), labels if model.conditional else None)
    return to_uint8(images, model.value_range, where=model.recipe.variant).cpu()


def write_grid(path: Path, images: Tensor, *, columns: int = 10, gap: int = 2) -> None:
    """uint8 [N, 1 or 3, H, W] => one PNG, row by row, with a white gap; TrainingError where it cannot be written."""
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    across = min(columns, count) * (width + gap) + gap
    sheet = torch.full((rows * (height + gap) + gap, across, channels), 255, dtype=torch.uint8)
    for number, image in enumerate(images):
        top, left = gap + number // columns * (height + gap), gap + number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image.permute(1, 2, 0)
    pixels = sheet.squeeze(2).numpy()
    try:
        Image.fromarray(pixels).save(path, format="PNG")
    except OSError as error:
        raise TrainingError(f"{path} cannot be written: {error.strerror or error}.") from error
