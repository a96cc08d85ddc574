"""ProGAN: is growing worth it? The quick recipe, its twin that does not grow, and its twin without deviations.

All see the same number of images, in the same order. The twins are the paper's own ablations, as settings of the model.
The reals are the embedded digits of 16 x 16 pixels, the features those of the digits extractor.
"""

import math
import time
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

import torch
from scipy.stats import t as student

import ganeval
from benchmarks.harness import save, say, table
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_images
from reference_models.engine.training import Training
from reference_models.sampling.sampler import Sampler

TWINS: Mapping[str, Mapping[str, object]] = {
    "growing": {},
    "not growing": {"settings.start": 16},
    "without deviations": {"settings.group": 0},
}
METRICS = ("fid", "recall", "coverage")
Scores = dict[str, float]


def main(*, runs: int) -> None:
    """Train and score each twin with seeds 0 to runs - 1."""
    torch.set_num_threads(1)
    found: dict[str, list[Scores]] = {name: [] for name in TWINS}
    for seed in range(runs):
        for name, chosen in TWINS.items():
            found[name].append(scored(chosen, seed))
            say(f"  {name}, seed {seed}: {found[name][-1]}")
    columns = (*METRICS, "seconds")
    means = [[name, *(interval([one[key] for one in of]) for key in columns)] for name, of in found.items()]
    gaps = [
        [f"{name} - growing", *(interval(differences(found[name], found["growing"], key)) for key in columns)]
        for name in TWINS
        if name != "growing"
    ]
    plan = make_plan("progan")
    title = f"{plan.recipe.steps * plan.recipe.batch} images, {runs} seeds, 95% intervals"
    parts = [table([title, *columns], means), table(["paired differences", *columns], gaps)]
    save("progan", {"seeds": runs, "runs": found}, "\n\n".join(parts))


def scored(chosen: Mapping[str, object], seed: int) -> Scores:
    """Scores of a trained twin against the training images, and the CPU seconds of its training."""
    plan = make_plan("progan", chosen=chosen, seed=seed)
    images = read_images(plan)
    training, begin = Training(plan, images), time.process_time()
    for _ in range(plan.recipe.steps):
        training.advance()
    seconds = time.process_time() - begin
    result = ganeval.evaluate(
        images.pixels,
        Sampler(training.best_model),
        metrics=list(METRICS),
        extractor="digits",
        num_samples=len(images),
        seed=0,
        cache=False,
    )
    return {name: result.metrics[name].value for name in METRICS} | {"seconds": seconds}


def differences(one: Sequence[Scores], other: Sequence[Scores], key: str) -> list[float]:
    """Seed by seed: the same seed draws the same batches in both."""
    return [left[key] - right[key] for left, right in zip(one, other, strict=True)]


def interval(values: Sequence[float]) -> str:
    """The mean, and half of its 95% confidence interval by Student's t; the mean alone for one value."""
    if len(values) < 2:
        return f"{fmean(values):.3g}"
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return f"{fmean(values):.3g} ± {half:.2g}"
