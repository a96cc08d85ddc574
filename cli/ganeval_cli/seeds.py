"""Runs of one model from several seeds, as text: the spread of every metric."""

from typing import TYPE_CHECKING

from ganeval.tables import SPREAD_HEAD, Table, spread_cells
from ganeval.wording import interval_text, with_error
from ganeval_cli.render import footnote, how_measured

if TYPE_CHECKING:
    from reference_models import LabelDraws, OverDraws, SeedsSummary


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
            *([] if found.label_draws is None else [_draws_text(found.label_draws)]),
            "\n".join([*footnote(runs.values()), how_measured(first.provenance)]),
            f'`ganeval compare --runs "{variant}={root}/*/result.json" --runs NAME=...` compares them with others',
        ]
    )


def _draws_text(draws: "LabelDraws") -> str:
    """A table of the errors over draws."""
    model, *_ = draws.errors

    def cells(one: "OverDraws | None") -> tuple[str, str]:
        if one is None:
            return "", ""
        return with_error(one.mean, one.standard_error), interval_text(one.interval, one.mean, one.standard_error)

    rows = [(method, *cells(own), *cells(gap)) for method, own, gap in draws.methods()]
    head = ("classifier", "test_error", "95% interval", f"{model} minus this", "95% interval")
    return (
        f"{Table(head, rows).text()}\n\n± and intervals are over {len(draws.errors[model])} draws of {draws.labelled} "
        f"labels, one for each seed, and for differences draw by draw; all errors are of the same {draws.held_out} "
        "held-out images"
    )
