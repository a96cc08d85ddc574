"""Data sets by name and split: the embedded digits, and torchvision's, downloaded on first use."""

import numpy as np

from ganeval.errors import UsageError, did_you_mean
from ganeval.sources.arrays import ArrayItems


def digits(split: str) -> ArrayItems:
    """Scikit-learn's 1,797 handwritten digits, 8 x 8, greyscale, ten classes.

    Every fourth image, from the first on, is "test" (450); the rest is "train" (1,347). Ink 0..16 becomes 0..255.
    """
    check_split("digits", split, ("train", "test", "all"))
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    test = np.arange(len(images)) % 4 == 0
    chosen = {"train": ~test, "test": test, "all": np.ones_like(test)}[split]
    labels: list[int] = bunch.target[chosen].tolist()
    return ArrayItems(images[chosen], name=f"digits:{split}", kind="digits", labels=labels)


def check_split(name: str, split: str, splits: tuple[str, ...]) -> None:
    """UsageError for a split that a data set does not have."""
    if split not in splits:
        raise UsageError(f"'{name}:{split}' names no split of {name}; {did_you_mean(split, splits)}")
