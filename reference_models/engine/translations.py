"""Images translated by a trained model, and a picture of them: input, output, target and nearest in a row."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ganeval.grids import write_grid
from ganeval.images import to_rgb, to_uint8
from ganeval.sources import CHUNK, Sandbox
from reference_models.base import Translator

# Minimum width in pixels of an image in a picture, to be easily seen.
LEGIBLE = 64


def translated(model: Translator, inputs: Tensor, *, seed: int) -> Tensor:
    """Translate images, uint8 [N, C', H', W'] => uint8 [N, C, H, W] on the CPU.

    Image i depends only on the inputs of its chunk and the seed. Training mode and random states are not changed.
    """
    device = next(model.parameters()).device
    rng = torch.Generator(device).manual_seed(seed)
    scale, shift = (2 / 255, -1.0) if model.value_range == "[-1,1]" else (1 / 255, 0.0)
    found = []
    with Sandbox(model, seed), torch.no_grad():
        for start in range(0, len(inputs), CHUNK):
            given = inputs[start : start + CHUNK].to(device, torch.float32).mul(scale).add(shift)
            outputs = model.translate(given, rng=rng)
            found.append(to_uint8(outputs, model.value_range, where=model.recipe.variant).cpu())
    return torch.cat(found)


def columns(
    *, inputs: Tensor, outputs: Tensor, targets: Tensor | None = None, nearest: Tensor | None = None
) -> dict[str, Tensor]:
    """The images to show, by heading: input, output and, if known, target and nearest.

    All are uint8 [N, C, H, W]. nearest: for each output, the nearest training image.
    """
    found = {**parted(inputs), "output": outputs, "target": targets, "nearest": nearest}
    return {name: images for name, images in found.items() if images is not None}


def write_translations(path: Path, shown: Mapping[str, Tensor]) -> None:
    """Write a PNG with a row per image: its `columns`. Smaller inputs are enlarged without smoothing."""
    size = shown["output"].shape[2:]
    tiles = [_tiles(images, size) for images in shown.values()]
    rows = torch.stack(tiles, 1).flatten(0, 1)
    write_grid(rows, path, columns=len(tiles), headings=list(shown), scale=max(1, LEGIBLE // size[1]))


def parted(inputs: Tensor) -> dict[str, Tensor]:
    """The images in an input, [N, C, H, W] each: "input", and "exemplar" if it has the channels of two images."""
    if inputs.shape[1] in (1, 3):
        return {"input": inputs}
    image, exemplar = inputs.chunk(2, 1)
    return {"input": image, "exemplar": exemplar}


def _tiles(images: Tensor, size: torch.Size) -> Tensor:
    """uint8 [N, 3, *size] on the CPU."""
    images = to_rgb(images.cpu(), where="a picture")
    return images if images.shape[2:] == size else interpolate(images, size, mode="nearest")
