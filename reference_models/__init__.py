"""Reference GANs: train, sample and score them.

Everything in `__all__` is imported from here. Importing this package imports no torch; `train` and its kin do when they
are first used.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from reference_models.models import VARIANTS, build_model, find_variant, model_class
from reference_models.recipes import Recipe, Target, Variant

if TYPE_CHECKING:
    from reference_models.base import GAN, Batch, Data, Player
    from reference_models.engine.loop import Callbacks, Intervals
    from reference_models.engine.plan import TrainingPlan, make_plan
    from reference_models.engine.resume import resume
    from reference_models.engine.run import start, train
    from reference_models.engine.training import Training
    from reference_models.sampling.interpolation import arithmetic, interpolate
    from reference_models.sampling.sampler import Sampler, open_sampler
    from reference_models.sampling.samples import sample
    from reference_models.scoring.periodic import scorer
    from reference_models.scoring.train_and_score import ScoredRun, score_run, train_and_score

__all__ = [
    "GAN",
    "VARIANTS",
    "Batch",
    "Callbacks",
    "Data",
    "Intervals",
    "Player",
    "Recipe",
    "Sampler",
    "ScoredRun",
    "Target",
    "Training",
    "TrainingPlan",
    "Variant",
    "arithmetic",
    "build_model",
    "find_variant",
    "interpolate",
    "make_plan",
    "model_class",
    "open_sampler",
    "resume",
    "sample",
    "score_run",
    "scorer",
    "start",
    "train",
    "train_and_score",
]

# Where names are defined whose modules import torch.
_LAZY: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("GAN", "Batch", "Data", "Player"), "base"),
        **dict.fromkeys(("Callbacks", "Intervals"), "engine.loop"),
        **dict.fromkeys(("TrainingPlan", "make_plan"), "engine.plan"),
        "resume": "engine.resume",
        **dict.fromkeys(("start", "train"), "engine.run"),
        "Training": "engine.training",
        **dict.fromkeys(("arithmetic", "interpolate"), "sampling.interpolation"),
        **dict.fromkeys(("Sampler", "open_sampler"), "sampling.sampler"),
        "sample": "sampling.samples",
        "scorer": "scoring.periodic",
        **dict.fromkeys(("ScoredRun", "score_run", "train_and_score"), "scoring.train_and_score"),
    }
)


def __getattr__(name: str) -> object:
    """A name whose module imports torch, when it is first used."""
    if name not in _LAZY:
        raise AttributeError(f"module 'reference_models' has no attribute '{name}'")
    return getattr(import_module(f"reference_models.{_LAZY[name]}"), name)
