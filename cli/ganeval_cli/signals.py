"""Signals that stop the command (Ctrl-C, `kill`, a closed terminal) raise an exception, so that it cleans up.

    SIGINT   exit code 130
    SIGTERM  exit code 143
    SIGHUP   exit code 129

Ignored signals stay ignored, such as SIGHUP under `nohup`. This module imports little, because it is imported first.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from ganeval.errors import Interrupted
from ganeval.interrupts import SIGNALS, EndRequest, act_as_usual, importing
from ganeval.temporaries import delete_temporaries

_request = EndRequest()


def requested() -> int | None:
    """The number of the signal that requested the end; None if there was none."""
    return _request.number or None


def described(number: int) -> str:
    """The message about a signal."""
    return "interrupted" if number == signal.SIGINT else f"interrupted by {signal.Signals(number).name}"


@contextmanager
def interruptible() -> Iterator[None]:
    """Within this context, a signal to stop raises Interrupted. Afterwards it ends the process without a traceback."""
    _request.number = 0
    usual = (signal.SIG_DFL, signal.default_int_handler)
    handled = [number for number in SIGNALS if signal.getsignal(number) in usual]
    for number in handled:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        # Only the interpreter's shutdown remains.
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise Interrupted, or end the process at once while it imports a module."""
    if _request.repeated():
        return
    _request.number = number
    if not importing(frame):
        raise Interrupted(number=number)
    delete_temporaries()
    with suppress(OSError):
        os.write(2, f"{described(number)}\n".encode())
    os._exit(128 + number)


def _in_child() -> None:
    """In a forked process, such as a DataLoader's worker, signals act as usual."""
    for number in SIGNALS:
        if signal.getsignal(number) is _interrupt:
            act_as_usual(number)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
