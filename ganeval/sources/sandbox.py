"""Running a user's generator without side effects: global random state and training modes are restored.

A generator that ignores its `rng` draws from global random state. Inside the sandbox that state is private, seeded,
and kept from call to call, so that even such a generator is reproducible and the caller's random state is unchanged.
"""

import random
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class RandomState:
    """The global random state of Python, numpy and torch (CPU, and CUDA where it is in use)."""

    python: tuple[Any, ...]
    numpy: Any
    cpu: Tensor
    cuda: tuple[Tensor, ...]

    @classmethod
    def capture(cls) -> "RandomState":
        """The current state."""
        cuda = tuple(torch.cuda.get_rng_state_all()) if _cuda_in_use() else ()
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)

    def restore(self) -> None:
        """Set the current state to this one."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(list(self.cuda))


class Sandbox:
    """A reusable context: an object's modules are in evaluation mode, and global random state is private.

    Args:
        owner: A generator or module; all torch modules among its attributes are in evaluation mode inside.
        seed: Seed of the private random state.
    """

    def __init__(self, owner: object, seed: int) -> None:
        self.modules = _modules(owner)
        self._seed = seed
        self._inside: RandomState | None = None

    def __enter__(self) -> None:
        self._outside = RandomState.capture()
        self._modes = [(part, part.training) for module in self.modules for part in module.modules()]
        for module in self.modules:
            module.eval()
        if self._inside is None:
            _seed_everything(self._seed)
        else:
            self._inside.restore()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside = RandomState.capture()
        self._outside.restore()
        for part, training in self._modes:
            part.training = training


def _modules(owner: object) -> list[nn.Module]:
    """The owner itself if it is a module, otherwise the modules in its attributes."""
    if isinstance(owner, nn.Module):
        return [owner]
    return [value for value in getattr(owner, "__dict__", {}).values() if isinstance(value, nn.Module)]


def _cuda_in_use() -> bool:
    # Reading CUDA's state would initialise CUDA.
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    if _cuda_in_use():
        torch.cuda.manual_seed_all(seed)
