"""Signals during training: the first stops after the current step, a later one interrupts at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from ganeval.errors import Interrupted
from ganeval.interrupts import SIGNALS, EndRequest, act_as_usual, importing


@dataclass
class Interruption(EndRequest):
    """Whether a signal has requested the end. immediate: see `at_once`."""

    immediate: bool = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within this context, the first signal, or an earlier one, raises Interrupted: this work may be left
        unfinished.

        A signal during an import is recorded.
        """
        self.immediate = True
        try:
            if self.number:
                raise Interrupted(number=self.number)
            yield
        finally:
            self.immediate = False


@contextmanager
def deferred_signals() -> Iterator[Interruption]:
    """Within this context, the first signal to stop is only recorded, and a later one acts as usual; main thread only.

    Signals that would not raise an exception are left alone: ignored ones, and those that end the process.
    """
    noted = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    raising = {number: handler for number, handler in before.items() if callable(handler)}

    def restore() -> None:
        for number, handler in raising.items():
            signal.signal(number, handler)

    owner = os.getpid()

    def note(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            # A forked process, such as a DataLoader's worker.
            act_as_usual(number)
            signal.raise_signal(number)
            return
        if noted.repeated():
            return
        if noted.number:
            restore()
            signal.raise_signal(number)
            return
        noted.number = number
        if noted.immediate and not importing(frame):
            raise Interrupted(number=number)

    for number in raising:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        restore()
