"""Rows that come a block at a time, as one array: in memory while small, in a nameless temporary file when not."""

import tempfile
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor

# Rows beyond this many bytes wait on disk instead of in memory.
SPOOL_BYTES = 1 << 29


def spooled(blocks: Iterable[Tensor], count: int) -> Tensor:
    """Blocks of rows [n, D] of one dtype, one after the other, as [count, D].

    On a CPU, more than SPOOL_BYTES are mapped from a temporary file, of which the system keeps in memory what fits.

    Args:
        blocks: At least one.
        count: The number of all rows.

    Returns:
        A new tensor, which may be written to.
    """
    others = iter(blocks)
    first = next(others)
    whole = (count, *first.shape[1:])
    if first.device.type != "cpu" or count * first[:1].nbytes <= SPOOL_BYTES:
        found, start = first.new_empty(whole), 0
        for block in chain([first], others):
            found[start : start + len(block)] = block
            start += len(block)
        return found
    with tempfile.TemporaryFile() as file:
        for block in chain([first], others):
            file.write(block.contiguous().numpy().data)
        return mapped(file, first.numpy().dtype, whole)


def mapped(file: IO[bytes], dtype: DTypeLike, shape: tuple[int, ...]) -> Tensor:
    """A file as a tensor, mapped rather than read; it keeps the bytes when the file is closed."""
    file.flush()
    # An open file has what memmap needs of it; its stub asks for the path alone.
    array: np.memmap[Any, Any] = np.memmap(cast(Path, file), dtype, "r+", shape=shape)
    return torch.from_numpy(array)
