"""Downloads are complete or absent, for every failure of the server."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from file_server import FileServer, serving

from ganeval.errors import WeightsError
from ganeval.extractors import download as module
from ganeval.extractors.download import RemoteFile, download, is_intact

CONTENT = bytes(range(251)) * 4000
HALF = len(CONTENT) // 2
NOWHERE = "http://127.0.0.1:9/file.bin"


def remote(*urls: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile("file.bin", urls, hashlib.sha256(content).hexdigest(), len(content))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".file.bin.lock"}


def test_a_file_arrives_whole_and_alone(tmp_path: Path) -> None:
    """The target holds the server's bytes, and no partial file is left in its folder."""
    with serving(FileServer(CONTENT)) as server:
        path = download(remote(server.url), tmp_path / "made" / "on the way")
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == {"file.bin"}


def test_an_intact_file_needs_no_network(tmp_path: Path) -> None:
    """A verified file that is already there is returned without a request."""
    (tmp_path / "file.bin").write_bytes(CONTENT)
    assert download(remote(NOWHERE), tmp_path).read_bytes() == CONTENT


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    """A file of the right size but other bytes is downloaded again."""
    (tmp_path / "file.bin").write_bytes(bytes(len(CONTENT)))
    with serving(FileServer(CONTENT)) as server:
        assert is_intact(download(remote(server.url), tmp_path), remote())


def test_a_cut_connection_is_continued(tmp_path: Path) -> None:
    """After a broken connection the next request asks only for the missing bytes."""
    with serving(FileServer(CONTENT, cuts=[HALF])) as server:
        assert download(remote(server.url), tmp_path).read_bytes() == CONTENT
    assert server.requests == ["", f"bytes={HALF}-"]


def test_a_part_of_an_earlier_run_is_continued(tmp_path: Path) -> None:
    """The partial file of an interrupted process is continued."""
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    with serving(FileServer(CONTENT)) as server:
        assert download(remote(server.url), tmp_path).read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-"]


def test_a_server_without_ranges_starts_over(tmp_path: Path) -> None:
    """A server that answers a Range request with the whole file does not get it appended."""
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    with serving(FileServer(CONTENT, ranges=False)) as server:
        assert download(remote(server.url), tmp_path).read_bytes() == CONTENT


def test_a_refused_range_starts_over(tmp_path: Path) -> None:
    """A 416 answer is followed by a request for the whole file."""
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    with serving(FileServer(CONTENT, refuse_ranges=True)) as server:
        assert download(remote(server.url), tmp_path).read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-", ""]


@pytest.mark.parametrize("part", [b"?" * 1000, b"?" * len(CONTENT), b"?" * (len(CONTENT) + 1)])
def test_a_wrong_part_is_thrown_away(tmp_path: Path, part: bytes) -> None:
    """A partial file of other content, shorter or longer than the file, is replaced by the right bytes."""
    (tmp_path / "file.bin.part").write_bytes(part)
    with serving(FileServer(CONTENT)) as server:
        assert download(remote(server.url), tmp_path).read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_removed(tmp_path: Path) -> None:
    """Other content of the same size is an error that gives both digests, and no file is left."""
    other = bytes(len(CONTENT))
    with serving(FileServer(other)) as server, pytest.raises(WeightsError) as error:
        download(remote(server.url), tmp_path)
    assert hashlib.sha256(other).hexdigest() in str(error.value)
    assert hashlib.sha256(CONTENT).hexdigest() in str(error.value)
    assert names(tmp_path) == set()


def test_another_size_is_refused_unread(tmp_path: Path) -> None:
    """A login page in place of the file is refused by its announced size."""
    with serving(FileServer(b"<html>")) as server, pytest.raises(WeightsError, match="offers 6 bytes"):
        download(remote(server.url), tmp_path)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("first", [FileServer(b"", status=404), FileServer(CONTENT, ranges=False, cuts=[9, 9])])
def test_the_next_mirror_is_tried(tmp_path: Path, first: FileServer) -> None:
    """A mirror without the file, or with broken connections, does not prevent the use of the next one."""
    with serving(first) as bad, serving(FileServer(CONTENT)) as good:
        assert download(remote(bad.url, good.url), tmp_path).read_bytes() == CONTENT


def test_without_a_mirror_every_reason_is_told(tmp_path: Path) -> None:
    """The error names each address with its failure."""
    with serving(FileServer(b"", status=503)) as server, pytest.raises(WeightsError) as error:
        download(remote(server.url, NOWHERE), tmp_path)
    assert server.url in str(error.value)
    assert "503" in str(error.value)
    assert NOWHERE in str(error.value)
    assert "refused" in str(error.value)


def test_a_server_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    """A transfer without data for the timeout counts as broken."""
    with serving(FileServer(CONTENT, pause=1.0)) as server, pytest.raises(WeightsError, match="timed out"):
        download(remote(server.url), tmp_path, timeout=0.1)


def test_an_interrupt_leaves_only_what_can_be_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the download at once, and the next run continues it."""
    read: Callable[..., bytes] = module._read
    chunks = iter([True, False])

    def interrupted(response: object) -> bytes:
        if next(chunks):
            return read(response)
        raise KeyboardInterrupt

    with serving(FileServer(CONTENT)) as server:
        monkeypatch.setattr(module, "_read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            download(remote(server.url), tmp_path)
        assert names(tmp_path) == {"file.bin.part"}
        monkeypatch.setattr(module, "_read", read)
        assert download(remote(server.url), tmp_path).read_bytes() == CONTENT
    assert server.requests[1].startswith("bytes=")


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    """An unwritable folder is named before any request."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match=r"cannot be written to .*file.weights"):
        download(remote(NOWHERE), tmp_path / "file" / "weights")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    """A failed write is reported as a fault of the disk, not of the mirror."""
    (tmp_path / "file.bin.part").symlink_to("/dev/full")
    with serving(FileServer(CONTENT)) as server, pytest.raises(WeightsError, match="No space left"):
        download(remote(server.url), tmp_path)


def test_two_processes_download_once(tmp_path: Path) -> None:
    """Of two processes that start together, one downloads and the other waits and finds the file."""
    program = (
        "import runpy, sys; from pathlib import Path\n"
        f"names = runpy.run_path({module.__file__!r})\n"
        "file = names['RemoteFile']('file.bin', (sys.argv[1],), sys.argv[2], int(sys.argv[3]))\n"
        "names['download'](file, Path(sys.argv[4]))\n"
    )
    with serving(FileServer(CONTENT, pause=0.05)) as server:
        file = remote(server.url)
        arguments = [sys.executable, "-c", program, server.url, file.sha256, str(file.size), str(tmp_path)]
        processes = [subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == ["", ""]
    assert server.requests == [""]
    assert is_intact(tmp_path / "file.bin", file)
