"""`ganeval fid`, `is`, `kid`, `prdc` and `score`: one measurement, asked for in five ways."""

from pathlib import Path
from typing import Any

import click

from ganeval_cli.answering import Request
from ganeval_cli.gating import Gate, checking
from ganeval_cli.options import (
    Choices,
    OptionsAsked,
    View,
    measuring,
    metric_options,
    options_as_in,
    saving,
    showing,
    with_flags,
)
from ganeval_cli.report_options import ReportOptions, with_report_options


@click.command()
@click.argument("real")
@click.argument("fake")
@options_as_in("fid.ddof=0")
@measuring
@showing
@saving
def fid(*, real: str, fake: str, options: OptionsAsked, choices: Choices, view: View, output: Path | None) -> None:
    """Fréchet inception distance of FAKE from REAL.

    REAL and FAKE are folders, .zip, .tar, .npz, .npy, data sets (digits:train), live generators (py:file.py:name), or
    features (features:file.npy); REAL may be a statistics file made by `ganeval stats`.
    """
    Request(real=real, fake=fake, metrics=("fid",), options=options, choices=choices, view=view, output=output).answer()


@click.command("is")
@click.argument("fake")
@click.option(
    "--splits", type=click.IntRange(min=1), metavar="N", help="Parts that are scored apart.  [default: the protocol's]"
)
@options_as_in("is.shuffle_seed=null")
@measuring
@showing
@saving
def inception_score(
    *, fake: str, splits: int | None, options: OptionsAsked, choices: Choices, view: View, output: Path | None
) -> None:
    """Inception score of FAKE.

    FAKE is a folder, .zip, .tar, .npz, .npy, a data set (digits:test), or a live generator (py:file.py:name).
    """
    asked = with_flags(options, "is", splits=splits)
    Request(real=None, fake=fake, metrics=("is",), options=asked, choices=choices, view=view, output=output).answer()


@click.command()
@click.argument("real")
@click.argument("fake")
@click.option(
    "--subsets", type=click.IntRange(min=1), metavar="N", help="Mean over N random subsets, as in papers (100)."
)
@click.option("--subset-size", type=click.IntRange(min=2), metavar="N", help="Images a subset (1000 in papers).")
@options_as_in("kid.seed=1")
@measuring
@showing
@saving
def kid(
    *,
    real: str,
    fake: str,
    subsets: int | None,
    subset_size: int | None,
    options: OptionsAsked,
    choices: Choices,
    view: View,
    output: Path | None,
) -> None:
    """Kernel inception distance of FAKE from REAL.

    It is unbiased at any number of images, so it may be below zero; all pairs of images are used unless subsets are
    asked for. REAL and FAKE are written as for `ganeval fid`; stored statistics will not do, the images are needed.
    """
    asked = with_flags(options, "kid", subsets=subsets, subset_size=subset_size)
    Request(real=real, fake=fake, metrics=("kid",), options=asked, choices=choices, view=view, output=output).answer()


@click.command()
@click.argument("real")
@click.argument("fake")
@click.option("--k", type=click.IntRange(min=1), metavar="N", help="The neighbour that balls reach to.  [default: 5]")
@click.option(
    "--ties",
    type=click.Choice(("strict", "inclusive")),
    help="Whether a ball's surface belongs to it: not in prdc and StudioGAN, it does in torch-fidelity and ADM.  "
    "[default: strict]",
)
@options_as_in("prdc.seed=1")
@measuring
@showing
@saving
def prdc(
    *,
    real: str,
    fake: str,
    k: int | None,
    ties: str | None,
    options: OptionsAsked,
    choices: Choices,
    view: View,
    output: Path | None,
) -> None:
    """Precision, recall, density and coverage of FAKE.

    How many fakes lie among the reals, and how many reals among the fakes, by balls that reach to each image's k-th
    neighbour. REAL and FAKE are written as for `ganeval fid`.
    """
    metrics = ("precision", "recall", "density", "coverage")
    asked = with_flags(options, "prdc", k=k, ties=ties)
    Request(real=real, fake=fake, metrics=metrics, options=asked, choices=choices, view=view, output=output).answer()


@click.command()
@click.argument("real")
@click.argument("fake")
@metric_options
@measuring
@showing
@saving
@with_report_options
@checking
def score(
    *,
    real: str,
    fake: str,
    asked: dict[str, Any],
    choices: Choices,
    view: View,
    output: Path | None,
    report_options: ReportOptions,
    gate: Gate | None,
) -> None:
    """Several metrics of FAKE against REAL, from one reading.

    REAL and FAKE are written as for `ganeval fid`. A metric that was not asked for by name, and that these images do
    not allow, is left out with a warning.
    """
    Request(
        real=real,
        fake=fake,
        **asked,
        choices=choices,
        view=view,
        output=output,
        report_options=report_options,
        gate=gate,
    ).answer()
