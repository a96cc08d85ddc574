"""Trained models as live generators of ganeval, and the source `ckpt:RUN`.

`ckpt:RUN` is the last checkpoint in a run's folder, `ckpt:RUN@best` the best, `ckpt:RUN@2000` the one of step 2000,
and `ckpt:FILE` a checkpoint's file.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ganeval.devices import find_device
from ganeval.errors import UsageError, did_you_mean
from ganeval.ranges import ValueRange
from reference_models.base import GAN, Model, SequenceModel, Translator
from reference_models.data.classes import find_class, listed
from reference_models.engine.checkpoint import find_checkpoint, load_model

# Default number of images of `ckpt:RUN`, as usual in papers.
DEFAULT_NUM_SAMPLES = 10_000
# The averaged weights, and the last weights.
WEIGHTS = ("average", "raw")


class Sampler:
    """A trained model as a generator that ganeval draws from; ganeval restores training modes and random states.

    Args:
        model: The model.
        truncation: The largest absolute value of a latent number, for normal latents; None for no limit.

    Raises:
        UsageError: The model does not make images from latents, the latents to truncate are not normal, or
            `truncation` is not above 0.
    """

    def __init__(self, model: Model, *, truncation: float | None = None) -> None:
        if not isinstance(model, GAN):
            instead = "; `ganeval translate` applies it to images" if isinstance(model, Translator) else ""
            if isinstance(model, SequenceModel):
                instead = "; `ganeval sample RUN -o FILE.txt` writes its sequences"
            raise UsageError(
                f"{model.recipe.variant} does not make images from latents, so it cannot be sampled as "
                f"a generator of images{instead}."
            )
        if truncation is not None and model.recipe.latent.law != "normal":
            low, high = model.recipe.latent.interval
            raise UsageError(
                f"{model.recipe.variant} draws its latents uniformly within [{low:.3g}, {high:.3g}], so there is "
                "nothing to truncate; leave the truncation out."
            )
        if truncation is not None and not truncation > 0:
            raise UsageError(f"truncation is {truncation}; it must be above 0, and 0.5 to 2 is usual.")
        self.model = model
        self.value_range: ValueRange = model.value_range
        self.num_classes = model.data.classes if model.conditional else None
        self.class_names = model.data.class_names if model.conditional else None
        self.num_samples = DEFAULT_NUM_SAMPLES
        self.device = next(model.parameters()).device
        self._truncation = truncation

    def find_classes(self, words: Sequence[str | int]) -> list[int]:
        """Classes by name, or by number where they have no names.

        Args:
            words: Names or numbers.

        Returns:
            Their indices.

        Raises:
            UsageError: There is no such class, or `words` is a single string.
        """
        if isinstance(words, str):
            raise UsageError(f"Classes must be a list of names or numbers, found {words!r}; write [{words!r}].")
        if self.num_classes is None:
            raise UsageError("This model has no classes, so none can be requested; leave them out.")
        names = self.class_names or tuple(map(str, range(self.num_classes)))
        found = {word: find_class(str(word), names) for word in words}
        unknown = next((word for word, place in found.items() if place is None), None)
        if unknown is not None:
            raise UsageError(f"'{unknown}' is not one of this model's classes: {listed(names)}.")
        return [place for word in words if (place := found[word]) is not None]

    def latent(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw latents.

        Args:
            n: How many.
            rng: The source of randomness.

        Returns:
            float32 ``[n, latent size]``, truncated if the sampler has a truncation.
        """
        z = self.model.latent(n, rng=rng)
        if self._truncation is None:
            return z
        # Truncated normal by inversion, so that the number of draws does not depend on the bound.
        reach = math.erf(self._truncation / math.sqrt(2))
        inside = torch.erfinv(torch.erf(z.double() / math.sqrt(2)) * reach) * math.sqrt(2)
        return inside.float().clamp(-self._truncation, self._truncation)

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images of latents.

        Args:
            z: float32 ``[n, latent size]``.
            labels: Classes, int64 ``[n]``; None for a model that is not conditional.

        Returns:
            float32 ``[n, C, H, W]`` in `value_range`.
        """
        return self.model.generate(z, labels)

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
        """float32 [n, C, H, W] in `value_range`."""
        return self.generate(self.latent(n, rng), labels)


def open_sampler(
    run: str | Path,
    *,
    weights: Literal["average", "raw"] = "average",
    truncation: float | None = None,
    device: str = "auto",
) -> Sampler:
    """Open a trained model to draw from.

    Args:
        run: A run's folder, RUN@best, RUN@2000 (a step) or a checkpoint's file, with or without "ckpt:".
        weights: "average" for the average over training, where the run kept one; "raw" for the last weights.
        truncation: Largest absolute value of a latent number; for normal latents.
        device: "auto", "cpu", "cuda", ...

    Returns:
        The model as a live generator, which every ganeval function takes.

    Raises:
        UsageError: There is no such run, or the latents cannot be truncated.
        CheckpointError: The checkpoint cannot be used.
    """
    return Sampler(trained_model(run, weights=weights, device=device), truncation=truncation)


def trained_model(run: str | Path, *, weights: str, device: str) -> Model:
    """The model of a run or checkpoint file (see `open_sampler`), with its averaged or raw weights.

    Raises UsageError for unknown `weights` or a missing run, CheckpointError for a checkpoint that cannot be used.
    """
    if weights not in WEIGHTS:
        raise UsageError(f"weights is {weights!r}; {did_you_mean(str(weights), WEIGHTS)}")
    return load_model(checkpoint_path(str(run)), average=weights == "average", device=find_device(device))


def open_checkpoint(rest: str) -> Sampler:
    """The part of a spec after `ckpt:` => its generator, on a GPU if there is one.

    Raises UsageError if there is no such checkpoint, CheckpointError for one that cannot be used.
    """
    return open_sampler(rest)


def checkpoint_path(text: str) -> Path:
    """RUN, RUN@best, RUN@2000 or a file, with or without ckpt: => a checkpoint's file; UsageError if there is none."""
    text = text.removeprefix("ckpt:")
    if not text:
        raise UsageError("A run is missing: name its folder, as in runs/first (as a source: ckpt:runs/first).")
    run, at, which = text.rpartition("@")
    if not at or Path(text).exists():
        run, which = text, "last"
    if not Path(run).exists():
        raise UsageError(f"There is no run {run}; `ganeval train --variant dcgan -o {run}` would make one.")
    return find_checkpoint(Path(run), which)
