"""The processes that share the work of the calls that are made now: this one alone, unless `ranks` says otherwise.

Every process makes the same calls in the same order. Images are shared out, and so are metrics; what each process found
is exchanged, so that all have the same features and results.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Processes", "processes", "working_apart"]

_T = TypeVar("_T")


class Processes:
    """The processes that work together, as one of them sees them.

    Attributes:
        rank: The number of this process, from 0.
        size: How many there are.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    @property
    def first(self) -> bool:
        """Whether this is the process that prints, writes and caches."""
        return self.rank == 0

    def exchange(self, value: _T) -> list[_T]:
        """Give a value to all processes, and take theirs.

        Args:
            value: A plain value that is not large.

        Returns:
            The value of every process, in the order of their ranks.

        Raises:
            ProcessError: Another process has ended.
        """
        return [value]

    def from_first(self, value: _T) -> _T:
        """Take the first process's value in place of one's own.

        Args:
            value: This process's.

        Returns:
            The first process's.

        Raises:
            ProcessError: Another process has ended.
        """
        return value

    @contextmanager
    def together(self) -> Iterator[None]:
        """Inside, every process does something alone. An error of any of them is raised by all at the end.

        In the block, processes share nothing but what `check` tells.

        Raises:
            Exception: Of the processes that had one, that of the lowest rank.
        """
        yield

    def by_first(self, task: Callable[[], _T]) -> _T:
        """Do something in the first process alone.

        Args:
            task: Is called there.

        Returns:
            What it returned, in every process.

        Raises:
            Exception: That of the task, in every process.
        """
        return task()

    def claim(self, key: str) -> bool:
        """Be the first to claim a key, without waiting for another process.

        Args:
            key: What is claimed.

        Returns:
            Whether no process had claimed it.
        """
        return bool(key)

    def check(self) -> None:
        """Leave a long task early where another process has failed in it; to be called now and then."""

    def add(self, numbers: "Tensor") -> None:
        """Replace numbers by their sum over all processes, the same to the last bit in each.

        Args:
            numbers: Of one shape in all processes, on any device.

        Raises:
            ProcessError: Another process has ended.
        """

    def gather(self, rows: "Tensor") -> "Tensor":
        """Put the rows of all processes together.

        Args:
            rows: [n, ...] on the CPU; n may differ between processes, dtype and other sizes may not.

        Returns:
            [N, ...] on the CPU, in the order of the ranks; mapped from a file that the processes of a host share, if it
            is large.

        Raises:
            ProcessError: Another process has ended.
        """
        return rows


ALONE = Processes(0, 1)
# None, because the default of a context variable must not be mutable.
_working: ContextVar[Processes | None] = ContextVar("processes", default=None)


def processes() -> Processes:
    """The processes that share the work of the calls that are made now."""
    return _working.get() or ALONE


@contextmanager
def working(together: Processes) -> Iterator[None]:
    """Inside, these processes share the work of every call."""
    before = _working.set(together)
    try:
        yield
    finally:
        _working.reset(before)


@contextmanager
def working_apart() -> Iterator[None]:
    """Inside, each process does a task of its own, and every call does all its work in the process that makes it.

    An error of any process is raised by all at the end; the others leave their tasks early where those call `check`.

    Raises:
        Exception: Of the processes that had one, that of the lowest rank.

    >>> with ganeval.processes.working_apart():
    ...     ganeval.processes.processes().size
    1
    """
    team = processes()
    with team.together(), working(_Apart(team)):
        yield


class _Apart(Processes):
    """This process alone with its task, while the others of its team do theirs."""

    def __init__(self, team: Processes) -> None:
        super().__init__(0, 1)
        self._team = team

    def check(self) -> None:
        self._team.check()
