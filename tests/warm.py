"""Python commands that cost little: each is a fork of one process that has imported what commands import.

`python warm.py FOLDER` serves the socket FOLDER/socket until its standard input ends. `python warm_client.py SOCKET`,
with `-m MODULE`, `-c CODE` or a file, runs that there, with the streams, folder and environment of the client, and ends
as it ended. The server computes nothing, because a fork of a process that has computed with torch may hang.
"""

import gc
import json
import os
import runpy
import select
import socket
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from filelock import FileLock

HERE = Path(__file__).parent
# The environment variable with the folder of the server that processes share.
SERVER = "GANEVAL_TESTS_SERVER"
# What several tests' commands import when they are at work; together they take seconds.
OF_SEVERAL = (
    "imblearn.over_sampling",
    "jinja2",
    "matplotlib.figure",
    "reference_models.engine.run",
    "sklearn.utils.extmath",
    "torchmetrics",
    "torchvision",
)


@contextmanager
def served(folder: Path) -> Iterator[Sequence[str]]:
    """Start a server; give the start of a command line that stands for `python`. folder: a short path."""
    with subprocess.Popen(_server(folder), env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield _client(folder)


@contextmanager
def shareable(folder: Path) -> Iterator[None]:
    """Inside, processes may share one server in a folder, which the first that needs it starts; it ends after."""
    os.mkfifo(folder / "wanted")
    # The standard input of the server, which lasts as long as this process has it open.
    wanted = os.open(folder / "wanted", os.O_RDWR)
    try:
        yield
    finally:
        os.close(wanted)


def shared(folder: Path) -> Sequence[str]:
    """As `served`, by the one server of a folder that is `shareable`, now that there are several processes."""
    with FileLock(folder / "lock"):
        if not (folder / "socket").exists():
            ready, told = os.pipe()
            streams = [(os.POSIX_SPAWN_OPEN, 0, str(folder / "wanted"), os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, told, 1)]
            # It outlives this process, which must not wait for it.
            os.posix_spawn(sys.executable, _server(folder), _environment(), file_actions=streams)
            os.close(told)
            with open(ready, encoding="utf-8") as answer:  # noqa: PTH123
                assert answer.readline() == "ready\n"
    return _client(folder)


def _server(folder: Path) -> list[str]:
    return [sys.executable, __file__, str(folder)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (HERE.parent, HERE.parent / "cli", HERE)))}


def _client(folder: Path) -> Sequence[str]:
    return (sys.executable, "-I", "-S", str(HERE / "warm_client.py"), str(folder / "socket"))


def main() -> None:
    """Import, then serve one client after another, each in a process of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _prepare()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(Path(sys.argv[1]) / "socket"))
        listener.listen()
        os.register_at_fork(after_in_child=listener.close)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        children: list[int] = []
        while _wanted(listener):
            client, _ = listener.accept()
            child = os.fork()
            if child == 0:
                _serve(client)
            client.close()
            children = [one for one in (*children, child) if os.waitpid(one, os.WNOHANG) == (0, 0)]
        for one in children:
            os.waitpid(one, 0)


def _prepare() -> None:
    import sklearn.datasets
    import sklearn.linear_model
    import sklearn.model_selection
    import sklearn.neural_network
    import torch
    import torch._dynamo

    import ganeval
    import ganeval_cli.main

    for name in OF_SEVERAL:
        import_module(name)
    for place in ganeval_cli.main.COMMANDS.values():
        import_module(place.partition(":")[0])
    for name in ganeval.__all__:
        getattr(ganeval, name)
    _ = len(sklearn.datasets.load_digits().images)
    torch.set_num_threads(1)
    # A collection of garbage in a fork would copy every page that this process shares with it.
    gc.freeze()


def _wanted(listener: socket.socket) -> bool:
    """Wait for a client; False when standard input has ended instead."""
    ready, _, _ = select.select([listener, 0], [], [])
    return listener in ready


def _serve(client: socket.socket) -> NoReturn:
    """Start what a client asks for, and tell it the number of its process and then how it ended."""
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile("rw", encoding="utf-8") as told:
        request = json.loads(told.readline())
        child = os.fork()
        if child == 0:
            _run(request, streams)
        for stream in streams:
            os.close(stream)
        told.write(f"{child}\n")
        told.flush()
        told.write(f"{os.waitpid(child, 0)[1]}\n")
        told.flush()
    os._exit(0)


def _run(request: dict[str, Any], streams: Sequence[int]) -> NoReturn:
    """Be the process that a client asked for."""
    code = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        # Torch has asked for it, in the environment of the server.
        tempfile.tempdir = None
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, buffering=1 if number == 2 or os.isatty(number) else -1, encoding="utf-8")  # noqa: SIM115, PTH123
            for number, mode in ((0, "r"), (1, "w"), (2, "w"))
        )
        sys.path[:1] = [request["folder"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        _execute(*request["arguments"])
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else bool(leaving.code)
        if not isinstance(leaving.code, int | None):
            sys.stderr.write(f"{leaving.code}\n")
    except BaseException:  # noqa: BLE001, the process must end here, whatever it is
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _execute(first: str, *rest: str) -> None:
    """Run a module, `-m NAME`, a text, `-c CODE`, or a file, as Python does."""
    if first == "-m":
        sys.argv = [first, *rest[1:]]
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = [first, *rest[1:]]
        exec(rest[0], {"__name__": "__main__"})
    else:
        assert not first.startswith("-")
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    main()
