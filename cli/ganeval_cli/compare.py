"""`ganeval compare`: which of several generators is better, and whether that can be told."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganeval.errors import UsageError
from ganeval.tables import DIFFERENCE_HEAD, comma_separated, difference_cells, marked_value
from ganeval.wording import direction_text
from ganeval_cli.answering import check_specs, how, warn
from ganeval_cli.console import out
from ganeval_cli.options import Choices, View, measuring, metric_options, saving, showing
from ganeval_cli.render import footnote, how_measured, laid_out, warnings_of
from ganeval_cli.report_options import ReportOptions, with_report_options
from ganeval_cli.saving import check_writable, to_json, write_text

if TYPE_CHECKING:
    from ganeval.comparison import Comparison


@click.command()
@click.argument("real")
@click.argument("fakes", nargs=-1, required=True, metavar="A B [C...]")
@metric_options
@measuring
@showing
@saving
@with_report_options
def compare(
    *,
    real: str,
    fakes: tuple[str, ...],
    asked: dict[str, Any],
    choices: Choices,
    view: View,
    output: Path | None,
    report_options: ReportOptions,
) -> None:
    """Which of several generators is better, if one is.

    All are measured against REAL, which is read once. What its images add to the error is common to all and cancels
    in the differences; p-values are corrected for the number of differences looked at. CSV has the differences.
    """
    if choices.every_protocol:
        raise UsageError("A comparison is made under one protocol; choose one.")
    if len(fakes) < 2:
        raise UsageError(f"A comparison needs at least two generators, found {len(fakes)}: ganeval compare REAL A B")
    if len(set(fakes)) < len(fakes):
        raise UsageError("The same generator was given twice; a comparison needs different ones.")
    check_specs(real, *fakes)
    if output is not None:
        check_writable(output)
    report_options.check(output, every_protocol=False)
    from ganeval.evaluation import compare as compared

    found = compared(real, {name: name for name in fakes}, also=report_options.outputs, **asked, **how(choices, view))
    document = found.to_dict()
    if output is not None:
        write_text(output, to_json(document) + "\n")
    if view.format == "json":
        out(to_json(document))
    elif view.format == "csv":
        out(_csv(found))
    else:
        out(_text(found, view))
    warn([*found.warnings, *warnings_of(found.evaluations.values())], view)
    report_options.keep(found.evaluations, output, comparison=found)


def _text(found: "Comparison", view: View) -> str:
    letters = dict(zip(found.evaluations, _letters(), strict=False))
    names = "\n".join(f"{letter}: {name}" for name, letter in letters.items())
    evaluations = found.evaluations.values()
    results = {metric: result for one in evaluations for metric, result in one.metrics.items()}
    values = [
        (
            metric,
            *(marked_value(one.metrics.get(metric), comparable=one.comparable) for one in evaluations),
            direction_text(result.direction, result.ideal),
        )
        for metric, result in results.items()
    ]
    differences = [difference_cells(one, letters[one.first], letters[one.second]) for one in found.differences]
    parts = [
        names,
        laid_out(("metric", *letters.values(), "better"), values, view),
        laid_out(DIFFERENCE_HEAD, differences, view),
        footnote(found.evaluations.values()) + how_measured(next(iter(found.evaluations.values())).provenance),
    ]
    return "\n\n".join(parts)


def _letters() -> Iterator[str]:
    """A to Z, A2 to Z2, ..."""
    number = 1
    while True:
        yield from (letter + ("" if number == 1 else str(number)) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        number += 1


def _csv(found: "Comparison") -> str:
    head = (
        "metric",
        "first",
        "second",
        "value",
        "standard_error",
        "low",
        "high",
        "p_value",
        "p_corrected",
        "verdict",
        "needed",
        "paired",
        "comparable",
    )
    rows = [
        (
            one.metric,
            one.first,
            one.second,
            one.value,
            one.standard_error,
            *(one.interval or (None, None)),
            one.p_value,
            one.p_corrected,
            one.verdict,
            one.needed,
            one.paired,
            all(found.evaluations[name].comparable for name in (one.first, one.second)),
        )
        for one in found.differences
    ]
    return comma_separated(head, rows)
