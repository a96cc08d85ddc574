"""The steps of commands that evaluate images: check, evaluate, save and print."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ganeval.errors import UsageError
from ganeval.printable import printable
from ganeval.results import warnings_of
from ganeval.sources import check_spec
from ganeval_cli.console import note, out
from ganeval_cli.io import to_json, write_text
from ganeval_cli.options import EvaluationOptions, OutputOptions
from ganeval_cli.render import evaluation_text, evaluations_csv, extractors_text, protocols_text

if TYPE_CHECKING:
    from ganeval.extractors import Output
    from ganeval.pipeline import MetricNames, MetricOptions
    from ganeval.results import Evaluation


@dataclass(frozen=True, slots=True)
class Supplement:
    """Additions of a command to its table: members of the JSON document, text, and details with a column in CSV."""

    document: Mapping[str, object]
    text: str
    columns: Sequence[str]


def evaluate_sets(
    real: str | None,
    fake: str,
    *,
    metrics: "MetricNames",
    options: "MetricOptions",
    evaluation: EvaluationOptions,
    output: OutputOptions,
    also: "Collection[Output]" = (),
) -> "Mapping[str, Evaluation]":
    """Evaluate FAKE against REAL (None if no metric uses reals), by protocol, or by extractor if there are several.

    Errors that need no images are raised first. also: extractor outputs to keep in addition to those of the metrics.
    """
    check_specs(real, fake)
    output.check()
    from ganeval import evaluate, evaluate_extractors, evaluate_protocols

    settings = keywords(evaluation, output)
    if evaluation.extractors:
        several = {**settings, "extractor": None, "extractors": evaluation.extractors}
        return evaluate_extractors(real, fake, metrics=metrics, options=options, also=also, **several)
    if evaluation.every_protocol:
        return evaluate_protocols(real, fake, metrics=metrics, options=options, **settings)
    return {settings["protocol"]: evaluate(real, fake, metrics=metrics, options=options, also=also, **settings)}


def check_one_protocol(evaluation: EvaluationOptions, what: str) -> None:
    """UsageError for `--protocol all`. what: the beginning of the message, as in "A comparison is made"."""
    if evaluation.every_protocol:
        raise UsageError(f"{what} under one protocol; choose one with --protocol.")


def check_one_setup(evaluation: EvaluationOptions, what: str) -> None:
    """UsageError for `--protocol all` and for several extractors. what: as in `check_one_protocol`."""
    check_one_protocol(evaluation, what)
    if evaluation.extractors:
        raise UsageError(f"{what} with one extractor; choose one with --extractor.")


def check_specs(*specs: str | None) -> None:
    """UsageError or SourceError for specs of missing sources, before anything is computed."""
    for spec in specs:
        if spec is not None:
            check_spec(spec)


def keywords(evaluation: EvaluationOptions, output: OutputOptions) -> dict[str, Any]:
    """The keywords from the command line that every evaluation function takes."""
    from ganeval_cli.progress import bars

    return {"progress": bars(quiet=output.quiet), **asdict(evaluation.settings)}


def show(
    evaluations: "Mapping[str, Evaluation]",
    *,
    evaluation: EvaluationOptions,
    output: OutputOptions,
    supplement: Supplement | None = None,
) -> None:
    """Save and print evaluations by protocol or extractor."""
    default = evaluation.settings.protocol
    if evaluation.several is None:
        show_one(evaluations[default], output=output, supplement=supplement)
        return
    from ganeval.results import SCHEMA

    document = {"schema": SCHEMA, f"{evaluation.several}s": {name: one.to_dict() for name, one in evaluations.items()}}
    if evaluation.extractors:
        text = partial(extractors_text, evaluations, view=output)
    else:
        text = partial(protocols_text, evaluations, default=default, view=output)
    _show(document, partial(evaluations_csv, evaluations, by=evaluation.several), text, supplement, output)
    warn(warnings_of(evaluations.values()), output)


def show_one(found: "Evaluation", *, output: OutputOptions, supplement: Supplement | None = None) -> None:
    """Save and print one evaluation."""
    table = partial(evaluations_csv, {"": found})
    _show(found.to_dict(), table, partial(evaluation_text, found, view=output), supplement, output)
    warn(warnings_of([found]), output)


def _show(
    document: Mapping[str, object],
    csv: Callable[..., str],
    text: Callable[[], str],
    supplement: Supplement | None,
    output: OutputOptions,
) -> None:
    """Save and print a document with the additions of a command."""
    if supplement is None:
        save_and_print(document, partial(csv, details=()), text, output)
        return
    added = supplement.text
    whole = {**document, **supplement.document}
    save_and_print(whole, partial(csv, details=supplement.columns), lambda: f"{text()}\n\n{added}", output)


def save_and_print(
    document: Mapping[str, object], csv: Callable[[], str], text: Callable[[], str], output: OutputOptions
) -> None:
    """Save a document, and print it, its CSV or its text, depending on the format; print it even if saving fails."""
    try:
        save_document(document, output)
    finally:
        if output.format == "json":
            out(to_json(document))
        else:
            out(csv() if output.format == "csv" else text())


def save_document(document: Mapping[str, object], output: OutputOptions) -> None:
    """Write the JSON document to the file of --output, if there is one."""
    if output.path is not None:
        write_text(output.path, to_json(document) + "\n")


def warn(warnings: Sequence[str], output: OutputOptions) -> None:
    """Print warnings to standard error, unless --quiet."""
    if not output.quiet:
        for warning in warnings:
            note(f"warning: {printable(warning)}")
