"""`ganeval nn`: how far fakes are from the nearest real, and which of them look like copies."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from ganeval_cli.answering import More, Request, sides_of
from ganeval_cli.options import (
    Choices,
    OptionsAsked,
    View,
    measuring,
    options_as_in,
    saving,
    showing,
    with_flags,
)
from ganeval_cli.render import laid_out
from ganeval_cli.report_options import check_grid, grid_option
from ganeval_cli.tables import facts, markdown, number

if TYPE_CHECKING:
    from ganeval.distances import Distance
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


@click.command()
@click.argument("real")
@click.argument("fake")
@click.option(
    "--distance",
    type=click.Choice(("euclidean", "cosine")),
    help="Between features.  [default: euclidean]",
)
@click.option(
    "--k", type=click.IntRange(min=1), default=1, show_default=True, help="Nearest reals to name for every fake."
)
@grid_option
@options_as_in("authenticity.seed=1")
@measuring
@showing
@saving
def nn(
    *,
    real: str,
    fake: str,
    distance: str | None,
    k: int,
    grid: Path | None,
    options: OptionsAsked,
    choices: Choices,
    view: View,
    output: Path | None,
) -> None:
    """Distance of FAKE to the nearest of REAL.

    Beside it, what real images have to others that they have not seen: fakes that are closer than these are copies, or
    nearly so. The most suspicious fakes are named, and --format json and --output have the nearest reals of every one.
    In pixels instead of features: --extractor pixels:32.
    """
    check_grid(grid)
    request = Request(
        real=real,
        fake=fake,
        metrics=("nn", "authenticity"),
        options=with_flags(options, "nn", distance=distance),
        choices=choices,
        view=view,
        output=output,
    )
    request.answer(lambda evaluation: _pairs(evaluation, k, grid, view))


def _pairs(evaluation: "Evaluation", k: int, grid: Path | None, view: View) -> More:
    from ganeval.metrics.nearest import nearest_pairs
    from ganeval.report_data.grids import nearest_grid

    (real, fake), result = sides_of(evaluation), evaluation["nn"]
    spread, distance = list(_spread(result.details)), cast("Distance", result.options["distance"])
    found = nearest_pairs(real.rows(), fake.rows(), k, distance=distance)
    if grid is not None:
        nearest_grid(evaluation, found, grid)
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
    told = markdown(("distances of fakes", ""), spread) if view.format == "markdown" else facts(spread)
    return More({"pairs": pairs}, f"{told}\n\n{_suspicious(pairs, view)}", COUNTED)


def _spread(details: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """The distances of the fakes, and what they are beside."""
    yield "quantiles", ", ".join(f"{share} {number(details[name], 3)}" for share, name in SPREAD.items())
    if "ratio" in details:
        yield (
            "real to unseen real",
            f"mean {number(details['baseline'], 3)}, median {number(details['baseline_median'], 3)}",
        )
        yield (
            "ratio of the means",
            f"{number(details['ratio'], 3)} (fakes against half of the reals; 1: as far as reals)",
        )
    yield "exact copies", f"{details['duplicates']:.0f}"
    yield "near copies", f"{details['near_duplicates']:.0f} ({details['unsuspicious']:.0f} would be no surprise)"


def _suspicious(pairs: list[dict[str, object]], view: View) -> str:
    rows = []
    for pair in pairs[:SHOWN]:
        nearest = cast(list[dict[str, object]], pair["reals"])[0]
        ratio, far = cast(float | None, pair["ratio"]), cast(float, nearest["distance"])
        over = "-" if ratio is None else number(ratio, 2)
        rows.append((str(pair["fake"]), str(nearest["real"]), number(far, 3), over))
    head = ("most suspicious fakes", "nearest real", "distance", "over the real's own")
    return laid_out(head, rows, view)
