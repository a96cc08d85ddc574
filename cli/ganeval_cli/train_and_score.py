"""`ganeval train-and-score`: a GAN from nothing to numbers that mean something, in one command."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganeval.errors import GanevalError
from ganeval.extractors import find_extractor
from ganeval.settings import Settings
from ganeval_cli.console import note, out
from ganeval_cli.io import check_writable, to_json, write_text
from ganeval_cli.options import METRIC_OPTION, METRICS, PRINTING, MetricOptions, OutputOptions, command
from ganeval_cli.preflight import Preflight
from ganeval_cli.render import warnings_of
from ganeval_cli.run import both_sides, check_specs, warn
from ganeval_cli.train import go_on, intervals_of, run, tell
from ganeval_cli.train_options import Wanted, beside, planning
from ganeval_cli.trial_render import scores_document, scores_text

if TYPE_CHECKING:
    from ganeval.pipeline import Names
    from reference_models.engine.loop import Loop
    from reference_models.engine.plan import TrainingPlan
    from reference_models.scoring.published import Comparison
    from reference_models.scoring.scores import Scores

# A quick preset shows in seconds that a model learns; this many times its steps show what it learns.
LONGER = 4
# Images in samples.png.
SAMPLES = 100
# Of neighbours.png: fakes, a row each, and the nearest reals of each.
NEIGHBOUR_ROWS, NEIGHBOURS = 8, 4


@command(METRICS, METRIC_OPTION, PRINTING)
@planning
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="RUN", help="A new folder.  [default: runs/VARIANT]"
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Score a run instead; one that was stopped goes on to its end first.",
)
@click.option(
    "--extractor", metavar="NAME[:ARG]", help="What scores images.  [default: digits for digits, else inception]"
)
@click.option("--protocol", metavar="NAME", default=Settings().protocol, show_default=True, help="Of the scores.")
@click.option(
    "--weights",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="Of the extractor, instead of the published ones.",
)
@click.option(
    "--num-samples",
    type=click.IntRange(min=2),
    metavar="N",
    help="Generated images to score.  [default: as many as the floor has]",
)
@click.option(
    "--held-out", metavar="SOURCE", help="Reals to keep from training.  [default: a data set's own test images]"
)
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE.html", help="Also write a page to look at.")
@beside
def train_and_score(
    *,
    wanted: Wanted,
    output: Path | None,
    resume: Path | None,
    metrics: "Names",
    options: MetricOptions,
    extractor: str | None,
    protocol: str,
    weights: Path | None,
    num_samples: int | None,
    held_out: str | None,
    report: Path | None,
    intervals: Mapping[str, Any],
    printing: OutputOptions,
) -> None:
    """Train a reference GAN and score it, sampler.

    The table has each score beside its floor, what real images score in the place of fakes. RUN also gets samples.png,
    neighbours.png (fakes beside the nearest images the model has seen) and result.json. What can be known to be
    impossible is refused before anything is trained; --resume RUN scores a run again, with other options.
    """
    _check_report(report)
    plan = _plan(wanted) if resume is None else _plan_of(resume, wanted)
    chosen = extractor or ("digits" if plan.data.startswith("digits:") else "inception")
    find_extractor(chosen)
    from ganeval_cli.progress import bars
    from reference_models.scoring.scores import Scoring, held_out_of

    settings = Settings(extractor=chosen, protocol=protocol, weights=weights, device=plan.device, seed=plan.seed)
    unseen = held_out or held_out_of(plan.data)
    check_specs(unseen)
    scoring = Scoring(
        settings=settings,
        num_samples=num_samples,
        progress=bars(quiet=printing.quiet),
        metrics=metrics,
        options=options,
    )
    preflight = Preflight(scoring, scoring.check(), unseen, scored=bool(intervals["score_every"]), quiet=printing.quiet)
    if resume is not None:
        loop = go_on(resume, wanted, output, intervals, preflight, may_be_done=True)
    else:
        loop = _begun(plan, output or _free(plan.recipe.variant), wanted, intervals, preflight)
    tell(loop, quiet=printing.quiet)
    run(loop)
    with _kept(loop):
        trial = _scored(loop, preflight)
        loop.judge(trial.evaluation, trial.floor)
        write_text(loop.folder.root / "result.json", trial.evaluation.to_json() + "\n")
        against = _published(loop, settings, printing)
        pictures = write_pictures(loop, trial)
        if report is not None:
            _write_report(report, loop, trial)
    document = scores_document(loop, trial, against)
    out(to_json(document) if printing.format == "json" else scores_text(loop, trial, against, pictures, printing))
    warn([*warnings_of([trial.evaluation]), *trial.warnings], printing)


@contextmanager
def _kept(loop: "Loop") -> Iterator[None]:
    """Inside, what stops the scoring says that the training is not lost."""
    try:
        yield
    except (GanevalError, KeyboardInterrupt):
        note(
            f"The training is done, and kept in {loop.folder.root}: `ganeval train-and-score --resume "
            f"{loop.folder.root}` scores it again."
        )
        raise


def _plan(wanted: Wanted) -> "TrainingPlan":
    """What will be trained, and where; a quick preset for longer than it would be, where nobody says how long."""
    from ganeval.devices import find_device

    plan = wanted.plan()
    plan = replace(plan, device=find_device(str(wanted.given.get("device", "auto"))))
    if plan.recipe.preset != "quick" or wanted.epochs is not None or "steps" in wanted.given:
        return plan
    return plan.choose(steps=LONGER * plan.recipe.steps)


def _plan_of(run: Path, wanted: Wanted) -> "TrainingPlan":
    """The plan of a run that is there, on the device that it goes on with."""
    from reference_models.engine.folder import Folder
    from reference_models.engine.plan import plan_from

    config = Folder(run).read_config()
    plan = plan_from(config["plan"])
    from ganeval.devices import find_device

    asked = wanted.given.get("device")
    return replace(plan, device=str(config.get("device", plan.device)) if asked is None else find_device(str(asked)))


def _free(variant: str) -> Path:
    """A folder for a run that is not there yet: runs/dcgan, runs/dcgan-2, ..."""
    runs = Path("runs")
    names = (variant if number == 1 else f"{variant}-{number}" for number in count(1))
    return next(runs / name for name in names if not (runs / name).exists())


def _begun(
    plan: "TrainingPlan", output: Path, wanted: Wanted, intervals: Mapping[str, Any], preflight: Preflight
) -> "Loop":
    from reference_models.engine.run import start

    chosen = intervals_of(intervals)
    loop = start(plan, output, intervals=chosen, epochs=wanted.epochs, callbacks=preflight)
    if not preflight.quiet:
        note(f"training {plan.recipe.variant} ({plan.recipe.preset}) on {plan.data} into {output}")
    return loop


def _scored(loop: "Loop", preflight: Preflight) -> "Scores":
    from reference_models.sampling.sampler import Sampler

    training, name = loop.training, f"ckpt:{loop.folder.root}"
    return preflight.scoring.of(Sampler(training.best_model), training.images, name=name, held_out=preflight.held_out)


def _published(loop: "Loop", settings: Settings, printing: OutputOptions) -> Sequence["Comparison"]:
    """The run and each published target of its recipe; a quick preset has none."""
    from ganeval_cli.progress import bars
    from reference_models.sampling.sampler import Sampler
    from reference_models.scoring.published import published

    training = loop.training
    sampler = Sampler(training.best_model)
    return published(training.plan, sampler, settings, progress=bars(quiet=printing.quiet))


def write_pictures(loop: "Loop", trial: "Scores") -> dict[Path, str]:
    """samples.png and neighbours.png, in the run's folder, as far as they can be had; what each shows."""
    from ganeval.metrics import nearest_pairs
    from ganeval.report_data import neighbour_grid
    from ganeval.sources import GeneratorSource
    from reference_models.sampling.sampler import Sampler
    from reference_models.sampling.samples import write_samples

    training, root = loop.training, loop.folder.root
    sampler, scale = Sampler(training.best_model), max(1, 64 // training.images.data.resolution)
    # As many of each, where there are some.
    classes = None if sampler.num_classes is None else range(sampler.num_classes)
    samples = GeneratorSource(sampler, name=str(root), num_samples=SAMPLES, seed=training.plan.seed, classes=classes)
    write_samples(samples, root / "samples.png", scale=scale)
    shown = {root / "samples.png": "samples"}
    if trial.has_neighbours:
        real, fake = both_sides(trial.evaluation)
        pairs = nearest_pairs(real.rows(), fake.rows(), min(NEIGHBOURS, len(real)))
        neighbour_grid(trial.evaluation, pairs, root / "neighbours.png", rows=NEIGHBOUR_ROWS)
        shown[root / "neighbours.png"] = "the fakes most like a training image, beside the nearest ones"
    return shown


def _check_report(path: Path | None) -> None:
    """UsageError and ResultError for a page that cannot be written, before anything is trained."""
    if path is not None:
        from ganeval.report import check_installed

        check_installed()
        check_writable(path)


def _write_report(path: Path, loop: "Loop", trial: "Scores") -> None:
    """The scores with their floor, pictures, and the curves of the training, on one page."""
    from ganeval.report import ReportInputs, Subject, read_run, render
    from ganeval.report_data import build_report_data

    root = loop.folder.root
    subject = Subject(str(root), trial.evaluation, build_report_data(trial.evaluation))
    write_text(path, render(ReportInputs([subject], floor=trial.floor, runs=[read_run(root)])))
