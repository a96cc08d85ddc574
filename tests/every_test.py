"""Fixtures for every test: own cache and data, no network, and the same random numbers every time."""

import gc
import ipaddress
import itertools
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pytest
import torch
from made_once import Once, once_in
from warm import SERVER, served, shared

from ganeval.extractors import EXTRACTORS
from ganeval.metrics import METRICS, PAIR_METRICS
from ganeval.sources import SCHEMES
from reference_models import VARIANTS

CUDA = torch.cuda.is_available()


def seed() -> None:
    """Seed the default generators; `torch.manual_seed` also formats three stack traces where there is no GPU."""
    torch.default_generator.manual_seed(0)
    if CUDA:
        torch.cuda.manual_seed_all(0)


# For what test modules draw as they are imported.
seed()

NUMBERS = itertools.count()

hypothesis.settings.register_profile("ganeval", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("ganeval")


def pytest_collection_finish() -> None:
    """Leave what was imported and collected, which stays to the end, out of every later collection of garbage."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """A test that draws with no generator of its own draws the same every time, alone or among others."""
    seed()


@pytest.fixture(autouse=True)
def _own_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test, an example or a page registers is gone after it."""
    for table in (METRICS, PAIR_METRICS, EXTRACTORS, SCHEMES, VARIANTS):
        monkeypatch.setattr(table, "_rows", dict(table._rows))


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test uses the user's cache, data sets or weights, or another test's."""
    # `mktemp` would look through the folders of all tests before.
    root = tmp_path_factory.getbasetemp() / f"user-{next(NUMBERS)}"
    monkeypatch.setenv("GANEVAL_CACHE", str(root / "cache"))
    monkeypatch.setenv("GANEVAL_DATA", str(root / "data"))
    monkeypatch.setenv("TORCH_HOME", str(root / "torch"))
    monkeypatch.delenv("GANEVAL_WEIGHTS", raising=False)


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """A test that opens a connection to another machine fails."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def local_connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not _is_local(address[0]):
            raise AssertionError(f"A test tried to connect to {address}.")
        connect(self, address)

    def local_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host is not None and not _is_local(host):
            raise AssertionError(f"A test tried to look up {host}.")
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_connect)
        patch.setattr(socket, "getaddrinfo", local_look_up)
        yield


def _is_local(host: str | bytes) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


@pytest.fixture(scope="session")
def python() -> Iterator[Sequence[str]]:
    """The start of a command line that runs Python in a fork of a process that has imported torch (see warm.py)."""
    if SERVER in os.environ:
        yield shared(Path(os.environ[SERVER]))
        return
    with TemporaryDirectory() as folder, served(Path(folder)) as command:
        yield command


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """once(name, make): a folder with what make(folder) writes, made once for all the processes of a run."""
    base = tmp_path_factory.getbasetemp()
    return once_in(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture(scope="session")
def untrained_weights(once: Once) -> Path:
    """Seeded random Inception weights in the published layout."""
    from ganeval.extractors.untrained import untrained_weights

    return once("untrained", lambda folder: untrained_weights(folder / "untrained.pth", seed=0)) / "untrained.pth"
