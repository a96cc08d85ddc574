"""CMMD, FKEA and FWD compared with their published code on the same arrays: seconds, peak memory and values.

Folders of the published code are read from environment variables, and what is not set is skipped: CMMD_CODE, a checkout
of sayakpaul/cmmd-pytorch; FKEA_CODE, of aziksh-ospanov/FKEA; FWD_CODE, of BonnBytes/PyTorch-FWD. What they import must
be installed (FWD_CODE: ptwt and PyWavelets).

Each function runs in a process of its own, whose peak memory less that of the same process without the call is the
memory of the call. The two tools take turns. FKEA's random frequencies are those of each tool, so its values differ by
their noise.
"""

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import median, run_process, save, say, table

# What a process does before it is timed: both sets, float32, and the functions' modules.
CMMD = """
import sys, time, torch
rng = torch.Generator().manual_seed(0)
real, fake = (torch.randn({count}, 768, generator=rng) + shift for shift in (0.3, 0.35))
real, fake = (side / side.norm(dim=1, keepdim=True) for side in (real, fake))
"""
FKEA = """
import sys, time, torch
rng = torch.Generator().manual_seed(0)
centres = torch.randn(20, 768, generator=rng)
real, fake = (centres.repeat({count} // 20, 1) + 0.5 * torch.randn({count}, 768, generator=rng) for _ in range(2))
"""
FWD = """
import sys, time, torch
rng = torch.Generator().manual_seed(0)
real, fake = (torch.rand({count}, 3, {size}, {size}, generator=rng) ** power for power in (1.0, 1.3))
"""
OURS = {
    "cmmd": "from ganeval.metrics import cmmd\ncall = lambda: cmmd(real, fake).value",
    "fkea": "from ganeval.metrics import fkea\ncall = lambda: fkea(real, fake, sigma=20.0, features={features}).value",
    "fwd": "from ganeval.metrics import fwd\ncall = lambda: fwd(real.flatten(1), fake.flatten(1)).value",
}
THEIRS = {
    "cmmd": """
sys.path.insert(0, {code!r})
from distance import mmd
call = lambda: float(mmd(real.numpy(), fake.numpy()))""",
    "fkea": """
sys.path.insert(0, {code!r})
from types import SimpleNamespace
from FKEA.metric.algorithm_utils import calculate_stats, cov_rff
def call():
    matrix, _, _ = cov_rff(fake, {features}, 20.0, batchsize=32)
    return float(calculate_stats(torch.linalg.eigvalsh(matrix), 1)["VENDI-1"])""",
    "fwd": """
sys.path.insert(0, {code!r} + "/src")
from pytorchfwd.fwd import _compute_avg_frechet_distance, compute_packet_statistics
def statistics(side):
    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(side.double()), batch_size=128)
    return compute_packet_statistics(batches, "Haar", 4, False)
def call():
    (m1, s1), (m2, s2) = statistics(real), statistics(fake)
    return float(_compute_avg_frechet_distance(m1, m2, s1, s2))""",
}
# Prints seconds and value to the file that the last argument names.
TIMED = """
torch.set_num_threads({threads})
start = time.perf_counter()
value = call() if {run} else 0.0
with open(sys.argv[1], "w") as file:
    file.write(f"{{time.perf_counter() - start}} {{value}}")
"""


@dataclass(frozen=True, slots=True)
class Task:
    """One line of the table. size: pixels along a side, of images. features: random frequencies."""

    metric: str
    variable: str
    count: int
    made: str
    size: int = 0
    features: int = 0

    def __str__(self) -> str:
        shape = f"{self.size} x {self.size} px" if self.size else "768"
        return f"{self.metric}, 2 x {self.count:,} x {shape}{f', r = {self.features}' if self.features else ''}"


TASKS = (
    Task("cmmd", "CMMD_CODE", 10_000, CMMD),
    Task("fkea", "FKEA_CODE", 10_000, FKEA, features=500),
    Task("fwd", "FWD_CODE", 10_000, FWD, size=32),
    Task("fwd", "FWD_CODE", 2000, FWD, size=64),
)


@dataclass(frozen=True, slots=True)
class Found:
    """One call. memory: bytes beyond those of the arrays and modules."""

    seconds: float
    memory: int
    value: float


def main(*, runs: int) -> None:
    """Every task whose published code is there; the median of the runs."""
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    rows, figures = [], {}
    for task in TASKS:
        code = os.environ.get(task.variable)
        if code is None:
            say(f"  {task}: skipped, {task.variable} is not set")
            continue
        found: dict[str, list[Found]] = {"theirs": [], "ours": []}
        for _ in range(runs):
            for name, function in (("theirs", THEIRS), ("ours", OURS)):
                found[name].append(_measured(task, function[task.metric], code, threads))
        theirs, ours = found["theirs"], found["ours"]
        seconds = [median([one.seconds for one in turns]) for turns in (theirs, ours)]
        memory = [median([one.memory for one in turns]) / 2**20 for turns in (theirs, ours)]
        apart = abs(ours[0].value / theirs[0].value - 1)
        say(f"  {task}: {seconds[0]:.1f} s, ganeval {seconds[1]:.1f} s")
        cells = [f"{seconds[0]:.1f} s", f"{seconds[1]:.1f} s", f"{seconds[0] / seconds[1]:.1f}"]
        rows.append([str(task), *cells, *(f"{one:,.0f} MB" for one in memory), f"{apart:.0e}"])
        figures[str(task)] = {"seconds": seconds, "megabytes": memory, "relative": apart}
    header = [
        "task",
        "published code",
        "ganeval ± s.e.",
        "speedup",
        "published code, memory",
        "ganeval, memory",
        "relative difference",
    ]
    save("kernels", {"threads": threads, **figures}, f"{table(header, rows)}\n\nThreads: {threads}.")


def _measured(task: Task, function: str, code: str, threads: int) -> Found:
    peaks, told = [], (0.0, 0.0)
    for run in (False, True):
        told, peak = _process(task, function, {"code": code, "threads": threads, "run": run})
        peaks.append(peak)
    return Found(told[0], max(peaks[1] - peaks[0], 0), told[1])


def _process(task: Task, function: str, filled: Mapping[str, object]) -> tuple[tuple[float, float], int]:
    """Seconds and value of one process, and its peak memory."""
    known = {"count": task.count, "size": task.size, "features": task.features, **filled}
    script = "\n".join(part.format(**known) for part in (task.made, function, TIMED))
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "found"
        done = run_process([sys.executable, "-W", "ignore", "-c", script, str(file)], environment={})
        seconds, value = map(float, file.read_text().split())
    return (seconds, value), done.peak
