"""The ranks of torch.distributed as the processes that share the work of an evaluation.

Rows of features, which may be many, lie once for all processes of a host, in a nameless temporary file that each maps.
"""

import math
import os
import pickle
import socket
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, distributed

from ganeval.errors import GanevalError, ProcessError, UsageError
from ganeval.processes import Processes, working

__all__ = ["distributed_work", "launched"]

_T = TypeVar("_T")
# Exchanged rows beyond this many bytes lie in a file instead of in each process.
IN_MEMORY_BYTES = 1 << 26
# Bytes that are sent at a time: of rows, and of other values if they fit.
BLOCK_BYTES, MESSAGE_BYTES = 1 << 26, 1 << 10
# How long a process waits for the others, which may still be working. A process that ended is noticed at once.
PATIENCE = timedelta(days=7)


class _StoppedError(Exception):
    """Another process has failed in the current task."""


class Ranks(Processes):
    """The ranks of torch.distributed; every rank makes one at the same time."""

    def __init__(self) -> None:
        super().__init__(distributed.get_rank(), distributed.get_world_size())
        self._tasks = 0
        # Rows are on the CPU, even if training or extraction runs on a GPU.
        with _lost_others(self):
            # torch holds the group until it is destroyed. A reference here would keep it alive until the interpreter
            # ends, and its threads would sometimes abort the process then.
            group = cast(distributed.ProcessGroup, distributed.new_group(backend="gloo", timeout=PATIENCE))
            self._held_by_torch = weakref.ref(group)
            self._store = distributed.distributed_c10d._get_default_store()
            self._hosts = self.exchange(_host())

    @property
    def _group(self) -> distributed.ProcessGroup | None:
        return self._held_by_torch()

    def exchange(self, value: _T) -> list[_T]:
        # torch's all_gather_object sends lengths first, then the values; most values fit in the first message.
        sent = pickle.dumps(value)
        head = len(sent).to_bytes(8, "little") + sent
        heads = self._all(head[:MESSAGE_BYTES].ljust(MESSAGE_BYTES, b"\0"))
        lengths = [int.from_bytes(one[:8], "little") for one in heads]
        longest = max(lengths)
        whole = [one[8:] for one in heads] if longest <= MESSAGE_BYTES - 8 else self._all(sent.ljust(longest, b"\0"))
        return [pickle.loads(one) for one in whole]  # noqa: S301, from processes of the same program

    def _all(self, message: bytes) -> list[memoryview]:
        """The messages of all processes, which are of one length."""
        own = torch.frombuffer(bytearray(message), dtype=torch.uint8)
        found = [torch.empty_like(own) for _ in range(self.size)]
        with _lost_others(self):
            distributed.all_gather(found, own, group=self._group)
        return [one.numpy().data for one in found]

    def from_first(self, value: _T) -> _T:
        found = [value]
        with _lost_others(self):
            distributed.broadcast_object_list(found, src=0, group=self._group)
        return found[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        self._tasks += 1
        own: Exception | None = None
        try:
            yield
        except _StoppedError:
            # Its error is raised in the exchange.
            pass
        except ProcessError:
            raise
        # Any error must be sent to the others.
        except Exception as error:  # noqa: BLE001
            own = error
            with _lost_others(self):
                self._store.set(self._failed(), "")
        errors = [one for one in self.exchange(None if own is None else _sendable(own)) if one is not None]
        if errors:
            raise errors[0] from own

    def by_first(self, task: Callable[[], _T]) -> _T:
        done: _T | None = None
        with self.together():
            if self.first:
                done = task()
        return cast(_T, self.from_first(done))

    def claim(self, key: str) -> bool:
        try:
            return self._store.add(f"ganeval/claimed/{key}", 1) == 1
        except RuntimeError:
            # The store ended with its process, and torchrun is about to end the others.
            return True

    def check(self) -> None:
        with _lost_others(self):
            if self._store.check([self._failed()]):
                raise _StoppedError

    def add(self, numbers: Tensor) -> None:
        with _lost_others(self):
            distributed.all_reduce(numbers, group=None if numbers.is_cuda else self._group)

    def gather(self, rows: Tensor) -> Tensor:
        counts = self.exchange(len(rows))
        bounds = list(pairwise(accumulate(counts, initial=0)))
        shape = (sum(counts), *rows.shape[1:])
        row_bytes = max(rows.new_empty(shape[1:]).nbytes, 1)
        shared = shape[0] * row_bytes > IN_MEMORY_BYTES
        found = self._shared(shape, rows.dtype) if shared else rows.new_empty(shape)
        # One process per host fills the file that all processes of the host map.
        fills = not shared or self._hosts.index(self._hosts[self.rank]) == self.rank
        block = max(1, BLOCK_BYTES // row_bytes)
        for rank, (start, stop) in enumerate(bounds):
            for begin in range(start, stop, block):
                end = min(begin + block, stop)
                piece = found[begin:end] if fills else rows.new_empty((end - begin, *shape[1:]))
                if rank == self.rank:
                    piece.copy_(rows[begin - start : end - start])
                with _lost_others(self):
                    distributed.broadcast(piece, src=rank, group=self._group)
        self.exchange(None)
        return found

    def _shared(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """An array in a file that the processes of a host map; the file is already unlinked."""
        bytes_ = dtype.itemsize * math.prod(shape)
        leader = self._hosts.index(self._hosts[self.rank])
        name: str | None = None
        with self.together():
            if leader == self.rank:
                with tempfile.NamedTemporaryFile(prefix="ganeval-rows-", delete=False) as file:
                    file.truncate(bytes_)
                    name = file.name
        name = self.exchange(name)[leader]
        assert name is not None
        try:
            with self.together():
                mapped = np.memmap(name, np.uint8, "r+", shape=(bytes_,))
        finally:
            if leader == self.rank:
                Path(name).unlink()
        return torch.from_numpy(mapped).view(dtype).view(shape)

    def _failed(self) -> str:
        return f"ganeval/failed/{self._tasks}"


# By process group.
_made: WeakKeyDictionary[distributed.ProcessGroup, Ranks] = WeakKeyDictionary()


@contextmanager
def distributed_work() -> Iterator[None]:
    """Inside, the ranks of torch.distributed share the work of every evaluation, which all of them must call.

    Images (also those drawn from generators) and metrics are divided among the ranks; every rank gets the result of a
    single process. Only the first rank writes to the cache. Without this block, a call does all its work in the process
    that makes it, which is right for `if rank == 0:`.

    Raises:
        UsageError: torch.distributed is not initialised.
        ProcessError: Another process has ended.

    >>> import torch.distributed
    >>> store = torch.distributed.HashStore()
    >>> torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    >>> with ganeval.distributed_work():
    ...     found = ganeval.fid("digits:train", "digits:test", extractor="digits", cache=False)
    >>> torch.distributed.destroy_process_group()
    >>> found.n_fake
    450
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        raise UsageError(
            "torch.distributed is not initialised; call torch.distributed.init_process_group() first, in every process."
        )
    with working(all_ranks()):
        yield


@contextmanager
def launched() -> Iterator[None]:
    """Inside a program that torchrun started, as `distributed_work`, in the process group that torchrun describes.

    Without torchrun, it does nothing.

    Raises:
        ProcessError: The processes cannot find each other.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ or "MASTER_ADDR" not in os.environ:
        yield
        return
    try:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise ProcessError(f"The processes that torchrun started could not find each other ({reason}).") from error
    try:
        with distributed_work():
            yield
    finally:
        distributed.destroy_process_group()


def all_ranks() -> Ranks:
    """The ranks of the process group that is initialised; they are made once for it."""
    group = distributed.distributed_c10d._get_default_group()
    if group not in _made:
        _made[group] = Ranks()
    return _made[group]


@contextmanager
def _lost_others(team: Processes) -> Iterator[None]:
    """ProcessError instead of torch's errors if another process has ended."""
    try:
        yield
    except RuntimeError as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise ProcessError(
            f"Process {team.rank} of {team.size} lost another process, which ended before the work was done; its own "
            f"message says why. ({reason})"
        ) from error


def _host() -> tuple[object, ...]:
    """A key that is equal in processes with the same temporary files."""
    folder = Path(tempfile.gettempdir()).stat()
    return socket.gethostname(), folder.st_dev, folder.st_ino


def _sendable(error: Exception) -> Exception:
    """The error in a form that another process can raise: itself if it is known to survive pickling, or its text."""
    known = isinstance(error, GanevalError | MemoryError | OSError)
    return error if known else RuntimeError(f"{type(error).__name__}: {error}")
