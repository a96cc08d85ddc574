"""Train a model and score it: live, next to references and published numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Unpack

from ganeval.autocast import Precision
from ganeval.devices import find_device
from ganeval.errors import UsageError
from ganeval.processes import processes
from reference_models.base import SequenceModel, Translator
from reference_models.data.specs import as_spec, check_data
from reference_models.engine.choices import check_length
from reference_models.engine.folder import Folder
from reference_models.engine.loop import Intervals
from reference_models.engine.plan import TrainingPlan, make_plan, plan_from, refuse_others
from reference_models.engine.resume import resume
from reference_models.engine.run import start
from reference_models.models import model_class
from reference_models.scoring.images import ImagesJob
from reference_models.scoring.job import Job, ScoredRun, ScoringKeywords, ScoringOptions
from reference_models.scoring.sequence_job import SequencesJob
from reference_models.scoring.translations import TranslationsJob

# Multiple of a quick preset's steps: the preset shows in seconds that a model learns; this shows how well.
LONGER = 4


def train_and_score(
    variant: str,
    output: str | Path | None = None,
    *,
    preset: str = "quick",
    data: str | Path | None = None,
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
    """Train a reference model into a new folder and score it live, next to scores to compare with.

    These are the noise floor for a model that makes images, trivial methods for one that translates them, and the data
    themselves for sequences. Settings under which no score can be computed are refused before training, as far as this
    can be known. The folder has the run's configuration, log and checkpoints, `result.json`, and samples; of a model
    that makes images also `neighbours.png` (fakes next to the nearest training images).

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
    check_length(chosen, epochs)
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
    check_data(plan.data)
    if plan.recipe.preset == "quick" and epochs is None and "steps" not in plan.chosen:
        plan = plan.choose({"steps": LONGER * plan.recipe.steps})
    folder = Path(output) if output is not None else _free(variant)
    return _train(plan, folder, intervals=intervals, epochs=epochs, scoring=scoring)


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
        UsageError: A setting, the recipe or the images differ from those of the run.
        CheckpointError: The checkpoint cannot be used.
        MetricError: No score can be computed.
    """
    config = processes().by_first(Folder(Path(run)).read_config)
    plan, device = plan_from(config["plan"]), (asked or {}).get("device")
    plan = replace(plan, device=find_device(str(device)) if device else str(config.get("device", plan.device)))
    job = _job(plan, scored=bool(intervals and intervals.score_every), scoring=scoring)
    loop = resume(Path(run), steps=steps, asked=asked, intervals=intervals, callbacks=job.callbacks, may_be_done=True)
    return job.finish(loop)


class TrainingKeywords(ScoringKeywords, total=False):
    """Keywords of `train_and_score` that all runs of `train_and_score_seeds` have in common.

    Attributes:
        preset: Recipe.
        data: Source of training images; None for those of the recipe.
        chosen: Settings that replace the preset's.
        epochs: Passes over all images, instead of steps.
        device: "auto", "cpu", "cuda", ...
        precision: "fp32" or "bf16".
        accumulate: Parts that a batch is processed in, to save memory.
        intervals: How often to log, draw, save and score.
    """

    preset: str
    data: str | Path | None
    chosen: Mapping[str, object] | None
    epochs: float | None
    device: str
    precision: Precision
    accumulate: int
    intervals: Intervals | None


def train_and_score_seeds(
    variant: str, output: str | Path | None = None, *, seeds: int, **training: Unpack[TrainingKeywords]
) -> Iterator[ScoredRun]:
    """Train a reference model from several seeds, one after the other, and score every run.

    The runs differ only in the seed, counted from 0, and show how much of a score is due to it. Each has a folder of
    its own, seed-0, seed-1, ..., with the `result.json` that `ganeval.compare_saved_runs` takes.

    Args:
        variant: Name of a model, one of `reference_models.VARIANTS`.
        output: New folder of the runs' folders; None for runs/VARIANT, or runs/VARIANT-2, ...
        seeds: Number of runs.
        **training: See `TrainingKeywords`. Random subsets of the training images are not among them: they would differ
            from seed to seed, and scores against different images cannot be compared.

    Returns:
        The runs, each when it has been scored. Errors are those of `train_and_score`.

    >>> import reference_models, tempfile
    >>> small = {"steps": 2, "resolution": 8, "settings.hidden": 16}
    >>> scoring = {"metrics": ["fid"], "extractor": "pixels:4", "num_samples": 20, "device": "cpu"}
    >>> folder = tempfile.mkdtemp() + "/runs"
    >>> runs = reference_models.train_and_score_seeds("gan", folder, seeds=2, chosen=small, **scoring)
    >>> [run.run.name for run in runs]
    ['seed-0', 'seed-1']
    """
    _check_seeds(seeds)
    root = Path(output) if output is not None else _free(variant)
    Folder(root).check_free()
    return (train_and_score(variant, seed_folder(root, seed), seed=seed, **training) for seed in range(seeds))


def score_seeds(
    root: str | Path,
    *,
    seeds: int,
    steps: int | None = None,
    asked: Mapping[str, object] | None = None,
    intervals: Intervals | None = None,
    **scoring: Unpack[ScoringKeywords],
) -> Iterator[ScoredRun]:
    """Score the runs of several seeds; those that were stopped are trained to their end, and missing ones trained.

    Args:
        root: The folder that holds seed-0, seed-1, ...
        seeds: Number of runs.
        steps: Number of steps at which the training ends; None for the planned one.
        asked: Settings, as for `score_run`.
        intervals: How often to log, draw, save and score.
        **scoring: See `ScoringKeywords`.

    Returns:
        The runs, each when it has been scored, as `train_and_score_seeds` does. Missing ones have the settings of the
        first one that exists.

    Raises:
        UsageError: The folder has no run of a seed, or what `score_run` raises it for.
        CheckpointError: A checkpoint cannot be used.
        MetricError: No score can be computed.
    """
    _check_seeds(seeds)
    folders = [seed_folder(Path(root), seed) for seed in range(seeds)]
    known = next((folder for folder in folders if _has_begun(folder)), None)
    if known is None:
        raise UsageError(
            f"{root} holds no run of a seed (seed-0, seed-1, ...) to resume; `ganeval train-and-score --seeds N -o "
            "FOLDER` begins such runs."
        )
    plan = plan_from(Folder(known).read_config()["plan"])
    plan = plan if steps is None else plan.choose({"steps": steps})
    refuse_others(plan, asked or {})
    plan = replace(
        plan,
        data=str((asked or {}).get("data") or plan.data),
        device=find_device(str((asked or {}).get("device") or plan.device)),
    )

    def scored(seed: int, folder: Path) -> ScoredRun:
        if _has_begun(folder):
            return score_run(folder, steps=steps, asked=asked, intervals=intervals, **scoring)
        return _train(replace(plan, seed=seed), folder, intervals=intervals, epochs=None, scoring=scoring)

    return (scored(seed, folder) for seed, folder in enumerate(folders))


def seed_folder(root: Path, seed: int) -> Path:
    """The folder of a seed's run."""
    return root / f"seed-{seed}"


