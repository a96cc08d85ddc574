"""Every unconditional variant at equal seconds and at equal steps: FID and coverage against test images, ranked.

    python -m benchmarks.systems.ranking [--data fashionmnist:train] [--seconds 60] [--seeds 3] [--steps 1000]

Each variant follows its quick recipe, at one resolution for all. At equal seconds its step is timed first, and the
schedule of the recipe is stretched to as many steps as fit. Seconds are CPU time of this process, on one thread. The
figures of a variant are the mean over seeds and its 95% interval (Student's t). Two variants are tied if Welch's t-test
does not tell their seeds apart at 5%; the rank of a variant is 1 more than the number of variants that are better.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache

import torch
from scipy import stats

import ganeval
from benchmarks.harness import save, say, table
from reference_models import VARIANTS, build_model, model_class
from reference_models.base import GAN, Model
from reference_models.data.images import Images, load_images
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.engine.training import Training
from reference_models.sampling.sampler import Sampler
from reference_models.scoring.scores import held_out_of

# The smallest that every convolutional quick network makes.
RESOLUTION = 16
DRAWN = 2000
LEVEL = 0.05
METRICS = {"fid": "lower", "coverage": "higher"}
# Steps that are timed, after some that are not, which allocate memory.
TIMED, UNTIMED = 5, 2


@dataclass(frozen=True, slots=True)
class Trained:
    """One training. seconds: CPU time of its steps. scores: by metric."""

    steps: int
    seconds: float
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Place:
    """A variant in a ranking, one number per seed.

    rank: 1 for those that no variant is better than. tied: variants with which it is tied.
    """

    variant: str
    trained: Sequence[Trained]
    rank: int = 0
    tied: Sequence[str] = field(default=())

    def values(self, metric: str) -> list[float]:
        """The values of a metric, by seed."""
        return [one.scores[metric] for one in self.trained]


def unconditional() -> list[str]:
    """The variants that make images from latents alone."""
    found = []
    for name, variant in VARIANTS.items():
        recipe = variant.recipe("quick")
        model = build_model(recipe, model_class(recipe).data_for(recipe, 10))
        if isinstance(model, GAN) and not model.conditional and model.batch_type is GAN.batch_type:
            found.append(name)
    return found


def at_equal_seconds(
    variants: Sequence[str], seconds: float, seeds: int, data: str = "digits:train", *, by: str = "fid"
) -> list[Place]:
    """Train each variant for the same CPU time, score it against the test images, and rank it.

    data: the "train" part of a data set. by: the metric that ranks. The best variant comes first.
    """
    return _ranked(variants, seeds, data, lambda plan: fitting(plan, seconds), by)


def at_equal_steps(
    variants: Sequence[str], steps: int, seeds: int, data: str = "digits:train", *, by: str = "fid"
) -> list[Place]:
    """As `at_equal_seconds`, with the same number of steps for each variant."""
    return _ranked(variants, seeds, data, lambda _: steps, by)


def fitting(plan: TrainingPlan, seconds: float) -> int:
    """The number of steps of a plan that fit into so many seconds, 1 at least."""
    training = Training(plan, images_of(plan.data))
    for _ in range(UNTIMED):
        training.advance()
    # Steps of different length, as WGAN's, are those of the middle of the run.
    training.step = plan.recipe.steps // 2
    start = time.process_time()
    for _ in range(TIMED):
        training.advance()
    return max(1, int(seconds * TIMED / (time.process_time() - start)))


def trained(plan: TrainingPlan) -> Trained:
    """Train a plan to its end and score it against the test images at the same resolution."""
    held_out = held_out_of(plan.data)
    if held_out is None:
        raise SystemExit(
            f"'{plan.data}' has no test images; choose the train part of a data set, such as digits:train."
        )
    training = Training(plan, images_of(plan.data))
    start = time.process_time()
    for _ in range(plan.recipe.steps):
        training.advance()
    seconds = time.process_time() - start
    return Trained(plan.recipe.steps, seconds, scores(training.best_model, images_of(held_out)))


def scores(model: Model, real: Images) -> dict[str, float]:
    """FID and coverage of a model with the digits' extractor."""
    found = ganeval.evaluate(
        real.pixels,
        Sampler(model),
        metrics=list(METRICS),
        extractor="digits",
        num_samples=DRAWN,
        seed=0,
        cache=False,
    )
    return {name: float(found[name].value) for name in METRICS}


