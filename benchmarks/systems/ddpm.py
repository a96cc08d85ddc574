"""DDPM next to GANs after the same CPU time: FID, C2ST and coverage on the digits, and what it costs to draw an image.

Every model follows its quick recipe, with as many steps as take SECONDS of CPU time, and schedules stretched to these.
It is scored against its training images as it saw them (8, 16 or 32 pixels); the floor is the score of the held-out
digits at the same size. The deliberately broken versions are a network that is not told the step, and samplers that
take the level of a neighbouring step.
"""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

import ganeval
from benchmarks.harness import save, say, table
from reference_models import VARIANTS
from reference_models.base import GAN
from reference_models.data.images import Images, load_images
from reference_models.engine.plan import TrainingPlan
from reference_models.engine.training import Training
from reference_models.models.ddpm import DDPM, UNet
from reference_models.sampling.sampler import Sampler

SECONDS = 60.0
# The best of the ranking at equal time, and the plainest.
RIVALS = ("r3gan", "lucic2018-wgan", "dcgan")
METRICS = ("fid", "c2st_knn", "coverage")
DRAWN = 400
CURVE = (5, 10, 20, 50, 100)
# Steps that are timed to plan a training, after some that are not.
WARM, TIMED = 3, 12

Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trained:
    """A model at the end of its training. rate: images per CPU second that it draws."""

    resolution: int
    steps: int
    scores: Scores
    rate: float


@dataclass(frozen=True, slots=True)
class Seed:
    """trained: each model. sampled: scores of the first, drawn from in other ways."""

    trained: Mapping[str, Trained]
    sampled: Mapping[str, Scores]


class Timeless(UNet):
    """The network without the time embedding: every step is told to be step 0."""

    def forward(self, noisy: Tensor, steps: Tensor) -> Tensor:
        """float32 [N, C, R, R], int64 [N] => float32 [N, C, R, R]"""
        return super().forward(noisy, torch.zeros_like(steps))


class OffByOne(DDPM):
    """A sampler that takes the level of a neighbouring step."""

    neighbour: int

    def levels(self, steps: Sequence[int]) -> list[tuple[int, float]]:
        """Each step with the level of another."""
        last = self.settings.diffusion_steps - 1
        others = super().levels([min(max(0, step + self.neighbour), last) for step in steps])
        return [(step, kept) for step, (_, kept) in zip(steps, others, strict=True)]


def main(*, runs: int) -> None:
    """All parts. runs: seeds."""
    torch.set_num_threads(1)
    seeds = [one_seed(seed) for seed in range(runs)]
    found = {name: [seed.trained[name] for seed in seeds] for name in seeds[0].trained}
    sampled = {name: [seed.sampled[name] for seed in seeds] for name in seeds[0].sampled}
    parts = [
        table(
            [
                f"CPU seconds: {SECONDS:.0f}; seeds: {runs}; images: {DRAWN}",
                "size",
                "steps",
                "FID (floor)",
                "C2ST",
                "coverage",
                "images/s",
            ],
            [*(row(name, each) for name, each in found.items())],
        ),
        table(
            ["sampled by", "FID", "C2ST", "coverage"],
            [[name, *cells(each)] for name, each in sampled.items()],
        ),
    ]
    figures = {
        "runs": runs,
        "seconds": SECONDS,
        "drawn": DRAWN,
        "trained": {name: [asdict(one) for one in each] for name, each in found.items()},
        "floors": {name: floor(name) for name in ("ddpm", *RIVALS)},
        "sampled": sampled,
    }
    save("ddpm", figures, "\n\n".join(parts))


def one_seed(seed: int) -> Seed:
    """Everything of one seed."""
    found, models = {}, {}
    for name, broken in (("ddpm", False), ("ddpm", True), *((rival, False) for rival in RIVALS)):
        label = f"{name}, not told the step" if broken else name
        found[label], models[label] = trained(name, seed, broken=broken)
        say(f"  seed {seed}, {label}: {found[label]}")
    model, data = cast(DDPM, models["ddpm"]), images("ddpm")
    repeats(model)
    sampled = {f"DDIM in {count} steps": score(with_steps(model, count), data, seed) for count in CURVE}
    for neighbour in (-1, 1):
        sampled[f"with the level of step t {neighbour:+d}"] = score(off_by(model, neighbour), data, seed)
    say(f"  seed {seed}: {sampled}")
    return Seed(found, sampled)


