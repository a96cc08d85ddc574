"""Sequences of a model, drawn in chunks and written as text."""

from pathlib import Path

import torch
from torch import Tensor

from ganeval.atomic import atomic_write
from ganeval.sources import Sandbox
from reference_models.base import SequenceModel

CHUNK = 500


def drawn(model: SequenceModel, count: int, *, seed: int, alpha: float = 1.0) -> Tensor:
    """Sequences, int64 [count, T] on the CPU; the first ones of a seed do not depend on the count.

    Weights, training modes and random states of the model are not changed.
    """
    device = next(model.parameters()).device
    rng, found = torch.Generator(device).manual_seed(seed), []
    with Sandbox(model, seed), torch.no_grad():
        for start in range(0, count, CHUNK):
            # Whole chunks are drawn, because on a GPU the numbers depend on how many are drawn at a time.
            z = model.latent(CHUNK, rng=rng)[: count - start]
            found.append(model.generate(z, alpha=alpha).cpu())
    return torch.cat(found)


def write_sequences(model: SequenceModel, path: Path, *, count: int, seed: int, alpha: float = 1.0) -> None:
    """Write sequences as UTF-8 text, one per line, atomically."""
    lines = model.data.text(drawn(model, count, seed=seed, alpha=alpha))
    with atomic_write(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
