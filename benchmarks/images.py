"""Image files for benchmarks: crops of scikit-learn's two photographs, plain and noisy."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_crops(folder: Path, count: int, size: int, *, noise: float = 0.0, seed: int = 0) -> Path:
    """`count` PNG files of size x size pixels in a new folder; the same files for the same seed."""
    from sklearn.datasets import load_sample_images

    rng = np.random.RandomState(seed)
    photos = load_sample_images().images
    folder.mkdir(parents=True)
    for number in range(count):
        photo = photos[rng.randint(len(photos))]
        top, left = (rng.randint(edge - min(size, edge) + 1) for edge in photo.shape[:2])
        crop = photo[top : top + size, left : left + size]
        noisy = np.clip(crop + rng.normal(0, noise, crop.shape), 0, 255).astype(np.uint8) if noise else crop
        Image.fromarray(noisy).resize((size, size)).save(folder / f"{number:06}.png")
    return folder
