"""`ganeval compare --runs`: compare methods over their training runs, evaluated here or saved."""

from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ganeval.errors import UsageError
from ganeval.results import warnings_of
from ganeval.settings import MetricOptions, Settings
from ganeval.tables import (
    DIFFERENCE_HEAD,
    SPREAD_HEAD,
    comma_separated,
    method_difference_cells,
    spread_cells,
)
from ganeval_cli.io import check_local
from ganeval_cli.options import EVERY_METRIC, EvaluationOptions, OutputOptions
from ganeval_cli.render import every_details, footnote, how_measured, laid_out, prose
from ganeval_cli.report_options import ReportOptions
from ganeval_cli.run import check_specs, keywords, save_and_print, warn

if TYPE_CHECKING:
    from ganeval.pipeline import MetricNames
    from ganeval.runs import RunsComparison

_SAVED = ".json"
_FORM = "write --runs NAME=RUN,RUN,..."


def compare_methods(
    real: str | None,
    given: tuple[str, ...],
    *,
    metrics: "MetricNames",
    options: MetricOptions,
    evaluation: EvaluationOptions,
    output: OutputOptions,
    report: ReportOptions,
) -> "RunsComparison":
    """Compare methods by their runs. given: values of --runs: saved results, or sources to measure against REAL."""
    runs = _parsed(given)
    saved = {run for found in runs.values() for run in found if run.endswith(_SAVED)}
    sources = [run for found in runs.values() for run in found if run not in saved]
    if saved and sources:
        raise UsageError(
            f"{sources[0]} is to be measured, but {sorted(saved)[0]} is a saved result: give only one kind. "
            f"`ganeval score REAL {sources[0]} -o FILE.json` saves a result."
        )
    if saved:
        _check_saved(real, options, evaluation, report)
        for run in saved:
            check_local(run)
        from ganeval import compare_saved_runs

        return compare_saved_runs(runs, metrics=None if metrics == EVERY_METRIC else cast("list[str] | None", metrics))
    if real is None:
        raise UsageError(
            f"Give the reals to measure {sources[0]} against: ganeval compare REAL --runs A=a1/,a2/ --runs B=b1/,b2/. "
            "Only saved results (.json) need no REAL."
        )
    check_specs(real, *sources)
    from ganeval import compare_runs

    return compare_runs(
        real,
        runs,
        metrics=metrics,
        options=options,
        also=report.extractor_outputs,
        **keywords(evaluation, output),
    )


def _parsed(given: tuple[str, ...]) -> dict[str, list[str]]:
    """The runs of every method, from "A=a1/,a2/"; patterns for saved results are replaced by the files."""
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, runs = text.partition("=")
        if not (name.strip() and equals):
            raise UsageError(f"'{text}' does not say which method its runs are of; {_FORM}")
        if name in found:
            raise UsageError(f"The method '{name}' was given twice; list all of its runs in one --runs {name}=RUN,RUN.")
        found[name] = [one for run in runs.split(",") for one in _expanded(run.strip())]
        if not all(found[name]):
            raise UsageError(f"'{text}' has an empty place where a run should be; {_FORM}")
        for run in found[name]:
            if found[name].count(run) > 1:
                raise UsageError(f"The method '{name}' has the run {run} twice; one run counts once.")
    if len(found) < 2:
        raise UsageError(
            f"A comparison of methods needs at least two of them, found {len(found)}: "
            "ganeval compare REAL --runs A=a1/,a2/ --runs B=b1/,b2/"
        )
    return found


def _expanded(run: str) -> list[str]:
    """The saved results of a pattern such as a/*/result.json, in order; anything else as it is."""
    if not run.endswith(_SAVED) or "*" not in run or Path(run).exists():
        return [run]
    root = Path(run).anchor
    files = sorted(map(str, Path(root or ".").glob(run.removeprefix(root))))
    if not files:
        raise UsageError(f"No file matches {run}.")
    return files


def _check_saved(
    real: str | None, options: MetricOptions, evaluation: EvaluationOptions, report: ReportOptions
) -> None:
    """UsageError for arguments that matter only if runs are measured now."""
    if real is not None:
        raise UsageError(
            f"Saved results were measured already, and {real} would not be read: leave it out, as in "
            "`ganeval compare --runs A=a1.json,a2.json --runs B=b1.json,b2.json`."
        )
    default = Settings()
    settings = [one.name for one in fields(Settings)]
    vain = [name for name in settings if getattr(evaluation.settings, name) != getattr(default, name)]
    vain += ["option"] if options else []
    vain += ["report-data"] if report.report_data else []
    if vain:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in vain)
        raise UsageError(f"Saved results were measured already, and {names} cannot change them: leave it out.")


def show_methods(found: "RunsComparison", output: OutputOptions) -> None:
    """Save and print a comparison of methods."""
    save_and_print(found.to_dict(), partial(_csv, found), partial(_text, found, output), output)
    warn([*found.warnings, *warnings_of(found.evaluations.values())], output)


def _text(found: "RunsComparison", output: OutputOptions) -> str:
    evaluations = found.evaluations.values()
    comparable = all(one.comparable for one in evaluations)
    first = {method: next(iter(runs.values())) for method, runs in found.runs.items()}
    spreads = [
        (one.metric, one.method, *spread_cells(one, first[one.method][one.metric], comparable=comparable))
        for one in found.spreads
    ]
    differences = [method_difference_cells(one, one.first, one.second) for one in found.differences]
    parts = [
        prose((f"{method}: {', '.join(runs)}" for method, runs in found.runs.items()), output),
        laid_out(("metric", "method", *SPREAD_HEAD), spreads, output),
        laid_out(DIFFERENCE_HEAD, differences, output),
        prose([*footnote(evaluations), how_measured(next(iter(evaluations)).provenance)], output),
    ]
    if output.verbose:
        parts += every_details(found.evaluations, output)
    return "\n\n".join(parts)


def _csv(found: "RunsComparison") -> str:
    head = (
        *("metric", "first", "second", "first_runs", "second_runs", "value", "standard_error", "low", "high", "scope"),
        *("freedom", "p_value", "p_corrected", "verdict", "needed", "comparable"),
    )
    comparable = all(one.comparable for one in found.evaluations.values())
    rows = [
        (
            *(one.metric, one.first, one.second, len(found.runs[one.first]), len(found.runs[one.second])),
            *(one.value, one.standard_error, *(one.interval or (None, None)), one.scope, one.freedom),
            *(one.p_value, one.p_corrected, one.verdict, one.needed, comparable),
        )
        for one in found.differences
    ]
    return comma_separated(head, rows)
