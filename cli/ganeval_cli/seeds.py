"""What runs of one model from several seeds say: how every metric spreads, and a page with all of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganeval.results import Evaluation
from ganeval.tables import SPREAD_HEAD, Table, spread_cells
from ganeval.wording import interval_text, with_error
from ganeval_cli.console import note, out
from ganeval_cli.io import to_json, write_text
from ganeval_cli.options import OutputOptions
from ganeval_cli.render import footnote, how_measured, warnings_of
from ganeval_cli.run import warn
from ganeval_cli.scores_render import classifier_metrics, scores_document
from ganeval_cli.train import run_summary

if TYPE_CHECKING:
    from ganeval.report import Subject, TrainingLog
    from reference_models import LabelDraws, OverDraws, ScoredRun, Scores


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
    rivals: Mapping[str, Evaluation] = {}
    classified: list[Scores] = []
    variant, root = "", Path()
    for found in runs:
        scores, name = found.scores, found.run.name
        # Without the features, which are not needed any more.
        bare = replace(scores.evaluation, real=None, fake=None, pairs=None)
        variant, root = found.training.plan.recipe.variant, found.run.parent
        documents.append(scores_document(found))
        if not printing.quiet:
            note(run_summary(found.run, found.training, found.diagnostics.verdict()))
        if report is not None:
            subject, log = _shown(found, f"{variant}: {name}")
            subjects.append(subject)
            logs.append(log)
            # The same of every run, since seeds change nothing about the reals; but those of a classifier do change.
            floor, rivals = scores.references.get("floor"), {} if classifier_metrics(bare) else scores.rivals
        if classifier_metrics(bare):
            classified.append(replace(scores, evaluation=bare, references=scores.rivals))
        warnings |= dict.fromkeys([*warnings_of([scores.evaluation]), *scores.warnings])
        evaluations[name] = bare
    common = [
        metric for metric in next(iter(evaluations.values())) if all(metric in one for one in evaluations.values())
    ]
    methods = RunsComparison({variant: evaluations}, run_spreads({variant: evaluations}, common), ())
    if report is not None:
        from ganeval.report import ReportInputs, render

        write_text(report, render(ReportInputs(subjects, floor=floor, references=rivals, runs=logs, methods=methods)))
    draws = _label_draws(variant, classified)
    if printing.format == "json":
        document = {"runs": documents, "spreads": methods.to_dict()["spreads"]}
        out(to_json(document | ({} if draws is None else {"label_draws": _draws_document(draws)})))
    else:
        out(_text(methods, root, draws))
    warn(list(warnings), printing)


def _shown(found: "ScoredRun", name: str) -> "tuple[Subject, TrainingLog]":
    """What a page shows of a run: its result with pictures, and its log."""
    from ganeval.report import Subject, read_run

    evaluation = found.scores.evaluation
    log = replace(read_run(found.run), name=name)
    return Subject(name, replace(evaluation, real=None, fake=None), found.report_data()), log


def _label_draws(variant: str, classified: "Sequence[Scores]") -> "LabelDraws | None":
    """The errors of the runs' classifiers and of their rivals; None for other models, and for a single run."""
    if len(classified) < 2:
        return None
    from reference_models import label_draws

    return label_draws(variant, classified)


def _over(draws: "LabelDraws") -> "Iterator[tuple[str, OverDraws, OverDraws | None]]":
    """Every method with its error over draws, and by how much the model's exceeds it; the model is the first."""
    model, *_ = draws.errors
    for method in draws.errors:
        yield method, draws.over_draws(method), None if method == model else draws.over_draws(model, minus=method)


def _draws_document(draws: "LabelDraws") -> dict[str, object]:
    """The errors, and what they are over the draws, as the JSON document."""
    return {
        "labelled": draws.labelled,
        "held_out": draws.held_out,
        "methods": {
            method: {
                "errors": list(draws.errors[method]),
                "over_draws": asdict(own),
                "model_minus_it": None if gap is None else asdict(gap),
            }
            for method, own, gap in _over(draws)
        },
    }


def _draws_text(draws: "LabelDraws") -> str:
    """A table of the errors over draws."""
    model, *_ = draws.errors

    def cells(one: "OverDraws | None") -> tuple[str, str]:
        if one is None:
            return "", ""
        return with_error(one.mean, one.standard_error), interval_text(one.interval, one.mean, one.standard_error)

    rows = [(method, *cells(own), *cells(gap)) for method, own, gap in _over(draws)]
    head = ("classifier", "test_error", "95% interval", f"{model} minus it", "95% interval")
    return (
        f"{Table(head, rows).text()}\n\n± and intervals are over {len(draws.errors[model])} draws of {draws.labelled} "
        f"labels, one for each seed, and for differences draw by draw; all errors are of the same {draws.held_out} "
        "held-out images"
    )


def _text(methods: Any, root: Path, draws: "LabelDraws | None") -> str:
    """A table of the spreads, and what can be done with the runs."""
    ((variant, runs),) = methods.runs.items()
    first = next(iter(runs.values()))
    rows = [(one.metric, *spread_cells(one, first[one.metric], comparable=first.comparable)) for one in methods.spreads]
    return "\n\n".join(
        [
            f"{root}: {len(runs)} run{'s' if len(runs) > 1 else ''} of {variant}",
            Table(("metric", *SPREAD_HEAD), rows).text(),
            *([] if draws is None else [_draws_text(draws)]),
            "\n".join([*footnote(runs.values()), how_measured(first.provenance)]),
            f'`ganeval compare --runs "{variant}={root}/*/result.json" --runs NAME=...` compares them with others',
        ]
    )
