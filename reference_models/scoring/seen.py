"""Describe held-out images, pairs and sequences: how many there are, and how many are training data."""

from collections.abc import Iterator
from hashlib import blake2b

from torch import Tensor

# Rows to copy to the CPU at a time: training sets may be on a GPU.
CHUNK = 1024
# A set of rows, or of aligned rows: inputs and their targets.
SampleTensors = Tensor | tuple[Tensor, ...]


def told(name: object, held_out: SampleTensors, known: SampleTensors, *, what: str) -> tuple[str, tuple[str, ...]]:
    """A description of held-out rows, and a caveat if some equal training rows.

    name: of the held-out set. what: the rows in words, such as "real images".
    """
    count, same = _length(held_out), repeated(held_out, known)
    if not same:
        return f"{name}, {count} {what} it was not trained on", ()
    caveat = (
        f"{same} of the {count} held-out {what} are training data of the model, so scores on them look better than on "
        "new ones; hold out others (--held-out)."
    )
    return f"{name}, {count} {what}, {same} of which it was trained on", (caveat,)


def repeated(held_out: SampleTensors, known: SampleTensors) -> int:
    """The number of held-out rows that equal a known one."""
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
