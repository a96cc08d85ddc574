"""`ganeval compare`: which of several generators is better, and whether that can be told."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganeval.errors import UsageError
from ganeval_cli.answering import check_specs, how, warn
from ganeval_cli.console import out
from ganeval_cli.options import Choices, View, measuring, metric_options, saving, showing
from ganeval_cli.render import footnote, how_measured, laid_out, marked, truth, warnings_of
from ganeval_cli.report_options import ReportOptions, with_report_options
from ganeval_cli.saving import check_writable, to_json, write_text
from ganeval_cli.tables import comma_separated, interval, measured

if TYPE_CHECKING:
    from ganeval.comparison import Comparison, Difference

HEAD = ("metric", "difference", "value", "95% interval", "p corrected", "verdict")
# More images than anybody has.
MOST = 10_000_000


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
    metrics = dict.fromkeys(metric for one in found.evaluations.values() for metric in one.metrics)
    values = [
        (metric, *(_value(found, name, metric) for name in letters), next(iter(_better(found, metric)), "-"))
        for metric in metrics
    ]
    differences = [
        (
            one.metric,
            f"{letters[one.second]} - {letters[one.first]}",
            measured(one.value, one.standard_error),
            interval(one.interval, one.value, one.standard_error),
            p_text(one.p_corrected),
            verdict(one, letters[one.first], letters[one.second]),
        )
        for one in found.differences
    ]
    parts = [
        names,
        laid_out(("metric", *letters.values(), "better"), values, view),
        laid_out(HEAD, differences, view),
        footnote(found.evaluations.values()) + how_measured(next(iter(found.evaluations.values())).provenance),
    ]
    return "\n\n".join(parts)


def verdict(one: "Difference", first: str, second: str) -> str:
    """A difference in words."""
    if one.verdict == "unclear":
        if one.needed is None:
            return "can't tell"
        enough = f"{MOST:,} or more" if one.needed > MOST else f"about {_rounded(one.needed):,}"
        return f"can't tell; {enough} images would"
    if one.verdict == "unknown":
        return "no error bar"
    return f"{second} is {one.verdict} than {first}"


def p_text(p_value: float | None) -> str:
    """To two digits; nobody needs to know how far below a thousandth it is."""
    if p_value is None:
        return "-"
    return "<0.001" if p_value < 0.001 else f"{p_value:.2g}"


def _rounded(count: int) -> int:
    """To two digits."""
    digits = max(len(str(count)) - 2, 0)
    return round(count, -digits)


def _letters() -> Iterator[str]:
    """A to Z, A2 to Z2, ..."""
    number = 1
    while True:
        yield from (letter + ("" if number == 1 else str(number)) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        number += 1


def _value(found: "Comparison", name: str, metric: str) -> str:
    evaluation = found.evaluations[name]
    result = evaluation.metrics.get(metric)
    return "-" if result is None else marked(result, evaluation)


def _better(found: "Comparison", metric: str) -> Iterator[str]:
    for one in found.evaluations.values():
        if metric in one.metrics:
            result = one.metrics[metric]
            yield result.direction if result.ideal is None else f"near {result.ideal:g}"


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
            truth(one.paired),
            truth(all(found.evaluations[name].comparable for name in (one.first, one.second))),
        )
        for one in found.differences
    ]
    return comma_separated(head, rows)
