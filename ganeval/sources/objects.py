"""Images as Python objects: PIL images, tensors and arrays, uint8 or of a declared range."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganeval.errors import DecodeError, SourceError
from ganeval.images import ADVICE, as_tensor, range_use, to_rgb, to_uint8
from ganeval.ranges import ValueRange
from ganeval.sources.pixels import Unreadable, loaded_to_rgb8


@dataclass(frozen=True, slots=True)
class Pixels:
    """One image or a batch of them.

    images: uint8 [N, 3, H, W], on the device of the input. conversions: those applied to each image. use: how the
    values use the declared range, as `images.range_use` counts it.
    """

    images: Tensor
    conversions: tuple[str, ...] = ()
    use: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Declared:
    """Ranges of values. own: declared by the source; floats: declared by the caller, for values that are not uint8."""

    own: ValueRange | None = None
    floats: ValueRange | None = None

    @property
    def told(self) -> dict[str, object]:
        """The ranges for the provenance."""
        known = self.own or self.floats
        return {} if known is None else {"range": known}


def is_image_list(value: object) -> TypeGuard[Sequence[object]]:
    """Whether a value is a list of single images: PIL images, or tensors and arrays of at most three axes.

    Each may also be an (image, label) pair.
    """
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(is_single(one[0] if isinstance(one, list | tuple) and one else one) for one in value)


def is_single(value: object) -> bool:
    """Whether a value has the type and the number of axes of one image."""
    return isinstance(value, Image.Image) or (isinstance(value, Tensor | np.ndarray) and value.ndim in (2, 3))


def one_image(image: object, declared: Declared, *, where: str) -> Pixels:
    """Convert one image: a PIL image, a tensor [C, H, W] or [H, W], or an array of these shapes or [H, W, C].

    Raises DecodeError for a PIL image that cannot be read, SourceError for anything that is not an image, or is not
    uint8 and has no declared range.
    """
    if isinstance(image, Image.Image):
        try:
            array, conversions = loaded_to_rgb8(image)
        except (Unreadable, OSError) as error:
            raise DecodeError(where, str(error)) from error
        return Pixels(torch.from_numpy(array).permute(2, 0, 1)[None].contiguous(), conversions)
    if not isinstance(image, Tensor | np.ndarray):
        raise SourceError(f"{where}: expected a PIL image, a tensor or an array, found {type(image).__name__}.")
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] in (1, 3):
        image = image.transpose(2, 0, 1)
    pixels = as_tensor(image, where=where)
    if pixels.ndim not in (2, 3):
        raise SourceError(f"{where}: an image must be [channels, height, width], found {list(pixels.shape)}.")
    return image_batch(pixels[None, None] if pixels.ndim == 2 else pixels[None], declared, where=where)


def image_batch(images: object, declared: Declared, *, where: str) -> Pixels:
    """Convert images [N, 1 or 3, H, W], uint8 or of a declared range.

    Raises SourceError for anything that is not a batch of images, or has no range, and GeneratorError for values
    outside the declared range.
    """
    found = as_tensor(images, where=where)
    if found.ndim != 4:
        raise SourceError(
            f"{where}: images must be [N, 1 or 3, height, width], found {list(found.shape)}. "
            + meant(found.shape, str(found.dtype))
        )
    is_bytes = found.dtype == torch.uint8
    known = declared.own or (None if is_bytes else declared.floats)
    if known is None and not is_bytes:
        raise no_range(found, where=where)
    rgb = to_rgb(to_uint8(found, known or "uint8", where=where), where=where)
    conversions = ("greyscale",) if found.shape[1] == 1 else ()
    return Pixels(rgb, conversions, Counter() if known is None else range_use(found, known))


def no_range(images: Tensor | NDArray[np.generic], values: str = "", *, where: str) -> SourceError:
    """The error for values that are not uint8 and have no declared range. values: a phrase about their range."""
    dtype = str(images.dtype).removeprefix("torch.")
    # Complex numbers and objects have no range to declare.
    is_real = images.dtype.kind in "biuf" if isinstance(images, np.ndarray) else not images.is_complex()
    advice = ADVICE if is_real else "these are not pixel values"
    return SourceError(f"{where}: images must be uint8, found {dtype} {list(images.shape)}{values}; {advice}.")


def meant(shape: Sequence[int], dtype: str) -> str:
    """Advice for an array that is not a batch of images, based on its shape."""
    if not shape:
        return "A single number is not an image."
    if len(shape) == 3:
        return "Give greyscale images a channel axis, images[:, None], and a single image a first one, image[None]."
    if len(shape) > 2 or "float" not in dtype:
        return "Give every image one or three channels, and every axis at least one entry."
    if len(shape) == 1:
        return "A mean [D] is compared, with its covariance, by ganeval.frechet_distance."
    if shape[0] == shape[1]:
        return (
            "A covariance [D, D] is compared, with its mean, by ganeval.frechet_distance, or saved as "
            "numpy.savez('ref.npz', mu=mean, sigma=covariance)."
        )
    return "Features [N, D] are given as features:FILE, in Python as ganeval.Features(array)."
