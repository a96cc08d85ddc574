"""Timing of whole processes and of functions, the machine's name, and tables."""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

# An interval below this is rounding.
NOTHING = 1e-9
RESULTS = Path(__file__).parent / "results"
# Runs a command from a small process: the peak that the system reports of one counts what its starter held.
_STARTER = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
wall, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps([wall, peak]))
sys.exit(code)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One process. wall: seconds, start to end. peak: bytes of the largest single process among it and its children."""

    wall: float
    peak: int


def machine() -> dict[str, object]:
    """The machine that the figures were measured on."""
    import torch

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
        flags = next((line for line in lines if line.startswith("flags")), "")
        name = f"{model}{', AMX' if 'amx_bf16' in flags else ''}"
    found: dict[str, object] = {"cpu": name, "cores": os.cpu_count(), "python": platform.python_version()}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    packages = ("torch", "torchvision", "numpy", "scipy", "pytorch-fid", "torch-fidelity", "clean-fid", "torchmetrics")
    return found | {package: version(package) for package in packages}


def run_process(command: Sequence[str], *, environment: Mapping[str, str]) -> Run:
    """Run to the end, discarding the output; RuntimeError with its stderr if it fails."""
    starter = [sys.executable, "-I", "-S", "-c", _STARTER, *command]
    done = subprocess.run(starter, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    wall, peak = json.loads(done.stdout)
    return Run(wall, peak)


def alternate(
    commands: Mapping[str, Sequence[str]], *, runs: int, environment: Mapping[str, str]
) -> dict[str, list[Run]]:
    """Run all commands in turn, `runs` times, so that a machine that slows down affects all of them."""
    found: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(runs):
        for name, command in commands.items():
            found[name].append(run_process(command, environment=environment))
            say(f"  {name}, run {number + 1}: {found[name][-1].wall:.1f} s, {found[name][-1].peak / 2**20:.0f} MB")
    return found


def best_seconds(function: Callable[[], object], *, runs: int) -> float:
    """The shortest of several calls after a warm-up call, which is the figure with the least noise."""
    function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def mean_text(values: Sequence[float]) -> str:
    """The mean, and half of its 95% interval by Student's t to two digits; the mean alone for one value."""
    from scipy.stats import t

    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.3g}"
    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    if half < NOTHING:
        return f"{mean:.3g} ± 0"
    decimals = max(0, 1 - math.floor(math.log10(half)))
    return f"{mean:.{decimals}f} ± {half:.{decimals}f}"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def save(name: str, figures: Mapping[str, object], text: str) -> None:
    """Print the table, and keep the figures with the machine they were measured on."""
    RESULTS.mkdir(exist_ok=True)
    document = {"machine": machine(), **figures}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
    (RESULTS / f"{name}.md").write_text(text + "\n")
    print(f"\n{text}\n")


def say(line: str) -> None:
    """A line of progress, on stderr."""
    print(line, file=sys.stderr, flush=True)
