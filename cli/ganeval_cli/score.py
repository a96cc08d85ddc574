"""`ganeval fid`, `is`, `kid`, `prdc` and `score`: one measurement, asked for in five ways."""

from pathlib import Path
from typing import Any

import click

from ganeval_cli.answering import Request
from ganeval_cli.gating import Gate, checking
from ganeval_cli.options import Choices, View, measuring, metric_options, saving, showing
from ganeval_cli.showcase import Showcase, showcasing


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
    Request(real=real, fake=fake, metrics=("fid",), choices=choices, view=view, output=output).answer()


@click.command("is")
@click.argument("fake")
@measuring
@showing
@saving
def inception_score(*, fake: str, choices: Choices, view: View, output: Path | None) -> None:
    """Inception score of FAKE.

    FAKE is a folder, .zip, .tar, .npz, .npy, a data set (digits:test), or a live generator (py:file.py:name).
    """
    Request(real=None, fake=fake, metrics=("is",), choices=choices, view=view, output=output).answer()


@click.command()
@click.argument("real")
@click.argument("fake")
@click.option(
    "--subsets", type=click.IntRange(min=1), metavar="N", help="Mean over N random subsets, as in papers (100)."
)
@click.option("--subset-size", type=click.IntRange(min=2), metavar="N", help="Images a subset (1000 in papers).")
@measuring
@showing
@saving
def kid(
    *,
    real: str,
    fake: str,
    subsets: int | None,
    subset_size: int | None,
    choices: Choices,
    view: View,
    output: Path | None,
) -> None:
    """Kernel inception distance of FAKE from REAL.

    It is unbiased at any number of images, so it may be below zero; all pairs of images are used unless subsets are
    asked for. REAL and FAKE are written as for `ganeval fid`; stored statistics will not do, the images are needed.
    """
    options: dict[str, dict[str, object]] = {"kid": {"subsets": subsets, "subset_size": subset_size}}
    Request(real=real, fake=fake, metrics=("kid",), options=options, choices=choices, view=view, output=output).answer()


@click.command()
@click.argument("real")
@click.argument("fake")
@click.option(
    "--k", type=click.IntRange(min=1), default=5, show_default=True, help="The neighbour that balls reach to."
)
@click.option(
    "--ties",
    type=click.Choice(("strict", "inclusive")),
    default="strict",
    show_default=True,
    help="Whether a ball's surface belongs to it: not in prdc and StudioGAN, it does in torch-fidelity and ADM.",
)
@measuring
@showing
@saving
def prdc(*, real: str, fake: str, k: int, ties: str, choices: Choices, view: View, output: Path | None) -> None:
    """Precision, recall, density and coverage of FAKE.

    How many fakes lie among the reals, and how many reals among the fakes, by balls that reach to each image's k-th
    neighbour. REAL and FAKE are written as for `ganeval fid`.
    """
    metrics = ("precision", "recall", "density", "coverage")
    options: dict[str, dict[str, object]] = {"prdc": {"k": k, "ties": ties}}
    Request(real=real, fake=fake, metrics=metrics, options=options, choices=choices, view=view, output=output).answer()


@click.command()
@click.argument("real")
@click.argument("fake")
@metric_options
@measuring
@showing
@saving
@showcasing
@checking
def score(
    *,
    real: str,
    fake: str,
    asked: dict[str, Any],
    choices: Choices,
    view: View,
    output: Path | None,
    showcase: Showcase,
    gate: Gate | None,
) -> None:
    """Several metrics of FAKE against REAL, from one reading.

    REAL and FAKE are written as for `ganeval fid`. A metric that was not asked for by name, and that these images do
    not allow, is left out with a warning.
    """
    Request(
        real=real, fake=fake, **asked, choices=choices, view=view, output=output, showcase=showcase, gate=gate
    ).answer()
