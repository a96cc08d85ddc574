"""Value ranges of pixels, by name. No torch here, as settings use them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, cast, get_args

from ganeval.errors import UsageError, did_you_mean

__all__ = ["RANGES", "ValueRange", "parse_range"]

ValueRange = Literal["uint8", "[0,1]", "[-1,1]", "[0,255]"]
RANGES: tuple[str, ...] = get_args(ValueRange)
# The lowest and the highest value of each.
BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"uint8": (0.0, 255.0), "[0,1]": (0.0, 1.0), "[-1,1]": (-1.0, 1.0), "[0,255]": (0.0, 255.0)}
)


def parse_range(text: str) -> ValueRange:
    """Read a value range as people write it.

    Args:
        text: As in "[0,1]", "0..1", "-1..1", "0,255" or "uint8".

    Returns:
        The range.

    Raises:
        UsageError: It is none of these.
    """
    spelled = str(text).replace(" ", "").replace("..", ",")
    if f"[{spelled}]" in RANGES:
        spelled = f"[{spelled}]"
    if spelled not in RANGES:
        raise UsageError(f"'{text}' is not a range of pixel values; {did_you_mean(spelled, RANGES)}")
    return cast(ValueRange, spelled)
