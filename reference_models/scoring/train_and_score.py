"""Train a model and score it: live, next to the noise floor and to published numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TypedDict, Unpack

from ganeval.atomic import atomic_write
from ganeval.autocast import Precision
from ganeval.devices import find_device
from ganeval.errors import GanevalError
from ganeval.metrics import nearest_pairs
from ganeval.pipeline import Names, Options
from ganeval.progress import Progress, silent
from ganeval.protocols import DEFAULT
from ganeval.report_data import neighbour_grid
from ganeval.settings import Settings
from ganeval.sources import GeneratorSource, check_spec
from reference_models.data.images import Images
from reference_models.engine.diagnostics import Diagnostics, Finding
from reference_models.engine.folder import Folder
from reference_models.engine.loop import Callbacks, Intervals, Loop, TrainingProgress, hidden, ignore_alarm
from reference_models.engine.plan import TrainingPlan, make_plan, plan_from
from reference_models.engine.reading import read_held_out
from reference_models.engine.resume import resume
from reference_models.engine.run import start
from reference_models.engine.training import Training
from reference_models.sampling.sampler import Sampler
from reference_models.sampling.samples import write_samples
from reference_models.scoring.periodic import monitored, scorer, training_metrics
from reference_models.scoring.published import PublishedComparison, published
from reference_models.scoring.scores import Scores, Scoring, as_seen, held_out_of

# Multiple of a quick preset's steps: the preset shows in seconds that a model learns, this how well it learns.
LONGER = 4
# Images in samples.png.
SAMPLES = 100
# neighbours.png: a row per fake, with its nearest reals.
NEIGHBOUR_ROWS, NEIGHBOURS = 8, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRun:
    """A trained model with its scores.

    Attributes:
        run: The run's folder; `ckpt:RUN` is a source in every ganeval function.
        training: The training at its end: model, average, plan, step.
        diagnostics: Alarms of the training and of the final scores.
        scores: The model's scores and those of real images, the noise floor.
        published: Each published number of the recipe, compared with this run.
        pictures: Image files that were written, each with a description.
    """

    run: Path
    training: Training
    diagnostics: Diagnostics
    scores: Scores
    published: tuple[PublishedComparison, ...]
    pictures: Mapping[Path, str]


class ScoringKeywords(TypedDict, total=False):
    """Keywords of `train_and_score` and `score_run`: how a model is scored, and what is called on the way.

    Attributes:
        metrics: Names, "all", or None for what papers report.
        options: Options of metrics: {"prdc": {"k": 3}}.
        extractor: None for digits where the data are the embedded digits, else inception.
        protocol: Name of a protocol.
        weights: File of the extractor's weights, instead of the published ones.
        num_samples: Generated images to score; None for as many as the noise floor has.
        held_out: Source of reals that are not trained on; None for a data set's own test images.
        notify: Called with each notice, a sentence.
        warn: Called with every alarm.
        progress: Shows how sources are read.
        training_progress: Shows how the training goes.
    """

    metrics: Names
    options: Options | None
    extractor: str | None
    protocol: str
    weights: Path | None
    num_samples: int | None
    held_out: str | None
    notify: Callable[[str], object]
    warn: Callable[[Finding], object]
    progress: Progress
    training_progress: TrainingProgress


def train_and_score(
    variant: str,
    output: str | Path | None = None,
    *,
    preset: str = "quick",
    data: str | None = None,
    chosen: Mapping[str, object] | None = None,
    epochs: float | None = None,
    train_images: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "fp32",
    accumulate: int = 1,
    intervals: Intervals | None = None,
    **scoring: Unpack[ScoringKeywords],
) -> ScoredRun:
    """Train a reference model into a new folder and score it live, next to the noise floor.

    Settings under which no score can be computed are refused before the training, as far as that can be known. The
    folder has the run's configuration, log and checkpoints, `samples.png`, `neighbours.png` (fakes next to the nearest
    training images) and `result.json`.

    Args:
        variant: Name of a model, one of `reference_models.VARIANTS`.
        output: New folder of the run; None for runs/VARIANT, or runs/VARIANT-2, ...
        preset: Recipe. "quick" trains for four times its steps unless `chosen` or `epochs` say how long.
        data: Source of training images; None for those of the recipe.
        chosen: Settings that replace the preset's: {"steps": 500, "batch": 32, "lr": 1e-4, "settings.width": 32}.
        epochs: Passes over all images, instead of steps.
        train_images: Train on a seeded random subset of this many images.
        seed: Seed of weights, batches, latents and scores.
        device: "auto", "cpu", "cuda", ...
        precision: "fp32" or "bf16".
        accumulate: Parts that a batch is processed in, to save memory.
        intervals: How often to log, draw, save and score.
        **scoring: See `ScoringKeywords`.

    Returns:
        The run, its scores and its alarms.

    Raises:
        UsageError: A name, value or combination that cannot be used.
        SourceError: The images cannot be read.
        TrainingError: The training diverged, or was ended by an alarm in `intervals.stop_on`.
        MetricError: No score can be computed. The training is kept; `score_run` scores it again.

    >>> import reference_models, tempfile
    >>> run = reference_models.train_and_score(
    ...     "gan",
    ...     tempfile.mkdtemp() + "/run",
    ...     chosen={"steps": 2, "resolution": 8, "settings.hidden": 16},
    ...     metrics=["fid"],
    ...     extractor="pixels:4",
    ...     num_samples=20,
    ...     device="cpu",
    ... )
    >>> list(run.scores.evaluation.metrics), sorted(path.name for path in run.pictures)
    (['fid'], ['neighbours.png', 'samples.png'])
    """
    plan = make_plan(
        variant,
        preset=preset,
        data=data,
        chosen=chosen,
        train_images=train_images,
        seed=seed,
        device=find_device(device),
        precision=precision,
        accumulate=accumulate,
    )
    check_spec(plan.data)
    if plan.recipe.preset == "quick" and epochs is None and "steps" not in plan.chosen:
        plan = plan.choose(steps=LONGER * plan.recipe.steps)
    job = _Job(plan, scored=bool(intervals and intervals.score_every), **scoring)
    folder = Path(output) if output is not None else _free(variant)
    loop = start(plan, folder, intervals=intervals, epochs=epochs, callbacks=job.callbacks)
    job.notify(f"training {plan.recipe.variant} ({plan.recipe.preset}) on {plan.data} into {folder}")
    return job.finish(loop)


def score_run(
    run: str | Path,
    *,
    steps: int | None = None,
    asked: Mapping[str, object] | None = None,
    intervals: Intervals | None = None,
    **scoring: Unpack[ScoringKeywords],
) -> ScoredRun:
    """Score an existing run; one that was stopped is trained to its end first.

    Args:
        run: The run's folder.
        steps: Number of steps at which the training ends; None for the planned one.
        asked: Settings, by name, that must equal the run's; only "data" may be another place of the same images, and
            "device" another device.
        intervals: How often to log, draw, save and score, if it is trained further.
        **scoring: See `ScoringKeywords`.

    Returns:
        The run, its scores and its alarms, as `train_and_score` does.

    Raises:
        UsageError: A setting, the recipe or the images are not those of the run.
        CheckpointError: The checkpoint cannot be used.
        MetricError: No score can be computed.
    """
    config = Folder(Path(run)).read_config()
    plan, device = plan_from(config["plan"]), (asked or {}).get("device")
    plan = replace(plan, device=find_device(str(device)) if device else str(config.get("device", plan.device)))
    job = _Job(plan, scored=bool(intervals and intervals.score_every), **scoring)
    loop = resume(Path(run), steps=steps, asked=asked, intervals=intervals, callbacks=job.callbacks, may_be_done=True)
    return job.finish(loop)


class _Job:
    """How one model is scored: checked before the training, done after it."""

    def __init__(
        self,
        plan: TrainingPlan,
        *,
        scored: bool,
        metrics: Names = None,
        options: Options | None = None,
        extractor: str | None = None,
        protocol: str = DEFAULT,
        weights: Path | None = None,
        num_samples: int | None = None,
        held_out: str | None = None,
        notify: Callable[[str], object] = lambda text: None,  # noqa: ARG005
        warn: Callable[[Finding], object] = ignore_alarm,
        progress: Progress = silent,
        training_progress: TrainingProgress = hidden,
    ) -> None:
        """Raise UsageError, WeightsError and ExtractorError as the scoring would."""
        self.notify, self._warn, self._scored = notify, warn, scored
        self._progress, self._training_progress = progress, training_progress
        chosen = extractor or ("digits" if plan.data.startswith("digits:") else "inception")
        self._settings = Settings(
            extractor=chosen, protocol=protocol, weights=weights, device=plan.device, seed=plan.seed
        )
        self._held_out_spec = held_out or held_out_of(plan.data)
        if self._held_out_spec is not None:
            check_spec(self._held_out_spec)
        self._scoring = Scoring(
            settings=self._settings, num_samples=num_samples, progress=progress, metrics=metrics, options=options
        )
        self._setup = self._scoring.check()
        self._held_out: Images | None = None

    def callbacks(self, training: Training) -> Callbacks:
        """Check that there are enough images for the metrics; UsageError if not. Returns the training's callbacks."""
        if self._held_out_spec is not None:
            self._held_out = read_held_out(self._held_out_spec, training)
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
        return monitored(score, self._held_out, warn=self._warn, progress=self._training_progress)

    def finish(self, loop: Loop) -> ScoredRun:
        """Train to the end, then score, compare and draw."""
        for notice in loop.notices:
            self.notify(f"warning: {notice}")
        loop.run()
        try:
            return self._score(loop)
        except (GanevalError, KeyboardInterrupt) as error:
            root = loop.folder.root
            error.add_note(
                f"The training is done, and kept in {root}: `ganeval train-and-score --resume {root}` scores it again."
            )
            raise

    def _score(self, loop: Loop) -> ScoredRun:
        training, root = loop.training, loop.folder.root
        sampler = Sampler(training.best_model)
        scores = self._scoring.of(sampler, training.images, name=f"ckpt:{root}", held_out=self._held_out)
        loop.judge(scores.evaluation, scores.floor)
        with atomic_write(root / "result.json") as file:
            file.write((scores.evaluation.to_json() + "\n").encode())
        return ScoredRun(
            run=root,
            training=training,
            diagnostics=loop.diagnostics,
            scores=scores,
            published=tuple(published(training.plan, sampler, self._settings, progress=self._progress)),
            pictures=_write_pictures(sampler, training, scores, root),
        )


def _free(variant: str) -> Path:
    """The first of runs/dcgan, runs/dcgan-2, ... that does not exist."""
    names = (variant if number == 1 else f"{variant}-{number}" for number in count(1))
    return next(Path("runs") / name for name in names if not (Path("runs") / name).exists())


def _write_pictures(sampler: Sampler, training: Training, scores: Scores, root: Path) -> dict[Path, str]:
    """Write samples.png, and neighbours.png if there are features of reals and fakes; a description of each file."""
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
