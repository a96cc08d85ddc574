"""The logs of the steps between two lines of the log, kept on the device and transferred together."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from reference_models.base import Logs


class LogBuffer:
    """The logs of the steps since the last line. rows: those already transferred, one mapping per step."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, float]] = []
        self._waiting: list[Logs] = []

    def add(self, logs: Logs) -> None:
        """Keep a step's logs, without waiting for the device."""
        self._waiting.append(logs)

    def fetch(self) -> Sequence[Mapping[str, float]]:
        """The logs of the steps since the last call, as numbers, in one transfer."""
        tensors = [value for logs in self._waiting for value in logs.values() if isinstance(value, Tensor)]
        numbers = iter(torch.stack([tensor.float() for tensor in tensors]).tolist() if tensors else [])
        fresh = [
            {name: next(numbers) if isinstance(value, Tensor) else float(value) for name, value in logs.items()}
            for logs in self._waiting
        ]
        self._waiting = []
        self.rows += fresh
        return fresh

    def mean(self) -> dict[str, float]:
        """The mean of every number over the steps that logged it; empties the buffer."""
        names = {name: None for row in self.rows for name in row}
        values = {name: [row[name] for row in self.rows if name in row] for name in names}
        self.rows = []
        return {name: sum(found) / len(found) for name, found in values.items()}
