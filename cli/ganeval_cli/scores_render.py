"""A scored run on the screen: a table with the floor beside each score."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ganeval.results import CLASS
from ganeval.tables import Table, class_cells
from ganeval.wording import direction_text, result_text
from ganeval_cli.options import OutputOptions
from ganeval_cli.render import details_text, how_measured
from ganeval_cli.train import run_summary

if TYPE_CHECKING:
    from ganeval.results import Evaluation, MetricResult
    from reference_models import ScoredRun, Target


def scores_text(found: "ScoredRun", printing: OutputOptions) -> str:
    """A scored run in words, the numbers first."""
    root, scores, evaluation = found.run, found.scores, found.scores.evaluation
    rows = [
        (
            name,
            result_text(one),
            *(result_text(other.metrics.get(name)) for other in scores.references.values()),
            direction_text(one.direction, one.ideal),
            str(one.n_fake),
        )
        for name, one in evaluation.metrics.items()
    ]
    parts = [
        run_summary(root, found.training, found.diagnostics.verdict()),
        Table(("metric", "value", *scores.references, "better", "fakes"), rows).text(),
        "; ".join([f"against {scores.against}", *(f"{name}: {of}" for name, of in scores.references_of.items())])
        + f"\n{how_measured(evaluation.provenance)}",
        *classes_text(evaluation, scores.references),
        *published_text(found),
        "".join(f"{path}: {shown}\n" for path, shown in found.pictures.items())
        + f"{root}/result.json: the scores; {_further(found)}",
    ]
    if printing.verbose:
        parts.append(details_text(evaluation, printing))
    return "\n\n".join(parts)


def _further(found: "ScoredRun") -> str:
    """What can be done with the run, in words."""
    from reference_models import SequenceModel, Translator

    match found.training.best_model:
        case SequenceModel():
            return f"`ganeval sample {found.run} -o FILE.txt` writes sequences"
        case Translator(exemplars=True):
            return "single images have no exemplar, so it is not applied to others"
        case Translator():
            return f"`ganeval translate {found.run} INPUT -o OUTPUT` applies it to images"
    return f"ckpt:{found.run} is a source in every command"


def classes_text(evaluation: "Evaluation", references: Mapping[str, "Evaluation"]) -> Iterator[str]:
    """A table of classes, where there are metrics of each: a value, and what each reference has for this class."""
    names = [name for name, one in evaluation.metrics.items() if any(key.startswith(CLASS) for key in one.details)]
    if not names:
        return
    shown = (evaluation, *references.values())
    found = [one.metrics[name].details if name in one.metrics else {} for name in names for one in shown]
    yield Table(("class", *(head for name in names for head in (name, *references))), class_cells(found)).text()


def published_text(run: "ScoredRun") -> Iterator[str]:
    """Lines of published numbers, each with the run's own; nothing where none was published."""
    if run.published:
        yield "\n".join(_comparison(one.target, one.found, one.reached, one.why) for one in run.published)


def _comparison(target: "Target", found: "MetricResult | None", reached: bool | None, why: str) -> str:
    """A published number and the run's own, in a line."""
    text = f"published {target.metric} {target.value:g} ({target.source}, {target.data}): "
    if found is None:
        return f"{text}not compared; {why}"
    verdict = {True: "reached", False: "missed", None: "not judged"}[reached]
    return f"{text}{result_text(found)}, {verdict}" + (f"; {why}" if why else "")
