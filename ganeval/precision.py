"""Keep float32 products float32, whatever the calling program has switched on for its training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

# Since torch 2.9 every kind of product has a switch of its own, and the older ones fail once a program used these.
HAS_SWITCHES = torch.__version__ >= "2.9"


@contextmanager
def full_precision() -> Iterator[None]:
    """Inside, TF32 and bfloat16 shortcuts of float32 products are off (they move features by 1e-3)."""
    before = _full()
    try:
        yield
    finally:
        _restore(before)


def _switches() -> list[Any]:
    backends: Any = torch.backends
    return [backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv]


def _full() -> list[Any]:
    """Switch every shortcut off => what `_restore` needs to know."""
    if not HAS_SWITCHES:
        before = [torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32]
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        return before
    before = [switch.fp32_precision for switch in _switches()]
    for switch in _switches():
        switch.fp32_precision = "ieee"
    return before


def _restore(before: list[Any]) -> None:
    if not HAS_SWITCHES:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
        return
    for switch, precision in zip(_switches(), before, strict=True):
        # "none" leaves it to wider settings again; only what these do not explain was its own.
        switch.fp32_precision = "none"
        if switch.fp32_precision != precision:
            switch.fp32_precision = precision
