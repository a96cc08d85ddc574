"""What the threads of one reading may hold in memory, together: encoded, decoded, and not yet measured.

Images are read ahead by several threads, and how large one is shows when its header is read. Whoever is about to
allocate says so with `claim`, which waits while the others hold too much. The image that the reading waits for is
always let through, so that nothing waits for ever; the most that is held is then the limit and one image.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Condition, Event

# Seconds after which one who waits looks whether the reading was stopped.
LOOK_EVERY = 0.1
_claim: ContextVar[Callable[[int], None] | None] = ContextVar("claim", default=None)


def claim(count: int) -> None:
    """Wait until there is room for so many bytes more; at once outside of a reading."""
    ask = _claim.get()
    if ask is not None:
        ask(count)


class Budget:
    """Bytes held by the images of one reading, by their positions in it."""

    def __init__(self, limit: int, stop: Event) -> None:
        """stop: lets all through, when the reading ends before its last image."""
        self._limit = limit
        self._stop = stop
        self._held: dict[int, int] = {}
        self._total = 0
        self._awaited = 0
        self._waiting = 0
        self._changed = Condition()

    @contextmanager
    def loading(self, position: int) -> Iterator[None]:
        """Inside, what this thread claims is held for an image; it begins when there is room at all."""
        self._wait(position, 1)
        token = _claim.set(lambda count: self._add(position, count))
        try:
            yield
        finally:
            _claim.reset(token)

    def settle(self, position: int, count: int) -> None:
        """The image is loaded, and holds so many bytes from now on; 0 once it is measured, or failed."""
        with self._changed:
            self._total += count - self._held.pop(position, 0)
            if count:
                self._held[position] = count
            if self._waiting:
                self._changed.notify_all()

    def awaits(self, position: int) -> None:
        """The reading goes on with this image."""
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
