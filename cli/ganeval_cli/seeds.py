"""Runs of one model from several seeds on the screen: how every metric spreads."""

from typing import TYPE_CHECKING

from ganeval.tables import SPREAD_HEAD, Table, spread_cells
from ganeval_cli.render import footnote, how_measured

if TYPE_CHECKING:
    from reference_models import SeedsSummary


def seeds_text(found: "SeedsSummary") -> str:
    """A table of the spreads, and what can be done with the runs."""
    ((variant, runs),), root = found.methods.runs.items(), found.root
    first = next(iter(runs.values()))
    rows = [
        (one.metric, *spread_cells(one, first[one.metric], comparable=first.comparable))
        for one in found.methods.spreads
    ]
    return "\n\n".join(
        [
            f"{root}: {len(runs)} run{'s' if len(runs) > 1 else ''} of {variant}",
            Table(("metric", *SPREAD_HEAD), rows).text(),
            "\n".join([*footnote(runs.values()), how_measured(first.provenance)]),
            f'`ganeval compare --runs "{variant}={root}/*/result.json" --runs NAME=...` compares them with others',
        ]
    )
