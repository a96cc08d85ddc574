"""The images of a plan as its model wants them, and those that it never sees."""

from dataclasses import replace

import torch

from ganeval.errors import UsageError
from reference_models.data.classes import find_class, listed
from reference_models.data.images import Images, load_images
from reference_models.engine.plan import TrainingPlan
from reference_models.engine.training import Training
from reference_models.models import find_variant


def read_images(plan: TrainingPlan, *, spec: str | None = None) -> Images:
    """A plan's images as its model wants them. spec: where they are, if not where the plan has them.

    The recipe's own data are made to fit; other images keep their colour, and only where a resolution was chosen are
    images of several sizes made one. Raises UsageError and SourceError as `load_images` does.
    """
    recipe = plan.recipe
    return load_images(
        spec or plan.data,
        resolution=recipe.resolution,
        channels=recipe.channels if _has_own_data(plan) or "channels" in plan.chosen else None,
        resize=resizes(plan),
        num_samples=plan.train_images,
        seed=plan.seed,
    )


def read_held_out(spec: str, training: Training) -> Images:
    """Images that a training never sees, of the size, the colour and the classes of those that it does.

    Raises UsageError for classes that a conditional model does not know, and as `load_images` does.
    """
    plan, data = training.plan, training.images.data
    images = load_images(spec, resolution=data.resolution, channels=data.channels, resize=resizes(plan), seed=plan.seed)
    if not training.model.conditional or data.class_names is None:
        return images
    return _with_classes(images, data.class_names, learner=plan.recipe.variant)


def _with_classes(images: Images, known: tuple[str, ...], *, learner: str) -> Images:
    """Held-out images with their classes as a model knows them; UsageError for those that it does not."""
    names = images.class_names
    places = [] if names is None else [find_class(name, known) for name in names]
    unknown = [name for name, place in zip(names or (), places, strict=True) if place is None]
    if names is None or images.labels is None or unknown:
        found = f"others: {listed(unknown)}" if unknown else "no labels"
        why = "" if images.unlabelled is None else f" ({images.unlabelled})"
        raise UsageError(
            f"{learner} learns the classes {listed(known)}, and the held-out images of {images.about['name']} have "
            f"{found}{why}. Give held-out images in a folder for each of these classes, named alike, or none."
        )
    found_as = [(name, known[place]) for name, place in zip(names, places, strict=True) if place is not None]
    taken = [f"{name} for {other}" for name, other in found_as if name != other and not other.isdigit()]
    caveat = f"Classes of the held-out images were taken for the model's by their place: {listed(taken)}."
    renumbered = torch.tensor(places)[images.labels]
    return replace(images, labels=renumbered, class_names=known, caveat=caveat if taken else None)


def _has_own_data(plan: TrainingPlan) -> bool:
    """Whether a plan's images are those that its recipe names."""
    return plan.data == find_variant(plan.recipe.variant).recipe(plan.recipe.preset).data


def resizes(plan: TrainingPlan) -> bool:
    return _has_own_data(plan) or "resolution" in plan.chosen
