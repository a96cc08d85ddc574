"""The context encoder: PSNR inside the hole, next to the training mean, the surroundings' mean, and its own versions.

Every version has the quick recipe at four times its steps, which is what `ganeval train-and-score` trains, on crops of
the upper parts of two photographs, and is measured on crops of their lower parts: of 32 pixels with a hole of 12, and
of 64 pixels with a hole of 32. The versions are the paper's joint loss, the squared error alone, and a network that is
trained on the surroundings of other images.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.harness import save, say, table
from benchmarks.systems.ranking import shown
from ganeval.metrics import psnr
from reference_models.data.images import Images
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_held_out, read_images
from reference_models.engine.training import Training
from reference_models.engine.translations import translated
from reference_models.models.context_encoder import ContextEncoder
from reference_models.scoring.train_and_score import LONGER

VERSIONS: Mapping[str, Mapping[str, object]] = {
    "context-encoder": {},
    "squared error alone": {"settings.reconstruction": 1.0},
    "surroundings of other images": {},
}


@dataclass(frozen=True, slots=True)
class Task:
    """train, test: sources. chosen: settings that belong to them."""

    train: str
    test: str
    chosen: Mapping[str, object]


TASKS: Mapping[str, Task] = {
    "32 px, hole 12": Task("hole:photos:train:32,12", "hole:photos:test:32,12", {}),
    "64 px, hole 32": Task("hole:photos:train:64", "hole:photos:test:64", {"resolution": 64, "settings.overlap": 0}),
}


def main(*, runs: int) -> None:
    """All versions on all tasks. runs: seeds."""
    torch.set_num_threads(1)
    found: dict[str, dict[str, list[float]]] = {}
    for task, of in TASKS.items():
        found[task] = {}
        for name in VERSIONS:
            for seed in range(runs):
                value, trivial = hole_psnr(of, name, seed)
                found[task] |= {other: [reached] for other, reached in trivial.items()}
                found[task].setdefault(name, []).append(value)
                say(f"  {task}, {name}, seed {seed}: {value:.2f} dB; {trivial}")
    steps = make_plan("context-encoder").recipe.steps * LONGER
    methods = list(dict.fromkeys(method for of_task in found.values() for method in of_task))
    rows = [[method, *(shown(found[task][method], 2) for task in TASKS)] for method in methods]
    text = table([f"PSNR in the hole, dB, {steps} steps, {runs} seeds", *TASKS], rows)
    save("context_encoder", {"seeds": runs, "steps": steps, "psnr": found}, text)


def hole_psnr(task: Task, version: str, seed: int) -> tuple[float, Mapping[str, float]]:
    """PSNR in the hole of held-out images after a training, and that of trivial methods."""
    steps = make_plan("context-encoder").recipe.steps * LONGER
    chosen = {"steps": steps, **task.chosen, **VERSIONS[version]}
    plan = make_plan("context-encoder", data=task.train, chosen=chosen, seed=seed)
    images = read_images(plan)
    training = Training(plan, mixed(images) if version == "surroundings of other images" else images)
    while training.step < steps:
        training.advance()
    test, model = read_held_out(task.test, training), training.best_model
    assert isinstance(model, ContextEncoder)
    assert test.inputs is not None
    hole = model.hole
    targets = hole.of(test.pixels).contiguous()

    def reached(made: Tensor) -> float:
        return psnr(targets, made.round().to(torch.uint8).expand_as(targets).contiguous()).mean().item()

    inside = torch.ones(test.inputs.shape[2:])
    inside[hole.place] = 0
    around = (test.inputs * inside).sum((2, 3), keepdim=True) / inside.sum()
    trivial = {"training mean": hole.of(images.pixels).float().mean(0), "mean of the surroundings": around}
    return reached(hole.of(translated(model, test.inputs, seed=0))), {
        name: reached(made) for name, made in trivial.items()
    }


def mixed(images: Images) -> Images:
    """The images with the inputs of others."""
    assert images.inputs is not None
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return replace(images, inputs=images.inputs[rows])
