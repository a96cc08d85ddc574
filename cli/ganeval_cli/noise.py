"""`ganeval noise`: the floor of each metric, from splitting the reals."""

from pathlib import Path
from typing import Any

import click

from ganeval.errors import UsageError
from ganeval_cli.answering import check_specs, how, show
from ganeval_cli.options import Choices, View, measuring, metric_options, saving, showing
from ganeval_cli.saving import check_writable


@click.command()
@click.argument("real")
@click.option(
    "--splits", type=click.IntRange(min=2), default=10, show_default=True, help="Random splits of REAL into halves."
)
@metric_options
@measuring
@showing
@saving
def noise(*, real: str, splits: int, asked: dict[str, Any], choices: Choices, view: View, output: Path | None) -> None:
    """What a perfect generator would score.

    REAL is split at random into halves, one of which plays the fakes: the value is the mean over splits, and its error
    that of one. No generator can be told from a better one below this floor, at as many images.
    """
    if choices.every_protocol:
        raise UsageError("The floor is measured under one protocol; choose one.")
    check_specs(real)
    if output is not None:
        check_writable(output)
    from ganeval.floor import noise_floor

    found = noise_floor(real, splits=splits, **asked, **how(choices, view))
    show({choices.settings.protocol: found}, choices=choices, view=view, output=output)
