"""Exact repeats among drawn images, a sign of a generator that ignores its `rng` or has collapsed."""

import torch
from torch import Tensor

# A larger share of repeats than this gives a warning.
REPEATED = 0.01


class Repeats:
    """Finds exact repeats among images that come in batches, without keeping them.

    Each image is identified by a sum of its bytes with random 64-bit weights, computed on the images' device: it is
    exact, and the same on every device. Two different images collide at most once in 2^60 pairs.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[int, ...], int] = {}
        self._weights: Tensor | None = None
        self._count = 0

    def add(self, images: Tensor) -> list[tuple[int, int]]:
        """Add images uint8 [N, C, H, W].

        Returns (index, index of the first equal image) for each image that was added before; indices count all images.
        """
        if not len(images):
            return []
        found = []
        # Image by image, to save memory, with one transfer from the device.
        for total in torch.stack([self._sum(image) for image in images]).tolist():
            key = (total, *images.shape[1:])
            first = self._first.setdefault(key, self._count)
            if first != self._count:
                found.append((self._count, first))
            self._count += 1
        return found

    def state(self) -> list[list[int]]:
        """The state as plain numbers: the first index, the sum, and the shape of every image."""
        return [[first, *key] for key, first in self._first.items()] + [[self._count]]

    @classmethod
    def of(cls, state: list[list[int]]) -> "Repeats":
        """Restore from `state`."""
        found = cls()
        found._first = {tuple(key): first for first, *key in state[:-1]}
        found._count = state[-1][0]
        return found

    def _sum(self, image: Tensor) -> Tensor:
        flat = image.reshape(-1)
        if self._weights is None or len(self._weights) < len(flat) or self._weights.device != flat.device:
            rng = torch.Generator().manual_seed(0)
            limits = torch.iinfo(torch.int64)
            weights = torch.randint(
                limits.min, limits.max, (len(flat),), generator=rng, dtype=torch.int64, device="cpu"
            )
            # Odd weights are invertible, so a difference of one byte is never lost.
            self._weights = (weights | 1).to(flat.device)
        return (flat.long() * self._weights[: len(flat)]).sum()


def repeats_doubt(repeats: list[tuple[int, int]], count: int) -> str | None:
    """The warning about exact repeats among `count` drawn images; None where there are few."""
    if len(repeats) <= REPEATED * count:
        return None
    index, first = repeats[0]
    return (
        f"repeats itself: {len(repeats)} of its {count} images ({len(repeats) / count:.0%}) equal an earlier one "
        f"exactly ([{index}] is [{first}]). Either it does not draw with the `rng` it is given, or it has "
        "collapsed; the metrics and their error bars take every image for a new one."
    )
