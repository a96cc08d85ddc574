"""Processes of a test that find each other as those that torchrun starts do, and cost little: they are forked.

A module calls `main` with a function, and a test runs the module with `run`, in a process that has computed nothing,
because a fork of one that has may hang.
"""

import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

TESTS = Path(__file__).parents[1]


def run(python: Sequence[str], script: str, folder: Path, *arguments: object) -> None:
    """Run a module of this folder with a folder for its files, by the fixture `python`."""
    command = [*python, "-m", f"distributed.{script}", str(folder), *map(str, arguments)]
    paths = os.pathsep.join(map(str, (TESTS.parent, TESTS.parent / "cli", TESTS)))
    # The Hub's packages keep what they read in the folder, and ask no server.
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def main(task: Callable[[Path, int, int], object]) -> None:
    """`python SCRIPT FOLDER SIZE...`: call task(folder, rank, size) in so many processes, one size after another."""
    folder, sizes = Path(sys.argv[1]), list(map(int, sys.argv[2:]))
    torch.set_num_threads(1)
    for size in sizes:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        children = [_forked(task, folder, rank, size, port) for rank in range(size)]
        failed = [child for child in children if os.waitpid(child, 0)[1]]
        if failed:
            sys.exit(f"a process of {size} has failed")


def _forked(task: Callable[[Path, int, int], object], folder: Path, rank: int, size: int, port: int) -> int:
    """The number of a new process that does its part of the task."""
    child = os.fork()
    if child:
        return child
    where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in where.items()})
    try:
        task(folder, rank, size)
        # One that outlives its process group sometimes aborts the process while the interpreter ends.
        assert not threads_of_groups()
    except BaseException:  # noqa: BLE001, the process must end here, whatever it is
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def threads_of_groups() -> list[str]:
    """Names of the threads of this process that serve a process group."""
    names = [(thread / "comm").read_text().strip() for thread in Path("/proc/self/task").iterdir()]
    return [name for name in names if "gloo" in name]
