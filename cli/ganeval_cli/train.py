"""`ganeval train`: train a reference GAN into a new folder, or resume a run."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganeval.errors import GanevalError, UsageError
from ganeval.extractors import find_extractor
from ganeval_cli.console import note, out
from ganeval_cli.io import LocalPath
from ganeval_cli.options import EVERY_METRIC, CommandFunction
from ganeval_cli.run import check_specs
from ganeval_cli.train_options import Wanted, beside, planning, with_options

if TYPE_CHECKING:
    from reference_models import Intervals, Recipe, Training, TrainingPlan, TrainingProgress

# Shown next to the progress bar, if a line of the log has them.
_SHOWN = ("loss/", "score/", "images/s")
_SCORING = (
    click.option(
        "--metrics", metavar="NAMES", default="fid", show_default=True, help="Metrics of --score-every, or 'all'."
    ),
    click.option(
        "--extractor", metavar="NAME[:ARG]", default="inception", show_default=True, help="Extractor of --score-every."
    ),
    click.option(
        "--weights",
        type=LocalPath(exists=True),
        metavar="FILE",
        help="A weights file for that extractor instead of the published one.",
    ),
    click.option("--real", metavar="SOURCE", help="Reals to score against.  [default: the training images]"),
    click.option(
        "--num-samples",
        type=click.IntRange(2),
        metavar="N",
        default=1000,
        show_default=True,
        help="Generated images per score.",
    ),
    click.option(
        "--held-out",
        metavar="SOURCE",
        help="Reals not to train on, to detect overfitting.  [default: a data set's own test images]",
    ),
)


def scoring(command: CommandFunction) -> CommandFunction:
    """The scores during training, and their reference."""
    return with_options(command, _SCORING)


@click.command()
@planning
@click.option("-o", "--output", type=LocalPath(), metavar="RUN", help="A new folder for the run.")
@click.option("--resume", type=LocalPath(), metavar="RUN", help="Continue this run instead.")
@beside
@scoring
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no warnings.")
def train(
    *,
    wanted: Wanted,
    output: Path | None,
    resume: Path | None,
    intervals: Mapping[str, Any],
    metrics: str,
    extractor: str,
    weights: Path | None,
    real: str | None,
    num_samples: int,
    held_out: str | None,
    quiet: bool,
) -> None:
    """Train a reference GAN.

    The folder RUN receives the settings, the log, pictures of samples and checkpoints. After Ctrl-C or any other
    interruption, `--resume RUN` continues it; on a CPU the result is the same bit for bit.
    """
    find_extractor(extractor)
    from reference_models import check_data

    check_specs(real)
    if held_out is not None:
        check_data(held_out)
    names = [name for name in metrics.replace(" ", "").split(",") if name]
    plan = None if resume is not None else _plan(wanted, output)
    from reference_models import monitoring, start
    from reference_models import resume as resume_run

    callbacks = monitoring(
        real=real,
        metrics=EVERY_METRIC if names == [EVERY_METRIC] else names,
        extractor=extractor,
        weights=weights,
        num_samples=num_samples,
        held_out=held_out,
        **observers(quiet=quiet),
    )
    if resume is not None:
        steps, asked = wanted.to_resume(output)
        loop = resume_run(resume, steps=steps, asked=asked, intervals=intervals_of(intervals), callbacks=callbacks)
    else:
        assert plan is not None
        assert output is not None
        loop = start(plan, output, intervals=intervals_of(intervals), epochs=wanted.epochs, callbacks=callbacks)
    for notice in () if quiet else loop.notices:
        note(f"warning: {notice}")
    with explained():
        loop.run()
    out(run_summary(loop.folder.root, loop.training, loop.diagnostics.verdict()))


def _plan(wanted: Wanted, output: Path | None) -> "TrainingPlan":
    """The plan of a new run, checked before torch is imported; UsageError for a folder that is taken."""
    from reference_models import check_new_run

    if output is None:
        raise UsageError("Give a folder for the run with -o RUN, or a run to continue with --resume RUN.")
    plan = wanted.plan()
    check_new_run(output)
    return plan


def intervals_of(said: Mapping[str, Any]) -> "Intervals":
    """The intervals of scores, samples and checkpoints, and the alarms to stop on; UsageError for an unknown alarm."""
    from reference_models import Intervals, parse_alarms

    return Intervals(**{**said, "stop_on": parse_alarms(said["stop_on"])})


def observers(*, quiet: bool) -> dict[str, Any]:
    """The keywords of a training that show it on the screen: notices, alarms, a progress bar."""

    def ignore(shown: object) -> None:
        """Nothing is shown."""

    return {
        "notify": ignore if quiet else note,
        "warn": ignore if quiet else _warn,
        "progress": _bar(quiet=quiet),
    }


@contextmanager
def explained() -> Iterator[None]:
    """Within this context, an error or Ctrl-C also shows its notes: how to continue."""
    try:
        yield
    except (GanevalError, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt) and error.args:
            note(str(error))
        for text in getattr(error, "__notes__", ()):
            note(text)
        raise


def run_summary(root: Path, training: "Training", verdict: str) -> str:
    """The run's folder, its number of steps, its learning rates, and the verdict of the diagnostics."""
    recipe = training.plan.recipe
    return (
        f"{root}: {recipe.variant} after {training.step} steps, {training.seen} {training.examples.what}\n"
        f"learning rate: {_rates(recipe, training.step)}\n{verdict}"
    )


def _rates(recipe: "Recipe", step: int) -> str:
    """The rate of each player, from its first step to its last."""
    from reference_models import learning_rates

    return ", ".join(
        f"{player} {first:.3g}" + ("" if first == last else f" to {last:.3g}")
        for player, (first, last) in learning_rates(recipe, step).items()
    )


def _warn(finding: object) -> None:
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        note(f"warning: {finding}")


def _bar(*, quiet: bool) -> "TrainingProgress":
    """A progress bar, on a terminal, with the numbers of the last line of the log."""

    @contextmanager
    def bar(done: int, total: int) -> "Iterator[Callable[[Mapping[str, float]], object]]":
        from tqdm import tqdm

        hidden = True if quiet else None
        with tqdm(
            initial=done, total=total, desc="training", unit=" steps", leave=False, disable=hidden, dynamic_ncols=True
        ) as one:

            def show(line: Mapping[str, float]) -> None:
                shown = {name: value for name, value in line.items() if name.startswith(_SHOWN)}
                one.set_postfix({name: f"{value:.3g}" for name, value in shown.items()}, refresh=False)
                one.update(int(line["step"]) - one.n)

            yield show

    return bar
