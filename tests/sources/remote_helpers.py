"""Local servers for the tests of remote files: one of the web that breaks connections when asked to."""

import gzip
import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


class Web:
    """Files that a server on this machine has, and how it treats requests for them.

    files: bytes by path. broken: how many more answers to GET are cut in the middle, by path. short: how many have half
    of the bytes and say so, as those of a cache that was filled too early. ranges, sizes: whether
    it answers requests for a part of a file, and says how long files are. gzips: whether it compresses what it sends
    whole, asked to or not, as a store of compressed objects does. secret: must be in the query of every
    request. requests: counts by method.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.broken: Counter[str] = Counter()
        self.short: Counter[str] = Counter()
        self.ranges, self.sizes, self.gzips, self.secret = True, True, False, None
        self.requests: Counter[str] = Counter()
        self.url = ""


class _Handler(BaseHTTPRequestHandler):
    web: Web
    protocol_version = "HTTP/1.1"
    # Otherwise a body waits, up to 40 ms, for its header's arrival to be confirmed.
    disable_nagle_algorithm = True

    def log_message(self, *arguments: object) -> None:
        """Nothing is printed."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        parts, web = urlsplit(self.path), self.web
        path = unquote(parts.path).lstrip("/")
        web.requests[self.command] += 1
        if web.secret is not None and parse_qs(parts.query).get("sig") != [web.secret]:
            return self._send(403, b"", body)
        inside = [name for name in web.files if name.startswith(path)] if path.endswith("/") or not path else []
        if inside:
            page = "".join(f'<a href="{name.removeprefix(path)}">x</a>' for name in inside)
            return self._send(200, page.encode(), body, kind="text/html")
        if path not in web.files:
            return self._send(404, b"", body)
        data, status, extra = web.files[path], 200, {"ETag": f'"{hashlib.md5(web.files[path]).hexdigest()}"'}
        wanted = self.headers.get("Range")
        if wanted and web.ranges:
            start, stop = wanted.removeprefix("bytes=").split("-")
            extra["Content-Range"] = f"bytes {start}-{stop}/{len(data)}"
            data, status = data[int(start) : int(stop) + 1], 206
        if body and web.short[path] > 0:
            web.short[path] -= 1
            data = data[: len(data) // 2]
        elif web.gzips and status == 200:
            extra["Content-Encoding"], data = "gzip", gzip.compress(data)
        return self._send(status, data, body, extra=extra, cut=body and self._is_cut(path))

    def _is_cut(self, path: str) -> bool:
        if self.web.broken[path] <= 0:
            return False
        self.web.broken[path] -= 1
        return True

    def _send(self, status, data, body, *, kind="application/octet-stream", extra=None, cut=False):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if self.web.sizes or status != 200:
            self.send_header("Content-Length", str(len(data)))
        else:
            self.send_header("Connection", "close")
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut or not self.web.sizes


@contextmanager
def web_server() -> Iterator[Web]:
    """A server of the web on a free port of this machine."""
    web = Web()
    handler = type("Handler", (_Handler,), {"web": web})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        web.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield web
        server.shutdown()
        thread.join()
