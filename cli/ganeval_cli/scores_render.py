"""A scored run on the screen: a table with the floor next to each score."""

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
    from reference_models import ScoredRun, Scores, Target


def scores_text(found: "ScoredRun", printing: OutputOptions) -> str:
    """A scored run as text, the numbers first."""
    root, scores, evaluation = found.run, found.scores, found.scores.evaluation
    apart = classifier_metrics(evaluation)
    beside = {name: one for name, one in scores.references.items() if not set(one) or not set(one) <= apart.keys()}
    rest = {name: one for name, one in evaluation.metrics.items() if name not in apart}
    parts = [
        run_summary(root, found.training, found.diagnostics.verdict()),
        _table(rest, beside, counted="fakes"),
        "; ".join([f"against {scores.against}", *(f"{name}: {scores.references_of[name]}" for name in beside)])
        + f"\n{how_measured(evaluation.provenance)}",
        *classes_text(evaluation, beside),
        *_classifier_text(scores, apart),
        *published_text(found),
        "".join(f"{path}: {shown}\n" for path, shown in found.pictures.items())
        + f"{root}/result.json: the scores; {_further(found)}",
    ]
    if printing.verbose:
        parts.append(details_text(evaluation, printing))
    return "\n\n".join(parts)


def classifier_metrics(evaluation: "Evaluation") -> "Mapping[str, MetricResult]":
    """The metrics of a semi-supervised model's classifier; empty for other models."""
    from reference_models import CLASSIFIER_METRICS

    return {name: one for name, one in evaluation.metrics.items() if name in CLASSIFIER_METRICS}


def _table(metrics: "Mapping[str, MetricResult]", beside: "Mapping[str, Evaluation]", *, counted: str) -> str:
    """One row per metric; counted: what the last column counts, "fakes" or "held out"."""
    rows = [
        (
            name,
            result_text(one),
            *(result_text(other.metrics.get(name)) for other in beside.values()),
            direction_text(one.direction, one.ideal),
            str(one.n_fake if counted == "fakes" else one.n_real),
        )
        for name, one in metrics.items()
    ]
    return Table(("metric", "value", *beside, "better", counted), rows).text()


def _classifier_text(scores: "Scores", metrics: "Mapping[str, MetricResult]") -> Iterator[str]:
    """The metrics of a classifier next to those of its baselines."""
    if not metrics:
        return
    rivals = {name: one for name, one in scores.rivals.items() if set(one) <= metrics.keys()}
    one = next(iter(metrics.values()))
    yield _table(metrics, rivals, counted="held out")
    yield "\n".join(
        [
            f"held out: {one.options['held_out']}; ± is over these images, after one draw of "
            f"{one.details['labelled']:g} labels: --seeds N shows how errors vary with the labels",
            *(f"{name}: {scores.references_of[name]}" for name in rivals),
        ]
    )


def _further(found: "ScoredRun") -> str:
    """What can be done with the run, as text."""
    from reference_models import SequenceModel, Translator

    match found.training.best_model:
        case SequenceModel():
            return f"`ganeval sample {found.run} -o FILE.txt` writes sequences"
        case Translator(exemplars=True):
            return "single images have no exemplar, so it cannot be applied to other images"
        case Translator():
            return f"`ganeval translate {found.run} INPUT -o OUTPUT` applies it to images"
    return f"ckpt:{found.run} is a source in every command"


def classes_text(evaluation: "Evaluation", references: Mapping[str, "Evaluation"]) -> Iterator[str]:
    """A table of classes, if metrics have values by class: the value, and that of each reference."""
    names = [name for name, one in evaluation.metrics.items() if any(key.startswith(CLASS) for key in one.details)]
    if not names:
        return
    shown = (evaluation, *references.values())
    found = [one.metrics[name].details if name in one.metrics else {} for name in names for one in shown]
    yield Table(("class", *(head for name in names for head in (name, *references))), class_cells(found)).text()


def published_text(run: "ScoredRun") -> Iterator[str]:
    """Lines of published numbers, each with the run's own; empty if none was published."""
    if run.published:
        yield "\n".join(_comparison(one.target, one.found, one.reached, one.why) for one in run.published)


def _comparison(target: "Target", found: "MetricResult | None", reached: bool | None, why: str) -> str:
    """A published number and the run's own, in a line."""
    text = f"published {target.metric} {target.value:g} ({target.source}, {target.data}): "
    if found is None:
        return f"{text}not compared; {why}"
    verdict = {True: "reached", False: "missed", None: "not judged"}[reached]
    return f"{text}{result_text(found)}, {verdict}" + (f"; {why}" if why else "")
