"""Reference GANs: train, sample and score them.

Everything in `__all__` is imported from here. Importing this package imports no torch: names whose modules do are
imported when they are first used.
"""

from types import MappingProxyType
from typing import TYPE_CHECKING

from ganeval.lazy import lazy_names
from reference_models.models import VARIANTS, build_model, find_variant, model_class
from reference_models.recipes import Recipe, Target, Variant

if TYPE_CHECKING:
    from reference_models.base import GAN, Model, Player, SemiSupervised, SequenceModel, Translator
    from reference_models.batches import Batch, Data, SequenceData
    from reference_models.data.specs import check_data
    from reference_models.engine.curves import Curve, CurvePoint, read_curve
    from reference_models.engine.description import (
        ModelSummary,
        learning_rates,
        recipe_to_dict,
        summarize_model,
        summarize_recipe,
    )
    from reference_models.engine.diagnostics import Diagnostics, Finding, parse_alarms
    from reference_models.engine.folder import check_new_run, is_run, read_log
    from reference_models.engine.loop import Callbacks, Intervals, TrainingProgress
    from reference_models.engine.plan import TrainingPlan, make_plan
    from reference_models.engine.resume import resume
    from reference_models.engine.run import start, train
    from reference_models.engine.training import Training
    from reference_models.sampling.interpolation import interpolate, latent_arithmetic
    from reference_models.sampling.sampler import Sampler, open_sampler
    from reference_models.sampling.samples import sample
    from reference_models.sampling.sequences import sample_sequences
    from reference_models.sampling.translate import open_translator, translate
    from reference_models.scoring.augmentation import Augmentation, augment
    from reference_models.scoring.classification import CLASSIFIER_METRICS, classification_error
    from reference_models.scoring.job import ScoredRun
    from reference_models.scoring.label_draws import LabelDraws, OverDraws, label_draws
    from reference_models.scoring.periodic import monitoring, scorer
    from reference_models.scoring.published import PublishedComparison
    from reference_models.scoring.scores import Scores
    from reference_models.scoring.seeds import SeedsSummary, summarize_seeds
    from reference_models.scoring.sequences import (
        SEQUENCE_METRICS,
        bleu,
        nll_oracle,
        nll_test,
        self_bleu,
    )
    from reference_models.scoring.task_metric import TaskMetric
    from reference_models.scoring.train_and_score import (
        score_run,
        score_seeds,
        train_and_score,
        train_and_score_seeds,
    )

# The modules of names that are imported on first use; most of these modules import torch.
_HOMES = MappingProxyType(
    {
        **dict.fromkeys(
            ("GAN", "Model", "Player", "SemiSupervised", "SequenceModel", "Translator"),
            "reference_models.base",
        ),
        **dict.fromkeys(("Batch", "Data", "SequenceData"), "reference_models.batches"),
        **dict.fromkeys(("Curve", "CurvePoint", "read_curve"), "reference_models.engine.curves"),
        **dict.fromkeys(
            ("ModelSummary", "learning_rates", "recipe_to_dict", "summarize_model", "summarize_recipe"),
            "reference_models.engine.description",
        ),
        **dict.fromkeys(("Diagnostics", "Finding", "parse_alarms"), "reference_models.engine.diagnostics"),
        **dict.fromkeys(("Callbacks", "Intervals", "TrainingProgress"), "reference_models.engine.loop"),
        **dict.fromkeys(("TrainingPlan", "make_plan"), "reference_models.engine.plan"),
        "resume": "reference_models.engine.resume",
        **dict.fromkeys(("start", "train"), "reference_models.engine.run"),
        **dict.fromkeys(("check_new_run", "is_run", "read_log"), "reference_models.engine.folder"),
        "Training": "reference_models.engine.training",
        "check_data": "reference_models.data.specs",
        "sample_sequences": "reference_models.sampling.sequences",
        **dict.fromkeys(
            ("SEQUENCE_METRICS", "bleu", "nll_oracle", "nll_test", "self_bleu"),
            "reference_models.scoring.sequences",
        ),
        **dict.fromkeys(("interpolate", "latent_arithmetic"), "reference_models.sampling.interpolation"),
        **dict.fromkeys(("Sampler", "open_sampler"), "reference_models.sampling.sampler"),
        "sample": "reference_models.sampling.samples",
        **dict.fromkeys(("LabelDraws", "OverDraws", "label_draws"), "reference_models.scoring.label_draws"),
        **dict.fromkeys(("open_translator", "translate"), "reference_models.sampling.translate"),
        **dict.fromkeys(("Augmentation", "augment"), "reference_models.scoring.augmentation"),
        **dict.fromkeys(("CLASSIFIER_METRICS", "classification_error"), "reference_models.scoring.classification"),
        "TaskMetric": "reference_models.scoring.task_metric",
        **dict.fromkeys(("monitoring", "scorer"), "reference_models.scoring.periodic"),
        "ScoredRun": "reference_models.scoring.job",
        **dict.fromkeys(
            ("score_run", "score_seeds", "train_and_score", "train_and_score_seeds"),
            "reference_models.scoring.train_and_score",
        ),
        "PublishedComparison": "reference_models.scoring.published",
        "Scores": "reference_models.scoring.scores",
        **dict.fromkeys(("SeedsSummary", "summarize_seeds"), "reference_models.scoring.seeds"),
    }
)

__all__ = [
    "CLASSIFIER_METRICS",
    "GAN",
    "SEQUENCE_METRICS",
    "VARIANTS",
    "Augmentation",
    "Batch",
    "Callbacks",
    "Curve",
    "CurvePoint",
    "Data",
    "Diagnostics",
    "Finding",
    "Intervals",
    "LabelDraws",
    "Model",
    "ModelSummary",
    "OverDraws",
    "Player",
    "PublishedComparison",
    "Recipe",
    "Sampler",
    "ScoredRun",
    "Scores",
    "SeedsSummary",
    "SemiSupervised",
    "SequenceData",
    "SequenceModel",
    "Target",
    "TaskMetric",
    "Training",
    "TrainingPlan",
    "TrainingProgress",
    "Translator",
    "Variant",
    "augment",
    "bleu",
    "build_model",
    "check_data",
    "check_new_run",
    "classification_error",
    "find_variant",
    "interpolate",
    "is_run",
    "label_draws",
    "latent_arithmetic",
    "learning_rates",
    "make_plan",
    "model_class",
    "monitoring",
    "nll_oracle",
    "nll_test",
    "open_sampler",
    "open_translator",
    "parse_alarms",
    "read_curve",
    "read_log",
    "recipe_to_dict",
    "resume",
    "sample",
    "sample_sequences",
    "score_run",
    "score_seeds",
    "scorer",
    "self_bleu",
    "start",
    "summarize_model",
    "summarize_recipe",
    "summarize_seeds",
    "train",
    "train_and_score",
    "train_and_score_seeds",
    "translate",
]

__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    """The public names, whether they were used yet or not."""
    return sorted(__all__)
