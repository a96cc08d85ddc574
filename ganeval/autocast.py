"""The precisions of networks: one definition for extractors that score and for models that train.

fp32: every product in float32, without TF32 (`ganeval.precision.full_precision`). tf32: on a GPU, convolutions and
matrix products of float32 numbers rounded to TF32 (`ganeval.precision.tf32_products`). bf16, fp16: convolutions and
matrix products in that type under torch.autocast, everything else in float32; parameters and inputs stay float32.
"""

from contextlib import AbstractContextManager
from typing import Literal, get_args

from ganeval.errors import UsageError

__all__ = ["PRECISIONS", "Precision", "autocast"]

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
_DTYPES: dict[Precision, str] = {"bf16": "bfloat16", "fp16": "float16"}


def check_precision(device: str, precision: Precision) -> None:
    """Refuse a precision that a device has no fast or complete arithmetic for.

    Raises:
        UsageError: tf32 on anything but an NVIDIA GPU, fp16 on a CPU.
    """
    import torch

    kind = torch.device(device).type
    if precision == "tf32" and kind != "cuda":
        raise UsageError(f"tf32 needs an NVIDIA GPU; on {kind} choose --precision fp32 or bf16.")
    if precision == "fp16" and kind == "cpu":
        raise UsageError("fp16 needs a GPU; on a CPU choose --precision fp32 or bf16.")


def autocast(device: str, precision: Precision) -> AbstractContextManager[object]:
    """Run convolutions and matrix products in `precision`; fp32 and tf32 switch off an autocast of the caller.

    Args:
        device: torch's name of the device, such as "cpu" or "cuda:0".
        precision: One of `PRECISIONS`.

    Returns:
        A context manager.
    """
    import torch

    enabled = precision in _DTYPES
    # Without autocast the dtype is ignored, but float32 would cause a warning.
    dtype: torch.dtype = getattr(torch, _DTYPES.get(precision, "bfloat16"))
    return torch.autocast(torch.device(device).type, dtype=dtype, enabled=enabled)
