"""Training translators and scoring them on held-out pairs, for the benchmarks of pix2pix and CycleGAN."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

import ganeval
from benchmarks.harness import mean_text, save, say, table
from benchmarks.systems.progan import differences
from reference_models.base import Translator
from reference_models.data.images import Images
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.engine.reading import read_held_out, read_images
from reference_models.engine.training import Training
from reference_models.engine.translations import translated
from reference_models.scoring.scores import held_out_of
from reference_models.scoring.train_and_score import LONGER
from reference_models.scoring.translations import Asked, trivial

# Of pairs; and of sets, which know no pairs.
OF_PAIRS, OF_SETS = ("psnr", "l1"), ("fid",)
# Further figures of a model on held-out inputs, by name.
Further = Callable[[Translator, Images], Mapping[str, float]]


def unchanged(images: Images) -> Images:
    """The same images."""
    return images


@dataclass(frozen=True)
class Twin:
    """A model that differs in one respect: in its settings, or in what is done to its training pairs."""

    chosen: Mapping[str, object] = field(default_factory=dict)
    change: Callable[[Images], Images] = unchanged


def nothing(model: Translator, pairs: Images) -> Mapping[str, float]:  # noqa: ARG001, the signature of Further
    """No further figures."""
    return {}


def scored(
    plan: TrainingPlan,
    *,
    change: Callable[[Images], Images] = unchanged,
    of_sets: Sequence[str] = OF_SETS,
    further: Further = nothing,
) -> tuple[dict[str, float], Mapping[str, dict[str, float]]]:
    """Scores of a trained translator on held-out pairs, with its CPU seconds; and those of trivial methods.

    change: what is done to the training pairs, for a twin.
    """
    images = read_images(plan)
    training, begin = Training(plan, change(images)), time.process_time()
    for _ in range(plan.recipe.steps):
        training.advance()
    seconds = time.process_time() - begin
    held_out = held_out_of(plan.data)
    assert held_out is not None
    pairs = read_held_out(held_out, training)
    assert pairs.inputs is not None
    model = training.best_model
    assert isinstance(model, Translator)
    outputs = translated(model, pairs.inputs, seed=plan.seed)
    _, methods = trivial(images, Asked(pairs.inputs, pairs.pixels, "held-out pairs"))
    found = {name: measured(pairs.pixels, made, of_sets) for name, (made, _) in methods.items()}
    return {**measured(pairs.pixels, outputs, of_sets), **further(model, pairs), "seconds": seconds}, found


def measured(targets: Tensor, made: Tensor, of_sets: Sequence[str]) -> dict[str, float]:
    """Metrics of pairs, and metrics of sets by the digits' features."""
    pairs = ganeval.evaluate_pairs(targets, made, metrics=OF_PAIRS)
    apart = ganeval.evaluate(targets, made, metrics=of_sets, extractor="digits", cache=False)
    return {name: one.value for name, one in (*pairs.metrics.items(), *apart.metrics.items())}


def shuffled(images: Images) -> Images:
    """The same images in false pairs: each input with the target of the next pair."""
    assert images.inputs is not None
    return replace(images, inputs=images.inputs.roll(1, 0))


def run_twins(
    variant: str,
    twins: Mapping[str, Twin],
    runs: int,
    *,
    data: str | None = None,
    name: str,
    of_sets: Sequence[str] = OF_SETS,
    further: Further = nothing,
) -> None:
    """Train each twin as `train-and-score` does, with seeds 0 to runs - 1, score it, and save the table.

    data: training pairs at the size of the quick recipe; None for its own. name: of the results. of_sets: metrics of
    sets of images.
    """
    torch.set_num_threads(1)
    steps = LONGER * make_plan(variant).recipe.steps
    found: dict[str, list[dict[str, float]]] = {name: [] for name in twins}
    others: Mapping[str, dict[str, float]] = {}
    for seed in range(runs):
        for twin_name, twin in twins.items():
            recipe = make_plan(variant).recipe
            size = {} if data is None else {"resolution": recipe.resolution, "channels": recipe.channels}
            plan = make_plan(variant, data=data, chosen={"steps": steps, **size, **twin.chosen}, seed=seed)
            one, others = scored(plan, change=twin.change, of_sets=of_sets, further=further)
            found[twin_name].append(one)
            say(f"  {twin_name}, seed {seed}: {one}")
    data = data or make_plan(variant).data
    figures = {"data": data, "steps": steps, "seeds": runs, "runs": found, "trivial": others}
    save(name, figures, tables(figures))


def tables(figures: Mapping[str, Any]) -> str:
    """Means over seeds of each twin, with what trivial methods score; and differences from the first twin, by seed."""
    found, others = figures["runs"], figures["trivial"]
    title = f"{figures['data']}, {figures['steps']} steps, {figures['seeds']} seeds, 95% intervals"
    first, *rest = found
    heads = list(found[first][0])
    rows = [[label, *(mean_text([one[key] for one in of]) for key in heads)] for label, of in found.items()]
    rows += [[label, *(f"{one[key]:.3g}" if key in one else "-" for key in heads)] for label, one in others.items()]
    judged = [key for key in heads if key != "seconds"]
    gaps = [
        [f"{label} - {first}", *(mean_text(differences(found[label], found[first], key)) for key in judged)]
        for label in rest
    ]
    return "\n\n".join([table([title, *heads], rows), table(["paired differences", *judged], gaps)])
