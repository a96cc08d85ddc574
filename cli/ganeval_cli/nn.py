"""`ganeval nn`: distances of fakes to their nearest reals, and which fakes look like copies."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from ganeval.tables import Table, facts
from ganeval.wording import four_digits, ratio_text
from ganeval_cli.io import check_png
from ganeval_cli.options import (
    EVALUATION,
    OUTPUT,
    EvaluationOptions,
    MetricOptions,
    OutputOptions,
    command,
    metric_option,
    with_flags,
)
from ganeval_cli.render import laid_out
from ganeval_cli.report_options import GRID
from ganeval_cli.run import Supplement, both_sides, check_one_setup, evaluate_sets, show

if TYPE_CHECKING:
    from ganeval.metrics import Distance
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

# Details that are columns of CSV.
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

    The distances are compared with those between real images: fakes that are closer to a real image than that are
    copies or near copies. The most suspicious fakes are listed; --format json and --output have the nearest reals of
    every fake. To compare pixels instead of features, use --extractor pixels:32.
    """
    check_png(grid)
    check_one_setup(evaluation, "Nearest images are found")
    metrics, options = ("nn", "authenticity"), with_flags(options, "nn", distance=distance)
    found = evaluate_sets(real, fake, metrics=metrics, options=options, evaluation=evaluation, output=output)
    pairs = _pairs(found[evaluation.settings.protocol], k, grid, output)
    show(found, evaluation=evaluation, output=output, supplement=pairs)


def _pairs(evaluation: "Evaluation", k: int, grid: Path | None, output: OutputOptions) -> Supplement:
    from ganeval.metrics import nearest_pairs
    from ganeval.report_data import neighbour_grid

    (real, fake), result = both_sides(evaluation), evaluation["nn"]
    spread, distance = list(_spread(result.details)), cast("Distance", result.options["distance"])
    found = nearest_pairs(real.rows(), fake.rows(), k, distance=distance)
    if grid is not None:
        neighbour_grid(evaluation, found, grid)
    ratios = [None] * len(fake) if found.ratios is None else found.ratios.tolist()
    pairs: list[dict[str, object]] = [
        {
            "fake": fake.image_name(row),
            "index": fake.index(row),
            "ratio": ratio,
            "reals": [
                {"real": real.image_name(near), "index": real.index(near), "distance": far}
                for near, far in zip(nearest, far_off, strict=True)
            ],
        }
        for row, ratio, nearest, far_off in zip(
            found.fakes.tolist(), ratios, found.reals.tolist(), found.distances.tolist(), strict=True
        )
    ]
    told = Table(("distances of fakes", ""), spread).markdown() if output.format == "markdown" else facts(spread)
    return Supplement({"pairs": pairs}, f"{told}\n\n{_suspicious(pairs, output)}", COUNTED)


def _spread(details: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """The distances of the fakes, and what they are beside."""
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
    yield "near copies", f"{details['near_duplicates']:.0f} ({details['unsuspicious']:.0f} would be no surprise)"


def _suspicious(pairs: list[dict[str, object]], output: OutputOptions) -> str:
    rows = []
    for pair in pairs[:SHOWN]:
        nearest = cast(list[dict[str, object]], pair["reals"])[0]
        ratio, far = cast(float | None, pair["ratio"]), cast(float, nearest["distance"])
        rows.append((str(pair["fake"]), str(nearest["real"]), four_digits(far), ratio_text(ratio)))
    head = ("most suspicious fakes", "nearest real", "distance", "over the real's own")
    return laid_out(head, rows, output)
