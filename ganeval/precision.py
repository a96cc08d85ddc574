"""Precision of float32 products: full, or TF32 on a GPU; and a test of whether float32 is enough."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor

__all__ = ["full_precision"]

# Since torch 2.9 each kind of product has its own switch, and the older switches fail once these have been used.
HAS_SWITCHES = torch.__version__ >= "2.9"
# Rows sampled from each set; the largest squared norm of a row whose products fit in float32; and the smallest spread,
# relative to the squared norm of the mean, that float32 products resolve (to 2e-4 of KID's standard error in
# simulations).
SAMPLE_ROWS, MAX_SQUARED_NORM, MIN_RELATIVE_SPREAD = 1000, 1e30, 0.01


@contextmanager
def full_precision() -> Iterator[None]:
    """Inside, TF32 and bfloat16 shortcuts of float32 products are off (they change features by 1e-3)."""
    with _set_to("ieee", _switches()):
        yield


@contextmanager
def tf32_products() -> Iterator[None]:
    """Inside, a GPU rounds the factors of float32 products to TF32, which keeps 10 of their 23 bits."""
    with _set_to("tf32", _switches()[:2]):
        yield


def has_shortcuts() -> bool:
    """Whether the program has switched on shortcuts of float32 products on a CPU."""
    if not HAS_SWITCHES:
        return torch.get_float32_matmul_precision() != "highest"
    backend: Any = torch.backends.mkldnn
    return any(switch.fp32_precision not in ("none", "ieee") for switch in (backend.matmul, backend.conv))


def outgrown(*sets: Tensor) -> bool:
    """Whether float32 products of rows [N, D] lose the differences between rows, estimated from a sample of each set.

    They do if the common part of the rows is ten times as large as their differences, or their products overflow.
    """
    rows = torch.cat([side[:: max(1, len(side) // SAMPLE_ROWS)].double() for side in sets])
    common = rows.mean(0)
    spread = float((rows - common).square().sum(1).mean())
    return (
        spread < MIN_RELATIVE_SPREAD * float(common.square().sum())
        or float(rows.square().sum(1).max()) > MAX_SQUARED_NORM
    )


def _switches() -> list[Any]:
    """The switches for products on GPUs, then those for CPUs."""
    backends: Any = torch.backends
    return [backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv]


@contextmanager
def _set_to(chosen: Literal["ieee", "tf32"], switches: list[Any]) -> Iterator[None]:
    """Set these switches within the context; an older torch has two for all products."""
    if not HAS_SWITCHES:
        before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        try:
            torch.set_float32_matmul_precision("high" if chosen == "tf32" else "highest")
            torch.backends.cudnn.allow_tf32 = chosen == "tf32"
            yield
        finally:
            torch.set_float32_matmul_precision(before[0])
            torch.backends.cudnn.allow_tf32 = before[1]
        return
    earlier = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = chosen
        yield
    finally:
        for switch, precision in zip(switches, earlier, strict=True):
            # "none" returns to the wider setting; only a switch that differs from it had a setting of its own.
            switch.fp32_precision = "none"
            if switch.fp32_precision != precision:
                switch.fp32_precision = precision
