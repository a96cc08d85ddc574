"""The precision of an extractor's network, by torch's autocast rules."""

from contextlib import AbstractContextManager

import torch

from ganeval.errors import UsageError
from ganeval.extractors.base import Precision

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def check_precision(device: str, precision: Precision) -> None:
    """UsageError for a precision that is slow or incomplete on this device."""
    if precision == "fp16" and torch.device(device).type == "cpu":
        raise UsageError("fp16 needs a GPU; on a CPU choose --precision fp32 or bf16.")


def autocast(device: str, precision: Precision) -> AbstractContextManager[object]:
    """Inside, convolutions and matrix products run in `precision`; parameters and inputs stay float32."""
    enabled = precision != "fp32"
    # The dtype is ignored if autocast is disabled, but float32 would cause a warning.
    dtype = DTYPES[precision] if enabled else torch.bfloat16
    return torch.autocast(torch.device(device).type, dtype=dtype, enabled=enabled)
