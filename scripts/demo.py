"""The first part of `make demo`: score real handwritten digits and a worse set with ordinary commands.

Three folders of PNGs are written under demo/: real digits to compare with, held-out real digits, and the held-out
digits blurred and with noise. The held-out set shows the noise floor: what a perfect generator would score at this
number of images. Nothing is downloaded, and everything is written to demo/.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ganeval import open_source
from ganeval.sources.base import Reading, ReadReport

DEMO = Path("demo")
BLUR, NOISE, SEED = 0.7, 24.0, 0
SHOWN, ZOOM = 16, 5
COMMANDS = (
    "ganeval score demo/real demo/held-out --extractor digits",
    "ganeval score demo/real demo/worse --extractor digits",
)
Images = NDArray[np.uint8]


def main() -> None:
    """Write the sets, show the commands, run them."""
    real, held_out = digits("train"), digits("test")
    worse = damaged(held_out)
    for name, images in (("real", real), ("held-out", held_out), ("worse", worse)):
        write(images, DEMO / name)
    print(f"Wrote {len(real)} real digits, {len(held_out)} held-out ones, and a worse copy of these.")
    picture(held_out, worse).save(DEMO / "sets.png")
    print("demo/sets.png shows some: held out above, worse below.")
    for command in COMMANDS:
        print(f"\n$ {command}", flush=True)
        run(command)
    print(
        "\nThe held-out digits are real, so their FID is the noise floor at this number of images;"
        " the worse digits score far above it."
    )


def digits(split: str) -> Images:
    """One split of the embedded digits, uint8 [N, 8, 8]."""
    batches = open_source(f"digits:{split}").batches(Reading(), ReadReport())
    found: Images = torch.cat([group.images for batch in batches for group in batch.groups])[:, 0].numpy()
    return found


def damaged(images: Images) -> Images:
    """The images, blurred and then with noise added."""
    rng = np.random.RandomState(SEED)
    blurred = [Image.fromarray(image).filter(ImageFilter.GaussianBlur(BLUR)) for image in images]
    noisy = np.stack([np.asarray(image) for image in blurred]) + rng.normal(0, NOISE, images.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def write(images: Images, folder: Path) -> None:
    """Write one numbered PNG per image; files of an earlier run are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:04}.png")


def picture(*sets: Images) -> Image.Image:
    """The first images of each set, enlarged, one row per set."""
    rows = [np.concatenate([np.pad(image, 1, constant_values=128) for image in one[:SHOWN]], 1) for one in sets]
    small = Image.fromarray(np.concatenate(rows))
    return small.resize((small.width * ZOOM, small.height * ZOOM), Image.Resampling.NEAREST)


def run(command: str) -> None:
    """Run a command with this Python, with its cache in demo/."""
    arguments = shlex.split(command)[1:]
    environment = {**os.environ, "GANEVAL_CACHE": str(DEMO / "cache")}
    subprocess.run([sys.executable, "-m", "ganeval_cli", *arguments], env=environment, check=True)


if __name__ == "__main__":
    main()
