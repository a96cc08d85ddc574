"""Exact repeats among drawn images, a sign of a generator that ignores its `rng` or has collapsed."""

import numpy as np
from torch import Tensor

# A larger share of repeats than this gives a warning.
REPEATED = 0.01


def repeats_of(pixels: Tensor) -> list[tuple[int, int]]:
    """The images that equal an earlier one: the index of each, and that of the first equal one.

    Args:
        pixels: int64 [N], from `duplicates.pixel_digests`.
    """
    _, firsts, group = np.unique(pixels.numpy(), return_index=True, return_inverse=True)
    first = firsts[group]
    return [(int(index), int(first[index])) for index in np.flatnonzero(first != np.arange(len(first)))]


def repeats_doubt(repeats: list[tuple[int, int]], count: int) -> str | None:
    """The warning about exact repeats among `count` drawn images; None if there are few."""
    if len(repeats) <= REPEATED * count:
        return None
    index, first = repeats[0]
    return (
        f"repeats itself: {len(repeats)} of its {count} images ({len(repeats) / count:.0%}) equal an earlier one "
        f"exactly ([{index}] is [{first}]). Either it does not draw with the `rng` it is given, or it has "
        "collapsed; the metrics and their error bars take every image for a new one."
    )
