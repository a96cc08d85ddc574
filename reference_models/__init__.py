"""Reference GANs, one paper a file, and the one table of them. Importing this module imports no torch."""

from importlib import import_module
from typing import TYPE_CHECKING

from ganeval.errors import UsageError, did_you_mean
from ganeval.registry import Registry
from reference_models.presets import acgan, began, bigan, cgan, dcgan, gan, lsgan, sngan, wgan, wgan_gp, yardstick
from reference_models.recipes import Recipe, Variant

if TYPE_CHECKING:
    from reference_models.base import GAN, Data
    from reference_models.launch import train

__all__ = ["VARIANTS", "Recipe", "Variant", "build_model", "find_variant", "model_class", "train"]

_LISTED = (
    *(gan.VARIANT, dcgan.VARIANT, lsgan.VARIANT, wgan.VARIANT, wgan_gp.VARIANT),
    *(cgan.VARIANT, acgan.VARIANT, bigan.VARIANT, began.VARIANT, sngan.VARIANT),
    *yardstick.YARDSTICKS,
)


def _variant(name: str, found: object) -> Variant:
    """The row of what an entry point names; UsageError for what is not a Variant of that name."""
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
    """The variant of that name; UsageError for an unknown one."""
    if name not in VARIANTS:
        raise UsageError(f"'{name}' is not a variant; {did_you_mean(name, list(VARIANTS))}")
    return VARIANTS[name]


def build_model(recipe: Recipe, data: "Data") -> "GAN":
    """A recipe's model for these images, with new weights from torch's global random state.

    Raises UsageError for a network the variant does not have, or a resolution or channel count its network can't do.
    """
    variant = find_variant(recipe.variant)
    if recipe.network not in variant.networks:
        near = did_you_mean(recipe.network, variant.networks)
        raise UsageError(f"'{recipe.network}' is not a network of {variant.name}; {near}")
    return model_class(recipe)(data, recipe)


def model_class(recipe: Recipe) -> "type[GAN]":
    """The class of a recipe's model."""
    module, _, name = find_variant(recipe.variant).model.partition(":")
    found: type[GAN] = getattr(import_module(module), name)
    return found


def __getattr__(name: str) -> object:
    """`train`, whose module imports torch, when it is first used."""
    if name != "train":
        raise AttributeError(f"module 'reference_models' has no attribute '{name}'")
    return getattr(import_module("reference_models.launch"), name)
