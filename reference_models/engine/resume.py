"""Resume a run from its last checkpoint, possibly on another device, or with its images at another location."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ganeval.devices import find_device
from ganeval.errors import SourceError, UsageError
from ganeval.processes import processes
from reference_models.data.classes import listed
from reference_models.data.images import Images
from reference_models.data.specs import is_there, lasting_data
from reference_models.data.tokens import Tokens
from reference_models.engine import checkpoint
from reference_models.engine.folder import Folder
from reference_models.engine.loop import NO_CALLBACKS, CallbackFactory, Callbacks, Intervals, Loop, callbacks_for
from reference_models.engine.plan import TrainingPlan, refuse_foreign, refuse_others
from reference_models.engine.reading import read_examples
from reference_models.engine.training import Training
from reference_models.recipes import Recipe, rates


def resume(
    run: str | Path,
    *,
    steps: int | None = None,
    asked: Mapping[str, object] | None = None,
    intervals: Intervals | None = None,
    callbacks: Callbacks | CallbackFactory = NO_CALLBACKS,
    may_be_done: bool = False,
) -> Loop:
    """Resume a run from its last checkpoint; on a CPU the result is that of an uninterrupted run, bit for bit.

    With several processes this holds if their number is unchanged; with another number the result is equal up to
    rounding.

    With another number of steps, schedules are stretched: the rates are then those of a run of that length, and
    `Loop.notices` says so.

    Args:
        run: The folder of the run.
        steps: Number of steps at which it ends; None for the planned one.
        asked: Settings, by name, that must equal the run's, except that "data" may be another location of the same
            images, and "device" another device; `Loop.notices` states the consequences.
        intervals: How often to log, draw, save and score.
        callbacks: Scores, monitors, alarms and progress, or a function of the training that makes them.
        may_be_done: Whether a finished run is allowed.

    Returns:
        The loop; its `run` continues the training.

    Raises:
        UsageError: A setting, the recipe or the images differ from the run's.
        SourceError: The images are missing.
        CheckpointError: The checkpoint cannot be used, or is of another run.
    """
    run = Path(run)
    folder, team = Folder(run), processes()
    config = team.by_first(folder.read_config)
    path = folder.checkpoint_path("last")
    # A run that was stopped before its first checkpoint starts again.
    document = team.by_first(lambda: checkpoint.load(path) if any(folder.checkpoints.glob("*.pt")) else None)
    begun = config if document is None else document
    plan = checkpoint.plan_of(begun, folder.config if document is None else path)
    refuse_foreign(config, begun, path)
    asked = asked or {}
    refuse_others(plan, asked)
    device, before = device_of(run, plan, asked.get("device")), plan
    caveat = None if document is None else moved(plan.device, device)
    plan = replace(plan if steps is None else plan.choose({"steps": steps}), device=device)
    spec = str(asked.get("data") or place_of(config, plan))
    images = read_again(run, plan, spec)
    check_same(images, begun, run)
    training = Training(plan, images)
    loop = Loop(training, folder, intervals or Intervals(), callbacks_for(callbacks, training))
    if document is not None:
        with checkpoint.damage_named(path):
            training.restore(document, other_device=caveat is not None)
            loop.restore(document["notes"])
    too_far = plan.recipe.steps + 1 if may_be_done else plan.recipe.steps
    if training.step >= too_far:
        raise _done(run, training.step, wanted=steps, planned=before.recipe.steps, may_stay=may_be_done)
    again = _again(folder) if document is None else ""
    loop.notices += filter(None, [again, _stretched(before.recipe, plan.recipe, training.step)])
    with folder.hold():
        folder.cut(training.step)
        folder.note({"data_at": lasting_data(spec), "device": device})
        if caveat is not None:
            loop.notices.append(caveat)
            folder.add({"step": training.step, "device": plan.device, "text": caveat})
    return loop


def _done(run: Path, step: int, *, wanted: int | None, planned: int, may_stay: bool) -> UsageError:
    """The error for a run that has already reached the requested step.

    wanted: the requested steps, planned: those of the run's plan. may_stay: whether the run may stay at its step.
    """
    if wanted is None:
        return UsageError(f"{run} is at step {step}, its last; give a larger --steps to train longer.")
    least = f"{step} or more" if may_stay else f"more than {step}"
    otherwise = f", or leave it out to continue to step {planned}" if planned > step else ""
    return UsageError(f"{run} is already at step {step}, but --steps is {wanted}; give {least}{otherwise}.")


def _again(folder: Folder) -> str:
    """A notice that a run without a checkpoint starts again, if its log has steps; else empty."""
    steps = processes().by_first(lambda: max((line["step"] for line in folder.lines()), default=0))
    if not steps:
        return ""
    return f"{folder.root} was at step {steps} or later, but has no checkpoint: it begins again at its first step."


def _stretched(before: Recipe, now: Recipe, step: int) -> str:
    """A notice about how another number of steps changes the rates at a step; empty if it does not."""
    old, new = rates(before, step), rates(now, step)
    changed = ", ".join(
        f"{player} {old[player]:.3g} to {new[player]:.3g}" for player in new if old[player] != new[player]
    )
    if not changed:
        return ""
    return (
        f"The learning rates of this run depend on its length, which is now {now.steps} steps, not {before.steps}; "
        f"at step {step} they change to those of a run of this length: {changed}."
    )


def device_of(run: Path, plan: TrainingPlan, asked: object) -> str:
    """The device of a resumed run: the requested one, or the run's. UsageError if it cannot be used here."""
    try:
        return find_device(str(asked or plan.device))
    except UsageError as error:
        if asked is not None:
            raise
        raise UsageError(
            f"{run} was trained with {plan.device}. {error} To continue elsewhere, choose a device, as in --device cpu."
        ) from error


