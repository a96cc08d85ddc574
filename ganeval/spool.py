"""Rows that come a block at a time, as one array: in memory while small, in a nameless temporary file when not."""

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, suppress
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
    """Blocks of rows [n, D] of one dtype that numpy has, one after the other, as [count, D].

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
    in_memory = first.device.type != "cpu" or count * first[:1].nbytes <= SPOOL_BYTES
    with ExitStack() as stack:
        file = None if in_memory else stack.enter_context(tempfile.TemporaryFile())
        found, start = first.new_empty(whole if in_memory else (0,)), 0
        for block in chain([first], others):
            assert block.dtype == first.dtype
            if file is None:
                found[start : start + len(block)] = block
            else:
                append(file, block)
            start += len(block)
        assert start == count
        return found if file is None else mapped(file, first.numpy().dtype, whole)


def append(file: IO[bytes], rows: Tensor) -> None:
    """Write rows at the end of a temporary file; OSError names the folder of such files if there is no room."""
    try:
        file.write(rows.contiguous().numpy().data)
        file.flush()
    except OSError as error:
        # Closing tries to write once more what is left, and would raise an error of its own later.
        with suppress(OSError):
            file.close()
        folder = f"{tempfile.gettempdir()}, for temporary files; TMPDIR names another folder"
        raise OSError(error.errno, error.strerror, folder) from error


def mapped(file: IO[bytes], dtype: DTypeLike, shape: tuple[int, ...]) -> Tensor:
    """A file as a tensor, mapped rather than read; it keeps the bytes when the file is closed."""
    # An open file has what memmap needs of it; its stub asks for the path alone.
    array: np.memmap[Any, Any] = np.memmap(cast(Path, file), dtype, "r+", shape=shape)
    return torch.from_numpy(array)
