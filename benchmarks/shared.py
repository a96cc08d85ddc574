"""One pass for every metric: `ganeval score --metrics all` compared with `ganeval fid` and with separate tools.

The other tools read and embed the images once each: torch-fidelity for IS, FID and KID, and pytorch-fid's network
followed by the prdc package for precision, recall, density and coverage.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.commands import PUBLISHED_NAME
from benchmarks.harness import alternate, median, save, table
from benchmarks.images import write_crops
from ganeval.extractors.untrained import untrained_weights

PRDC = """
import sys
from pathlib import Path
import torch
from prdc import compute_prdc
from pytorch_fid.fid_score import get_activations
from pytorch_fid.inception import InceptionV3
network = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()
sets = [get_activations(sorted(Path(folder).iterdir()), network, 50, 2048, "cpu", 2) for folder in sys.argv[1:3]]
print(compute_prdc(*sets, nearest_k=5))
"""


def main(*, runs: int, count: int = 1000) -> None:
    """Time whole processes in turn, on two folders of PNG files of 64 pixels."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        real = str(write_crops(folder / "real", count, 64))
        fake = str(write_crops(folder / "fake", count, 64, noise=20, seed=1))
        home = folder / "torch"
        (home / "hub" / "checkpoints").mkdir(parents=True)
        weights = str(untrained_weights(home / "hub" / "checkpoints" / PUBLISHED_NAME))
        python, scripts = sys.executable, Path(sys.executable).parent
        ours = [str(scripts / "ganeval"), "score", real, fake, "--weights", weights, "--format", "json", "--no-cache"]
        fidelity = ["--input1", fake, "--input2", real, "--isc", "--fid", "--kid", "--no-cache", "--silent"]
        commands = {
            "ganeval, fid": [*ours, "--metrics", "fid"],
            "ganeval, what papers report": ours,
            "ganeval, all metrics": [*ours, "--metrics", "all"],
            "torch-fidelity, isc fid kid": [
                str(scripts / "fidelity"), *fidelity, "--feature-extractor-weights-path", weights
            ],
            "pytorch-fid's network, prdc": [python, "-W", "ignore", "-c", PRDC, real, fake],
        }  # fmt: skip
        environment = {"TORCH_HOME": str(home), "GANEVAL_CACHE": str(folder / "cache")}
        found = alternate(commands, runs=runs, environment=environment)
    wall = {name: median([run.wall for run in turns]) for name, turns in found.items()}
    fid, peers = wall["ganeval, fid"], wall["torch-fidelity, isc fid kid"] + wall["pytorch-fid's network, prdc"]
    rows = [
        [name, f"{seconds:.1f} s", f"{seconds / fid:.2f}", f"{seconds / peers:.2f}"] for name, seconds in wall.items()
    ]
    text = table([f"2 x {count} PNG, 64 px", "wall", "relative to ganeval fid", "relative to both peers"], rows)
    save("shared", {"images_a_side": count, "wall_seconds": wall}, text)
