"""ProGAN: is growing worth it? The quick recipe, its twin that does not grow, and its twin without deviations.

All see the same number of images, in the same order. The twins are the paper's own ablations, as settings of the model.
Two sets: the embedded digits at 16 x 16 pixels, enlarged from 8 x 8, scored against the training images by the digits'
extractor; and Fashion-MNIST at 32 x 32, enlarged from 28 x 28, scored against its 10,000 test images by `lite0`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import ganeval
from benchmarks.harness import mean_text, save, say, table
from reference_models.data.images import load_images
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.engine.reading import read_images
from reference_models.engine.training import Training
from reference_models.sampling.sampler import Sampler

METRICS = ("fid", "recall", "coverage")
Scores = dict[str, float]


@dataclass(frozen=True, slots=True)
class Task:
    """A set to learn.

    saved: name of its results. data: the training images. chosen: settings of all twins. twins: settings by name; the
    first is the recipe itself. real: what the scores compare with. drawn: number of fakes. extractor: of both.
    """

    saved: str
    data: str
    chosen: Mapping[str, object]
    twins: Mapping[str, Mapping[str, object]]
    real: str
    drawn: int
    extractor: str

    def plan(self, twin: str, seed: int) -> TrainingPlan:
        """The training of a twin."""
        return make_plan("progan", data=self.data, chosen={**self.chosen, **self.twins[twin]}, seed=seed)


TASKS: Mapping[str, Task] = {
    "digits": Task(
        saved="progan",
        data="digits:train",
        chosen={},
        twins={"growing": {}, "not growing": {"settings.start": 16}, "without deviations": {"settings.group": 0}},
        real="digits:train",
        drawn=1347,
        extractor="digits",
    ),
    "fashionmnist": Task(
        saved="progan_fashionmnist",
        data="fashionmnist:train",
        chosen={"resolution": 32, "settings.maps": 256, "steps": 3000},
        twins={"growing": {}, "not growing": {"settings.start": 32}},
        real="fashionmnist:test",
        drawn=1000,
        extractor="lite0",
    ),
}


def main(*, runs: int, data: Sequence[str] = tuple(TASKS)) -> None:
    """Train and score each twin with seeds 0 to runs - 1. data: names of TASKS."""
    torch.set_num_threads(1)
    for task in (TASKS[name] for name in data):
        found: dict[str, list[Scores]] = {name: [] for name in task.twins}
        # The reals are extracted once.
        with TemporaryDirectory() as folder:
            for seed in range(runs):
                for name in task.twins:
                    found[name].append(scored(task, name, seed, Path(folder)))
                    say(f"  {task.data}, {name}, seed {seed}: {found[name][-1]}")
        figures = {"seeds": runs, "runs": found}
        save(task.saved, figures, tables(task, figures))


def scored(task: Task, twin: str, seed: int, cache: Path) -> Scores:
    """Scores of a trained twin, and the CPU seconds of its training."""
    plan = task.plan(twin, seed)
    training, begin = Training(plan, read_images(plan)), time.process_time()
    for _ in range(plan.recipe.steps):
        training.advance()
    seconds, size = time.process_time() - begin, training.images.data
    result = ganeval.evaluate(
        load_images(task.real, resolution=size.resolution, channels=size.channels, resize=True).pixels,
        Sampler(training.best_model),
        metrics=list(METRICS),
        extractor=task.extractor,
        num_samples=task.drawn,
        seed=0,
        cache_dir=cache,
    )
    return {name: result[name].value for name in METRICS} | {"seconds": seconds}


def tables(task: Task, figures: Mapping[str, Any]) -> str:
    """Means of all twins with their intervals, and the differences from the first, by seed."""
    found = figures["runs"]
    columns, (first, *others) = (*METRICS, "seconds"), list(found)
    recipe = task.plan(first, 0).recipe
    title = f"{task.data}, {recipe.steps * recipe.batch} images, {len(found[first])} seeds, 95% intervals"
    means = [[name, *(mean_text([one[key] for one in of]) for key in columns)] for name, of in found.items()]
    gaps = [
        [f"{name} - {first}", *(mean_text(differences(found[name], found[first], key)) for key in columns)]
        for name in others
    ]
    return "\n\n".join([table([title, *columns], means), table(["paired differences", *columns], gaps)])


def differences(one: Sequence[Scores], other: Sequence[Scores], key: str) -> list[float]:
    """Seed by seed: the same seed draws the same batches in both."""
    return [left[key] - right[key] for left, right in zip(one, other, strict=True)]
