"""Train and score every reference GAN on Fashion-MNIST with the command line, and write the results into the docs.

    python scripts/train_fashion.py [--variants NAME,...] [--data FOLDER] [--work FOLDER]

5,000 training images in ten class folders, 1,000 held out, and `ganeval train-and-score --variant NAME` with its
defaults except for the data and `--extractor digits`, which needs no download. --data is a folder with the four files
of Fashion-MNIST, as installed by Debian's package dataset-fashion-mnist. Rows of trained variants are replaced in
docs/fashion.json, and the table in docs/reference_models.md is regenerated. One thread.
"""

import argparse
import gzip
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from reference_models import VARIANTS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference_models.md"
FIGURES = ROOT / "docs" / "fashion.json"
DATA = Path("/usr/share/datasets/fashion-mnist")
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
# Images of each class to train on, and to hold out.
TRAINED, HELD_OUT = 500, 100
METRICS = ("fid", "recall", "coverage")
BEGIN, END = "<!-- fashion -->", "<!-- end fashion -->"


def read(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images [N, 28, 28] and labels [N] of a part of the data set ("train" or "t10k")."""
    with gzip.open(folder / f"{name}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{name}-labels-idx1-ubyte.gz") as file:
        return images, np.frombuffer(file.read(), np.uint8, offset=8)


def write(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8], count: int) -> None:
    """The first images of each class as PNGs in a folder named after the class."""
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for index in np.flatnonzero(labels == label)[:count]:
            Image.fromarray(images[index]).save(folder / name / f"{index:05}.png")


def trained(variant: str, data: Path, held_out: Path, run: Path) -> dict[str, Any]:
    """The output of `train-and-score` for a variant, and its CPU seconds; RuntimeError if it fails."""
    command = [sys.executable, "-m", "ganeval_cli", "train-and-score", "--variant", variant]
    command += ["--data", str(data), "--held-out", str(held_out), "--extractor", "digits"]
    command += ["--format", "json", "-q", "-o", str(run)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{variant}: {done.stderr}")
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"document": json.loads(done.stdout), "seconds": seconds}


def row(variant: str, found: dict[str, Any]) -> dict[str, Any]:
    """The figures of a run that the table shows."""
    document = found["document"]
    scores, floors = document["scores"]["metrics"], document["floor"]["metrics"]
    config = json.loads((Path(document["run"]) / "config.json").read_text(encoding="utf-8"))
    return {
        "variant": variant,
        "resolution": config["plan"]["recipe"]["resolution"],
        "steps": document["steps"],
        "seconds": round(found["seconds"]),
        "scores": {name: [scores[name]["value"], scores[name]["standard_error"]] for name in METRICS},
        "floors": {name: floors[name]["value"] for name in METRICS},
        "alarms": sorted({one["alarm"] for one in document["alarms"]}),
    }


def table(figures: dict[str, Any]) -> str:
    """The rows as Markdown, the best FID first."""
    lines = [
        "| variant | size | steps | CPU | FID | floor | recall | floor | coverage | floor | alarms |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in sorted(figures["rows"], key=lambda one: float(one["scores"]["fid"][0])):
        cells = [one["variant"], f"{one['resolution']} px", str(one["steps"]), f"{one['seconds']} s"]
        for name in METRICS:
            value, error = one["scores"][name]
            digits = 1 if name == "fid" else 3
            cells += [f"{value:.{digits}f} ± {error:.{digits}f}", f"{one['floors'][name]:.{digits + (name == 'fid')}f}"]
        lines.append("| " + " | ".join([*cells, ", ".join(one["alarms"]) or "none"]) + " |")
    return "\n".join([*lines, "", f"Measured on {figures['machine']}."])


def machine() -> str:
    """A sentence on how the figures were measured."""
    cores, names = len(os.sched_getaffinity(0)), Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = (line.partition(":")[2].strip() for line in names if line.startswith("model name"))
    model = next(models, platform.machine())
    return f"one of {cores} cores of one {model}, torch {torch.__version__.partition('+')[0]}"


def main() -> None:
    """Train and score the variants, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", default=",".join(VARIANTS), metavar="NAME,...")
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER")
    parser.add_argument("--work", type=Path, default=None, metavar="FOLDER", help="Keep the runs here.")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) if given.work is None else given.work
        data, held_out = work / "fashion", work / "held-out"
        if not data.exists():
            write(data, *read(given.data, "train"), TRAINED)
            write(held_out, *read(given.data, "t10k"), HELD_OUT)
        for variant in given.variants.split(","):
            found = row(variant, trained(variant, data, held_out, work / "runs" / variant))
            figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {"rows": []}
            rows = [one for one in figures["rows"] if one["variant"] != variant]
            figures = {"machine": machine(), "rows": [*rows, found]}
            FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
            print(json.dumps(found), flush=True)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(figures)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
