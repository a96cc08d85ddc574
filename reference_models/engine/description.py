"""Recipes and models in plain values, to be printed or saved. Recipes are described without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ganeval.errors import UsageError
from reference_models.recipes import Recipe, plain, rates

if TYPE_CHECKING:
    from reference_models.base import Model
    from reference_models.engine.summary import LayerSummary


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """The size of a model.

    Attributes:
        parameters: The number of parameters of each player.
        layers: Every layer that the losses run through, in module order: `name`, `kind`, the `shape` of its output
            without the batch dimension, and its number of `parameters`.
    """

    parameters: Mapping[str, int]
    layers: "Sequence[LayerSummary]"


def summarize_model(model: "Model") -> ModelSummary:
    """Count a model's parameters, and find its layers and their output shapes.

    Each player's loss is computed once, on two black images; the model's weights do not change.

    Args:
        model: The model, on the CPU.

    Returns:
        Its parameters and layers.

    Raises:
        UsageError: ``classes`` is below 1.

    >>> from reference_models import Data, VARIANTS, build_model, summarize_model
    >>> summary = summarize_model(build_model(VARIANTS["dcgan"].recipe("quick"), Data(1, 32, None)))
    >>> list(summary.parameters), summary.layers[0].kind
    (['discriminator', 'generator'], 'Linear')
    """
    from reference_models.engine.summary import count_parameters, layers

    return ModelSummary(count_parameters(model), layers(model))


def summarize_recipe(recipe: Recipe, *, classes: int = 10) -> ModelSummary:
    """Count the parameters of a recipe's model, and find its layers, as `ganeval variants NAME` shows them.

    Args:
        recipe: The recipe: of a variant, or of a plan with other settings.
        classes: The number of classes, for a conditional model; 10 as MNIST and CIFAR-10 have.

    Returns:
        Its parameters and layers.

    Raises:
        UsageError: ``classes`` is below 1.

    >>> from reference_models import make_plan, summarize_recipe
    >>> summarize_recipe(make_plan("gan", chosen={"resolution": 8, "settings.hidden": 16}).recipe).parameters
    {'discriminator': 367441, 'generator': 2976}
    """
    from reference_models.models import build_model, model_class

    if classes < 1:
        raise UsageError(f"A conditional model has at least 1 class, found classes={classes}.")
    return summarize_model(build_model(recipe, model_class(recipe).data_for(recipe, classes)))


def recipe_to_dict(recipe: Recipe) -> dict[str, object]:
    """Convert a recipe to values that JSON can hold.

    Args:
        recipe: The recipe.

    Returns:
        Its fields by name. Optimizers and schedules are dicts with their class as "kind".

    >>> from reference_models import VARIANTS, recipe_to_dict
    >>> recipe_to_dict(VARIANTS["dcgan"].recipe())["latent"]
    {'size': 100, 'law': 'uniform', 'bounds': None}
    """
    return cast("dict[str, object]", plain(recipe))


def learning_rates(recipe: Recipe, steps: int) -> dict[str, tuple[float, float]]:
    """Find the learning rates at the beginning and at the end of a training.

    Args:
        recipe: The recipe.
        steps: The number of steps that were made, of `recipe.steps`.

    Returns:
        For each player the rates of the first and of the last of these steps.

    >>> from reference_models import VARIANTS, learning_rates
    >>> learning_rates(VARIANTS["dcgan"].recipe(), 100)["generator"]
    (0.0002, 0.0002)
    """
    first, last = rates(recipe, 0), rates(recipe, max(0, steps - 1))
    return {player: (first[player], last[player]) for player in first}
