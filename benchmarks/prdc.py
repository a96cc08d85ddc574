"""Precision, recall, density and coverage, compared with the prdc package: seconds, and memory without the features."""

import sys
import tempfile
from pathlib import Path

from benchmarks.harness import alternate, median, save, say, table

DIMENSIONS = 2048
START = """
import sys, time
import torch
rng = torch.Generator().manual_seed(0)
real, fake = (torch.rand(int(sys.argv[1]), int(sys.argv[2]), generator=rng) ** power for power in (3.0, 2.5))
"""
FEATURES = "values = lambda: [0.0]"
GANEVAL = """
from ganeval.metrics.prdc import prdc
values = lambda: [estimate.value for estimate in prdc(real, fake).values()]
"""
PRDC = """
from prdc import compute_prdc
values = lambda: [float(value) for value in compute_prdc(real.numpy(), fake.numpy(), nearest_k=5).values()]
"""
END = """
start = time.perf_counter()
found = values()
with open(sys.argv[3], "a") as file:
    print(time.perf_counter() - start, *found, file=file)
"""


def main(*, runs: int, counts: tuple[int, ...] = (4000, 10_000)) -> None:
    """Each tool in its own process; ganeval computes standard errors, too."""
    rows, figures = [], {}
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            files = {tool: Path(name) / tool for tool in ("features", "prdc", "ganeval")}
            commands = {
                tool: [sys.executable, "-c", START + tool_code + END, str(count), str(DIMENSIONS), str(files[tool])]
                for tool, tool_code in zip(files, (FEATURES, PRDC, GANEVAL), strict=True)
            }
            found = alternate(commands, runs=runs, environment={})
            lines = {tool: [line.split() for line in file.read_text().splitlines()] for tool, file in files.items()}
        if any(lines["prdc"][0][1 + i] != lines["ganeval"][0][1 + i] for i in (0, 1, 3)):
            say(f"  values differ: {lines['prdc'][0][1:]} and {lines['ganeval'][0][1:]}")
        peaks = {tool: median([run.peak for run in found[tool]]) for tool in found}
        seconds = {tool: min(float(line[0]) for line in lines[tool]) for tool in ("prdc", "ganeval")}
        over = {tool: (peaks[tool] - peaks["features"]) / 2**20 for tool in seconds}
        rows.append(
            [
                f"{count} x {DIMENSIONS}",
                f"{seconds['prdc']:.1f} s",
                f"{seconds['ganeval']:.1f} s",
                f"{seconds['prdc'] / seconds['ganeval']:.1f}",
                f"{over['prdc']:.0f} MB",
                f"{over['ganeval']:.0f} MB",
            ]
        )
        figures[str(count)] = {"seconds": seconds, "megabytes_over_features": over}
    header = ["two sets of", "prdc", "ganeval, with error bars", "speedup", "prdc, memory", "ganeval, memory"]
    save("prdc", figures, table(header, rows))
