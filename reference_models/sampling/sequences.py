"""Sequences of a trained model, in a text file."""

from pathlib import Path
from typing import Literal

from ganeval.errors import UsageError
from reference_models.base import SequenceModel
from reference_models.engine.sequences import write_sequences
from reference_models.sampling.sampler import trained_model


def sample_sequences(
    run: str | Path,
    output: str | Path,
    *,
    num_samples: int = 64,
    seed: int = 0,
    weights: Literal["average", "raw"] = "average",
    alpha: float = 1.0,
    device: str = "auto",
) -> None:
    """Write sequences of a trained model into a text file, one per line.

    Args:
        run: A run's folder, RUN@best, RUN@2000 (a step) or a checkpoint's file, with or without "ckpt:".
        output: The file, which ends in .txt.
        num_samples: Sequences to draw.
        seed: Seed of the random numbers; sequence i of a seed is always the same.
        weights: "average" for the average over training, where the run kept one; "raw" for the last weights.
        alpha: Factor of the logits, an inverse temperature: above 1 for likelier sequences, of less variety.
        device: "auto", "cpu", "cuda", ...

    Raises:
        UsageError: There is no such run, its model does not write sequences, or a value is impossible.
        CheckpointError: The checkpoint cannot be used.
        ResultError: The file cannot be written.
    """
    path = Path(output)
    if path.suffix.lower() != ".txt" or not path.absolute().parent.is_dir():
        raise UsageError(f"Sequences are written to a .txt in a folder that exists, not to {path}.")
    if not 0 < alpha < float("inf") or num_samples < 1:
        raise UsageError(f"alpha is {alpha} and num_samples is {num_samples}; both must be above 0, and finite.")
    model = trained_model(run, weights=weights, device=device)
    if not isinstance(model, SequenceModel):
        raise UsageError(f"{model.recipe.variant} does not write sequences; choose a .png, an .npz or a folder.")
    write_sequences(model, path, count=num_samples, seed=seed, alpha=alpha)
