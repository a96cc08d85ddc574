"""`ganeval train`: a reference GAN into a folder, from the beginning or from where it stopped."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from ganeval.errors import UsageError
from ganeval.extractors import find_extractor
from ganeval.sources import check_spec
from ganeval_cli.console import note, out
from ganeval_cli.options import EVERY_METRIC
from ganeval_cli.train_options import Command, Wanted, beside, planning, with_options

if TYPE_CHECKING:
    from reference_models.data.images import Images
    from reference_models.engine.diagnostics import Finding
    from reference_models.engine.loop import CallbackFactory, Callbacks, Intervals, Loop, Monitor, Progress
    from reference_models.engine.training import Training
    from reference_models.recipes import Recipe

# Shown beside the bar, where a line of the log has them.
_SHOWN = ("loss/", "score/", "images/s")
_SCORING = (
    click.option("--metrics", metavar="NAMES", default="fid", show_default=True, help="Of --score-every; or 'all'."),
    click.option("--extractor", metavar="NAME[:ARG]", default="inception", show_default=True, help="Of --score-every."),
    click.option(
        "--weights",
        type=click.Path(exists=True, path_type=Path),
        metavar="FILE",
        help="Of that extractor, instead of the published ones.",
    ),
    click.option("--real", metavar="SOURCE", help="What scores compare with.  [default: the training images]"),
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
        help="Reals never trained on, to notice overfitting.  [default: a data set's own test images]",
    ),
)


def scoring(command: Command) -> Command:
    """What is scored while training, and against what."""
    return with_options(command, _SCORING)


@click.command()
@planning
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="RUN", help="A new folder for the run.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Go on with a run instead.")
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

    RUN gets its settings, its log, pictures of samples and checkpoints. After Ctrl-C, or anything else that stops it,
    `--resume RUN` goes on, on a CPU bit for bit as if nothing had happened.
    """
    find_extractor(extractor)
    for spec in (real, held_out):
        if spec is not None:
            check_spec(spec)
    names = [name for name in metrics.replace(" ", "").split(",") if name]
    asked = EVERY_METRIC if names == [EVERY_METRIC] else names
    scored = {"real": real, "metrics": asked, "extractor": extractor, "weights": weights, "num_samples": num_samples}
    look = partial(_look, scored=scored, held_out=held_out, quiet=quiet)
    begin = _begin if resume is None else partial(go_on, resume)
    loop = begin(wanted, output, intervals, look)
    tell(loop, quiet=quiet)
    run(loop)
    out(run_summary(loop))


def _begin(wanted: Wanted, output: Path | None, intervals: Mapping[str, Any], look: "CallbackFactory") -> "Loop":
    from reference_models.engine.folder import Folder

    if output is None:
        raise UsageError("Say where the run goes with -o RUN, or which one goes on with --resume RUN.")
    plan = wanted.plan()
    Folder(output).check_free()
    from ganeval.devices import find_device
    from reference_models.engine.run import start

    plan = replace(plan, device=find_device(str(wanted.given.get("device", "auto"))))
    return start(plan, output, intervals=intervals_of(intervals), epochs=wanted.epochs, callbacks=look)


def go_on(
    run: Path,
    wanted: Wanted,
    output: Path | None,
    intervals: Mapping[str, Any],
    look: "CallbackFactory",
    *,
    may_be_done: bool = False,
) -> "Loop":
    """A run as it was left, with what was asked for; UsageError for what does not fit it."""
    if output is not None or wanted.epochs is not None:
        raise UsageError("--resume goes on in the run's own folder, to --steps; leave --output and --epochs out.")
    from ganeval.devices import find_device
    from reference_models.engine.resume import resume

    asked = dict(wanted.asked)
    if "device" in asked:
        asked["device"] = find_device(str(asked["device"]))
    if "data" in asked:
        check_spec(str(asked["data"]))
    steps = cast("int | None", wanted.given.get("steps"))
    more: dict[str, Any] = {"intervals": intervals_of(intervals), "callbacks": look}
    return resume(run, steps=steps, asked=asked, may_be_done=may_be_done, **more)


def tell(loop: "Loop", *, quiet: bool) -> None:
    """What is not as it was, of a run that goes on elsewhere."""
    for notice in () if quiet else loop.notices:
        note(f"warning: {notice}")


def intervals_of(said: Mapping[str, Any]) -> "Intervals":
    """How often what is done beside a training; UsageError for alarms that there are not."""
    from reference_models.engine.diagnostics import parse_alarms
    from reference_models.engine.loop import Intervals

    return Intervals(**{**said, "stop_on": parse_alarms(said["stop_on"])})


def _look(training: "Training", *, scored: Mapping[str, Any], held_out: str | None, quiet: bool) -> "Callbacks":
    """held_out: None for what the data set itself keeps from training, where it does."""
    from reference_models.engine.reading import read_held_out
    from reference_models.scoring.scores import held_out_of

    spec = held_out or held_out_of(training.plan.data)
    unseen = None if spec is None else read_held_out(spec, training)
    if unseen is not None and unseen.caveat is not None and not quiet:
        note(f"warning: {unseen.caveat}")
    return watching(training, scored=scored, held_out=unseen, quiet=quiet)


def watching(
    training: "Training", *, scored: Mapping[str, Any] | None, held_out: "Images | None", quiet: bool
) -> "Callbacks":
    """Who looks on at a training from the command line.

    scored: the arguments of `reference_models.scoring.periodic.scorer`; None for its `real` means the training data.
    """
    from reference_models.engine.loop import Callbacks, ignore_alarm
    from reference_models.engine.monitors import HeldOut, Spread
    from reference_models.scoring.periodic import scorer

    plan = training.plan
    monitors: list[Monitor] = [Spread()]
    if held_out is not None:
        monitors.append(HeldOut(held_out))
    return Callbacks(
        scorer=None
        if scored is None
        else scorer(**{**scored, "real": scored["real"] or training.images.about["name"], "seed": plan.seed}),
        monitors=monitors,
        warn=ignore_alarm if quiet else _warn,
        progress=_bar(quiet=quiet),
    )


def run(loop: "Loop") -> None:
    """Train to the end; after Ctrl-C, say how to go on."""
    try:
        loop.run()
    except KeyboardInterrupt as stopped:
        if stopped.args:
            note(str(stopped))
        raise


def run_summary(loop: "Loop") -> str:
    """Where the run is, how far it came, at which rates, and what the diagnostics say of it."""
    training, recipe = loop.training, loop.training.plan.recipe
    return (
        f"{loop.folder.root}: {recipe.variant} after {training.step} steps, {training.seen} images of "
        f"{training.images.data.resolution} x {training.images.data.resolution}\n"
        f"learning rate: {_rates(recipe, training.step)}\n{loop.diagnostics.verdict()}"
    )


def _rates(recipe: "Recipe", step: int) -> str:
    """The rate of each player, from its first step to its last."""
    from reference_models.recipes import rates

    first, last = rates(recipe, 0), rates(recipe, max(0, step - 1))
    return ", ".join(
        f"{player} {rate:.3g}" + ("" if rate == last[player] else f" to {last[player]:.3g}")
        for player, rate in first.items()
    )


def _warn(finding: "Finding") -> None:
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        note(f"warning: {finding}")


def _bar(*, quiet: bool) -> "Progress":
    """A bar of steps, on a terminal, with the numbers of the last line of the log."""

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
