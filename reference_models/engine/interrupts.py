"""Signals during training: the first one stops after the current step, the second one interrupts at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from ganeval.errors import Interrupted

# SIGTERM is sent by a scheduler or a container that stops a job, SIGHUP by a terminal that is closed. Where there is no
# SIGHUP (Windows), the others are handled.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass
class Interruption:
    """Whether a signal has asked for the end. number: the signal's, 0 without one. immediate: see `at_once`."""

    number: int = 0
    immediate: bool = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, the first signal raises Interrupted, as what is done there may be left undone."""
        self.immediate = True
        try:
            yield
        finally:
            self.immediate = False


@contextmanager
def deferred_signals() -> Iterator[Interruption]:
    """Inside, the first signal that asks for the end is noted, and the second interrupts at once; main thread only.

    Signals that would not raise an exception are left alone: ignored ones, and those that end the process.
    """
    noted = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    raising = {number: handler for number, handler in before.items() if callable(handler)}

    def restore() -> None:
        for number, handler in raising.items():
            signal.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        restore()
        noted.number = number
        if noted.immediate:
            raise Interrupted(number=number)

    for number in raising:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        restore()
