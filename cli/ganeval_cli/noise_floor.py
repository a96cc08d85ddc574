"""`ganeval noise-floor`: what real images score against other real images."""

from typing import TYPE_CHECKING

import click

from ganeval.settings import MetricOptions
from ganeval_cli.options import (
    EVALUATION,
    METRIC_OPTION,
    METRICS,
    OUTPUT,
    EvaluationOptions,
    OutputOptions,
    command,
)
from ganeval_cli.run import check_one_setup, check_specs, keywords, show

if TYPE_CHECKING:
    from ganeval.pipeline import MetricNames


@command(METRICS, METRIC_OPTION, EVALUATION, OUTPUT)
@click.argument("real")
@click.option(
    "--splits",
    type=click.IntRange(min=2),
    metavar="N",
    default=10,
    show_default=True,
    help="Random splits of REAL into halves.",
)
def noise_floor(
    *,
    real: str,
    splits: int,
    metrics: "MetricNames",
    options: MetricOptions,
    evaluation: EvaluationOptions,
    output: OutputOptions,
) -> None:
    """What real images score against other real images.

    REAL is split at random into halves, and one half is scored as the fakes. Both halves share one distribution, so
    this is a perfect generator's score at this number of images. The value is the mean over the splits, and its error
    is that of one split.
    """
    check_one_setup(evaluation, "The noise floor is measured")
    check_specs(real)
    output.check()
    from ganeval import noise_floor as measured

    found = measured(real, splits=splits, metrics=metrics, options=options, **keywords(evaluation, output))
    show({evaluation.settings.protocol: found}, evaluation=evaluation, output=output)
