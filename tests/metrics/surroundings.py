"""What a training loop may have set around a metric, which must change no value."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from core_helpers import default_dtype

SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "float64": lambda: default_dtype(torch.float64),
    # Stands for a GPU: a tensor that is made on the default device, and not where the features are, cannot be used.
    "device": lambda: torch.device("meta"),
    "inference": torch.inference_mode,
}
