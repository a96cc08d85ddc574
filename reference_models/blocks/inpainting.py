"""Square holes in the middle of images, and the network that fills them."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ganeval.errors import UsageError
from reference_models.blocks.networks import SLOPE, doublings, enlarge, shrink

# Side of the convolutions.
KERNEL = 4
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
        """[N, C, side, side] => the content of the hole, [N, C, pixels, pixels]."""
        return images[:, :, *self.place]

    def filled(self, images: Tensor, patch: Tensor) -> Tensor:
        """Images with the hole replaced; patch: [N or 1, C, pixels or 1, pixels or 1]. Nothing else changes."""
        found = images.clone()
        found[:, :, *self.place] = patch
        return found

    def blanked(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] with the hole filled with the mean colour."""
        colour = torch.tensor(MEAN_COLOUR, dtype=torch.float32)
        if images.shape[1] == 1:
            colour = (colour * torch.tensor(LUMA)).sum(0, keepdim=True)
        return self.filled(images, (colour * (2 / 255) - 1).to(images).view(1, -1, 1, 1))


def check_hole(name: str, hole: Hole, inputs: Tensor, images: Tensor, *, remedy: str) -> None:
    """UsageError unless inputs are the images with exactly this hole in one colour. Both are uint8 [N, C, side, side].

    remedy: the setting that changes the model's hole, for the message.
    """
    expected = (
        f"{name} fills a hole of {hole.pixels} x {hole.pixels} pixels in the middle of images of {hole.side} x "
        f"{hole.side}; give hole:SOURCE,{hole.pixels}, or choose {remedy} for another"
    )
    if inputs.shape != images.shape:
        raise UsageError(
            f"{expected}. These inputs have {_shape(inputs)} and their targets {_shape(images)} (channels, height, "
            "width); --channels 3 reads both in colour."
        )
    inside = hole.of(inputs)
    if bool((inside != inside[:1, :, :1, :1]).any()):
        raise UsageError(f"{expected}. These inputs have no hole there, or a smaller one.")
    if not torch.equal(hole.filled(inputs, hole.of(images)), images):
        raise UsageError(f"{expected}. These inputs differ from their targets outside of it.")


def _shape(images: Tensor) -> str:
    return " x ".join(map(str, images.shape[1:]))


class EncoderDecoder(nn.Sequential):
    """[N, inputs, R, R] => [N, outputs, R/2, R/2] in [-1, 1]: the middle of the image (Pathak et al. 2016).

    Strided convolutions lead to 1 x 1 with `bottleneck` channels, and back. The authors' code sets all biases of
    convolutions to 0 before each update, so there are none here.
    """

    def __init__(self, inputs: int, outputs: int, resolution: int, *, width: int, bottleneck: int) -> None:
        halvings = doublings(resolution, 4)
        down = [width, *(width * 2**level for level in range(halvings - 1))]
        up = [width * 2**level for level in reversed(range(halvings - 1))]
        encoder: list[nn.Module] = [shrink(inputs, width, KERNEL), nn.LeakyReLU(SLOPE)]
        for before, after in pairwise(down):
            encoder += [shrink(before, after, KERNEL), nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE)]
        encoder += [nn.Conv2d(down[-1], bottleneck, 4, bias=False), nn.BatchNorm2d(bottleneck), nn.LeakyReLU(SLOPE)]
        decoder: list[nn.Module] = [nn.ConvTranspose2d(bottleneck, up[0], 4, bias=False)]
        for before, after in pairwise(up):
            decoder += [nn.BatchNorm2d(before), nn.ReLU(), enlarge(before, after, KERNEL)]
        decoder += [nn.BatchNorm2d(up[-1]), nn.ReLU(), enlarge(up[-1], outputs, KERNEL), nn.Tanh()]
        super().__init__(*encoder, *decoder)
