"""`ganeval nn`: distances of fakes to their nearest reals, and which fakes look like copies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval.settings import MetricOptions
from ganeval.tables import Table, facts
from ganeval.wording import four_digits, ratio_text
from ganeval_cli.io import check_png
from ganeval_cli.options import (
    EVALUATION,
    OUTPUT,
    EvaluationOptions,
    OutputOptions,
    command,
    metric_option,
    with_flags,
)
from ganeval_cli.render import laid_out
from ganeval_cli.report_options import GRID
from ganeval_cli.run import Supplement, check_one_setup, evaluate_sets, show

if TYPE_CHECKING:
    from ganeval.report_data import NearestImages
    from ganeval.results import Evaluation

# Pairs on the screen; the JSON document has every fake.
SHOWN = 5
SPREAD = {
    "1%": "quantile_0.01",
    "25%": "quantile_0.25",
    "median": "median",
    "75%": "quantile_0.75",
    "99%": "quantile_0.99",
}

# Details with a column in CSV.
COUNTED = ("median", "baseline", "ratio", "duplicates", "near_duplicates", "unsuspicious")


@command(GRID, metric_option("authenticity.seed=1"), EVALUATION, OUTPUT)
@click.argument("real")
@click.argument("fake")
@click.option(
    "--distance",
    type=click.Choice(("euclidean", "cosine")),
    help="Between features.  [default: euclidean]",
)
@click.option(
    "--k",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Nearest reals to list for every fake.",
)
def nn(
    *,
    real: str,
    fake: str,
    distance: str | None,
    k: int,
    grid: Path | None,
    options: MetricOptions,
    evaluation: EvaluationOptions,
    output: OutputOptions,
) -> None:
    """Distance of FAKE to the nearest images of REAL.

    The distances are compared with those between real images: fakes that are closer than that to a real image are
    copies or near copies. The most suspicious fakes are listed; --format json and --output give the nearest reals of
    every fake. To compare pixels instead of features, use --extractor pixels:32.
    """
    check_png(grid)
    check_one_setup(evaluation, "Nearest images are found")
    metrics, options = ("nn", "authenticity"), with_flags(options, "nn", distance=distance)
    found = evaluate_sets(real, fake, metrics=metrics, options=options, evaluation=evaluation, output=output)
    pairs = _pairs(found[evaluation.settings.protocol], k, grid, output)
    show(found, evaluation=evaluation, output=output, supplement=pairs)


def _pairs(evaluation: "Evaluation", k: int, grid: Path | None, output: OutputOptions) -> Supplement:
    from ganeval import nearest_images

    spread, pairs = list(_spread(evaluation["nn"].details)), nearest_images(evaluation, k, grid=grid)
    told = Table(("distances of fakes", ""), spread).markdown() if output.format == "markdown" else facts(spread)
    return Supplement({"pairs": [asdict(pair) for pair in pairs]}, f"{told}\n\n{_suspicious(pairs, output)}", COUNTED)


def _spread(details: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """The distances of the fakes, and those between reals for comparison."""
    yield "quantiles", ", ".join(f"{share} {four_digits(details[name])}" for share, name in SPREAD.items())
    if "ratio" in details:
        yield (
            "real to unseen real",
            f"mean {four_digits(details['baseline'])}, median {four_digits(details['baseline_median'])}",
        )
        yield (
            "ratio of the means",
            f"{four_digits(details['ratio'])} (fakes against half of the reals; 1: as far as reals)",
        )
    yield "exact copies", f"{details['duplicates']:.0f}"
    expected = f"{details['unsuspicious']:.0f} expected of fakes as good as reals"
    yield "near copies", f"{details['near_duplicates']:.0f} ({expected})"


def _suspicious(pairs: "Sequence[NearestImages]", output: OutputOptions) -> str:
    rows = [
        (pair.fake, pair.reals[0].real, four_digits(pair.reals[0].distance), ratio_text(pair.ratio))
        for pair in pairs[:SHOWN]
    ]
    head = ("most suspicious fakes", "nearest real", "distance", "over the real's own")
    return laid_out(head, rows, output)
