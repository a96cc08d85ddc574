"""Find images that are equal in every pixel: within a set, and between fakes and reals."""

import hashlib
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ganeval.features import FeatureSet
from ganeval.metrics.nearest import near_copies
from ganeval.outputs import Output
from ganeval.results import Evaluation
from ganeval.sources.base import ImageBatch

# Rows to copy at a time.
ROWS_A_COPY = 8192


def pixel_digests(batch: ImageBatch) -> Tensor:
    """One number per image, equal for images with equal pixels, whatever their file format.

    Args:
        batch: uint8 RGB images, of any sizes.

    Returns:
        int64 [len(batch)] on the CPU. Two different images have the same number with a probability of 2^-64.
    """
    digests = np.empty(len(batch), np.int64)
    for group in batch.groups:
        size = str(tuple(group.images.shape[2:])).encode()
        images = group.images.cpu().contiguous().numpy()
        hashed = b"".join(hashlib.sha256(size + image.tobytes()).digest()[:8] for image in images)
        digests[list(group.rows)] = np.frombuffer(hashed, "<i8")
    return torch.from_numpy(digests)


def with_equal_rows(arrays: dict[Output, Tensor], pixels: Tensor) -> dict[Output, Tensor]:
    """Give equal images the row of the first of them.

    An extractor's rounding differs from batch to batch, and must not make equal images differ.

    Args:
        arrays: [N, D] by output; changed in place.
        pixels: int64 [N], from `pixel_digests`.

    Returns:
        The same arrays.
    """
    _, firsts, group = np.unique(pixels.numpy(), return_index=True, return_inverse=True)
    first = firsts[group]
    later = np.flatnonzero(first != np.arange(len(first)))
    for array in arrays.values():
        for part in torch.split(torch.from_numpy(later), ROWS_A_COPY):
            array[part] = array[torch.from_numpy(first)[part]]
    return arrays


def with_rows_of(real: FeatureSet, fake: FeatureSet) -> FeatureSet:
    """Give every fake that equals a real the row of that real, for the same reason.

    Args:
        real: The reals.
        fake: The fakes; not changed.

    Returns:
        The fakes, copied where a row was replaced.
    """
    places = copied(real, fake)
    if places is None or not (places >= 0).any():
        return fake
    rows = (places >= 0).nonzero()[:, 0]
    arrays = dict(fake.arrays)
    for output in arrays.keys() & real.arrays.keys():
        arrays[output] = arrays[output].index_copy(0, rows, real.arrays[output][places[rows]])
    return replace(fake, arrays=arrays)


def copied(real: FeatureSet, fake: FeatureSet) -> Tensor | None:
    """For each fake, the real that equals it in every pixel.

    Returns:
        int64 [M]: a row of the reals, -1 if none is equal; None if the pixels of a set are not known.
    """
    if real.pixels is None or fake.pixels is None:
        return None
    known, order = real.pixels.sort(stable=True)
    place = torch.searchsorted(known, fake.pixels).clamp_(max=len(known) - 1)
    return torch.where(known[place] == fake.pixels, order[place], -1)


def copies_caveat(name: str, evaluation: Evaluation) -> str | None:
    """The warning about a generator that copies reals, which most metrics score as quality; None without copies."""
    real, fake = evaluation.real, evaluation.fake
    if real is None or fake is None or not real.arrays:
        return None
    places = copied(real, fake)
    exact = 0 if places is None else int((places >= 0).sum())
    found = [f"{exact} of its {len(fake)} images equal a real in every pixel"] if exact else []
    if "features" in real.arrays and "features" in fake.arrays:
        near = near_copies(real.arrays["features"], fake.arrays["features"])
        if near is not None:
            found.append(f"{near[0]} of {near[1]} are closer to a real than 99% of unseen reals would be")
    if not found:
        return None
    return (
        f"{name}: {', and '.join(found)}. FID, KID, precision, density and coverage take copies for quality; "
        f"see `ganeval nn` (metrics nn, authenticity, ct) before you call it better."
    )
