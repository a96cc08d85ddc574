"""A memory limit for the images that the threads of one reading hold: encoded, decoded, and not yet measured.

Several threads read ahead, and the size of an image is known only from its header. Before allocating, a thread calls
`claim`, which waits while the other images hold too much. The image that the consumer waits for is always admitted, so
there is no deadlock; at most the limit and one image are held.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Condition, Event

# Seconds between checks of whether the reading was stopped, while waiting.
LOOK_EVERY = 0.1
_claim: ContextVar[Callable[[int], None] | None] = ContextVar("claim", default=None)


def claim(count: int) -> None:
    """Wait until there is room for `count` more bytes; returns at once outside of a reading."""
    ask = _claim.get()
    if ask is not None:
        ask(count)


class Budget:
    """Bytes held by the images of one reading, by position."""

    def __init__(self, limit: int, stop: Event) -> None:
        """stop: when set, nothing waits any more: the reading has ended early."""
        self._limit = limit
        self._stop = stop
        self._held: dict[int, int] = {}
        self._total = 0
        self._awaited = 0
        self._waiting = 0
        self._changed = Condition()

    @contextmanager
    def loading(self, position: int) -> Iterator[None]:
        """Within this context, `claim` counts for the image at a position; waits until there is room."""
        self._wait(position, 1)
        token = _claim.set(lambda count: self._add(position, count))
        try:
            yield
        finally:
            _claim.reset(token)

    def settle(self, position: int, count: int) -> None:
        """Set what an image holds once it is loaded; 0 once it is measured, or has failed."""
        with self._changed:
            self._total += count - self._held.pop(position, 0)
            if count:
                self._held[position] = count
            if self._waiting:
                self._changed.notify_all()

    def awaits(self, position: int) -> None:
        """Note the image that the consumer waits for."""
        self._awaited = position
        if self._waiting:
            with self._changed:
                self._changed.notify_all()

    def _add(self, position: int, count: int) -> None:
        self._wait(position, count)
        with self._changed:
            self._held[position] = self._held.get(position, 0) + count
            self._total += count

    def _wait(self, position: int, count: int) -> None:
        if self._fits(position, count):
            return
        with self._changed:
            self._waiting += 1
            while not self._fits(position, count):
                self._changed.wait(LOOK_EVERY)
            self._waiting -= 1

    def _fits(self, position: int, count: int) -> bool:
        return self._total + count <= self._limit or position <= self._awaited or self._stop.is_set()
