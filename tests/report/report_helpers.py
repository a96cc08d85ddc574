"""Hostile file and class names, and folders of images with them."""

from pathlib import Path

import numpy as np
from PIL import Image

SCRIPT = "<script>document.title='owned'<"
HOSTILE = (
    f"{SCRIPT}.png",
    "<img src=x onerror=document.title='owned'>.png",
    "\"quotes\" and 'quotes' & &amp; &lt;.png",
    "\u202eright to left \u0623\u0628\u062c.png",
    f"{'long' * 55}.png",
    "$\\frac{1}{0}$ {{ 7 * 7 }} {% raw %}.png",
    "]]> --> <svg onload=alert(1)>.png",
    "\u4e2d\u6587 \U0001f600.png",
)
CLASSES = ("<script>alert(1)<", "\u202e\u05d0\u05d1\u05d2", "c" * 180)
GENERATORS = ("a <b>bold</b> generator", "b")


def write_classes(folder: Path, seed: int, *, shift: int = 0) -> Path:
    """Class folders of noise around a grey of their own, with hostile names."""
    rng = np.random.RandomState(seed)
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for file in HOSTILE:
            grey = rng.randint(0, 60, (12, 16, 3)) + 60 * number + shift
            Image.fromarray(grey.astype(np.uint8)).save(folder / name / file)
    return folder
