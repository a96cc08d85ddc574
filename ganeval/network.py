"""Find out within seconds whether a server can be reached.

Python has no timeout for name resolution, and urllib has none by default, so a download on a machine without a network
may hang for minutes or indefinitely. Every download checks here first.
"""

import socket
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

# Seconds within which a server's name must be resolved and a connection accepted. With the start of the program, an
# error takes at most five seconds.
PATIENCE = 2.5
# Timeout in seconds for connections of libraries that set none.
SILENCE = 30.0
_PORTS = {"http": 80, "https": 443}


def unreachable(urls: Sequence[str]) -> Mapping[str, str]:
    """The addresses whose server (or proxy) cannot be reached, each with the reason; takes PATIENCE seconds at most."""
    probes = {url: _Probe(url) for url in dict.fromkeys(urls)}
    for probe in probes.values():
        probe.start()
    deadline = time.monotonic() + PATIENCE
    return {url: reason for url, probe in probes.items() if (reason := probe.outcome(deadline)) is not None}


@contextmanager
def downloading(urls: Sequence[str]) -> Iterator[None]:
    """Set a default timeout of SILENCE seconds for downloads in the block.

    Raises:
        OSError: None of the servers can be reached.
    """
    reasons = unreachable(urls)
    if len(reasons) == len(set(urls)):
        raise OSError(" ".join(dict.fromkeys(reasons.values())))
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


class _Probe(threading.Thread):
    """Opens and closes one connection. It is a daemon because name resolution cannot be interrupted."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._host, self._port = _address(url)
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            socket.create_connection((self._host, self._port), timeout=PATIENCE).close()
        except Exception as error:  # noqa: BLE001, raised again in outcome()
            self._error = error

    def outcome(self, deadline: float) -> str | None:
        """Why the server cannot be reached; None if it can."""
        self.join(max(deadline - time.monotonic(), 0.0))
        if self.is_alive() or isinstance(self._error, TimeoutError):
            return f"no connection: {self._host} could not be reached within {PATIENCE:g} s."
        if isinstance(self._error, OSError):
            return f"no connection: {self._error}."
        if self._error is not None:
            raise self._error
        return None


def _address(url: str) -> tuple[str, int]:
    """Host and port that urllib would connect to: the server's, or those of the user's proxy."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and parts.hostname and not urllib.request.proxy_bypass(parts.hostname):
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)
