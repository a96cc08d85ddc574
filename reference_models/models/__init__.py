"""The table of reference models: one paper per file, with its recipes in `<name>_recipes.py`.

Importing this package imports no torch. To add a paper, add its two files and its row in `VARIANTS`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ganeval.errors import UsageError, did_you_mean
from ganeval.registry import Registry
from reference_models.models import (
    acgan_recipes,
    bayesgan_recipes,
    began_recipes,
    bgan_recipes,
    bigan_recipes,
    cgan_recipes,
    context_encoder_recipes,
    cyclegan_recipes,
    dcgan_recipes,
    ddpm_recipes,
    exgan_recipes,
    gan_recipes,
    lsgan_recipes,
    lucic2018_recipes,
    pix2pix_recipes,
    progan_recipes,
    r3gan_recipes,
    seqgan_recipes,
    sngan_recipes,
    srgan_recipes,
    ssgan_recipes,
    wgan_gp_recipes,
    wgan_recipes,
)
from reference_models.recipes import Recipe, Variant

if TYPE_CHECKING:
    from reference_models.base import Model
    from reference_models.batches import Data, SequenceData

_LISTED = (
    *(gan_recipes.VARIANT, dcgan_recipes.VARIANT, lsgan_recipes.VARIANT, wgan_recipes.VARIANT),
    *(wgan_gp_recipes.VARIANT, cgan_recipes.VARIANT, acgan_recipes.VARIANT, bigan_recipes.VARIANT),
    *(began_recipes.VARIANT, sngan_recipes.VARIANT, *lucic2018_recipes.VARIANTS),
    *(progan_recipes.VARIANT, bgan_recipes.VARIANT),
    *(ssgan_recipes.VARIANT, bayesgan_recipes.VARIANT),
    r3gan_recipes.VARIANT,
    pix2pix_recipes.VARIANT,
    cyclegan_recipes.VARIANT,
    srgan_recipes.VARIANT,
    context_encoder_recipes.VARIANT,
    exgan_recipes.VARIANT,
    ddpm_recipes.VARIANT,
    seqgan_recipes.VARIANT,
)


def _variant(name: str, found: object) -> Variant:
    """The Variant that an entry point refers to; UsageError if it is not one, or has another name."""
    if not isinstance(found, Variant) or found.name != name:
        raise UsageError(f"The variant '{name}' must be a reference_models.Variant of that name, found {found!r}.")
    return found


VARIANTS: Registry[Variant] = Registry(
    "variant",
    group="ganeval.variants",
    rows={variant.name: variant for variant in _LISTED},
    accept=_variant,
)


def find_variant(name: str) -> Variant:
    """Look a variant up.

    Args:
        name: One of `VARIANTS`, such as "dcgan".

    Returns:
        Its row: paper, recipes, networks.

    Raises:
        UsageError: The name is unknown; the message has the nearest one.
    """
    if not isinstance(name, str) or name not in VARIANTS:
        raise UsageError(f"'{name}' is not a variant; {did_you_mean(str(name), list(VARIANTS))}")
    return VARIANTS[name]


def build_model(recipe: Recipe, data: "Data | SequenceData") -> "Model":
    """Build a recipe's model, with new weights from torch's global random state.

    Args:
        recipe: What to build: variant, network, latent, the model's own settings.
        data: The images or sequences it is built for.

    Returns:
        The model, in training mode, on the CPU.

    Raises:
        UsageError: The variant does not have this network, or the network cannot make this resolution.
    """
    variant = find_variant(recipe.variant)
    if recipe.network not in variant.networks:
        near = did_you_mean(recipe.network, variant.networks)
        raise UsageError(f"'{recipe.network}' is not a network of {variant.name}; {near}")
    return model_class(recipe)(data, recipe)


def model_class(recipe: Recipe) -> "type[Model]":
    """The class of a recipe's model; importing it imports torch.

    Args:
        recipe: The recipe.

    Returns:
        The class.
    """
    module, _, name = find_variant(recipe.variant).model.partition(":")
    found: type[Model] = getattr(import_module(module), name)
    return found
