"""Arrays that grow by rows: in memory while small, then in unnamed temporary files."""

import tempfile
from collections.abc import Mapping
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ganeval import spool
from ganeval.errors import ExtractorError
from ganeval.outputs import Output


class RowStore:
    """Rows of every output of an extractor, added batch by batch; call `close` after reading them."""

    def __init__(self) -> None:
        self.count = 0
        self._parts: dict[Output, list[Tensor]] = {}
        self._files: dict[Output, IO[bytes]] = {}
        self._waiting = 0

    def add(self, arrays: Mapping[Output, Tensor]) -> None:
        """Append the rows of a batch.

        Args:
            arrays: float32 [n, D] on the CPU, by output; every call has the same outputs.

        Raises:
            ExtractorError: An output has another width than before.
        """
        for output, array in arrays.items():
            parts = self._parts.setdefault(output, [])
            if parts and parts[0].shape[1] != array.shape[1]:
                raise ExtractorError(
                    f"The {output} of an image had {parts[0].shape[1]} numbers, and now has {array.shape[1]}; an "
                    "extractor must give as many for every image."
                )
            parts.append(array)
            self._waiting += array.numel() * 4
        self.count += len(next(iter(arrays.values())))
        if self._waiting > spool.SPOOL_BYTES:
            self._spool()

    def arrays(self) -> dict[Output, Tensor]:
        """All rows, float32 [count, D] by output; mapped from disk if they were written there."""
        if not self._files:
            return {output: torch.cat(parts) for output, parts in self._parts.items()}
        self._spool()
        widths = {output: parts[0].shape[1] for output, parts in self._parts.items()}
        return {
            output: spool.mapped(file, np.float32, (self.count, widths[output])) for output, file in self._files.items()
        }

    def close(self) -> None:
        """Close the files; arrays mapped from them remain valid."""
        for file in self._files.values():
            file.close()

    def _spool(self) -> None:
        """Move the rows in memory to the files."""
        for output, parts in self._parts.items():
            if output not in self._files:
                self._files[output] = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it
            for part in parts:
                spool.append(self._files[output], part)
            parts[:] = [parts[-1][:0]]
        self._waiting = 0