def moved(then: str, now: str) -> str | None:
    """A notice of what changes if a run is resumed on another kind of device; None on the same kind."""
    if torch.device(then).type == torch.device(now).type:
        return None
    return (
        f"The run continues with {now}; so far it was trained with {then}. Weights, averages, optimizers and the order "
        "of images are as they were saved. The random numbers of the losses (latents, dropout) start again, from the "
        f"seed and the step, and rounding differs: from now on the results are not bit for bit those of {then}."
    )


def place_of(config: Mapping[str, Any], plan: TrainingPlan) -> str:
    """The source where a run's images were last read, if it exists, or else that of its plan."""
    place = config.get("data_at")
    return place if isinstance(place, str) and is_there(place) else plan.data


def read_again(run: Path, plan: TrainingPlan, spec: str) -> Images | Tokens:
    """A plan's images from their current source; SourceError, with the option to use, if they cannot be read."""
    try:
        return read_examples(plan, spec=spec)
    except SourceError as error:
        raise SourceError(
            f"The images that {run} was trained on cannot be read from {spec}: {error} If they were moved, "
            "give their location with --data SOURCE."
        ) from error


def check_same(images: Images | Tokens, begun: Mapping[str, Any], run: Path) -> None:
    """UsageError if images or names of classes differ from the run's. begun: its config or checkpoint."""
    name = images.about["name"]
    names, classes = (begun.get("data", begun).get(key) for key in ("class_names", "classes"))
    if images.digest != begun["digest"]:
        gaps = (
            f" An earlier version of ganeval counted {classes} classes in their labels, but only "
            f"{images.data.classes} have images; such a run can be sampled and scored, but not resumed."
            if names is None and classes is not None and classes != images.data.classes
            else ""
        )
        raise UsageError(
            f"The images of {name} are not those that {run} was trained on (data {images.digest[:12]}, not "
            f"{str(begun['digest'])[:12]}).{gaps} Use the original images, or start a new run."
        )
    if names is not None and tuple(names) != images.class_names:
        raise UsageError(
            f"The images of {name} are those that {run} was trained on, but their classes were named {listed(names)} "
            f"and are now named {listed(images.class_names or ())}. Restore the names, or start a new run."
        )
