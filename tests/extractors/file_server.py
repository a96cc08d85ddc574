"""A local web server that serves one file, correctly or not."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What to serve, how, and what was asked for.

    ranges: whether Range requests are honoured. cuts: after how many bytes each of the first connections is closed.
    status: an error to answer instead. refuse_ranges: answer every Range with 416. pause: seconds between chunks.
    requests: the Range header of every request, "" without one.
    """

    content: bytes
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    status: int | None = None
    refuse_ranges: bool = False
    pause: float = 0.0
    requests: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(server: FileServer, name: str = "file.bin") -> Iterator[FileServer]:
    """Serve for as long as the block lasts; `server.url` is the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, server)

        def log_message(self, *_: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{listener.server_port}/{name}"
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def _answer(handler: BaseHTTPRequestHandler, server: FileServer) -> None:
    asked = handler.headers.get("Range", "")
    server.requests.append(asked)
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
    if server.status is not None or (asked and server.refuse_ranges):
        handler.send_response(server.status or 416)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    body = server.content[start:]
    handler.send_response(206 if start else 200)
    if start:
        total = len(server.content)
        handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    sent = body[: server.cuts.pop(0)] if server.cuts else body
    for first in range(0, len(sent), 1 << 16):
        handler.wfile.write(sent[first : first + (1 << 16)])
        time.sleep(server.pause)
