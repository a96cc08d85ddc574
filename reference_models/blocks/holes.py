"""Square holes in the middle of images, and what is put into them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.errors import UsageError

# ImageNet's mean colour.
MEAN_COLOUR = (123, 117, 104)
# Weights of red, green and blue in grey (ITU-R 601).
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Hole:
    """A square of `pixels` in the middle of images of `side` x `side` pixels."""

    side: int
    pixels: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        start = (self.side - self.pixels) // 2
        return slice(start, start + self.pixels), slice(start, start + self.pixels)

    def of(self, images: Tensor) -> Tensor:
        """[N, C, side, side] => what is in the hole, [N, C, pixels, pixels]."""
        return images[:, :, *self.place]

    def filled(self, images: Tensor, patch: Tensor) -> Tensor:
        """Images with the hole replaced; patch: [N or 1, C, pixels or 1, pixels or 1]. Nothing else changes."""
        found = images.clone()
        found[:, :, *self.place] = patch
        return found

    def blanked(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] with the mean colour in the hole: nothing of what was there is left."""
        colour = torch.tensor(MEAN_COLOUR, dtype=torch.float32)
        if images.shape[1] == 1:
            colour = (colour * torch.tensor(LUMA)).sum(0, keepdim=True)
        return self.filled(images, (colour * (2 / 255) - 1).to(images).view(1, -1, 1, 1))


def check_hole(name: str, hole: Hole, inputs: Tensor, images: Tensor, *, setting: str) -> None:
    """UsageError unless inputs are images with just this hole in one colour. Both are uint8 [N, C, side, side]."""
    expected = (
        f"{name} fills a hole of {hole.pixels} x {hole.pixels} pixels in the middle of images of {hole.side} x "
        f"{hole.side}; give hole:SOURCE,{hole.pixels}, or choose --resolution and {setting} for another"
    )
    if inputs.shape != images.shape:
        raise UsageError(
            f"{expected}. These inputs have {_shape(inputs)} and their targets {_shape(images)} (channels, height, width)."
        )
    inside = hole.of(inputs)
    if bool((inside != inside[:1, :, :1, :1]).any()):
        raise UsageError(f"{expected}. These inputs have no hole there, or a smaller one.")
    if not torch.equal(hole.filled(inputs, hole.of(images)), images):
        raise UsageError(f"{expected}. These inputs differ from their targets outside of it.")


def _shape(images: Tensor) -> str:
    return " x ".join(map(str, images.shape[1:]))