def _has_begun(folder: Path) -> bool:
    """Whether a folder has the configuration of a run."""
    return Folder(folder).config.is_file()


def _check_seeds(seeds: int) -> None:
    """UsageError for less than one seed."""
    if seeds < 1:
        raise UsageError(f"seeds is {seeds}; it is the number of runs, at least 1.")


def _train(
    plan: TrainingPlan,
    folder: Path,
    *,
    intervals: Intervals | None,
    epochs: float | None,
    scoring: ScoringKeywords,
) -> ScoredRun:
    """Train a plan into a new folder, and score it."""
    job = _job(plan, scored=bool(intervals and intervals.score_every), scoring=scoring)
    loop = start(plan, folder, intervals=intervals, epochs=epochs, callbacks=job.callbacks)
    job.options.notify(f"training {plan.recipe.variant} ({plan.recipe.preset}) on {plan.data} into {folder}")
    return job.finish(loop)


def _job(plan: TrainingPlan, *, scored: bool, scoring: ScoringKeywords) -> Job:
    """The job that scores the plan's model. scored: whether also during training."""
    options = ScoringOptions(**scoring)
    if options.held_out is not None:
        options = replace(options, held_out=as_spec(options.held_out, what="held_out"))
    if issubclass(model_class(plan.recipe), Translator):
        return TranslationsJob(plan, options, scored=scored)
    if issubclass(model_class(plan.recipe), SequenceModel):
        return SequencesJob(plan, options, scored=scored)
    return ImagesJob(plan, options, scored=scored)


def _free(variant: str) -> Path:
    """The first of runs/dcgan, runs/dcgan-2, ... that does not exist, for every process."""
    names = (variant if number == 1 else f"{variant}-{number}" for number in count(1))
    free = (Path("runs") / name for name in names if not (Path("runs") / name).exists())
    return processes().by_first(lambda: next(free))
