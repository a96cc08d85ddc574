"""`ganeval compare`: which of several generators is better, and whether that can be decided."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from ganeval.errors import UsageError
from ganeval.results import warnings_of
from ganeval.settings import MetricOptions
from ganeval.tables import DIFFERENCE_HEAD, comma_separated, difference_cells, marked_value
from ganeval.wording import direction_text
from ganeval_cli.compare_runs import compare_methods, show_methods
from ganeval_cli.options import (
    EVALUATION,
    METRIC_OPTION,
    METRICS,
    OUTPUT,
    EvaluationOptions,
    OutputOptions,
    command,
)
from ganeval_cli.render import every_details, footnote, how_measured, laid_out, prose
from ganeval_cli.report_options import REPORT, ReportOptions
from ganeval_cli.run import check_one_protocol, check_one_setup, check_specs, keywords, save_and_print, warn

if TYPE_CHECKING:
    from ganeval.comparison import Comparison, ExtractorsComparison
    from ganeval.pipeline import MetricNames


@command(METRICS, METRIC_OPTION, EVALUATION, OUTPUT, REPORT)
@click.argument("real", required=False)
@click.argument("fakes", nargs=-1, metavar="[A B [C...]]")
@click.option(
    "--runs",
    multiple=True,
    metavar="NAME=RUN,RUN,...",
    help="Instead of A B: the training runs of a method, each a source, or a saved result (.json; then without REAL). "
    "Give it once per method.",
)
def compare(
    *,
    real: str | None,
    fakes: tuple[str, ...],
    runs: tuple[str, ...],
    metrics: "MetricNames",
    options: MetricOptions,
    evaluation: EvaluationOptions,
    output: OutputOptions,
    report: ReportOptions,
) -> None:
    """Which of several generators is significantly better.

    All are measured against REAL, which is read once. The error that its images cause is common to all and cancels in
    the differences. P-values are corrected for the number of differences. CSV output contains the differences.

    With --runs, methods are compared rather than models: the verdict says which method is better if both were trained
    again, and counts every run once.
    """
    check_one_protocol(evaluation, "A comparison is made")
    if runs:
        check_one_setup(evaluation, "Runs are compared")
        if fakes:
            raise UsageError(
                f"{fakes[0]} is given together with --runs: give generators, or the runs of methods with --runs."
            )
        output.check()
        report.check(output.path)
        methods = compare_methods(
            real, runs, metrics=metrics, options=options, evaluation=evaluation, output=output, report=report
        )
        show_methods(methods, output)
        report.write(methods, output.path)
        return
    if real is None:
        raise UsageError("Say what is compared: ganeval compare REAL A B, or --runs A=a1/,a2/ --runs B=b1/,b2/")
    if len(fakes) < 2:
        raise UsageError(f"A comparison needs at least two generators, found {len(fakes)}: ganeval compare REAL A B")
    if len(set(fakes)) < len(fakes):
        raise UsageError("The same generator was given twice; a comparison needs different ones.")
    check_specs(real, *fakes)
    output.check()
    report.check(output.path)
    from ganeval import compare as compared

    sets, also = {name: name for name in fakes}, report.extractor_outputs
    if evaluation.extractors:
        from ganeval import compare_extractors

        settings = {**keywords(evaluation, output), "extractor": None, "extractors": evaluation.extractors}
        by_extractor = compare_extractors(real, sets, metrics=metrics, options=options, also=also, **settings)
        show_extractors(by_extractor, output)
        report.write(by_extractor, output.path)
        return
    found = compared(real, sets, metrics=metrics, options=options, also=also, **keywords(evaluation, output))
    show_comparison(found, output)
    report.write(found, output.path)


def show_comparison(found: "Comparison", output: OutputOptions) -> None:
    """Save and print a comparison."""
    save_and_print(found.to_dict(), partial(_csv, found), partial(_text, found, output), output)
    warn([*found.warnings, *warnings_of(found.evaluations.values())], output)


def show_extractors(found: "ExtractorsComparison", output: OutputOptions) -> None:
    """Save and print a comparison by every extractor, and where they disagree."""
    compared = found.comparisons

    def csv() -> str:
        rows = [(name, *row) for name, one in compared.items() for row in _csv_rows(one)]
        return comma_separated(("extractor", *_CSV_HEAD), rows)

    def text() -> str:
        parts = [f"{prose([f'By {name}'], output)}\n\n{_text(one, output)}" for name, one in compared.items()]
        return "\n\n".join([*parts, prose(_agreement(found), output)])

    save_and_print(found.to_dict(), csv, text, output)
    said = [text for one in compared.values() for text in (*one.warnings, *warnings_of(one.evaluations.values()))]
    warn(list(dict.fromkeys(said)), output)


def _agreement(found: "ExtractorsComparison") -> list[str]:
    """What the extractors disagree and agree on."""
    parts = [f"Extractors disagree: {text}" for text in found.disagreements]
    if found.agreements:
        parts.append(f"All extractors agree on every pair in: {', '.join(found.agreements)}.")
    return parts or ["No extractor contradicts another, and in no metric do all of them have a verdict."]


def _text(found: "Comparison", output: OutputOptions) -> str:
    letters = dict(zip(found.evaluations, _letters(), strict=False))
    names = prose((f"{letter}: {name}" for name, letter in letters.items()), output)
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
        laid_out(("metric", *letters.values(), "better"), values, output),
        laid_out(DIFFERENCE_HEAD, differences, output),
        prose([*footnote(evaluations), how_measured(next(iter(evaluations)).provenance)], output),
    ]
    if output.verbose:
        parts += every_details(found.evaluations, output)
    return "\n\n".join(parts)


def _letters() -> Iterator[str]:
    """A to Z, A2 to Z2, ..."""
    number = 1
    while True:
        yield from (letter + ("" if number == 1 else str(number)) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        number += 1


_CSV_HEAD = (
    *("metric", "first", "second", "value", "standard_error", "low", "high"),
    *("p_value", "p_corrected", "verdict", "needed", "paired", "comparable"),
)


def _csv(found: "Comparison") -> str:
    return comma_separated(_CSV_HEAD, _csv_rows(found))


def _csv_rows(found: "Comparison") -> list[tuple[object, ...]]:
    return [
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
