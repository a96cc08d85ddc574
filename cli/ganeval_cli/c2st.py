"""`ganeval c2st`: can a classifier tell fakes from reals, and which images give them away?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval.errors import MetricError, UsageError, did_you_mean
from ganeval_cli.answering import More, Request, sides_of
from ganeval_cli.compare import p_text
from ganeval_cli.options import Choices, OptionsAsked, View, measuring, options_as_in, saving, showing
from ganeval_cli.render import laid_out
from ganeval_cli.report_options import check_grid, grid_option
from ganeval_cli.tables import number

if TYPE_CHECKING:
    from ganeval.results import Evaluation

CLASSIFIERS = ("1nn", "knn", "logistic", "mlp")
# Images named on the screen, and in the JSON document.
SHOWN, KEPT = 5, 64
# Details that are columns of CSV.
TESTED = ("p_value", "p_value_below", "auc", "accuracy_p_value", "accuracy_real", "accuracy_fake")


@click.command()
@click.argument("real")
@click.argument("fake")
@click.option(
    "--classifier",
    metavar="NAMES",
    default=",".join(CLASSIFIERS),
    show_default=True,
    help="Separated by commas: nearest neighbour (leave-one-out), k nearest, logistic regression, small network.",
)
@grid_option
@options_as_in("c2st_knn.k=5")
@measuring
@showing
@saving
def c2st(
    *,
    real: str,
    fake: str,
    classifier: str,
    grid: Path | None,
    options: OptionsAsked,
    choices: Choices,
    view: View,
    output: Path | None,
) -> None:
    """Classifier two-sample tests between REAL and FAKE.

    0.5 is what guessing gets right: the nearer, the better the fakes. The p-value says how often sets that are alike
    would be told apart as well as this.
    """
    check_grid(grid)
    names = [name for name in classifier.replace(" ", "").split(",") if name]
    for name in names:
        if name not in CLASSIFIERS:
            raise UsageError(f"Unknown classifier '{name}'; {did_you_mean(name, CLASSIFIERS)}")
    if not names:
        raise UsageError(f"No classifier was asked for; choose from: {', '.join(CLASSIFIERS)}.")
    metrics = [f"c2st_{name}" for name in names]
    request = Request(real=real, fake=fake, metrics=metrics, options=options, choices=choices, view=view, output=output)
    request.answer(lambda evaluation: _most_discriminable(evaluation, grid, view))


def _most_discriminable(evaluation: "Evaluation", grid: Path | None, view: View) -> More:
    from ganeval.metrics.most_discriminable import most_discriminable
    from ganeval.report_data.grids import most_discriminable_grid

    tests = _tests(evaluation, view)
    real, fake = sides_of(evaluation)
    try:
        found = most_discriminable(real.rows(), fake.rows(), count=KEPT)
    except MetricError as error:
        # The tests themselves may need fewer images; a grid that was asked for is another matter.
        if grid is not None:
            raise
        return More(
            {"left_out": {"most_discriminable": str(error)}}, f"{tests}\n\nsurest images: left out. {error}", TESTED
        )
    if grid is not None:
        most_discriminable_grid(evaluation, found, grid)
    surest = {
        "real": [
            {"name": real.image_name(row), "index": real.index(row), "probability_fake": score}
            for row, score in zip(found.real.tolist(), found.real_scores.tolist(), strict=True)
        ],
        "fake": [
            {"name": fake.image_name(row), "index": fake.index(row), "probability_fake": score}
            for row, score in zip(found.fake.tolist(), found.fake_scores.tolist(), strict=True)
        ],
    }
    named = [
        (
            str(fake["name"]),
            f"{fake['probability_fake']:.4f}",
            str(real["name"]),
            f"{1 - float(str(real['probability_fake'])):.4f}",
        )
        for fake, real in list(zip(surest["fake"], surest["real"], strict=False))[:SHOWN]
    ]
    surely = laid_out(("surest fakes", "probability", "surest reals", "probability"), named, view)
    return More({"most_discriminable": surest}, f"{tests}\n\n{surely}", TESTED)


def _tests(evaluation: "Evaluation", view: View) -> str:
    """P-values and areas under the curve, a line a classifier."""
    rows = [
        (
            name,
            p_text(result.details["p_value"]),
            number(result.details["auc"], 4) if "auc" in result.details else "-",
            number(result.details["accuracy_real"], 4),
            number(result.details["accuracy_fake"], 4),
        )
        for name, result in evaluation.metrics.items()
    ]
    return laid_out(("test", "p-value", "area under ROC", "reals right", "fakes right"), rows, view)
