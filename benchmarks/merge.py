"""`ganeval.merge_parts`: seconds and peak memory against the number of parts, of generated features.

Next to it, what one would write by hand: numpy loads all parts, joins them, and saves them with mean and covariance.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness import median, save, say, table
from ganeval.sources.base import ReadReport
from ganeval.sources.extracted import PartHeader, PartRows, write_part

PARTS, ROWS, WIDTH = (100, 300, 1000), 50, 2048
# The largest memory of this process itself; getrusage counts that of the process that started it, too.
PEAK = """
import pathlib, re, time
print(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1], time.process_time())
"""
IMPORTS = "import ganeval.part_files"
OURS = "import sys, ganeval; ganeval.merge_parts(sys.argv[2:], sys.argv[1])"


@dataclass(frozen=True, slots=True)
class Run:
    """One process: its seconds, those of processor time, and its peak memory in bytes."""

    wall: float
    cpu: float
    peak: int


BY_HAND = """
import sys
import numpy
parts = [numpy.load(path) for path in sorted(sys.argv[2:])]
rows = numpy.concatenate([part["features"] for part in parts])
pixels = numpy.concatenate([part["pixels"] for part in parts])
features = rows.astype(numpy.float64)
numpy.savez(sys.argv[1], features=rows, pixels=pixels, mu=features.mean(0), sigma=numpy.cov(features, rowvar=False))
"""


def main(*, runs: int) -> None:
    """Time whole processes in turn, for every number of parts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands: dict[str, list[str]] = {"nothing but imports": [IMPORTS]}
        for count in PARTS:
            parts = _write(folder / str(count), count)
            commands[f"{count} parts"] = [OURS, str(folder / "merged.npz"), *parts]
            commands[f"{count} parts, by hand"] = [BY_HAND, str(folder / "by-hand.npz"), *parts]
        found: dict[str, list[Run]] = {what: [] for what in commands}
        for number in range(runs):
            for what, command in commands.items():
                found[what].append(_run(command))
                say(f"  {what}, run {number + 1}: {found[what][-1].wall:.1f} s")
    figures = {
        what: {
            "seconds": median([run.wall for run in turns]),
            "cpu_seconds": median([run.cpu for run in turns]),
            "peak_bytes": max(run.peak for run in turns),
        }
        for what, turns in found.items()
    }
    rows = []
    for what, one in figures.items():
        other = figures.get(f"{what}, by hand")
        ratio = "" if other is None else f"{one['cpu_seconds'] / other['cpu_seconds']:.2f}"
        rows.append(
            [
                what,
                f"{one['seconds']:.1f} s",
                f"{one['cpu_seconds']:.1f} s",
                ratio,
                f"{one['peak_bytes'] / 2**20:.0f} MB",
            ]
        )
    text = table([f"parts of {ROWS} x {WIDTH}", "wall", "processor", "relative to numpy", "peak memory"], rows)
    save("merge", {"rows_per_part": ROWS, "width": WIDTH, "found": figures}, text)


def _run(command: Sequence[str]) -> Run:
    """Run Python code with arguments as a process."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", command[0] + PEAK, *command[1:]], check=True, stdout=subprocess.PIPE, text=True
    )
    peak, cpu = done.stdout.split()
    return Run(time.perf_counter() - start, float(cpu), int(peak) * 1024)


def _write(folder: Path, count: int) -> list[str]:
    """Files of as many parts."""
    folder.mkdir()
    total, paths = count * ROWS, []
    shared = {
        "measured": {"extractor": "inception", "protocol": "tensorflow", "preprocessing": "", "precision": "fp32"},
        "outputs": ["features"],
        "ddof": 1,
        "source": {"kind": "folder"},
        "class_names": None,
        "remarks": [],
        "labelled": False,
        "live": False,
        "identity": "generated",
        "batch_size": ROWS,
        "total": total,
        "shards": count,
    }
    rng = np.random.RandomState(0)
    for number in range(count):
        start = number * ROWS
        rows = rng.rand(ROWS, WIDTH).astype(np.float32)
        pixels = np.arange(start, start + ROWS, dtype=np.int64)
        contents = rng.randint(0, 256, (ROWS, 16)).astype(np.uint8)
        header = PartHeader(shared, "generated", ((start, start + ROWS),), ReadReport())
        path = folder / f"part-{number + 1}-of-{count}.npz"
        write_part(path, header, PartRows({"features": (WIDTH, [rows])}, pixels, contents))
        paths.append(str(path))
    return paths
