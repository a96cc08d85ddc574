"""Resampling as two small matrix products, and the normalisation that follows: one frozen spec per protocol.

Every resize here is separable, so a height x width image becomes `R_h @ X @ R_w'`. The operators are built once per
size, in float64, by each tool's own convention, on any device, and are differentiable. A row of an operator is zero
outside a short band, so it is applied in blocks of rows, each a small dense product with the columns it needs (at 1024
px a tenth of the full product).

Sources: TensorFlow 1.x `resize_bilinear` (align_corners=False, no half-pixel centres),
`torch.nn.functional.interpolate`, Pillow's `Image.resize` (Parmar et al. 2022 recommend its bicubic on floats).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from ganeval.protocols import Interpolation, Normalisation, Resize

__all__ = ["resample"]

# Mean and standard deviation of R, G and B on 0..1.
CHANNELS: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = MappingProxyType(
    {
        "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    }
)
# Fractional bits of Pillow's weights for integer images.
PIL_BITS = 22

ROWS_A_BLOCK = 40
# Maximum number of input rows per block, as far as that leaves at least one output row.
BAND_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Resize to `size` x `size`, then normalise."""

    size: int
    resize: Resize
    normalisation: Normalisation

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 or float [N, C, H, W] on 0..255 => float32 [N, C, size, size], normalised."""
        pixels = self._resized(images)
        if self.normalisation in CHANNELS:
            mean, std = (torch.tensor(one, device=pixels.device)[:, None, None] for one in CHANNELS[self.normalisation])
            return (pixels / 255 - mean) / std
        if self.normalisation == "(x-128)/128":
            return pixels.sub_(128).div_(128) if not pixels.requires_grad else (pixels - 128) / 128
        return pixels * (2 / 255) - 1

    def __str__(self) -> str:
        return f"{self.resize} to {self.size}, {self.normalisation}"

    def _resized(self, images: Tensor) -> Tensor:
        """Images [N, C, H, W] => float32 [N, C, size, size] on 0..255."""
        height, width = images.shape[-2:]
        short = min(height, width)
        if self.resize == "pil-bicubic-then-crop":
            # As torchvision does with PIL images: the long side is truncated to whole pixels, the margin rounded to
            # even.
            return _central(
                resample(images, self.size * height // short, self.size * width // short, "pil-bicubic"), self.size
            )
        if self.resize == "crop-then-pil-bicubic":
            square = _cut(images, short, (height - short) // 2, (width - short) // 2)
            return resample(square, self.size, self.size, "pil-bicubic")
        return resample(images, self.size, self.size, self.resize)


def _cut(images: Tensor, size: int, top: int, left: int) -> Tensor:
    """A square of the images."""
    return images[..., top : top + size, left : left + size]


def _central(images: Tensor, size: int) -> Tensor:
    """The central square of the images; an odd remainder is rounded to even."""
    return _cut(images, size, *(round((edge - size) / 2) for edge in images.shape[-2:]))


def resample(images: Tensor, height: int, width: int, resize: Interpolation, *, crop: int | None = None) -> Tensor:
    """Resize images by one of the published conventions.

    An image that already has the size is only converted to floats, as by each of the tools.

    Args:
        images: ``[N, C, H, W]`` on 0..255; whole numbers for "pil-bicubic".
        height: New height in pixels.
        width: New width in pixels.
        resize: The convention, as `ganeval.protocols.Protocol` describes it.
        crop: Side of the central square of the resized images that is kept, and the only part that is computed; None
            for all of them. As in torchvision, an odd remainder is rounded to even.

    Returns:
        float32 ``[N, C, height, width]`` on 0..255, or ``[N, C, crop, crop]``.
    """
    if resize in ("pil-bicubic", "torch-bicubic"):
        if resize == "pil-bicubic":
            resized = _as_pillow(images, height, width)
        else:
            resized = F.interpolate(images.to(torch.float32), (height, width), mode="bicubic", antialias=True)
        return resized if crop is None else _central(resized, crop)
    pixels = images
    # Rows first: a band of rows is contiguous in memory, and a large image is smaller before its columns are resampled.
    for dim, size in ((-2, height), (-1, width)):
        start = 0 if crop is None else round((size - crop) / 2)
        kept = range(start, start + (crop or size))
        if pixels.shape[dim] != size:
            blocks = _operator(pixels.shape[dim], size, resize, pixels.device, kept)
            pixels = _apply(pixels, blocks, dim)
        elif crop is not None:
            pixels = pixels.narrow(dim, start, crop)
    pixels = pixels.to(torch.float32, copy=images.shape[-2:] == (height, width))
    return pixels.clamp(0, 255) if resize == "clean" else pixels


def _as_pillow(images: Tensor, height: int, width: int) -> Tensor:
    """Pillow's bicubic resize of images, bit for bit, in its integer arithmetic.

    Columns are resampled first, and rounded, as in Pillow before 13; Pillow 13 resamples rows first for some shapes.
    Products and sums are whole numbers below 2^53, so float64 computes them exactly, in any order.
    """
    pixels = images.cpu() if images.device.type == "mps" else images  # which has no float64
    for dim, size in ((-1, width), (-2, height)):
        if pixels.shape[dim] != size:
            blocks = _operator(pixels.shape[dim], size, "pil-bicubic", pixels.device, range(size))
            sums = _apply(pixels, blocks, dim)
            pixels = sums.add_(2 ** (PIL_BITS - 1)).div_(2**PIL_BITS).floor_().clamp_(0, 255).to(torch.uint8)
    return pixels.to(images.device, torch.float32)


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows of an operator and the band of inputs they need."""

    start: int
    stop: int
    weights: Tensor


