"""The image contract: uint8, RGB, NCHW, full range. Checked once, where images enter.

All later code relies on it; files, arrays and live generators are converted here.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import GeneratorError, SourceError
from ganeval.ranges import BOUNDS, RANGES, ValueRange, parse_range

__all__ = ["to_rgb", "to_uint8"]

# Rounding in a generator's tanh or an EMA may exceed the range; more than this, for a range of 1, is an error.
OVERSHOOT = 1e-3
# A part of a declared range with less than this share of the values counts as unused.
UNUSED = 1e-3
ADVICE = (
    "say their range with value_range ([0,1], [-1,1] or [0,255]; --value-range on the command line), or convert them "
    "with ganeval.images.to_uint8"
)


def declared_range(value: object) -> ValueRange | None:
    """The attribute `value_range` of an object, or of the data set that a loader or subset wraps; else None."""
    while value is not None:
        declared = getattr(value, "value_range", None)
        if declared is not None:
            return parse_range(str(declared))
        value = getattr(value, "dataset", None)
    return None


def dense(images: Tensor, *, where: str) -> Tensor:
    """The same values, dense and detached; SourceError for a tensor without plain values."""
    if images.is_nested:
        raise SourceError(f"{where}: found a nested tensor; give a list of images, or one tensor for each size.")
    if images.layout != torch.strided:
        layout = str(images.layout).removeprefix("torch.")
        raise SourceError(f"{where}: found a tensor of layout {layout}; make it dense with images.to_dense().")
    if images.is_meta:
        raise SourceError(f"{where}: found a tensor on the device 'meta', which has a shape but no values.")
    if images.is_quantized:
        raise SourceError(f"{where}: found a quantized tensor; give its numbers, images.dequantize().")
    return images.detach()


def as_tensor(images: object, *, where: str) -> Tensor:
    """A tensor or an array of numbers as a dense tensor; SourceError for anything else."""
    if isinstance(images, Tensor):
        return dense(images, where=where)
    if not isinstance(images, np.ndarray):
        raise SourceError(f"{where}: expected a tensor or an array of numbers, found {type(images).__name__}.")
    if images.dtype.kind not in "biufc":
        raise SourceError(f"{where}: expected an array of numbers, found one of {images.dtype}.")
    # torch supports no foreign byte orders, negative strides and extended precision, and warns of read-only memory.
    if images.dtype.itemsize > 8 and images.dtype.kind == "f":
        images = images.astype(np.float64)
    plain = np.asarray(images, images.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(plain if plain.flags.writeable else plain.copy())


def check_images(images: Tensor, *, where: str) -> Tensor:
    """uint8 [N, 3, H, W], unchanged; SourceError, with the origin `where`, for anything else."""
    if images.dtype != torch.uint8:
        raise SourceError(f"{where}: images must be uint8, found {_name(images.dtype)}; {ADVICE}.")
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        raise SourceError(f"{where}: images must be [N, 3, height, width], found {list(images.shape)}.")
    return images


def to_rgb(images: Tensor, *, where: str) -> Tensor:
    """Make RGB images: greyscale is repeated.

    Args:
        images: ``[N, 1, H, W]`` or ``[N, 3, H, W]``, of any dtype.
        where: What messages call them.

    Returns:
        ``[N, 3, H, W]`` of the same dtype.

    Raises:
        SourceError: There is another number of channels.
    """
    images = dense(images, where=where)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape[2:]:
        raise SourceError(
            f"{where}: images must be [N, 1, height, width] or [N, 3, height, width], found {list(images.shape)}."
        )
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


@overload
def to_uint8(images: Tensor, value_range: str, *, where: str = "images") -> Tensor: ...


@overload
def to_uint8(images: NDArray[Any], value_range: str, *, where: str = "images") -> NDArray[np.uint8]: ...


def to_uint8(images: Tensor | NDArray[Any], value_range: str, *, where: str = "images") -> Tensor | NDArray[np.uint8]:
    """Convert images in a declared value range to uint8, rounded to nearest.

    Args:
        images: A tensor or numpy array of any shape. "[0,1]" and "[-1,1]" take any floating dtype, and "[0,1]"
            booleans; "[0,255]" takes floats or integers; "uint8" takes uint8, which is returned unchanged.
        value_range: The range of the values: "uint8", "[0,1]", "[-1,1]" or "[0,255]".
        where: The name of the images in messages.

    Returns:
        uint8 images of the same shape; a tensor or an array, as given.

    Raises:
        SourceError: The input is not an array of real numbers.
        GeneratorError: The dtype does not fit the range, or a value is not finite or outside the range beyond rounding.

    Examples:
        >>> import numpy as np
        >>> from ganeval.images import to_uint8
        >>> to_uint8(np.array([[-1.0, 0.0, 1.0]]), "[-1,1]").tolist()
        [[0, 128, 255]]
    """
    declared = parse_range(value_range)
    converted = _converted(as_tensor(images, where=where), declared, where)
    return converted if isinstance(images, Tensor) else converted.numpy()


def _converted(images: Tensor, declared: ValueRange, where: str) -> Tensor:
    if images.dtype == torch.uint8 and declared in ("uint8", "[0,255]"):
        return images
    _check_type(images, declared, where)
    if images.numel() == 0:
        return images.to(torch.uint8)
    if images.dtype == torch.bool:
        return images.to(torch.uint8) * 255
    images = _comparable(images)
    low, high = torch.aminmax(images)
    if images.is_floating_point() and not (low.isfinite() and high.isfinite()):
        flat = (~images.isfinite()).reshape(len(images), -1) if images.ndim else images.new_ones(1, 1)
        raise GeneratorError(f"{where}: {int(flat.any(1).sum())} of {len(flat)} images contain NaN or infinity.")
    lowest, highest = BOUNDS[declared]
    slack = OVERSHOOT * max(highest, 1.0)
    if float(low) < lowest - slack or float(high) > highest + slack:
        raise GeneratorError(
            f"{where}: declared {declared} but values go from {float(low):.4g} to {float(high):.4g}; "
            f"declare the range they really have (one of {', '.join(RANGES)}), or clamp them."
        )
    if not images.is_floating_point():
        return images.to(torch.uint8)
    if declared == "[-1,1]":
        images = (images + 1) / 2
    scaled = images if declared == "[0,255]" else images * 255
    return scaled.round().clamp(0, 255).to(torch.uint8)


def _comparable(images: Tensor) -> Tensor:
    """The same numbers in a dtype that torch can compare (float8, uint16 and others it cannot)."""
    # Integers stay integers: float32 is exact only up to 2^24.
    return images.float() if images.is_floating_point() else images.long()


def _check_type(images: Tensor, declared: ValueRange, where: str) -> None:
    """GeneratorError for a dtype that does not fit the declared range."""
    found = _name(images.dtype)
    if declared == "uint8":
        raise GeneratorError(
            f"{where}: declared uint8 but returned {found}; return uint8, or declare [0,1], [-1,1] or [0,255]."
        )
    if images.is_complex():
        raise GeneratorError(f"{where}: declared {declared} but returned {found}; expected real numbers.")
    if declared == "[0,255]" and images.dtype == torch.bool:
        raise GeneratorError(f"{where}: declared [0,255] but returned bool; declare [0,1].")
    if declared != "[0,255]" and not images.is_floating_point() and not (declared == "[0,1]" and found == "bool"):
        raise GeneratorError(
            f"{where}: declared {declared} but returned {found}; expected floats. Whole numbers are on [0,255]."
        )


def range_use(images: Tensor, value_range: ValueRange) -> Counter[str]:
    """How images use their range: values "seen", in its lower half ("low"), and above its lowest 255th ("lit")."""
    lowest, highest = BOUNDS[value_range]
    images = _comparable(images)
    return Counter(
        seen=images.numel(),
        low=int((images < (lowest + highest) / 2).sum()),
        lit=int((images > lowest + (highest - lowest) / 254).sum()),
    )


def range_doubt(use: Mapping[str, int], value_range: str) -> str | None:
    """Why values, counted by `range_use`, seem to have another range than declared; None if they do not."""
    seen = use.get("seen", 0)
    if not seen:
        return None
    if use.get("low", 0) < UNUSED * seen:
        share, part = use.get("low", 0) / seen, "in its lower half"
        like = "on [0,1]" if value_range == "[-1,1]" else "that were shifted from [-1,1] twice"
    elif use.get("lit", 0) < UNUSED * seen:
        share, part = use.get("lit", 0) / seen, "above its lowest 255th"
        like = "that were divided by 255 twice" if value_range in ("[0,1]", "[-1,1]") else "on [0,1]"
    else:
        return None
    return (
        f"was declared to be on {value_range}, and {share:.2%} of its {seen:,} values lie {part}: images {like} look "
        "like that. Check the range; the metrics are of the images as declared."
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
