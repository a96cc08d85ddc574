"""What runs of one model from several seeds say: how every metric spreads, and a page with all of them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganeval.results import Evaluation
from ganeval.tables import SPREAD_HEAD, Table, spread_cells
from ganeval_cli.console import note, out
from ganeval_cli.io import to_json, write_text
from ganeval_cli.options import OutputOptions
from ganeval_cli.render import footnote, how_measured, warnings_of
from ganeval_cli.run import warn
from ganeval_cli.scores_render import scores_document
from ganeval_cli.train import run_summary

if TYPE_CHECKING:
    from ganeval.report import Subject, TrainingLog
    from reference_models import ScoredRun


def show_seeds(runs: "Iterable[ScoredRun]", printing: OutputOptions, report: Path | None) -> None:
    """Print how scores spread over runs that are scored one after the other; report: also a page of them."""
    from ganeval.run_statistics import run_spreads
    from ganeval.runs import RunsComparison

    evaluations: dict[str, Evaluation] = {}
    documents: list[dict[str, object]] = []
    subjects: list[Subject] = []
    logs: list[TrainingLog] = []
    warnings: dict[str, None] = {}
    floor: Evaluation | None = None
    trivial: Mapping[str, Evaluation] = {}
    variant, root = "", Path()
    for found in runs:
        scores, name = found.scores, found.run.name
        variant, root = found.training.plan.recipe.variant, found.run.parent
        documents.append(scores_document(found))
        if not printing.quiet:
            note(run_summary(found.run, found.training, found.diagnostics.verdict()))
        if report is not None:
            subject, log = _shown(found, f"{variant}: {name}")
            subjects.append(subject)
            logs.append(log)
            # The same of every run, since seeds change nothing about the reals.
            floor, trivial = scores.references.get("floor"), scores.trivial
        warnings |= dict.fromkeys([*warnings_of([scores.evaluation]), *scores.warnings])
        # Without the features, which are not needed any more.
        evaluations[name] = replace(scores.evaluation, real=None, fake=None, pairs=None)
    common = [
        metric for metric in next(iter(evaluations.values())) if all(metric in one for one in evaluations.values())
    ]
    methods = RunsComparison({variant: evaluations}, run_spreads({variant: evaluations}, common), ())
    if report is not None:
        from ganeval.report import ReportInputs, render

        write_text(report, render(ReportInputs(subjects, floor=floor, references=trivial, runs=logs, methods=methods)))
    if printing.format == "json":
        out(to_json({"runs": documents, "spreads": methods.to_dict()["spreads"]}))
    else:
        out(_text(methods, root))
    warn(list(warnings), printing)


def _shown(found: "ScoredRun", name: str) -> "tuple[Subject, TrainingLog]":
    """What a page shows of a run: its result with pictures, and its log."""
    from ganeval.report import Subject, read_run

    evaluation = found.scores.evaluation
    log = replace(read_run(found.run), name=name)
    return Subject(name, replace(evaluation, real=None, fake=None), found.report_data()), log


def _text(methods: Any, root: Path) -> str:
    """A table of the spreads, and what can be done with the runs."""
    ((variant, runs),) = methods.runs.items()
    first = next(iter(runs.values()))
    rows = [(one.metric, *spread_cells(one, first[one.metric], comparable=first.comparable)) for one in methods.spreads]
    return "\n\n".join(
        [
            f"{root}: {len(runs)} run{'s' if len(runs) > 1 else ''} of {variant}",
            Table(("metric", *SPREAD_HEAD), rows).text(),
            "\n".join([*footnote(runs.values()), how_measured(first.provenance)]),
            f'`ganeval compare --runs "{variant}={root}/*/result.json" --runs NAME=...` compares them with others',
        ]
    )