def _apply(pixels: Tensor, blocks: tuple[_Block, ...], dim: int) -> Tensor:
    parts = []
    for block in blocks:
        # Only a band of a large image is converted to floats at a time.
        band = pixels.narrow(dim, block.start, block.stop - block.start).to(block.weights.dtype)
        parts.append(band @ block.weights.T if dim == -1 else block.weights @ band)
    return torch.cat(parts, dim)


@lru_cache(maxsize=256)
def _operator(
    size_in: int, size_out: int, resize: Interpolation, device: torch.device, kept: range
) -> tuple[_Block, ...]:
    """The kept rows of a resize operator, in blocks."""
    blocks = []
    # All callers share the cached operator: it must not depend on one caller's default device or gradient mode.
    with torch.inference_mode(mode=False), torch.device("cpu"):
        matrix = resampling_matrix(size_in, size_out, resize, torch.arange(kept.start, kept.stop))
        dtype = torch.float32
        if resize == "pil-bicubic":
            # Pillow rounds halves away from zero.
            matrix, dtype = (matrix.abs() * 2**PIL_BITS + 0.5).floor() * matrix.sign(), torch.float64
        step = min(ROWS_A_BLOCK, max(1, BAND_ROWS * size_out // size_in))
        for rows in torch.split(matrix, step):
            used = rows.any(0).nonzero().flatten()
            start, stop = int(used[0]), int(used[-1]) + 1
            blocks.append(_Block(start, stop, rows[:, start:stop].to(dtype).contiguous().to(device)))
    return tuple(blocks)


def resampling_matrix(size_in: int, size_out: int, resize: Interpolation, outputs: Tensor | None = None) -> Tensor:
    """float64 [outputs, size_in]: a row holds the weights of an output (None: of each), and sums to 1."""
    chosen = torch.arange(size_out) if outputs is None else outputs
    if resize in ("tf1", "pytorch"):
        # Both tools compute positions in float32, and rounding decides positions at the edge of a pixel.
        scale = torch.tensor(size_in / size_out, dtype=torch.float32)
        out = chosen.to(torch.float32)
        position = out * scale if resize == "tf1" else ((out + 0.5) * scale - 0.5).clamp(min=0)
        return _two_taps(position.to(torch.float64), size_in)
    if resize == "pytorch-antialias":
        return _filtered(size_in, size_out, chosen, _triangle, support=1.0, dtype=torch.float32)
    return _filtered(size_in, size_out, chosen, _cubic, support=2.0, dtype=torch.float64)


def _two_taps(position: Tensor, size_in: int) -> Tensor:
    """Linear interpolation at real positions; positions beyond the last pixel take its value."""
    low = position.floor().clamp(max=size_in - 1).long()
    high = (low + 1).clamp(max=size_in - 1)
    weight = position - low
    matrix = torch.zeros(len(position), size_in, dtype=torch.float64)
    rows = torch.arange(len(position))
    matrix.index_put_((rows, low), 1 - weight, accumulate=True)
    matrix.index_put_((rows, high), weight, accumulate=True)
    return matrix


def _filtered(
    size_in: int,
    size_out: int,
    chosen: Tensor,
    kernel: Callable[[Tensor], Tensor],
    *,
    support: float,
    dtype: torch.dtype,
) -> Tensor:
    """A filter, widened by the scale factor when downscaling, cut to whole pixels around each centre, and renormalised.

    dtype: the dtype in which the tool computes centres and weights (Pillow: float64, PyTorch: float32).
    """
    scale = torch.tensor(size_in / size_out, dtype=dtype)
    widening = scale.clamp(min=1)
    centres = (chosen.to(dtype) + 0.5) * scale
    first = (centres - support * widening + 0.5).long().clamp(min=0)[:, None]
    last = (centres + support * widening + 0.5).long().clamp(max=size_in)[:, None]
    taps = torch.arange(size_in)
    weights = kernel((taps - centres[:, None] + 0.5) / widening).where((taps >= first) & (taps < last), 0)
    return (weights / weights.sum(1, keepdim=True)).double()


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def _cubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution with a = -0.5."""
    a = -0.5
    x = x.abs()
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
