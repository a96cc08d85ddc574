"""Showing that a source is being read: what `progress=` takes, and the one that shows nothing."""

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """A context manager for one reading; what it gives on entering is called with the number of images just read."""

    @abstractmethod
    def __call__(self, name: str, total: int | None) -> AbstractContextManager[Callable[[int], object]]:
        """Start to show a reading.

        Args:
            name: The source, as the user wrote it.
            total: Its number of images; None where that is not known.
        """
        ...


def silent(name: str, total: int | None) -> AbstractContextManager[Callable[[int], object]]:  # noqa: ARG001
    """The Progress that shows nothing.

    Args:
        name: The source.
        total: Its number of images; None where that is not known.

    Returns:
        A context manager whose function ignores the number of images.
    """
    return nullcontext(lambda count: None)  # noqa: ARG005
