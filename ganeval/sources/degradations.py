"""Degradations: they make the inputs of image-to-image models from the target images.

Enlarging is included: it brings small images back to the original size, as the simplest baseline for such a model.
Each is a change of every image of any source, applied as it is read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, pad

from ganeval.errors import UsageError
from ganeval.places import redacted
from ganeval.sources.base import Source
from ganeval.sources.nested import parse_degradation
from ganeval.sources.precomputed import WithoutImages
from ganeval.sources.wrapped import Transform, TransformedSource, UnfitError

# The middle of 0..255, rounded down.
HOLE_COLOUR = 127
# A step of this many grey levels between two flat areas is a white edge.
WHITE_STEP = 128
# The least luma that is white in black and white: the upper half of 0..255.
WHITE_FROM = 128


@dataclass(frozen=True, slots=True)
class Degraded:
    """A degradation of a source that is not open yet. spec: as the user wrote it; of: the source's spec."""

    spec: str
    of: str
    transform: Transform

    def applied(self, source: Source) -> TransformedSource:
        """The source `of` once it is open, degraded; UsageError for features, which are not images."""
        if isinstance(source, WithoutImages):
            raise UsageError(f"{self.spec}: {source.name} holds features, and only images can be changed.")
        return TransformedSource(source, self.transform, name=self.spec)


def open_degraded(scheme: str, rest: str) -> Degraded:
    """The degradation that `scheme:rest` stands for."""
    nested = parse_degradation(scheme, rest)
    named = {} if nested.argument is None else {_ARGUMENTS[scheme]: int(nested.argument)}
    name = " ".join((scheme, *map(str, named.values())))
    shown = str(replace(nested, sources=tuple(map(redacted, nested.sources))))
    return Degraded(shown, nested.sources[0], Transform(name, partial(_CHANGES[scheme], **named)))


def lowres(images: Tensor, factor: int) -> Tensor:
    """Smaller by a factor, by Pillow's bicubic with antialiasing: uint8 [N, 3, H, W] to [N, 3, H / factor, ...]."""
    height, width = images.shape[2:]
    if height % factor or width % factor:
        raise UnfitError(
            f"it has {width} x {height} pixels, which {factor} does not divide; crop the images first, or choose "
            "another factor."
        )
    return _resized(images, width // factor, height // factor)


def enlarged(images: Tensor, factor: int) -> Tensor:
    """Larger by a factor, by Pillow's bicubic: uint8 [N, 3, H, W] to [N, 3, H * factor, W * factor]."""
    width, height = (side * factor for side in images.shape[:1:-1])
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise UnfitError(
            f"made {factor} times larger it would have {width} x {height} pixels, over the limit of {limit:,}; choose "
            "a smaller factor."
        )
    return _resized(images, width, height)


def _resized(images: Tensor, width: int, height: int) -> Tensor:
    rows = images.permute(0, 2, 3, 1).cpu().numpy()
    resized = [np.asarray(Image.fromarray(row).resize((width, height), Image.Resampling.BICUBIC)) for row in rows]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).contiguous().to(images.device)


def hole(images: Tensor, pixels: int | None = None) -> Tensor:
    """Fill a square in the middle with grey, (127, 127, 127). pixels: its side, None for half the shorter side."""
    height, width = images.shape[2:]
    shorter = min(height, width)
    side = max(1, shorter // 2) if pixels is None else pixels
    if side > shorter:
        raise UnfitError(f"a hole of {side} x {side} pixels is larger than the image, which has {width} x {height}.")
    top, left = (height - side) // 2, (width - side) // 2
    holed = images.clone()
    holed[:, :, top : top + side, left : left + side] = HOLE_COLOUR
    return holed


def grey(images: Tensor) -> Tensor:
    """Luma of ITU-R 601 in all three channels, by the whole numbers of Pillow's `convert("L")`."""
    red, green, blue = images.int().unbind(1)
    luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return luma.to(torch.uint8)[:, None].repeat(1, 3, 1, 1)


def edges(images: Tensor) -> Tensor:
    """Magnitude of Sobel's gradient of the luma, white on black; the image is continued by its outermost pixels.

    Scaled so that a straight step of 128 grey levels gives 255; stronger edges are clipped. The scale is the same for
    all images.
    """
    luma = pad(grey(images)[:, :1].float(), (1, 1, 1, 1), mode="replicate")
    slope = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=images.device)
    gradient = conv2d(luma, torch.stack([slope, slope.T])[:, None])
    # The kernel's weights on either side of a step add up to 4.
    magnitude = gradient.square().sum(1, keepdim=True).sqrt() * (255 / (4 * WHITE_STEP))
    return magnitude.round().clamp(0, 255).to(torch.uint8).repeat(1, 3, 1, 1)


def recoloured(images: Tensor) -> Tensor:
    """Red and green are inverted, v to 255 - v, and blue is kept: white on black becomes blue on yellow.

    The map is its own inverse, exactly.
    """
    changed = images.clone()
    changed[:, :2] = 255 - changed[:, :2]
    return changed


def binarised(images: Tensor) -> Tensor:
    """White where the luma is at least 128, and black elsewhere."""
    return (grey(images) >= WHITE_FROM).to(torch.uint8) * 255


_CHANGES: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "lowres": lowres,
        "enlarged": enlarged,
        "hole": hole,
        "edges": edges,
        "grey": grey,
        "recoloured": recoloured,
        "binarised": binarised,
    }
)
_ARGUMENTS = MappingProxyType({"lowres": "factor", "enlarged": "factor", "hole": "pixels"})
