"""What a trial of a trained model says: a table with the floor beside each score, and the JSON document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ganeval.results import CLASS
from ganeval.tables import Table, class_cells
from ganeval.wording import direction_text, result_text
from ganeval_cli.options import OutputOptions
from ganeval_cli.render import details_text, how_measured
from ganeval_cli.train import run_summary

if TYPE_CHECKING:
    from ganeval.results import Evaluation
    from reference_models.engine.loop import Loop
    from reference_models.scoring.published import Comparison
    from reference_models.scoring.scores import Scores


def scores_text(
    loop: "Loop", trial: "Scores", against: Sequence["Comparison"], pictures: Mapping[Path, str], view: OutputOptions
) -> str:
    """Everything a person wants to know of it, the numbers first. pictures: what was drawn, and what each shows."""
    root, evaluation = loop.folder.root, trial.evaluation
    rows = [
        (
            name,
            result_text(one),
            result_text(trial.floor.metrics.get(name)),
            direction_text(one.direction, one.ideal),
            str(one.n_fake),
        )
        for name, one in evaluation.metrics.items()
    ]
    parts = [
        run_summary(loop),
        Table(("metric", "value", "floor", "better", "fakes"), rows).text(),
        f"against the training images as the model sees them; floor: {trial.floor_of}\n"
        + how_measured(evaluation.provenance),
        *classes_text(evaluation, trial.floor),
        *(["\n".join(map(comparison_text, against))] if against else []),
        "".join(f"{path}: {shown}\n" for path, shown in pictures.items())
        + f"{root}/result.json: the scores; ckpt:{root} is a source in every command",
    ]
    if view.verbose:
        parts.append(details_text(evaluation))
    return "\n\n".join(parts)


def classes_text(evaluation: "Evaluation", floor: "Evaluation") -> Iterator[str]:
    """A table of classes, where metrics were had for each: a value, and what reals of this class score."""
    names = [name for name, one in evaluation.metrics.items() if any(key.startswith(CLASS) for key in one.details)]
    if not names:
        return
    found = [one.metrics[name].details if name in one.metrics else {} for name in names for one in (evaluation, floor)]
    yield Table(("class", *(head for name in names for head in (name, "floor"))), class_cells(found)).text()


def comparison_text(one: "Comparison") -> str:
    """A published number and this one, in a line."""
    target = one.target
    text = f"published {target.metric} {target.value:g} ({target.source}, {target.data}): "
    if one.found is None:
        return f"{text}not compared; {one.why}"
    value = result_text(one.found)
    verdict = {True: "reached", False: "missed", None: "not judged"}[one.reached]
    return f"{text}{value}, {verdict}" + (f"; {one.why}" if one.why else "")


def scores_document(loop: "Loop", trial: "Scores", against: Sequence["Comparison"]) -> dict[str, object]:
    plan = loop.training.plan
    return {
        "run": str(loop.folder.root),
        "variant": plan.recipe.variant,
        "preset": plan.recipe.preset,
        "steps": loop.training.step,
        "images": loop.training.seen,
        "scores": trial.evaluation.to_dict(),
        "floor": trial.floor.to_dict(),
        "floor_of": trial.floor_of,
        "alarms": [{**asdict(one), "means": one.means, "attempt": one.attempt} for one in loop.diagnostics.findings],
        "published": [asdict(one) for one in against],
    }
