"""Several processes under torchrun: whole commands on the same images, against one process and torchmetrics.

Weights are random. Two processes with a thread each stand against one process with two threads, and `torchrun` with one
process shows what torchrun itself costs. A peak is that of the largest process.
"""

import os
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Run, alternate, median, save, say, table
from benchmarks.images import write_crops
from ganeval.extractors.untrained import untrained_weights

TORCHMETRICS = """
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchmetrics.image.fid import FrechetInceptionDistance

torch.distributed.init_process_group("gloo")
rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
metric = FrechetInceptionDistance(feature_extractor_weights_path=sys.argv[3])
for folder, real in ((sys.argv[1], True), (sys.argv[2], False)):
    files = sorted(Path(folder).iterdir())[rank::size]
    for i in range(0, len(files), 50):
        images = [torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) for file in files[i : i + 50]]
        metric.update(torch.stack(images), real=real)
value = metric.compute()
if rank == 0:
    print(value)
torch.distributed.destroy_process_group()
"""
# Without anything to compute, and with the imports of a command.
NOTHING = ["-m", "ganeval", "--version"]


def main(*, runs: int, count: int = 256) -> None:
    """Alternate all commands."""
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        real = str(write_crops(folder / "real", count, 256))
        fake = str(write_crops(folder / "fake", count, 256, noise=20, seed=1))
        weights = str(untrained_weights(folder / "untrained.pth"))
        script = folder / "peer.py"
        script.write_text(TORCHMETRICS)
        fid = ["-m", "ganeval", "fid", real, fake, "--weights", weights, "--no-cache"]
        commands = {
            f"one process, {cores} threads": _command(fid, threads=cores),
            "one process, 1 thread": _command(fid, threads=1),
            f"torchrun, 1 process, {cores} threads": _command(fid, threads=cores, processes=1),
            f"torchrun, {cores} processes, 1 thread each": _command(fid, threads=1, processes=cores),
            f"torchmetrics, torchrun, {cores} processes": _command(
                [str(script), real, fake, weights], threads=1, processes=cores
            ),
            "nothing": _command(NOTHING, threads=1),
            "torchrun, 1 process, nothing": _command(NOTHING, threads=1, processes=1),
            f"torchrun, {cores} processes, nothing": _command(NOTHING, threads=1, processes=cores),
        }
        say(f"  load before: {os.getloadavg()[0]:.2f}")
        found = alternate(commands, runs=runs, environment={"PYTHONWARNINGS": "ignore"})
    _report(found, count)


def _command(arguments: list[str], *, threads: int, processes: int | None = None) -> list[str]:
    """A command with so many threads a process, under torchrun if the number of processes is given."""
    start = [sys.executable]
    if processes is not None:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return ["env", f"OMP_NUM_THREADS={threads}", *start, *arguments]


def _report(found: dict[str, list[Run]], count: int) -> None:
    """Medians over runs, and the speed of the first command as a ratio of each."""
    wall = {name: median([run.wall for run in runs]) for name, runs in found.items()}
    peak = {name: max(run.peak for run in runs) for name, runs in found.items()}
    first = next(iter(wall.values()))
    rows = []
    for name in found:
        speed = "" if "nothing" in name else f"{first / wall[name]:.2f} x"
        rows.append([name, f"{wall[name]:.1f} s", speed, f"{peak[name] / 2**20:.0f} MB"])
    text = table([f"FID of 2 x {count} PNG, 256 px", "wall", "speed", "peak memory per process"], rows)
    save("processes", {"images_a_side": count, "wall_seconds": wall, "peak_bytes": peak}, text)
