"""`ganeval train-and-score`: train a GAN and score it next to its noise floor, in one command."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganeval.errors import UsageError
from ganeval.extractors import find_extractor
from ganeval.results import warnings_of
from ganeval.settings import MetricOptions, Settings
from ganeval_cli.console import note, out
from ganeval_cli.io import LocalPath, check_page, to_json
from ganeval_cli.options import METRIC_OPTION, METRICS, PRINTING, OutputOptions, command
from ganeval_cli.progress import bars
from ganeval_cli.run import warn
from ganeval_cli.scores_render import scores_text
from ganeval_cli.seeds import seeds_text
from ganeval_cli.train import explained, intervals_of, observers, run_summary
from ganeval_cli.train_options import Wanted, beside, planning

if TYPE_CHECKING:
    from ganeval.pipeline import MetricNames
    from reference_models import ScoredRun


@command(METRICS, METRIC_OPTION, PRINTING)
@planning
@click.option("-o", "--output", type=LocalPath(), metavar="RUN", help="A new folder.  [default: runs/VARIANT]")
@click.option(
    "--resume",
    type=LocalPath(),
    metavar="RUN",
    help="Score this run instead; a stopped one is first trained to its end.",
)
@click.option(
    "--extractor",
    metavar="NAME[:ARG]",
    help="Extractor of the scores.  [default: that of the protocol, mostly inception; digits for digits]",
)
@click.option(
    "--protocol", metavar="NAME", default=Settings().protocol, show_default=True, help="Protocol of the scores."
)
@click.option(
    "--weights",
    type=LocalPath(exists=True),
    metavar="FILE",
    help="A weights file for the extractor instead of the published one.",
)
@click.option(
    "--num-samples",
    type=click.IntRange(min=2),
    metavar="N",
    help="Generated images to score.  [default: the noise floor's number]",
)
@click.option("--held-out", metavar="SOURCE", help="Reals not to train on.  [default: a data set's own test images]")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train N runs, from the seeds 0 to N-1, into seed-0, seed-1, ... of RUN, and show how their scores spread.",
)
@click.option("--report", type=LocalPath(), metavar="FILE.html", help="Also write a page to look at.")
@beside
def train_and_score(
    *,
    wanted: Wanted,
    output: Path | None,
    resume: Path | None,
    metrics: "MetricNames",
    options: MetricOptions,
    extractor: str | None,
    protocol: str,
    weights: Path | None,
    num_samples: int | None,
    held_out: str | None,
    seeds: int | None,
    report: Path | None,
    intervals: Mapping[str, Any],
    printing: OutputOptions,
) -> None:
    """Train a reference GAN and score it, live.

    The table shows each score next to its noise floor: what real images score in the place of the fakes. RUN also
    receives samples.png, neighbours.png (fakes next to their nearest training images) and result.json. Options that
    cannot work are refused before training; --resume RUN scores a run again, with other options.

    --seeds shows what another training of the same model would score; `ganeval compare --runs` compares methods in this
    way.
    """
    _check_report(report)
    _check_seeds(seeds, wanted, resume)
    if extractor is not None:
        find_extractor(extractor)
    if held_out is not None:
        from reference_models import check_data

        check_data(held_out)
    if resume is None:
        wanted.plan()  # Checked before torch is imported.
    from reference_models import score_run
    from reference_models import train_and_score as train_and_score_model

    shown = observers(quiet=printing.quiet)
    scoring = {
        **{"metrics": metrics, "options": options, "extractor": extractor, "protocol": protocol, "weights": weights},
        **{"num_samples": num_samples, "held_out": held_out, "progress": bars(quiet=printing.quiet)},
        **{"notify": shown["notify"], "warn": shown["warn"], "training_progress": shown["progress"]},
    }
    if seeds is not None:
        with explained():
            runs = _of_seeds(wanted, seeds, output=output, resume=resume, intervals=intervals, scoring=scoring)
            _show_seeds(runs, printing, report)
        return
    with explained():
        if resume is not None:
            steps, asked = wanted.to_resume(output)
            found = score_run(resume, steps=steps, asked=asked, intervals=intervals_of(intervals), **scoring)
        else:
            variant, given = wanted.to_start()
            found = train_and_score_model(
                variant, output, epochs=wanted.epochs, intervals=intervals_of(intervals), **given, **scoring
            )
    if report is not None:
        from ganeval.report import write_page

        write_page(found.report_inputs(), report)
    out(to_json(found.to_dict()) if printing.format == "json" else scores_text(found, printing))
    warn([*warnings_of([found.scores.evaluation]), *found.scores.warnings], printing)


def _check_seeds(seeds: int | None, wanted: Wanted, resume: Path | None) -> None:
    """UsageError for options that do not fit runs of several seeds, and for such runs without --seeds."""
    if seeds is None:
        if resume is not None and (resume / "seed-0").is_dir() and not (resume / "config.json").exists():
            raise UsageError(f"{resume} holds runs of several seeds; give their number with --seeds N.")
        return
    if "seed" in wanted.given:
        raise UsageError(f"--seeds {seeds} trains from the seeds 0 to {seeds - 1}; leave --seed out.")
    if "train_images" in wanted.given:
        raise UsageError(
            "--train-images takes other images for every seed, and scores against different images cannot be compared: "
            "leave it out, or give --data a folder with the images to learn from."
        )


def _of_seeds(
    wanted: Wanted,
    seeds: int,
    *,
    output: Path | None,
    resume: Path | None,
    intervals: Mapping[str, Any],
    scoring: dict[str, Any],
) -> "Iterator[ScoredRun]":
    """The scored runs of several seeds, each as soon as it is done."""
    from reference_models import score_seeds, train_and_score_seeds

    often = intervals_of(intervals)
    if resume is not None:
        steps, asked = wanted.to_resume(output)
        return score_seeds(resume, seeds=seeds, steps=steps, asked=asked, intervals=often, **scoring)
    variant, given = wanted.to_start()
    return train_and_score_seeds(
        variant, output, seeds=seeds, epochs=wanted.epochs, intervals=often, **given, **scoring
    )


def _show_seeds(runs: "Iterator[ScoredRun]", printing: OutputOptions, report: Path | None) -> None:
    """Train and score runs, and print the spread of scores; report: also write a page."""
    from ganeval.report import write_page
    from reference_models import summarize_seeds

    def tell(found: "ScoredRun") -> None:
        if not printing.quiet:
            note(run_summary(found.run, found.training, found.diagnostics.verdict()))

    found = summarize_seeds(runs, report=report is not None, each=tell)
    if report is not None and found.report is not None:
        write_page(found.report, report)
    out(to_json(found.to_dict()) if printing.format == "json" else seeds_text(found))
    warn(found.warnings, printing)


def _check_report(path: Path | None) -> None:
    """UsageError and ResultError for a page that cannot be written, before anything is trained."""
    if path is not None:
        from ganeval.report import check_installed

        check_installed()
        check_page(path)
