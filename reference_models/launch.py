"""Starting a run, and going on with one: plan, images, folder and training put together, ready for a `Loop`."""

from collections.abc import Mapping
from pathlib import Path

import torch

from ganeval.errors import UsageError
from ganeval.measure import find_device
from ganeval.sources import Opener
from reference_models import checkpoint, find_variant
from reference_models.data import Images, load_images
from reference_models.folder import Folder
from reference_models.loop import Habits, Loop, Observers
from reference_models.plan import Plan, make_plan, refuse_others
from reference_models.recipes import plain
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
    observers: Observers = _NOBODY,
    schemes: Mapping[str, Opener] | None = None,
) -> Loop:
    """A new run in a new folder.

    epochs: train until every image was drawn so often, whatever steps the recipe has.
    Raises UsageError for a folder that is taken and for what the variant cannot do, SourceError for images that cannot
    be had.
    """
    folder = Folder(output)
    folder.check_free()
    images = read_images(plan, schemes=schemes)
    if images.data.channels != plan.recipe.channels:
        plan = plan.choose(channels=images.data.channels)
    training = Training(plan, images)
    if epochs is not None:
        training.plan = plan.choose(steps=training.steps_of(epochs))
    folder.create()
    folder.write_config(
        {
            "plan": plain(training.plan),
            "digest": images.digest,
            "images": images.about,
            "threads": torch.get_num_threads(),
        }
    )
    return Loop(training, folder, habits or Habits(), observers)


def resume(
    run: Path,
    *,
    steps: int | None = None,
    asked: Mapping[str, object] | None = None,
    habits: Habits | None = None,
    observers: Observers = _NOBODY,
    schemes: Mapping[str, Opener] | None = None,
) -> Loop:
    """A run as its last checkpoint left it; on a CPU it goes on bit for bit as if it had never stopped.

    steps: where it ends, if not where it was to. asked: settings by name that it is believed to have.
    Raises UsageError where a setting, the recipe or the images are not what they were, CheckpointError for a checkpoint
    that cannot be used.
    """
    folder = Folder(run)
    config = folder.read_config()
    path = folder.checkpoint_path("last")
    # A run that was stopped before it first saved begins again.
    document = checkpoint.load(path) if any(folder.checkpoints.glob("*.pt")) else None
    begun = config if document is None else document
    plan = checkpoint.plan_of(begun, folder.config if document is None else path)
    refuse_others(plan, asked or {})
    find_device(plan.device)
    plan = plan if steps is None else plan.choose(steps=steps)
    images = read_images(plan, schemes=schemes)
    if images.digest != begun["digest"]:
        raise UsageError(
            f"The images of {plan.data} are not those that {run} was trained on (data {images.digest[:12]}, not "
            f"{str(begun['digest'])[:12]}). Give back the old ones, or start a new run."
        )
    loop = Loop(Training(plan, images), folder, habits or Habits(), observers)
    if document is not None:
        with checkpoint.damage_named(path):
            loop.training.restore(document)
            loop.restore(document["notes"])
    if loop.training.step >= plan.recipe.steps:
        raise UsageError(f"{run} is at step {loop.training.step}, its last; --steps takes it further.")
    with folder.hold():
        folder.cut(loop.training.step)
    return loop


def read_images(plan: Plan, *, schemes: Mapping[str, Opener] | None = None) -> Images:
    """A plan's images as its model wants them.

    The recipe's own data are made to fit; other images keep their colour, and only where a resolution was chosen are
    images of several sizes made one. Raises UsageError and SourceError as `load_images` does.
    """
    recipe = plan.recipe
    own = plan.data == find_variant(recipe.variant).recipe(recipe.preset).data
    return load_images(
        plan.data,
        resolution=recipe.resolution,
        channels=recipe.channels if own or "channels" in plan.chosen else None,
        resize=own or "resolution" in plan.chosen,
        num_samples=plan.num_samples,
        seed=plan.seed,
        schemes=schemes,
    )
