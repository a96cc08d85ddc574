"""Score a model that makes images: live, next to the noise floor and published numbers."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from ganeval.errors import UsageError
from ganeval.metrics import nearest_pairs
from ganeval.pipeline import MetricNames
from ganeval.protocols import find_protocol
from ganeval.report import ReportData
from ganeval.report_data import build_report_data, neighbour_grid
from ganeval.results import Evaluation
from ganeval.settings import Settings
from ganeval.sources import GeneratorSource, check_spec
from reference_models.base import SemiSupervised
from reference_models.data.images import Images
from reference_models.engine.loop import Callbacks, Loop
from reference_models.engine.plan import TrainingPlan, check_kind
from reference_models.engine.reading import read_held_out
from reference_models.engine.training import Training
from reference_models.models import model_class
from reference_models.sampling.sampler import Sampler
from reference_models.sampling.samples import write_samples
from reference_models.scoring.classification import CLASSIFIER_METRICS
from reference_models.scoring.job import Job, ScoredRun, ScoringOptions, write_result
from reference_models.scoring.periodic import monitored, scorer, training_metrics
from reference_models.scoring.published import published
from reference_models.scoring.rivals import IN_WORDS, with_test_error
from reference_models.scoring.scores import Scores, Scoring, as_seen, held_out_of

# Number of images in samples.png.
SAMPLES = 100
# neighbours.png: a row per fake, with its nearest reals.
NEIGHBOUR_ROWS, NEIGHBOURS = 8, 4


class ImagesJob(Job):
    """Scores a model that makes images. scored: whether it is also scored during training."""

    def __init__(self, plan: TrainingPlan, options: ScoringOptions, *, scored: bool) -> None:
        """Raises UsageError, WeightsError and ExtractorError as the scoring would."""
        super().__init__(options)
        self._scored = scored
        of_digits = _are_digits(plan.data) and not find_protocol(options.protocol).prescribes
        chosen = options.extractor or ("digits" if of_digits else None)
        self._settings = Settings(
            extractor=chosen,
            protocol=options.protocol,
            weights=options.weights,
            device=plan.device,
            seed=plan.seed,
        )
        metrics, self._classifies, self._named = _split(plan, options.metrics)
        self._held_out_spec = options.held_out or held_out_of(plan.data)
        if self._held_out_spec is not None:
            check_kind(plan.recipe, self._held_out_spec)
            check_spec(self._held_out_spec)
        self._scoring = Scoring(
            settings=self._settings,
            num_samples=options.num_samples,
            progress=options.progress,
            metrics=metrics,
            options=options.options,
        )
        self._setup = self._scoring.check()
        self._held_out: Images | None = None

    def callbacks(self, training: Training) -> Callbacks:
        """Check that there are enough images for the metrics; UsageError if not. Returns the training's callbacks."""
        if self._held_out_spec is not None:
            self._held_out = read_held_out(self._held_out_spec, training)
        if self._classifies and (self._held_out is None or self._held_out.labels is None):
            if self._named:
                raise UsageError(
                    f"'{self._named}' cannot be measured here: no images with classes are held out from "
                    f"{training.plan.data}; name some with --held-out, or choose other metrics."
                )
            self._classifies = False
        self._scoring.check_sets(self._setup, Sampler(training.best_model), training.images, self._held_out)
        score = None
        if self._scored:
            score = scorer(
                as_seen(training.images),
                extractor=self._settings.extractor,
                protocol=self._settings.protocol,
                weights=self._settings.weights,
                seed=training.plan.seed,
                **training_metrics(self._setup, training.images),
            )
        options = self.options
        return monitored(score, self._held_out, warn=options.warn, progress=options.training_progress)

    def score(self, loop: Loop) -> ScoredRun:
        """Score against the training images, next to the noise floor."""
        training, root = loop.training, loop.folder.root
        sampler = Sampler(training.best_model)
        scores = self._scoring.of(sampler, training.images, name=f"ckpt:{root}", held_out=self._held_out)
        loop.check_scores(scores.evaluation, scores.floor)
        if self._classifies:
            scores = self._with_classifier(scores, loop)
        write_result(scores.evaluation, root)
        return ScoredRun(
            run=root,
            training=training,
            diagnostics=loop.diagnostics,
            scores=scores,
            published=tuple(published(training.plan, sampler, self._settings, progress=self.options.progress)),
            pictures=_write_pictures(sampler, training, scores, root),
            report_data=partial(_report_data, scores.evaluation),
        )

    def _with_classifier(self, scores: Scores, loop: Loop) -> Scores:
        """Add the errors of the model's classifier and of its baselines to the scores."""
        assert self._held_out is not None
        evaluation, rivals = with_test_error(scores.evaluation, loop, self._held_out, self.options)
        return replace(
            scores,
            evaluation=evaluation,
            references={**scores.references, **rivals},
            references_of={**scores.references_of, **{name: IN_WORDS[name] for name in rivals}},
        )


def _split(plan: TrainingPlan, metrics: MetricNames) -> tuple[MetricNames, bool, str]:
    """The metrics of images; whether classifier metrics are computed, too; and the named classifier metric, or "".

    They are computed for a model that classifies if one was named, or no metrics were. UsageError for a named one that
    the model does not have, or without any metric of images.
    """
    classifies, given = issubclass(model_class(plan.recipe), SemiSupervised), cast(object, metrics)
    # Values that are not a list are refused together with the metrics of images.
    if metrics is None or isinstance(metrics, str) or not isinstance(given, Sequence):
        return metrics, classifies, ""
    named = next((str(name) for name in metrics if str(name) in CLASSIFIER_METRICS), "")
    others = [name for name in metrics if str(name) not in CLASSIFIER_METRICS]
    if named and not classifies:
        raise UsageError(
            f"'{named}' needs a model that classifies images, and {plan.recipe.variant} does not; choose other "
            "metrics, or a variant that does, such as ssgan."
        )
    if named and not others:
        raise UsageError(
            f"'{named}' is measured together with metrics of the images that the model makes; name one of these, too, "
            f"as in fid,{named}."
        )
    return others, bool(named), named


def _report_data(evaluation: Evaluation) -> ReportData:
    """The report data of the run, with the titles of classifier metrics."""
    found = build_report_data(evaluation)
    own = {name: row.title for name, row in CLASSIFIER_METRICS.items() if name in evaluation}
    return replace(found, titles={**found.titles, **own})


def _write_pictures(sampler: Sampler, training: Training, scores: Scores, root: Path) -> dict[Path, str]:
    """Write samples.png, and neighbours.png if there are features of reals and fakes; return a description of each."""
    classes = None if sampler.num_classes is None else range(sampler.num_classes)
    samples = GeneratorSource(sampler, name=str(root), num_samples=SAMPLES, seed=training.plan.seed, classes=classes)
    write_samples(samples, root / "samples.png", scale=max(1, 64 // training.images.data.resolution))
    shown = {root / "samples.png": "samples"}
    real, fake = scores.evaluation.real, scores.evaluation.fake
    if scores.has_neighbours and real is not None and fake is not None:
        pairs = nearest_pairs(real.rows(), fake.rows(), min(NEIGHBOURS, len(real)))
        neighbour_grid(scores.evaluation, pairs, root / "neighbours.png", rows=NEIGHBOUR_ROWS)
        shown[root / "neighbours.png"] = "the fakes closest to a training image, with their nearest training images"
    return shown


def _are_digits(data: str) -> bool:
    """Whether a source is the embedded digits, possibly degraded."""
    return data.split(":")[-2:-1] == ["digits"]
