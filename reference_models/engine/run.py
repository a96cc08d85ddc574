"""Start a run: from plan, images, folder and training to a `Loop`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from ganeval.autocast import Precision
from ganeval.devices import find_device
from reference_models.data.specs import lasting_data
from reference_models.data.tokens import Tokens
from reference_models.engine.choices import check_length
from reference_models.engine.folder import Folder
from reference_models.engine.loop import NO_CALLBACKS, CallbackFactory, Callbacks, Intervals, Loop, callbacks_for
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.engine.reading import read_examples, resizes
from reference_models.engine.training import Training
from reference_models.recipes import plain


def train(
    variant: str,
    output: str | Path,
    *,
    preset: str = "quick",
    data: str | Path | None = None,
    chosen: Mapping[str, object] | None = None,
    epochs: float | None = None,
    train_images: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "fp32",
    accumulate: int = 1,
    intervals: Intervals | None = None,
    callbacks: Callbacks | CallbackFactory = NO_CALLBACKS,
) -> Training:
    """Train a reference model into a new folder.

    Args:
        variant: Name of a model, one of `reference_models.VARIANTS`.
        output: New folder of the run.
        preset: Recipe: "quick" (seconds on a CPU), "paper" (the authors' settings), or another of the variant's.
        data: Source of training images; None for those of the recipe.
        chosen: Settings that replace the preset's: {"steps": 500, "batch": 32, "lr": 1e-4, "settings.width": 32}.
        epochs: Passes over all images, instead of steps.
        train_images: Train on a seeded random subset of this many images.
        seed: Seed of weights, batches and latents.
        device: "auto", "cpu", "cuda", ...
        precision: "fp32" or "bf16".
        accumulate: Parts that a batch is processed in, to save memory.
        intervals: How often to log, draw, save and score.
        callbacks: Scores, monitors, alarms and progress, or a function of the training that makes them.

    Returns:
        The training at its end; `best_model` is the model to sample from.

    Raises:
        UsageError: A name or value that cannot be used, or a folder that is not empty.
        SourceError: The images cannot be read.
        TrainingError: The training diverged, or was ended by an alarm in `intervals.stop_on`.

    >>> import reference_models, tempfile
    >>> small = {"steps": 2, "resolution": 8, "settings.hidden": 16}
    >>> reference_models.train("gan", tempfile.mkdtemp() + "/run", chosen=small, device="cpu").step
    2
    """
    check_length(chosen, epochs)
    plan = make_plan(
        variant,
        preset=preset,
        data=data,
        chosen=chosen,
        train_images=train_images,
        seed=seed,
        device=device,
        precision=precision,
        accumulate=accumulate,
    )
    loop = start(plan, Path(output), intervals=intervals, epochs=epochs, callbacks=callbacks)
    loop.run()
    return loop.training


def start(
    plan: TrainingPlan,
    output: Path,
    *,
    intervals: Intervals | None = None,
    epochs: float | None = None,
    callbacks: Callbacks | CallbackFactory = NO_CALLBACKS,
) -> Loop:
    """Start a run in a new folder.

    Args:
        plan: What to train.
        output: The folder.
        intervals: How often to log, draw, save and score.
        epochs: Passes over all images, instead of the recipe's steps.
        callbacks: Scores, monitors, alarms and progress, or a function of the training that makes them.

    Returns:
        The run, before its first step.

    Raises:
        UsageError: The folder is not empty, or the plan cannot be carried out.
        SourceError: The images cannot be read.
    """
    folder = Folder(output)
    folder.check_free()
    plan = replace(plan, device=find_device(plan.device))
    images = read_examples(plan)
    if isinstance(images, Tokens):
        if images.data.length != plan.recipe.latent.size and "latent" not in plan.chosen:
            plan = plan.choose({"latent": images.data.length})
    elif images.data.channels != plan.recipe.channels:
        plan = plan.choose({"channels": images.data.channels})
    training = Training(plan, images)
    if epochs is not None:
        # The training is built again, because schedules depend on the length of the run.
        training = Training(plan.choose({"steps": training.steps_of(epochs)}), images)
    chosen_callbacks = callbacks_for(callbacks, training)
    folder.create()
    with folder.kept_if_used():
        folder.write_config(
            {
                "plan": plain(training.plan),
                "digest": images.digest,
                "data_at": lasting_data(plan.data),
                "class_names": images.class_names,
                "images": images.about,
                "threads": torch.get_num_threads(),
            }
        )
    loop = Loop(training, folder, intervals or Intervals(), chosen_callbacks)
    loop.notices += filter(None, [_resized(training)])
    return loop


def _resized(training: Training) -> str:
    """A notice if images are resized to the preset's resolution without a choice of the user; else empty."""
    plan, size = training.plan, training.examples.about.get("sizes")
    side = plan.recipe.resolution
    if resizes(plan) or size in (None, (side, side)):
        return ""
    height, width = cast(tuple[int, int], size)
    return (
        f"The images of {plan.data} have {width} x {height} pixels, and are resized to {side} x {side}, as in the "
        f"{plan.recipe.preset} preset; --resolution {width} keeps their size, if the network supports it."
    )
