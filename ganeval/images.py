"""THE image contract: uint8, RGB, NCHW, full range. Checked once, at the edge where images enter.

Everything behind this edge may rely on it; everything before it (files, arrays, live generators) comes through here.
"""

from typing import Literal, cast, get_args

import torch
from torch import Tensor

from ganeval.errors import GeneratorError, SourceError, UsageError, did_you_mean

ValueRange = Literal["uint8", "[0,1]", "[-1,1]"]
RANGES: tuple[str, ...] = get_args(ValueRange)
# A generator's tanh or an EMA may overshoot its range by rounding; more than this is another range.
OVERSHOOT = 1e-3


def parse_range(text: str) -> ValueRange:
    """A declared range as written by a person (`[0,1]`, `0..1`, `-1..1`, `uint8`)."""
    spelled = text.replace(" ", "")
    if spelled in ("0..1", "0,1"):
        spelled = "[0,1]"
    elif spelled in ("-1..1", "-1,1"):
        spelled = "[-1,1]"
    if spelled not in RANGES:
        raise UsageError(f"'{text}' is not a range of pixel values; {did_you_mean(spelled, RANGES)}")
    return cast(ValueRange, spelled)


def check_images(images: Tensor, *, where: str) -> Tensor:
    """uint8 [N, 3, H, W] => the same; anything else is a SourceError that names `where` it came from."""
    if images.dtype != torch.uint8:
        raise SourceError(f"{where}: images must be uint8, found {_name(images.dtype)}.")
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        raise SourceError(f"{where}: images must be [N, 3, height, width], found {list(images.shape)}.")
    return images


def to_rgb(images: Tensor, *, where: str) -> Tensor:
    """[N, 1, H, W] or [N, 3, H, W] => [N, 3, H, W]: greyscale is repeated; other channel counts are refused."""
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape[2:]:
        raise SourceError(
            f"{where}: images must be [N, 1, height, width] or [N, 3, height, width], found {list(images.shape)}."
        )
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def to_uint8(images: Tensor, value_range: ValueRange, *, where: str) -> Tensor:
    """Images in a declared range => uint8, rounded to nearest.

    images: [N, C, H, W], uint8 for "uint8", any floating type for "[0,1]" and "[-1,1]".
    Raises GeneratorError when a value is not finite, or outside the declared range by more than rounding.
    """
    if value_range == "uint8":
        if images.dtype != torch.uint8:
            raise GeneratorError(
                f"{where}: declared uint8 but returned {_name(images.dtype)}; return uint8, or declare [0,1] or [-1,1]."
            )
        return images
    if not images.is_floating_point():
        raise GeneratorError(f"{where}: declared {value_range} but returned {_name(images.dtype)}; expected floats.")
    if images.numel() == 0:
        return images.to(torch.uint8)
    images = images.float()
    low, high = torch.aminmax(images)
    low_seen, high_seen = float(low), float(high)
    if not (low.isfinite() and high.isfinite()):
        bad = int((~images.isfinite()).flatten(1).any(1).sum())
        raise GeneratorError(f"{where}: {bad} of {len(images)} images contain NaN or infinity.")
    low_allowed, high_allowed = (0.0, 1.0) if value_range == "[0,1]" else (-1.0, 1.0)
    if low_seen < low_allowed - OVERSHOOT or high_seen > high_allowed + OVERSHOOT:
        raise GeneratorError(
            f"{where}: declared {value_range} but values go from {low_seen:.4g} to {high_seen:.4g}; "
            f"declare the range the generator really has (one of {', '.join(RANGES)}), or clamp it."
        )
    unit = images if value_range == "[0,1]" else (images + 1) / 2
    return (unit * 255).round().clamp(0, 255).to(torch.uint8)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
