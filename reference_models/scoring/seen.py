"""Held-out images, pairs and sequences in words: how many there are, and how many of them the model was trained on."""

from collections.abc import Iterator
from hashlib import blake2b

from torch import Tensor

# Rows that are copied to the CPU at once: training sets may be on a GPU.
CHUNK = 1024
# A set of rows, or of rows that belong together: inputs and their targets.
SampleTensors = Tensor | tuple[Tensor, ...]


def told(name: object, held_out: SampleTensors, known: SampleTensors, *, what: str) -> tuple[str, tuple[str, ...]]:
    """What held-out rows are, in words, and the caveat if some are equal to training rows.

    name: of the held-out set. what: the rows in words, such as "real images".
    """
    count, same = _length(held_out), repeated(held_out, known)
    if not same:
        return f"{name}, {count} {what} it was not trained on", ()
    caveat = (
        f"{same} of the {count} held-out {what} are among those that the model was trained on, so that scores of them "
        "look better than those of new ones; hold out others (--held-out)."
    )
    return f"{name}, {count} {what}, {same} of which it was trained on", (caveat,)


def repeated(held_out: SampleTensors, known: SampleTensors) -> int:
    """How many held-out rows are equal to a known one."""
    seen = set(_digests(known))
    return sum(digest in seen for digest in _digests(held_out))


def _length(rows: SampleTensors) -> int:
    return len(rows if isinstance(rows, Tensor) else rows[0])


def _digests(rows: SampleTensors) -> Iterator[bytes]:
    parts = (rows,) if isinstance(rows, Tensor) else rows
    for start in range(0, _length(rows), CHUNK):
        chunks = (part[start : start + CHUNK].cpu().contiguous().numpy() for part in parts)
        for row in zip(*chunks, strict=True):
            digest = blake2b(digest_size=16)
            for array in row:
                digest.update(array.data)
            yield digest.digest()
