"""Signals that ask a process to end, and where they come."""

import signal
from types import FrameType

__all__ = ["SAME_REQUEST", "SIGNALS", "importing"]

# Ctrl-C; what a scheduler, a container or `kill` sends; a terminal that is closed, which Windows does not tell.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# Seconds within which another signal is the same request: a key that is held down, or one signal from the terminal and
# one from torchrun. It must not interrupt the cleaning up.
SAME_REQUEST = 1.0


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