@cache
def images(name: str, split: str = "train") -> Images:
    """The digits at the size of a variant's quick recipe."""
    resolution = VARIANTS[name].recipe("quick").resolution
    return load_images(f"digits:{split}", resolution=resolution, channels=1, resize=True)


@cache
def floor(name: str) -> Scores:
    """The scores of held-out digits."""
    return _values(images(name, "test").pixels, images(name), seed=0)


def trained(name: str, seed: int, *, broken: bool) -> tuple[Trained, GAN]:
    """Train for SECONDS of CPU time. broken: the network is not told the step."""
    recipe, data = VARIANTS[name].recipe("quick"), images(name)

    def begin(steps: int) -> Training:
        training = Training(TrainingPlan(recipe=replace(recipe, steps=steps), data="digits", seed=seed), data)
        if broken:
            for model in (training.model, training.best_model):
                cast(DDPM, model).network.__class__ = Timeless
        return training

    trial = begin(recipe.steps)
    for _ in range(WARM):
        trial.advance()
    start = time.process_time()
    for _ in range(TIMED):
        trial.advance()
    steps = max(1, round(SECONDS * TIMED / (time.process_time() - start)))
    training, start = begin(steps), time.process_time()
    # The planned number of steps ends schedules in time; the clock ends the training if they turn out to be slower.
    while training.step < steps and time.process_time() - start < SECONDS:
        training.advance()
    model = cast(GAN, training.best_model)
    return Trained(data.data.resolution, training.step, score(model, data, seed), draw_rate(model)), model


def score(model: GAN, data: Images, seed: int) -> Scores:
    """Of DRAWN images, against all training images."""
    return _values(Sampler(model), data, seed=seed)


def _values(fakes: object, data: Images, *, seed: int) -> Scores:
    own = {"num_samples": DRAWN} if isinstance(fakes, Sampler) else {}
    found = ganeval.evaluate(
        data.pixels,
        cast(Any, fakes),
        metrics=list(METRICS),
        extractor="digits",
        seed=seed,
        cache=False,
        **cast(Any, own),
    )
    return {name: float(found.metrics[name].value) for name in METRICS}


def draw_rate(model: GAN, count: int = 256) -> float:
    """Images per CPU second."""
    model.eval()
    with torch.no_grad():
        z = model.latent(count, rng=torch.Generator().manual_seed(0))
        model.generate(z)
        start = time.process_time()
        model.generate(z)
    return count / (time.process_time() - start)


def with_steps(model: DDPM, count: int) -> DDPM:
    """The same model, drawn from in so many steps."""
    # A copy has the memory layout of the model's weights; another layout would round differently.
    other = deepcopy(model)
    other.settings = replace(model.settings, sampling_steps=count)
    return other.eval()


def off_by(model: DDPM, neighbour: int) -> DDPM:
    """The same model with the broken sampler."""
    other = with_steps(model, model.settings.sampling_steps)
    other.__class__ = OffByOne
    cast(OffByOne, other).neighbour = neighbour
    return other


def repeats(model: DDPM) -> None:
    """AssertionError unless DDIM gives the same images twice, bit for bit."""
    z = model.latent(64, rng=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(model.eval().generate(z), with_steps(model, model.settings.sampling_steps).generate(z))


def row(name: str, each: Sequence[Trained]) -> list[str]:
    """A line of the first table."""
    steps = statistics.mean(one.steps for one in each)
    fid, c2st, coverage = cells([one.scores for one in each])
    rates = statistics.mean(one.rate for one in each)
    least = floor(name.partition(",")[0])["fid"]
    return [name, f"{each[0].resolution} px", f"{steps:.0f}", f"{fid} ({least:.2f})", c2st, coverage, f"{rates:.0f}"]


def cells(each: Sequence[Scores]) -> list[str]:
    """The mean of each metric over seeds, and half the width of its 95% interval (Student's t)."""
    return [interval([one[name] for one in each], digits=1 if name == "fid" else 3) for name in METRICS]


def interval(values: Sequence[float], *, digits: int) -> str:
    """ "mean ± half width", or the value alone if there is one."""
    from scipy.stats import t

    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) < 2:
        return mean
    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean} ± {half:.{digits}f}"
