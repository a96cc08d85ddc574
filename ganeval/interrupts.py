"""Signals that ask a process to end, and where they come."""

import signal
import time
from dataclasses import dataclass
from types import FrameType

__all__ = ["SAME_REQUEST", "SIGNALS", "EndRequest", "act_as_usual", "importing"]

# Ctrl-C; the signal of a scheduler, a container or `kill`; a closed terminal (no signal on Windows).
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# Seconds within which another signal is the same request: a key is held down, or one signal comes from the terminal and
# one from torchrun. It must not interrupt the cleaning up.
SAME_REQUEST = 1.0


@dataclass
class EndRequest:
    """A request to end, which may come as several signals.

    Attributes:
        number: That of its first signal; 0 without one.
        last: When its last signal came, by the monotonic clock.
    """

    number: int = 0
    last: float = 0.0

    def repeated(self) -> bool:
        """Note that a signal has come.

        Returns:
            Whether it is one more signal of the same request.
        """
        now = time.monotonic()
        before, self.last = self.last, now
        return bool(self.number) and now - before < SAME_REQUEST


def act_as_usual(number: int) -> None:
    """Let a signal act as where nobody listens, as it should in a forked process, which has nothing to clean up.

    Args:
        number: The signal's number.
    """
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported, during which many libraries abort, or go on half-loaded, at an exception.

    Args:
        frame: Where the signal came.

    Returns:
        True inside an import.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib."):
            return True
        frame = frame.f_back
    return False