@cache
def images_of(data: str) -> Images:
    """Grey images at the common resolution."""
    return load_images(data, resolution=RESOLUTION, channels=1, resize=True)


def _ranked(
    variants: Sequence[str], seeds: int, data: str, steps_of: Callable[[TrainingPlan], int], by: str
) -> list[Place]:
    torch.set_num_threads(1)
    places = []
    for variant in variants:
        plan = make_plan(variant, data=data, chosen={"resolution": RESOLUTION})
        steps = steps_of(plan)
        runs = []
        for seed in range(seeds):
            chosen = {"resolution": RESOLUTION, "steps": steps}
            runs.append(trained(make_plan(variant, data=data, chosen=chosen, seed=seed)))
            listed = ", ".join(f"{metric} {value:.3g}" for metric, value in runs[-1].scores.items())
            say(f"  {variant}, seed {seed}: {steps} steps in {runs[-1].seconds:.0f} s, {listed}")
        places.append(Place(variant, runs))
    return ranked(places, by)


def ranked(places: Sequence[Place], by: str) -> list[Place]:
    """Places with their ranks and ties, the best mean first."""
    sign = 1 if METRICS[by] == "lower" else -1
    found = []
    for place in places:
        others = [other for other in places if other is not place]
        apart = {other.variant: differ(other.values(by), place.values(by)) for other in others}
        mean = statistics.mean(place.values(by))
        better = [
            other for other in others if apart[other.variant] and sign * statistics.mean(other.values(by)) < sign * mean
        ]
        tied = [other.variant for other in others if not apart[other.variant]]
        found.append(Place(place.variant, place.trained, 1 + len(better), tied))
    return sorted(found, key=lambda place: sign * statistics.mean(place.values(by)))


def differ(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether Welch's t-test rejects at LEVEL that two sets of runs have the same mean; never for single runs."""
    if min(len(first), len(second)) < 2:
        return False
    if len({*first}) == len({*second}) == 1:
        return first[0] != second[0]
    return bool(stats.ttest_ind(first, second, equal_var=False).pvalue < LEVEL)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean of runs, and half of its 95% interval by Student's t; NaN for a single run."""
    mean, count = statistics.mean(values), len(values)
    if count < 2:
        return mean, math.nan
    return mean, float(stats.t.ppf(1 - LEVEL / 2, count - 1)) * statistics.stdev(values) / math.sqrt(count)


def shown(values: Sequence[float], digits: int = 2) -> str:
    """A mean with its interval, in words."""
    mean, half = interval(values)
    return f"{mean:.{digits}f}" if math.isnan(half) else f"{mean:.{digits}f} ± {half:.{digits}f}"


def ranking_table(title: str, places: Sequence[Place]) -> str:
    """A ranking as a Markdown table."""
    rows = [
        [
            place.rank,
            place.variant,
            place.trained[0].steps,
            f"{statistics.mean(one.seconds for one in place.trained):.0f}",
            *(shown(place.values(metric)) for metric in METRICS),
            ", ".join(place.tied) or "-",
        ]
        for place in places
    ]
    return table(["rank", title, "steps", "CPU s", *METRICS, "tied with"], rows)


def main(
    *, runs: int, seconds: float = 60, steps: int = 500, data: str = "digits:train", variants: Sequence[str] = ()
) -> None:
    """Both rankings of one data set. runs: seeds. variants: all that are unconditional, if none are named."""
    chosen = list(variants) or unconditional()
    rankings = {
        f"{seconds:g} s": at_equal_seconds(chosen, seconds, runs, data),
        f"{steps} steps": at_equal_steps(chosen, steps, runs, data),
    }
    text = "\n\n".join(ranking_table(f"{data}, {title} each", places) for title, places in rankings.items())
    name = "ranking-" + data.partition(":")[0]
    figures = {title: [asdict(place) for place in places] for title, places in rankings.items()}
    save(name, {"data": data, "seeds": runs, "rankings": figures}, text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.systems.ranking", description=__doc__)
    parser.add_argument("--data", default="digits:train", help="the train part of a data set (digits:train)")
    parser.add_argument("--seconds", type=float, default=60, help="CPU time of each training (60)")
    parser.add_argument("--steps", type=int, default=500, help="steps of each training at equal steps (500)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each variant (3)")
    parser.add_argument("--variants", default="", help="names with commas between; default: all unconditional ones")
    asked = parser.parse_args()
    named = [name for name in asked.variants.split(",") if name]
    main(runs=asked.seeds, seconds=asked.seconds, steps=asked.steps, data=asked.data, variants=named)
