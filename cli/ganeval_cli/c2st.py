"""`ganeval c2st`: classifier two-sample tests between reals and fakes."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval.errors import MetricError, UsageError, did_you_mean
from ganeval.settings import MetricOptions
from ganeval.wording import NONE, fixed, p_value_text, probability_text
from ganeval_cli.io import check_png
from ganeval_cli.options import (
    EVALUATION,
    OUTPUT,
    EvaluationOptions,
    OutputOptions,
    command,
    metric_option,
)
from ganeval_cli.render import laid_out
from ganeval_cli.report_options import GRID
from ganeval_cli.run import Supplement, check_one_setup, evaluate_sets, show

if TYPE_CHECKING:
    from ganeval.results import Evaluation

CLASSIFIERS = ("1nn", "knn", "logistic", "mlp")
# Images named on the screen, and in the JSON document.
SHOWN, KEPT = 5, 64
# Details with a column in CSV.
TESTED = ("p_value", "p_value_below", "auc", "accuracy_p_value", "accuracy_real", "accuracy_fake")


@command(GRID, metric_option("c2st_knn.k=5"), EVALUATION, OUTPUT)
@click.argument("real")
@click.argument("fake")
@click.option(
    "--classifier",
    metavar="NAMES",
    default=",".join(CLASSIFIERS),
    show_default=True,
    help="Separated by commas: nearest neighbour (leave-one-out), k nearest, logistic regression, small network.",
)
def c2st(
    *,
    real: str,
    fake: str,
    classifier: str,
    grid: Path | None,
    options: MetricOptions,
    evaluation: EvaluationOptions,
    output: OutputOptions,
) -> None:
    """Classifier two-sample tests between REAL and FAKE.

    An accuracy of 0.5 is that of guessing: the nearer to it, the better the fakes. The p-value is the probability of
    an accuracy at least this high if both sets had the same distribution.
    """
    check_png(grid)
    check_one_setup(evaluation, "Classifiers are tested")
    metrics = [f"c2st_{name}" for name in _classifiers(classifier)]
    found = evaluate_sets(real, fake, metrics=metrics, options=options, evaluation=evaluation, output=output)
    images = _most_discriminable(found[evaluation.settings.protocol], grid, output)
    show(found, evaluation=evaluation, output=output, supplement=images)


def _classifiers(text: str) -> list[str]:
    """The names of --classifier; UsageError for an unknown one, or if none is named."""
    names = [name for name in text.replace(" ", "").split(",") if name]
    for name in names:
        if name not in CLASSIFIERS:
            raise UsageError(f"Unknown classifier '{name}'; {did_you_mean(name, CLASSIFIERS)}")
    if not names:
        raise UsageError(f"No classifier was requested; choose from: {', '.join(CLASSIFIERS)}.")
    return names


def _most_discriminable(evaluation: "Evaluation", grid: Path | None, output: OutputOptions) -> Supplement:
    """P-values, and the most discriminable images."""
    from ganeval import most_discriminable_images

    tests = _tests(evaluation, output)
    try:
        found = most_discriminable_images(evaluation, count=KEPT, grid=grid)
    except MetricError as error:
        # The tests may need fewer images than this, but a requested grid must not be left out.
        if grid is not None:
            raise
        text = f"{tests}\n\nsurest images: left out. {error}"
        return Supplement({"left_out": {"most_discriminable": str(error)}}, text, TESTED)
    named = [
        (
            fake.name,
            probability_text(fake.probability_fake),
            real.name,
            probability_text(1 - real.probability_fake),
        )
        for fake, real in list(zip(found.fake, found.real, strict=False))[:SHOWN]
    ]
    surely = laid_out(("surest fakes", "probability", "surest reals", "probability"), named, output)
    return Supplement({"most_discriminable": asdict(found)}, f"{tests}\n\n{surely}", TESTED)


def _tests(evaluation: "Evaluation", output: OutputOptions) -> str:
    """P-values and areas under the curve, one line per classifier."""
    rows = [
        (
            name,
            p_value_text(result.details["p_value"]),
            fixed(result.details["auc"], 4) if "auc" in result.details else NONE,
            fixed(result.details["accuracy_real"], 4),
            fixed(result.details["accuracy_fake"], 4),
        )
        for name, result in evaluation.metrics.items()
    ]
    return laid_out(("test", "p-value", "area under ROC", "reals right", "fakes right"), rows, output)
