"""Scores of a model during training: the extractor is loaded and the reals are read once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack

from ganeval.pipeline import (
    FeatureSet,
    MetricNames,
    MetricOptions,
    Selection,
    Setup,
    compute,
    extract_set,
    prepare,
    select_metrics,
)
from ganeval.progress import Progress, silent
from ganeval.results import Evaluation
from ganeval.settings import ReadingKeywords, Settings
from ganeval.sources import GeneratorSource
from reference_models.base import Model, SequenceModel, Translator
from reference_models.data.images import Images
from reference_models.engine.diagnostics import Finding
from reference_models.engine.loop import (
    CallbackFactory,
    Callbacks,
    Monitor,
    Scorer,
    TrainingProgress,
    hidden,
    ignore_alarm,
)
from reference_models.engine.monitors import HeldOut, SpreadMonitor
from reference_models.engine.reading import read_held_out
from reference_models.engine.training import Training
from reference_models.sampling.sampler import Sampler
from reference_models.scoring.dry_run import Counted, obstacles
from reference_models.scoring.job import ScoringOptions
from reference_models.scoring.scores import held_out_of
from reference_models.scoring.sequence_scores import find_sequence_metrics, sequence_scoring
from reference_models.scoring.translations import TranslationsJob

# The default metrics of a score during training.
IMAGE_METRICS = ("fid",)
# Metrics of a score during training, and the number of fakes.
TRAINING_METRICS, TRAINING_SAMPLES = ("fid", "recall", "coverage", "diversity"), 400


def scorer(
    real: object,
    *,
    metrics: MetricNames = ("fid",),
    num_samples: int,
    options: MetricOptions | None = None,
    progress: Progress = silent,
    **settings: Unpack[ReadingKeywords],
) -> Callable[[Model], Evaluation]:
    """Make a function that scores a model while it trains.

    The extractor is loaded and the reals are read once; the fakes are drawn anew, from the same latents each time, so
    that two scores differ only by the weights. Weights, training modes and random states are not changed.

    Args:
        real: The reals, as for `ganeval.evaluate`.
        metrics: Metrics, as for `ganeval.evaluate`.
        num_samples: Images to draw for each score.
        options: Options of metrics: {"prdc": {"k": 3}}.
        progress: Shows how the reals are read.
        **settings: The other fields of `ganeval.Settings`.

    Returns:
        A function of the model.
    """
    chosen = Settings.of({**settings, "num_samples": num_samples})
    asked = select_metrics(metrics, options)
    prepared: list[tuple[list[Selection], list[Setup], FeatureSet | None]] = []

    def score(model: Model) -> Evaluation:
        if not prepared:
            prepared.append(prepare(real, [Sampler(model)], asked, chosen)[:3])
        selections, setups, reals = prepared[0]
        fakes = GeneratorSource(Sampler(model), name=model.recipe.variant, num_samples=num_samples, seed=chosen.seed)
        real_set = None if reals is None else extract_set(reals, setups, selections, chosen, progress)[0]
        (fake_set,) = extract_set(FeatureSet(source=fakes), setups, selections, chosen, progress, real=False)
        return compute(selections[0], setups[0], real_set, fake_set, seed=chosen.seed)

    return score


def training_metrics(setup: Setup, images: Images) -> dict[str, Any]:
    """`metrics` and `num_samples` of a score during training: metrics with enough training images."""
    against = obstacles(select_metrics(TRAINING_METRICS), setup, Counted(len(images)), Counted(TRAINING_SAMPLES))
    return {"metrics": [name for name in TRAINING_METRICS if name not in against], "num_samples": TRAINING_SAMPLES}


def monitored(
    score: Scorer | None,
    held_out: Images | None,
    *,
    warn: Callable[[Finding], object] = ignore_alarm,
    progress: TrainingProgress = hidden,
) -> Callbacks:
    """Callbacks with two cheap monitors: the spread of the fakes, and the discriminator on held-out images.

    Args:
        score: Scores the model at `Intervals.score_every`; None for no scores.
        held_out: Real images that are not trained on; None to leave out their monitor.
        warn: Called with every alarm.
        progress: Shows how the training goes.
    """
    monitors: list[Monitor] = [SpreadMonitor()]
    if held_out is not None:
        monitors.append(HeldOut(held_out))
    return Callbacks(scorer=score, monitors=monitors, warn=warn, progress=progress)


def monitoring(
    *,
    real: str | None = None,
    metrics: MetricNames = IMAGE_METRICS,
    extractor: str = "inception",
    weights: Path | None = None,
    num_samples: int = 1000,
    held_out: str | None = None,
    notify: Callable[[str], object] = lambda text: None,  # noqa: ARG005
    warn: Callable[[Finding], object] = ignore_alarm,
    progress: TrainingProgress = hidden,
) -> CallbackFactory:
    """Make the callbacks of `ganeval train`: scores at `Intervals.score_every`, and the monitors.

    Args:
        real: Source that scores compare with; None for the training images.
        metrics: Names, or "all"; the first decides which checkpoint is the best.
        extractor: Extractor of the scores.
        weights: File of its weights, instead of the published ones.
        num_samples: Generated images per score.
        held_out: Source of reals that are not trained on; None for a data set's own test images.
        notify: Called with each notice, a sentence.
        warn: Called with every alarm.
        progress: Shows how the training goes.

    Returns:
        A function of the training, for the argument `callbacks` of `train`, `start` and `resume`.
    """

    def callbacks(training: Training) -> Callbacks:
        if isinstance(training.model, SequenceModel):
            # The default metric, for images, is replaced by the usual ones for sequences or pairs.
            names = None if tuple(metrics or ()) == IMAGE_METRICS else find_sequence_metrics(metrics)
            scoring = sequence_scoring(training, held_out=held_out, metrics=names, num_samples=num_samples)
            return Callbacks(scorer=scoring.score, warn=warn, progress=progress)
        if isinstance(training.model, Translator):
            of_pairs = None if tuple(metrics or ()) == IMAGE_METRICS else metrics
            options = ScoringOptions(metrics=of_pairs, held_out=held_out, num_samples=num_samples)
            job = TranslationsJob(training.plan, options, scored=True)
            return Callbacks(scorer=job.scorer(training), warn=warn, progress=progress)
        spec = held_out or held_out_of(training.plan.data)
        unseen = None if spec is None else read_held_out(spec, training)
        if unseen is not None and unseen.caveat is not None:
            notify(f"warning: {unseen.caveat}")
        score = scorer(
            real or training.images.about["name"],
            metrics=metrics,
            num_samples=num_samples,
            extractor=extractor,
            weights=weights,
            seed=training.plan.seed,
        )
        return monitored(score, unseen, warn=warn, progress=progress)

    return callbacks
