"""Which device computes, and with how many threads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.backends import mps

from ganeval.errors import UsageError
from ganeval.processes import processes

__all__ = ["find_device"]


def find_device(device: object) -> str:
    """The name of a device that works here.

    Args:
        device: "auto", or a device of torch, or its name. Of processes that share their work, each takes a GPU of its
            own.

    Returns:
        Torch's name of the device; for "auto", "cuda" where there is a GPU and otherwise "cpu".

    Raises:
        UsageError: It cannot be used on this machine.

    >>> find_device("cpu")
    'cpu'
    """
    name = str(device)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] == "cuda" and processes().size > 1:
        name = f"cuda:{int(os.environ.get('LOCAL_RANK', processes().rank)) % max(torch.cuda.device_count(), 1)}"
    if name == "cpu":
        return name
    try:
        # To and from it: "meta" takes numbers, but gives none back.
        torch.zeros(1, device=name).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # CUDA's message states the problem; those of other devices only list the backends that torch knows.
        reason = f" ({str(error).splitlines()[0].rstrip('.')})" if name.startswith("cuda") else ""
        here = ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if mps.is_available() else [])]
        raise UsageError(
            f"The device '{name}' cannot be used here{reason}. This machine has {' and '.join(here)}; choose that, or "
            "auto."
        ) from error
    return name


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch computes on the calling thread alone.

    For work in small pieces: torch's other threads spin for milliseconds after each of them, on cores that something
    else needs.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
