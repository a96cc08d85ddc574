"""The first part of `make demo`: score photographs and handwritten digits, real and damaged, with ordinary commands.

Folders of PNGs are written under demo/. In demo/photographs are crops of the photographs that scikit-learn and
scikit-image ship: some to compare with, fresh ones, and these blurred, with noise, and compressed. Of digits there are
real ones to compare with, held-out real digits, and the held-out digits blurred and with noise. The fresh and the
held-out set show the noise floor: what a perfect generator would score at this number of images. Nothing is downloaded,
and everything is written to demo/.
"""

import os
import shlex
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ganeval import open_source
from ganeval.sources.base import Reading, ReadReport
from ganeval_cli.main import cli

DEMO = Path("demo")
BLUR, NOISE, SEED = 0.7, 24.0, 0
SHOWN, ZOOM = 16, 5
# Shown of photographs, which are larger.
SHOWN_CROPS = 8
# Crops of 96 x 96 pixels; the sources have about 1,200.
PHOTOGRAPHS = (
    "photos:train:96",
    "skimage:astronaut:train:96",
    "skimage:chelsea:train:96",
    "skimage:coffee:train:96",
    "skimage:rocket:train:96",
)
REAL_CROPS, FRESH_CROPS = 160, 80
CROP_BLUR, CROP_NOISE, CROP_QUALITY = 1.0, 15.0, 20
FOLDER = DEMO / "photographs"
OF_PHOTOGRAPHS = (
    "ganeval score demo/photographs/real demo/photographs/fresh --extractor lite0",
    "ganeval compare demo/photographs/real demo/photographs/fresh demo/photographs/blurred demo/photographs/noisy "
    "demo/photographs/compressed --extractor lite0 --metrics fid,precision -q",
)
OF_DIGITS = (
    "ganeval score demo/real demo/held-out --extractor digits",
    "ganeval score demo/real demo/worse --extractor digits",
)
Images = NDArray[np.uint8]


def main() -> None:
    """Write the sets, show the commands, run them: of photographs, then of digits."""
    score_photographs()
    print()
    score_digits()


def score_photographs() -> None:
    """Crops of photographs: some to compare with, others, and these damaged."""
    sets = crops()
    for name, images in sets.items():
        write(images, FOLDER / name)
    print(f"Wrote {REAL_CROPS} crops of photographs, {FRESH_CROPS} fresh ones, and three damaged copies of these.")
    picture(*(images[:SHOWN_CROPS] for name, images in sets.items() if name != "real"), zoom=1).save(
        DEMO / "photographs.png"
    )
    print("demo/photographs.png shows some: fresh, blurred, noisy, and compressed.")
    for command in OF_PHOTOGRAPHS:
        print(f"\n$ {command}", flush=True)
        run(command)
    print(
        "\nThe fresh crops are of the same photographs, so their FID is the noise floor at this number of images; the"
        " damaged ones score above it."
    )


def score_digits() -> None:
    """Digits: some to compare with, others, and these damaged."""
    real, held_out = digits("train"), digits("test")
    worse = damaged(held_out)
    for name, images in (("real", real), ("held-out", held_out), ("worse", worse)):
        write(images, DEMO / name)
    print(f"Wrote {len(real)} real digits, {len(held_out)} held-out ones, and a worse copy of these.")
    picture(held_out, worse, zoom=ZOOM).save(DEMO / "sets.png")
    print("demo/sets.png shows some: held out above, worse below.")
    for command in OF_DIGITS:
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


def crops() -> dict[str, Images]:
    """Sets of crops by name, uint8 [N, 96, 96, 3]; no crop is in both the reals and the fresh ones."""
    rng = np.random.RandomState(SEED)
    found = [
        group.images
        for source in PHOTOGRAPHS
        for batch in open_source(source).batches(Reading(), ReadReport())
        for group in batch.groups
    ]
    mixed = torch.cat(found).permute(0, 2, 3, 1).numpy()
    mixed = mixed[rng.permutation(len(mixed))[: REAL_CROPS + FRESH_CROPS]]
    real, fresh = mixed[:REAL_CROPS], mixed[REAL_CROPS:]
    noisy = np.clip(np.rint(fresh + rng.normal(0, CROP_NOISE, fresh.shape)), 0, 255).astype(np.uint8)
    return {
        "real": real,
        "fresh": fresh,
        "blurred": changed(fresh, lambda image: image.filter(ImageFilter.GaussianBlur(CROP_BLUR))),
        "noisy": noisy,
        "compressed": changed(fresh, compressed),
    }


def changed(images: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    """The images, each changed by a function."""
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


def compressed(image: Image.Image) -> Image.Image:
    """An image, written as JPEG and read."""
    stream = BytesIO()
    image.save(stream, "JPEG", quality=CROP_QUALITY)
    return Image.open(stream)


def damaged(images: Images) -> Images:
    """The images, blurred and then with noise added."""
    rng = np.random.RandomState(SEED)
    blurred = changed(images, lambda image: image.filter(ImageFilter.GaussianBlur(BLUR)))
    noisy = blurred + rng.normal(0, NOISE, images.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def write(images: Images, folder: Path) -> None:
    """Write one numbered PNG per image; files of an earlier run are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:04}.png")


def picture(*sets: Images, zoom: int) -> Image.Image:
    """The first images of each set, enlarged by a whole number, one row per set."""
    rows = [np.concatenate([framed(image) for image in one[:SHOWN]], 1) for one in sets]
    small = Image.fromarray(np.concatenate(rows))
    return small.resize((small.width * zoom, small.height * zoom), Image.Resampling.NEAREST)


def framed(image: Images) -> Images:
    """An image [H, W] or [H, W, C] with a grey edge of one pixel."""
    return np.pad(image, ((1, 1), (1, 1), (0, 0))[: image.ndim], constant_values=128)


def run(command: str) -> None:
    """Run a command in this process, with its cache in demo/."""
    os.environ["GANEVAL_CACHE"] = str(DEMO / "cache")
    try:
        cli(shlex.split(command)[1:], prog_name="ganeval")
    except SystemExit as left:
        if left.code:
            raise
    sys.stdout.flush()


if __name__ == "__main__":
    main()
