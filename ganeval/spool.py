"""Joins blocks of rows to one array: in memory while small, otherwise in an unnamed temporary file."""

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

# Rows beyond this many bytes are kept on disk instead of in memory.
SPOOL_BYTES = 1 << 29


def spooled(blocks: Iterable[Tensor], count: int) -> Tensor:
    """Join blocks of rows [n, D], of one dtype that numpy supports, to [count, D].

    On a CPU, more than SPOOL_BYTES are mapped from a temporary file, which the system caches in memory as far as it
    fits.

    Args:
        blocks: At least one block.
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
        # Closing tries to write the rest again, and would raise another error later.
        with suppress(OSError):
            file.close()
        folder = f"{tempfile.gettempdir()}, for temporary files; TMPDIR names another folder"
        raise OSError(error.errno, error.strerror, folder) from error


def mapped(file: IO[bytes], dtype: DTypeLike, shape: tuple[int, ...]) -> Tensor:
    """A file as a memory-mapped tensor, which stays valid when the file is closed."""
    # memmap also takes an open file, but its stub allows only a path.
    array: np.memmap[Any, Any] = np.memmap(cast(Path, file), dtype, "r+", shape=shape)
    return torch.from_numpy(array)
