"""Read the training and held-out images or pairs of a plan, in the form that its model takes."""

from dataclasses import replace
from functools import partial

import torch

from ganeval.errors import UsageError
from reference_models.base import SequenceModel, Translator
from reference_models.batches import Data
from reference_models.data.classes import find_class, listed
from reference_models.data.images import Images, load_images
from reference_models.data.pairs import apart, load_pairs
from reference_models.data.tokens import Tokens, load_tokens
from reference_models.engine.plan import TrainingPlan, check_kind
from reference_models.engine.training import Training
from reference_models.models import find_variant, model_class


def read_examples(plan: TrainingPlan, *, spec: str | None = None) -> Images | Tokens:
    """A plan's training data, in the form that its model takes. spec: their source, if not the plan's.

    Raises UsageError and SourceError as `read_images` and `load_tokens` do.
    """
    check_kind(plan.recipe, spec or plan.data)
    if not issubclass(model_class(plan.recipe), SequenceModel):
        return read_images(plan, spec=spec)
    unfit = [name for name in ("resolution", "channels", "flips") if name in plan.chosen]
    if unfit:
        raise UsageError(f"{plan.recipe.variant} learns from sequences, which take no {unfit[0]}; leave it out.")
    return load_tokens(spec or plan.data, num_samples=plan.train_images, seed=plan.seed)


def read_images(plan: TrainingPlan, *, spec: str | None = None) -> Images:
    """A plan's images in the form that its model takes. spec: their source, if not the plan's.

    The recipe's own data are converted to its size and channels. Other images keep their channels unless channels were
    chosen, and may differ in size only if a resolution was chosen. Raises UsageError and SourceError as `load_images`
    does.
    """
    recipe, kind = plan.recipe, model_class(plan.recipe)
    if issubclass(kind, Translator):
        pairs = load_pairs(
            spec or plan.data,
            _in_the_source(kind, kind.data_for(recipe)),
            given=partial(kind.given, recipe=recipe),
            convert=_has_own_data(plan) or "channels" in plan.chosen,
            resize=resizes(plan),
            num_samples=plan.train_images,
            seed=plan.seed,
        )
        if not kind.paired:
            return apart(pairs)
        if not pairs.aligned:
            raise UsageError(
                f"{recipe.variant} learns from pairs, and the images of {spec or plan.data} are not paired; give "
                "pairs:INPUTS,TARGETS, or choose a variant that learns from two sets (cyclegan)."
            )
        return pairs
    return load_images(
        spec or plan.data,
        resolution=recipe.resolution,
        channels=recipe.channels if _has_own_data(plan) or "channels" in plan.chosen else None,
        resize=resizes(plan),
        num_samples=plan.train_images,
        seed=plan.seed,
    )


def read_held_out(spec: str, training: Training) -> Images:
    """Held-out images, with the size, channels and classes of the training images; for a translator, pairs.

    Raises UsageError for classes that a model with labels does not know, and as `load_images` and `load_pairs` do.
    """
    plan, data = training.plan, training.images.data
    check_kind(plan.recipe, spec)
    if isinstance(training.model, Translator):
        given, wanted = partial(training.model.given, recipe=plan.recipe), _in_the_source(type(training.model), data)
        return load_pairs(spec, wanted, given=given, convert=True, resize=resizes(plan), seed=plan.seed)
    images = load_images(spec, resolution=data.resolution, channels=data.channels, resize=resizes(plan), seed=plan.seed)
    if not (training.model.conditional or training.model.learns_labels) or data.class_names is None:
        return images
    return with_classes(images, data.class_names, learner=plan.recipe.variant)


def _in_the_source(kind: type[Translator], data: Data) -> Data:
    """The data of a translator as in its source: inputs without the channels of exemplars."""
    if not kind.exemplars or data.input_channels is None:
        return data
    return replace(data, input_channels=data.input_channels // 2)


def with_classes(images: Images, known: tuple[str, ...], *, learner: str) -> Images:
    """Held-out images with labels renumbered as the model's classes; UsageError for classes that it does not have."""
    names = images.class_names
    places = [] if names is None else [find_class(name, known) for name in names]
    unknown = [name for name, place in zip(names or (), places, strict=True) if place is None]
    if names is None or images.labels is None or unknown:
        found = f"others: {listed(unknown)}" if unknown else "no labels"
        why = "" if images.unlabelled is None else f" ({images.unlabelled})"
        raise UsageError(
            f"{learner} learns the classes {listed(known)}, and the held-out images of {images.about['name']} have "
            f"{found}{why}. Give held-out images in a folder for each of these classes, with their names, or none."
        )
    found_as = [(name, known[place]) for name, place in zip(names, places, strict=True) if place is not None]
    taken = [f"{name} for {other}" for name, other in found_as if name != other and not other.isdigit()]
    caveat = f"Classes of the held-out images were matched to the model's by position: {listed(taken)}."
    renumbered = torch.tensor(places)[images.labels]
    return replace(images, labels=renumbered, class_names=known, caveat=caveat if taken else None)


def _has_own_data(plan: TrainingPlan) -> bool:
    """Whether a plan uses the data that its recipe names."""
    return plan.data == find_variant(plan.recipe.variant).recipe(plan.recipe.preset).data


def resizes(plan: TrainingPlan) -> bool:
    return _has_own_data(plan) or "resolution" in plan.chosen
