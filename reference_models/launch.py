"""Starting a run, and going on with one: plan, images, folder and training put together, ready for a `Loop`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from ganeval.devices import find_device
from ganeval.errors import UsageError
from ganeval.sources import lasting
from reference_models import checkpoint
from reference_models.elsewhere import check_same, device_of, moved, place_of, read_again
from reference_models.folder import Folder
from reference_models.loop import Habits, Look, Loop, Observers
from reference_models.plan import Plan, make_plan, refuse_foreign, refuse_others
from reference_models.reading import read_images, resizes
from reference_models.recipes import Recipe, plain, rates
from reference_models.training import Training

_NOBODY = Observers()


def train(
    variant: str,
    output: str | Path,
    *,
    preset: str = "smoke",
    data: str | None = None,
    device: str = "auto",
    seed: int = 0,
    chosen: Mapping[str, object] | None = None,
    epochs: float | None = None,
    habits: Habits | None = None,
    observers: Observers = _NOBODY,
) -> Training:
    """Train a variant into a new folder; gives the training as it stands at the end.

    chosen: settings that are not to be the preset's, by name, like {"steps": 500, "batch": 32}.
    Raises UsageError, SourceError and TrainingError as `start` and `Loop.run` do.
    """
    plan = make_plan(variant, preset=preset, data=data, chosen=chosen, seed=seed, device=find_device(device))
    loop = start(plan, Path(output), habits=habits, epochs=epochs, observers=observers)
    loop.run()
    return loop.training


def start(
    plan: Plan,
    output: Path,
    *,
    habits: Habits | None = None,
    epochs: float | None = None,
    observers: Observers | Look = _NOBODY,
) -> Loop:
    """A new run in a new folder.

    epochs: train until every image was drawn so often, whatever steps the recipe has. observers: who looks on, or what
    chooses them for the training.
    Raises UsageError for a folder that is taken and for what the variant cannot do, SourceError for images that cannot
    be had.
    """
    folder = Folder(output)
    folder.check_free()
    images = read_images(plan)
    if images.data.channels != plan.recipe.channels:
        plan = plan.choose(channels=images.data.channels)
    training = Training(plan, images)
    if epochs is not None:
        # Built anew, as its schedules belong to the length of the run.
        training = Training(plan.choose(steps=training.steps_of(epochs)), images)
    looking = _looking(observers, training)
    folder.create()
    folder.write_config(
        {
            "plan": plain(training.plan),
            "digest": images.digest,
            "data_at": lasting(plan.data),
            "class_names": images.class_names,
            "images": images.about,
            "threads": torch.get_num_threads(),
        }
    )
    loop = Loop(training, folder, habits or Habits(), looking)
    loop.notices += filter(None, [_resized(training)])
    return loop


def resume(
    run: Path,
    *,
    steps: int | None = None,
    asked: Mapping[str, object] | None = None,
    habits: Habits | None = None,
    observers: Observers | Look = _NOBODY,
    may_be_done: bool = False,
) -> Loop:
    """A run as its last checkpoint left it; on a CPU it goes on bit for bit as if it had never stopped.

    steps: where it ends, if not where it was to. Schedules stretch to that: a rate that falls over the run is from here
    on what it is at this step of a run so long, which `Loop.notices` says. asked: settings by name that it is believed
    to have; "data" may be another place of the same images, and "device" another device, from where on `Loop.notices`
    says what differs. observers: who looks on, or what chooses them for the training. may_be_done: whether there may be
    no step left.
    Raises UsageError where a setting, the recipe or the images are not what they were, SourceError for images that are
    not there, CheckpointError for a checkpoint that cannot be used, or is not of this run.
    """
    folder = Folder(run)
    config = folder.read_config()
    path = folder.checkpoint_path("last")
    # A run that was stopped before it first saved begins again.
    document = checkpoint.load(path) if any(folder.checkpoints.glob("*.pt")) else None
    begun = config if document is None else document
    plan = checkpoint.plan_of(begun, folder.config if document is None else path)
    refuse_foreign(config, begun, path)
    asked = asked or {}
    refuse_others(plan, asked)
    device, before = device_of(run, plan, asked.get("device")), plan
    caveat = None if document is None else moved(plan.device, device)
    plan = replace(plan if steps is None else plan.choose(steps=steps), device=device)
    spec = str(asked.get("data") or place_of(config, plan))
    images = read_again(run, plan, spec)
    check_same(images, begun, run)
    training = Training(plan, images)
    loop = Loop(training, folder, habits or Habits(), _looking(observers, training))
    if document is not None:
        with checkpoint.damage_named(path):
            training.restore(document, other_device=caveat is not None)
            loop.restore(document["notes"])
    if training.step >= plan.recipe.steps and not may_be_done:
        raise _done(run, training.step, wanted=steps, planned=before.recipe.steps)
    loop.notices += filter(None, [_stretched(before.recipe, plan.recipe, training.step)])
    with folder.hold():
        folder.cut(training.step)
        folder.note({"data_at": lasting(spec), "device": device})
        if caveat is not None:
            loop.notices.append(caveat)
            folder.add({"step": training.step, "device": plan.device, "text": caveat})
    return loop


def _done(run: Path, step: int, *, wanted: int | None, planned: int) -> UsageError:
    """For a run that is where it was to go. wanted: the steps asked for, planned: those it was begun with."""
    if wanted is None:
        return UsageError(f"{run} is at step {step}, its last; --steps takes it further.")
    otherwise = f", or leave it out to go on to step {planned}" if planned > step else ""
    return UsageError(f"{run} is at step {step} already, and --steps is {wanted}; give more than {step}{otherwise}.")


def _resized(training: Training) -> str:
    """That images are learned at another size than theirs which nobody chose, in words; nothing where they are not."""
    plan, size = training.plan, training.images.about.get("sizes")
    side = plan.recipe.resolution
    if resizes(plan) or size in (None, (side, side)):
        return ""
    height, width = cast(tuple[int, int], size)
    return (
        f"The images of {plan.data} have {width} x {height} pixels, and are learned at {side} x {side}, as the "
        f"{plan.recipe.preset} preset has it; --resolution {width} keeps their size, if the network can make it."
    )


def _stretched(before: Recipe, now: Recipe, step: int) -> str:
    """What another number of steps does to the rates at a step, in words; nothing where they stay."""
    old, new = rates(before, step), rates(now, step)
    changed = ", ".join(
        f"{player} {old[player]:.3g} to {new[player]:.3g}" for player in new if old[player] != new[player]
    )
    if not changed:
        return ""
    return (
        f"The learning rates of this run follow its length, which is now {now.steps} steps and not {before.steps}; "
        f"at step {step} they go from what they were to those of a run so long: {changed}."
    )


def _looking(observers: Observers | Look, training: Training) -> Observers:
    return observers if isinstance(observers, Observers) else observers(training)
