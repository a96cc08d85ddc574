"""Whether a server can be reached at all, known within seconds.

Python has no timeout for name resolution, and urllib none unless asked for one, so a download on a machine without a
network may hang for a minute or for ever. Every download asks here first.
"""

import socket
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

# Seconds until a server, its name resolved, must have taken a connection.
PATIENCE = 5.0
# Seconds without a byte after which a connection of libraries that set no timeout is broken.
SILENCE = 30.0
_PORTS = {"http": 80, "https": 443}


def unreachable(urls: Sequence[str]) -> Mapping[str, str]:
    """The addresses whose servers, or proxies, cannot be reached, each with the reason; PATIENCE seconds for all."""
    probes = {url: _Probe(url) for url in dict.fromkeys(urls)}
    for probe in probes.values():
        probe.start()
    deadline = time.monotonic() + PATIENCE
    return {url: reason for url, probe in probes.items() if (reason := probe.outcome(deadline)) is not None}


@contextmanager
def downloading(urls: Sequence[str]) -> Iterator[None]:
    """Inside, libraries download with a timeout of SILENCE; OSError where none of these servers can be reached."""
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
    """One connection, opened and closed. A daemon, for name resolution cannot be interrupted."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._host, self._port = _address(url)
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            socket.create_connection((self._host, self._port), timeout=PATIENCE).close()
        except Exception as error:  # noqa: BLE001, raised again where the outcome is asked for
            self._error = error

    def outcome(self, deadline: float) -> str | None:
        """Why the server cannot be reached, None where it can."""
        self.join(max(deadline - time.monotonic(), 0.0))
        if self.is_alive() or isinstance(self._error, TimeoutError):
            return f"no connection: {self._host} could not be reached within {PATIENCE:g} s."
        if isinstance(self._error, OSError):
            return f"no connection: {self._error}."
        if self._error is not None:
            raise self._error
        return None


def _address(url: str) -> tuple[str, int]:
    """Host and port that urllib would connect to: the server's, or those of the user's proxy for it."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and parts.hostname and not urllib.request.proxy_bypass(parts.hostname):
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)
