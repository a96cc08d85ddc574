"""Reference GANs: train, sample and score them. Importing this module imports no torch."""

from importlib import import_module
from typing import TYPE_CHECKING

from reference_models.models import VARIANTS, build_model, find_variant, model_class
from reference_models.recipes import Recipe, Variant

if TYPE_CHECKING:
    from reference_models.engine.run import train

__all__ = ["VARIANTS", "Recipe", "Variant", "build_model", "find_variant", "model_class", "train"]


def __getattr__(name: str) -> object:
    """`train`, whose module imports torch, when it is first used."""
    if name != "train":
        raise AttributeError(f"module 'reference_models' has no attribute '{name}'")
    return getattr(import_module("reference_models.engine.run"), name)
