"""Whole commands, from start to exit, on two folders of 256-pixel PNG files: wall time, peak memory, the second run."""

import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Run, alternate, median, save, say, table
from benchmarks.images import write_crops
from ganeval.extractors.untrained import untrained_weights

PUBLISHED_NAME = "pt_inception-2015-12-05-6726825d.pth"
CLEAN_FID = """
import sys, torch
from cleanfid import fid
device = torch.device("cpu")
print(fid.compute_fid(sys.argv[1], sys.argv[2], mode="legacy_pytorch", device=device, use_dataparallel=False))
"""
TORCHMETRICS = """
import sys, torch
from pathlib import Path
import numpy as np
from PIL import Image
from torchmetrics.image.fid import FrechetInceptionDistance
metric = FrechetInceptionDistance(feature_extractor_weights_path=sys.argv[3])
for folder, real in ((sys.argv[1], True), (sys.argv[2], False)):
    files = sorted(Path(folder).iterdir())
    for i in range(0, len(files), 50):
        images = [torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) for file in files[i : i + 50]]
        metric.update(torch.stack(images), real=real)
print(metric.compute())
"""


def main(*, runs: int, count: int = 128) -> None:
    """Alternate ganeval and similar tools; then run ganeval again with its cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        real = str(write_crops(folder / "real", count, 256))
        fake = str(write_crops(folder / "fake", count, 256, noise=20, seed=1))
        # The other tools load whichever file has the published name in torch's download folder.
        home = folder / "torch"
        (home / "hub" / "checkpoints").mkdir(parents=True)
        weights = str(untrained_weights(home / "hub" / "checkpoints" / PUBLISHED_NAME))
        python, scripts = sys.executable, Path(sys.executable).parent
        ganeval = [str(scripts / "ganeval"), "fid", real, fake, "--weights", weights, "--format", "json"]
        subset = ["--kid-subset-size", str(min(100, count))]
        fidelity = ["--input1", fake, "--input2", real, "--isc", "--fid", "--kid", *subset, "--no-cache", "--silent"]
        commands = {
            "ganeval fid": [*ganeval, "--no-cache"],
            "pytorch-fid": [python, "-W", "ignore", "-m", "pytorch_fid", real, fake, "--device", "cpu"],
            "torch-fidelity isc+fid+kid": [
                str(scripts / "fidelity"), *fidelity, "--feature-extractor-weights-path", weights
            ],
            "clean-fid, legacy_pytorch": [python, "-W", "ignore", "-c", CLEAN_FID, real, fake],
            "torchmetrics": [python, "-W", "ignore", "-c", TORCHMETRICS, real, fake, weights],
        }  # fmt: skip
        environment = {"TORCH_HOME": str(home), "GANEVAL_CACHE": str(folder / "cache")}
        found = alternate(commands, runs=runs, environment=environment)
        say("  ganeval again, with its cache")
        again = {
            "first run": ganeval,
            "both unchanged": ganeval,
            "torch imported, nothing else": [python, "-c", "import torch"],
        }
        cached = alternate(again, runs=runs, environment=environment)
    # Only the very first of the cached runs had anything to decode.
    cached["both unchanged"] += cached["first run"][1:]
    del cached["first run"]
    report(found, cached, count)


def report(found: dict[str, list[Run]], cached: dict[str, list[Run]], count: int) -> None:
    """Medians over runs, and their ratios to ganeval's."""
    wall = {name: median([run.wall for run in runs]) for name, runs in (found | cached).items()}
    peak = {name: max(run.peak for run in runs) for name, runs in (found | cached).items()}
    ours = wall["ganeval fid"]
    rows = [[name, f"{wall[name]:.1f} s", f"{ours / wall[name]:.2f}", f"{peak[name] / 2**20:.0f} MB"] for name in found]
    text = table(["2 x " + str(count) + " PNG, 256 px", "wall", "ganeval / this", "peak memory"], rows)
    rest = [[name, f"{wall[name]:.2f} s"] for name in cached]
    text += "\n\n" + table(["a second run", "wall"], rest)
    figures = {"images_a_side": count, "wall_seconds": wall, "peak_bytes": peak}
    save("commands", figures, text)
