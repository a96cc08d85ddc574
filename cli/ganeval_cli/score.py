"""`ganeval fid`, `ganeval is`, `ganeval score`: one measurement, asked for in three ways."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval.sources import check_spec
from ganeval_cli.console import note, out
from ganeval_cli.options import Choices, View, measuring, saving, showing
from ganeval_cli.render import evaluation_text, protocols_text, warnings_of
from ganeval_cli.saving import check_writable, to_json, write_text

if TYPE_CHECKING:
    from ganeval.results import Evaluation


@click.command()
@click.argument("real")
@click.argument("fake")
@measuring
@showing
@saving
def fid(*, real: str, fake: str, choices: Choices, view: View, output: Path | None) -> None:
    """Fréchet inception distance of FAKE from REAL.

    REAL and FAKE are folders, .zip, .tar, .npz, .npy, data sets (digits:train), or live generators
    (py:file.py:name); REAL may be a statistics file made by `ganeval stats`.
    """
    _score(real, fake, ("fid",), choices=choices, view=view, output=output)


@click.command("is")
@click.argument("fake")
@measuring
@showing
@saving
def inception_score(*, fake: str, choices: Choices, view: View, output: Path | None) -> None:
    """Inception score of FAKE.

    FAKE is a folder, .zip, .tar, .npz, .npy, a data set (digits:test), or a live generator (py:file.py:name).
    """
    _score(None, fake, ("is",), choices=choices, view=view, output=output)


@click.command()
@click.argument("real")
@click.argument("fake")
@measuring
@showing
@saving
def kid(*, real: str, fake: str, choices: Choices, view: View, output: Path | None) -> None:
    """Kernel inception distance of FAKE from REAL.

    It is unbiased at any number of images, so it may be below zero. REAL and FAKE are written as for `ganeval fid`;
    stored statistics will not do, the images are needed.
    """
    _score(real, fake, ("kid",), choices=choices, view=view, output=output)


@click.command()
@click.argument("real")
@click.argument("fake")
@click.option(
    "--metrics",
    metavar="NAMES",
    help="Separated by commas; `ganeval metrics` lists them.  [default: fid,is, where the extractor has classes]",
)
@measuring
@showing
@saving
def score(*, real: str, fake: str, metrics: str | None, choices: Choices, view: View, output: Path | None) -> None:
    """Several metrics of FAKE against REAL, from one reading.

    REAL and FAKE are written as for `ganeval fid`.
    """
    names = None if metrics is None else [name for name in metrics.replace(" ", "").split(",") if name]
    _score(real, fake, names, choices=choices, view=view, output=output)


def _score(
    real: str | None, fake: str, metrics: Sequence[str] | None, *, choices: Choices, view: View, output: Path | None
) -> None:
    for spec in (real, fake):
        if spec is not None:
            check_spec(spec)
    if output is not None:
        check_writable(output)
    evaluations = _evaluations(real, fake, metrics, choices, quiet=view.quiet)
    document = _document(evaluations, choices)
    if output is not None:
        write_text(output, to_json(document) + "\n")
    out(to_json(document) if view.format == "json" else _text(evaluations, choices, view))
    if not view.quiet:
        for warning in warnings_of(evaluations.values()):
            note(f"warning: {warning}")


def _evaluations(
    real: str | None, fake: str, metrics: Sequence[str] | None, choices: Choices, *, quiet: bool
) -> Mapping[str, "Evaluation"]:
    """An evaluation a protocol."""
    from ganeval.evaluation import evaluate, evaluate_protocols
    from ganeval_cli.progress import bars

    progress, settings = bars(quiet=quiet), asdict(choices.settings)
    if choices.every_protocol:
        return evaluate_protocols(real, fake, metrics=metrics, progress=progress, **settings)
    return {choices.settings.protocol: evaluate(real, fake, metrics=metrics, progress=progress, **settings)}


def _document(evaluations: Mapping[str, "Evaluation"], choices: Choices) -> Mapping[str, object]:
    if choices.every_protocol:
        from ganeval.results import SCHEMA

        return {"schema": SCHEMA, "protocols": {name: one.to_dict() for name, one in evaluations.items()}}
    return next(iter(evaluations.values())).to_dict()


def _text(evaluations: Mapping[str, "Evaluation"], choices: Choices, view: View) -> str:
    if choices.every_protocol:
        return protocols_text(evaluations, default=choices.settings.protocol, verbose=view.verbose)
    return evaluation_text(next(iter(evaluations.values())), verbose=view.verbose)
