"""Real torchrun: a process that is killed ends all of them without a result, and two hosts give the number of one."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
FID = ["ganeval", "fid", "digits:test", "digits:test", "--extractor", "digits", "--num-samples", "101"]
# Runs a module in a network namespace: "-c", this, the namespace, the module and its arguments.
ON_HOST = """
import ctypes, os, runpy, sys

namespace, module = sys.argv[1:3]
sys.argv[1:3] = []
CLONE_NEWNET = 0x40000000
with open(f"/run/netns/{namespace}") as file:
    if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
SLOW = """
import time
from pathlib import Path

import torch

class Slow:
    value_range = "uint8"

    def sample(self, n, *, labels=None, rng):
        Path(f"drawing-{torch.distributed.get_rank()}").touch()
        time.sleep(0.2)
        return torch.randint(0, 256, (n, 3, 8, 8), generator=rng, dtype=torch.uint8)

model = Slow()
"""


def test_a_killed_process_ends_all_of_them(tmp_path: Path) -> None:
    """Within seconds of `kill -9` of one, all have ended, torchrun fails, and there is no result and no rest of one."""
    (tmp_path / "slow.py").write_text(SLOW)
    sets = ["digits:test", "py:slow.py:model", "--num-samples", "100000", "--extractor", "digits", "--no-cache"]
    command = [*TORCHRUN, "--standalone", "--nproc-per-node", "2", "-m", "ganeval", "fid", *sets, "-o", "result.json"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        give_up = time.monotonic() + 120
        while not all((tmp_path / f"drawing-{rank}").exists() for rank in range(2)):
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.1)
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        os.kill(int(children[1]), signal.SIGKILL)
        out, _ = run.communicate(timeout=60)
    assert run.returncode != 0
    assert out == b""
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert not list(tmp_path.glob("*.json"))
    assert not list(tmp_path.glob("ganeval-*"))
    assert not list(tmp_path.glob(".ganeval-*"))


@pytest.fixture
def hosts() -> Iterator[list[tuple[str, str, str]]]:
    """Two network namespaces joined by a cable: name, interface and address of each."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need the command ip, and root")
    tag = secrets.token_hex(3)
    found = [(f"ganeval-{tag}-{side}", f"v{tag}{side}", f"10.231.7.{side}") for side in (1, 2)]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    try:
        for name, _, _ in found:
            ip("netns", "add", name)
        ip("link", "add", found[0][1], "type", "veth", "peer", "name", found[1][1])
        for name, interface, address in found:
            ip("link", "set", interface, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", interface)
            ip("-n", name, "link", "set", interface, "up")
            ip("-n", name, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        for name, _, _ in found:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}")
    yield found
    for name, _, _ in found:
        subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)


def test_two_hosts_give_the_number_of_one(
    python: Sequence[str], hosts: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    """`--nnodes 2` over a network; the hosts have folders of their own for temporary files.

    torchrun and what it starts are forks of the warm process, which is a real start in the test above.
    """
    runs = []
    for name, interface, address in hosts:
        (tmp_path / name).mkdir()
        where = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", name[:-2]]
        where += ["--rdzv-endpoint", f"{hosts[0][2]}:29417", "--local-addr", address]
        where += ["--rdzv-conf", f"is_host={'true' if address == hosts[0][2] else 'false'}"]
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": interface, "TMPDIR": str(tmp_path / name)}
        on_host = [*python, "-c", ON_HOST, name]
        command = [*on_host, "torch.distributed.run", *where, "--no-python", *on_host, *FID, "-o", "two.json"]
        runs.append(
            subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    ended = [run.communicate(timeout=180) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ended
    subprocess.run([*python, "-m", *FID, "-o", "one.json"], cwd=tmp_path, check=True, capture_output=True)
    one, two = (json.loads((tmp_path / f"{count}.json").read_text())["metrics"] for count in ("one", "two"))
    assert one == two
    # The process of rank 0 may be on either host.
    assert sorted(bool(out) for out, _ in ended) == [False, True]
