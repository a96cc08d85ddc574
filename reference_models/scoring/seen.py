"""Held-out images, pairs and sequences in words: how many there are, and how many of them the model was trained on."""

from hashlib import blake2b

from torch import Tensor


def told(name: object, held_out: Tensor, known: Tensor, *, what: str) -> tuple[str, tuple[str, ...]]:
    """What held-out rows are, in words, and the caveat if some are equal to training rows.

    name: of the held-out set. what: the rows in words, such as "real images".
    """
    count, same = len(held_out), repeated(held_out, known)
    if not same:
        return f"{name}, {count} {what} it was not trained on", ()
    caveat = (
        f"{same} of the {count} held-out {what} are among those that the model was trained on, so that scores of them "
        "look better than those of new ones; hold out others (--held-out)."
    )
    return f"{name}, {count} {what}, {same} of which it was trained on", (caveat,)


def repeated(held_out: Tensor, known: Tensor) -> int:
    """How many held-out rows are equal to a known one."""
    seen = set(_digests(known))
    return sum(digest in seen for digest in _digests(held_out))


def _digests(rows: Tensor) -> list[bytes]:
    return [blake2b(row.data, digest_size=16).digest() for row in rows.cpu().contiguous().numpy()]
