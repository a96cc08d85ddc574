"""Reading images that lie elsewhere: files, archives and tables from a server that answers after some milliseconds.

The server is a process on this machine. Peers read the same images: Hugging Face's datasets, streaming the same Parquet
file, and a loop over fsspec and Pillow.
"""

import http.server
import io
import multiprocessing
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import best_seconds, save, table
from benchmarks.images import write_crops

# Seconds before every answer: a store in the same region.
LATENCY = 0.010


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, also parts of them."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        """A file, or the part of it that was asked for."""
        time.sleep(LATENCY)
        path = Path(self.translate_path(self.path))
        if path.is_dir() or not path.exists() or "Range" not in self.headers:
            super().do_GET()
            return
        start, stop = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(stop + 1 - start)
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Range", f"bytes {start}-{stop}/{path.stat().st_size}")
        self.end_headers()
        self.wfile.write(data)


def _serve(folder: str, ready: Any) -> None:
    handler = partial(_Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        ready.send(server.server_port)
        server.serve_forever()


def _write(folder: Path, count: int) -> None:
    """The same images as files, as a .zip, as a .tar and as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet

    write_crops(folder / "files", count, 64)
    files = {path.name: path.read_bytes() for path in sorted((folder / "files").iterdir())}
    with zipfile.ZipFile(folder / "set.zip", "w") as archive, tarfile.open(folder / "set.tar", "w") as tar:
        for name, data in files.items():
            archive.writestr(name, data)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    rows = pa.table({"image": [{"bytes": data, "path": name} for name, data in files.items()]})
    pyarrow.parquet.write_table(rows, folder / "set.parquet", row_group_size=100)


def _read(spec: str) -> None:
    from ganeval import open_source
    from ganeval.sources import Reading, ReadReport

    for _ in open_source(spec).batches(Reading(), ReadReport()):
        pass


def _stream(url: str) -> None:
    """Hugging Face's datasets, streaming a Parquet file."""
    import datasets
    import numpy as np

    read = datasets.load_dataset("parquet", data_files=url, split="train", streaming=True)
    for row in read.cast_column("image", datasets.Image()):
        np.asarray(row["image"].convert("RGB"))


def _loop(url: str) -> None:
    """One file after the other."""
    import fsspec
    import numpy as np
    from PIL import Image

    system, root = fsspec.url_to_fs(url)
    for name in sorted(system.find(root)):
        np.asarray(Image.open(io.BytesIO(system.cat_file(name))).convert("RGB"))


def main(*, runs: int, count: int = 1000) -> None:
    """Time the reading and decoding of PNG files of 64 pixels."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, count)
        server = context.Process(target=_serve, args=(name, theirs), daemon=True)
        server.start()
        web = f"http://127.0.0.1:{ours.recv()}"
        readers: dict[str, Callable[[], None]] = {
            "folder": partial(_read, f"{folder}/files"),
            "folder, by HTTP": partial(_read, f"{web}/files/"),
            "fsspec and Pillow, in a loop, by HTTP": partial(_loop, f"{web}/files/"),
            ".zip": partial(_read, f"{folder}/set.zip"),
            ".zip, by HTTP": partial(_read, f"{web}/set.zip"),
            ".tar, by HTTP": partial(_read, f"{web}/set.tar"),
            "webdataset: .tar, by HTTP": partial(_read, f"webdataset:{web}/set.tar"),
            ".parquet": partial(_read, f"{folder}/set.parquet"),
            ".parquet, by HTTP": partial(_read, f"{web}/set.parquet"),
            "datasets, streaming .parquet": partial(_stream, f"{folder}/set.parquet"),
            "datasets, streaming .parquet, by HTTP": partial(_stream, f"{web}/set.parquet"),
        }
        seconds = {name: best_seconds(read, runs=runs) for name, read in readers.items()}
        server.terminate()
        server.join()
    local = seconds["folder"]
    rows = [[name, f"{count / one:,.0f}", f"{one / local:.2f}"] for name, one in seconds.items()]
    text = table([f"{count} PNG, 64 px", "images/s", "time relative to the folder"], rows)
    save("remote", {"images": count, "latency_seconds": LATENCY, "seconds": seconds}, text)
