"""Downloads without a network fail within seconds, for every part that is missing or hangs."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ganeval import network
from ganeval.errors import SourceError, WeightsError
from ganeval.extractors.download import ANSWER, RemoteFile, download
from ganeval.extractors.hub import fetch
from ganeval.network import downloading, unreachable
from ganeval.sources.datasets import torchvision_set


@pytest.fixture
def listener() -> Iterator[str]:
    """The address of a server that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file"


@pytest.fixture(params=["resolver", "connection"])
def hanging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Name resolution, or a connection, that outlasts the test."""
    over = threading.Event()

    def hang(*_: object, **__: object) -> Any:
        over.wait(30)
        raise OSError("too late")

    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setattr(network, "PATIENCE", 0.1)
    name = "getaddrinfo" if request.param == "resolver" else "create_connection"
    monkeypatch.setattr(socket, name, hang)
    yield
    over.set()


DOWNLOADS: dict[str, tuple[Callable[[Path], object], type[Exception]]] = {
    "weights": (
        lambda folder: download(RemoteFile("f", ("http://a.invalid/f", "http://b.invalid/f"), "0" * 64, 9), folder),
        WeightsError,
    ),
    "hub": (lambda _: fetch("https://a.invalid/net-01234567.pth"), WeightsError),
    "data set": (lambda _: torchvision_set("mnist", "train"), SourceError),
}


@pytest.mark.usefixtures("hanging")
@pytest.mark.parametrize(("start", "kind"), DOWNLOADS.values(), ids=DOWNLOADS.keys())
def test_where_the_network_hangs_every_download_ends_soon(
    tmp_path: Path, start: Callable[[Path], object], kind: type[Exception]
) -> None:
    """All mirrors share one deadline, after which the error names what could not be reached."""
    begin = time.monotonic()
    with pytest.raises(kind, match=r"could not be reached within 0\.1 s"):
        start(tmp_path)
    # 0.1 s by rights; a few seconds are for importing torchvision on a busy machine.
    assert time.monotonic() - begin < 10


def test_the_budget_leaves_time_to_start() -> None:
    """A machine without a network waits at most half of the five seconds in which a command answers."""
    assert network.PATIENCE == 2.5


def test_a_server_that_answers_is_reachable(listener: str) -> None:
    """Only the unreachable ones of several addresses are listed, each with its reason."""
    nowhere = "http://127.0.0.1:9/file"
    found = unreachable([listener, nowhere])
    assert list(found) == [nowhere]
    assert "refused" in found[nowhere]
    with downloading([nowhere, listener]):
        assert socket.getdefaulttimeout() == network.SILENCE
    assert socket.getdefaulttimeout() is None
    with pytest.raises(OSError, match="refused"), downloading([nowhere]):
        pass


@pytest.mark.parametrize(
    ("url", "environment", "address"),
    [
        ("https://a.invalid/f", {}, ("a.invalid", 443)),
        ("http://a.invalid:81/f", {}, ("a.invalid", 81)),
        ("https://a.invalid/f", {"https_proxy": "http://proxy.invalid:3128"}, ("proxy.invalid", 3128)),
        ("http://a.invalid/f", {"http_proxy": "proxy.invalid:3128"}, ("proxy.invalid", 3128)),
        ("http://a.invalid/f", {"http_proxy": "http://proxy.invalid:3128", "no_proxy": "a.invalid"}, ("a.invalid", 80)),
    ],
)
def test_what_is_reached_for_is_what_urllib_connects_to(
    monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str], address: tuple[str, int]
) -> None:
    """The address is the server's, or that of the user's proxy."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert network._address(url) == address


def test_servers_that_take_the_connection_and_say_nothing_are_given_up(listener: str, tmp_path: Path) -> None:
    """Each has a timeout, by default ten seconds, and is named with the reason."""
    assert ANSWER == 10.0
    begin = time.monotonic()
    with pytest.raises(WeightsError) as told:
        download(RemoteFile("f", (listener, f"{listener}2"), "0" * 64, 9), tmp_path, timeout=0.1)
    assert str(told.value).count("timed out") == 2
    assert time.monotonic() - begin < 5
