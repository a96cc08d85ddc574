"""R3GAN: FID on digits, modes of a grid and of stacked digits, and its step next to the authors'.

Each part has the versions that the paper compares with, as settings of the same model: without R1, without R2, and with
the non-saturating loss instead of the relativistic one.

The authors' code is read from the folder in the environment variable R3GAN_CODE, a checkout of brownvc/R3GAN; without
it that part is skipped.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from benchmarks.harness import save, say, table
from benchmarks.systems.ranking import METRICS, scores, shown
from ganeval.extractors.digits import CLASSES, DigitsExtractor
from ganeval.images import to_uint8
from reference_models import VARIANTS, build_model
from reference_models.base import GAN, Batch, Data
from reference_models.data.images import Images, images_of, load_images
from reference_models.data.toy import covered_by, grid, learn
from reference_models.engine.plan import TrainingPlan
from reference_models.engine.training import Training
from reference_models.recipes import Adam, Cosine, Latent, Recipe

QUICK = VARIANTS["r3gan"].recipe("quick")
TWINS: Mapping[str, Mapping[str, object]] = {
    "r3gan": {},
    "without R1": {"penalty": "fakes"},
    "without R2": {"penalty": "reals"},
    "non-saturating loss": {"loss": "non-saturating"},
}

GRID_STEPS = 3000
_GRID_ADAM = Adam(Cosine(3e-3, 7.5e-4), (0.0, Cosine(0.9, 0.99)))
# Modes are a fiftieth wide, so that a discriminator that tells them from their surroundings is steep: gamma is small.
GRID = replace(
    QUICK,
    latent=Latent(16),
    batch=128,
    steps=GRID_STEPS,
    optimizers={"discriminator": _GRID_ADAM, "generator": _GRID_ADAM},
    settings=replace(cast(Any, QUICK.settings), width=128, gamma=1e-3, gamma_end=1e-4),
    ema=None,
)

STACKS, STACKED_STEPS, DRAWN = 20_000, 2000, 26_000
STACKED_SEEDS = 3
CODE = "R3GAN_CODE"
# Width, groups, blocks per stage, resolution and batch of the steps that are timed.
SIZES = ((32, 2, 1, 16, 32), (64, 4, 2, 32, 16))


Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True)
class Modes:
    """covered: modes with a sample. quality: share of samples near a mode, for the grid. kl: from equal shares."""

    covered: int
    quality: float | None = None
    kl: float | None = None


def main(*, runs: int) -> None:
    """All parts. runs: seeds of the digits and of the grid; the stacked digits have at most three."""
    torch.set_num_threads(1)
    digits = each_twin(on_digits, runs)
    on_grid = each_twin(on_the_grid, runs)
    stacked = each_twin(on_stacked_digits, min(runs, STACKED_SEEDS))
    speed = beside_the_authors(runs)
    floor = modes_of(stacks(seed=1, count=DRAWN).pixels)
    parts = [
        table(
            [f"digits, {QUICK.steps} steps, {runs} seeds, against test images", *METRICS],
            [[name, *(shown([one[metric] for one in of]) for metric in METRICS)] for name, of in digits.items()],
        ),
        table(
            [f"grid of 25, {GRID_STEPS} steps, {runs} seeds", "modes", "samples near a mode"],
            [
                [name, shown([one.covered for one in of], 1), shown([cast(float, one.quality) for one in of])]
                for name, of in on_grid.items()
            ],
        ),
        table(
            [f"stacked digits, {STACKED_STEPS} steps, {min(runs, STACKED_SEEDS)} seeds", "modes of 1,000", "KL"],
            [
                *(
                    [name, shown([one.covered for one in of], 0), shown([cast(float, one.kl) for one in of])]
                    for name, of in stacked.items()
                ),
                ["other stacks of the same digits", floor.covered, f"{cast(float, floor.kl):.2f}"],
            ],
        ),
        speed if isinstance(speed, str) else speed_table(speed),
    ]
    figures = {
        "digits": digits,
        "grid": {name: [asdict(one) for one in of] for name, of in on_grid.items()},
        "stacked": {name: [asdict(one) for one in of] for name, of in stacked.items()},
        "speed": speed,
    }
    save("r3gan", {"seeds": runs, **figures}, "\n\n".join(parts))


def each_twin(measure: Callable[[Mapping[str, object], int], Measured], seeds: int) -> dict[str, list[Measured]]:
    """What is measured of every twin, by seed."""
    found: dict[str, list[Measured]] = {}
    for name, settings in TWINS.items():
        found[name] = [measure(settings, seed) for seed in range(seeds)]
        say(f"  {measure.__name__}, {name}: {found[name]}")
    return found


def on_digits(settings: Mapping[str, object], seed: int) -> dict[str, float]:
    """Train the quick recipe on digits, and score it against the test images."""
    train, test = (load_images(f"digits:{part}", resolution=QUICK.resolution, channels=1) for part in ("train", "test"))
    training = Training(TrainingPlan(recipe=with_settings(QUICK, settings), data="digits:train", seed=seed), train)
    for _ in range(QUICK.steps):
        training.advance()
    return scores(training.best_model, test)


def on_the_grid(settings: Mapping[str, object], seed: int) -> Modes:
    """Train the perceptrons on 25 Gaussians, and count those that 2,500 samples cover."""
    recipe, mixture = with_settings(GRID, settings), grid()
    torch.manual_seed(seed)
    model = cast(GAN, build_model(recipe, mixture.data))
    learn(model, mixture, steps=recipe.steps, seed=seed)
    found = covered_by(model, mixture, seed=seed)
    return Modes(found.covered, quality=found.quality)


def on_stacked_digits(settings: Mapping[str, object], seed: int) -> Modes:
    """Train the quick recipe on three digits as one image of three channels, and count the triples it makes."""
    recipe = replace(with_settings(QUICK, settings), channels=3, steps=STACKED_STEPS)
    training = Training(TrainingPlan(recipe=recipe, data="stacked digits", seed=seed), stacks(seed=0, count=STACKS))
    for _ in range(recipe.steps):
        training.advance()
    return modes_of(drawn(cast(GAN, training.best_model), DRAWN, seed))


def with_settings(recipe: Recipe, settings: Mapping[str, object]) -> Recipe:
    """A recipe with other settings of the model."""
    return replace(recipe, settings=replace(cast(Any, recipe.settings), **settings))


@cache
def stacks(*, seed: int, count: int) -> Images:
    """Images of three channels, each a random digit of the training half."""
    digits = load_images("digits:train", resolution=8, channels=1)
    rows = torch.randint(len(digits), (count, 3), generator=torch.Generator().manual_seed(seed))
    return images_of(digits.pixels[:, 0][rows])


def drawn(model: GAN, count: int, seed: int) -> Tensor:
    """uint8 [count, 3, R, R] of a model."""
    rng, parts = torch.Generator().manual_seed(seed), []
    with torch.no_grad():
        for start in range(0, count, 1000):
            images = model.generate(model.latent(min(1000, count - start), rng=rng))
            parts.append(to_uint8(images, model.value_range, where="r3gan"))
    return torch.cat(parts)


def modes_of(pixels: Tensor) -> Modes:
    """Triples that occur among stacks, and KL of their shares from equal shares, by the digits' classifier."""
    extractor = DigitsExtractor()
    found: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(pixels), 2000):
            grey = pixels[start : start + 2000].flatten(0, 1)[:, None].expand(-1, 3, -1, -1)
            logits = extractor.forward(extractor.prepare(grey), frozenset(("logits",)))["logits"]
            found.append(logits.argmax(1).view(-1, 3))
    triples = torch.cat(found) @ torch.tensor([CLASSES**2, CLASSES, 1])
    counts = torch.bincount(triples, minlength=CLASSES**3).double()
    shares = counts[counts > 0] / counts.sum()
    return Modes(len(shares), kl=float((shares * (shares * CLASSES**3).log()).sum()))


def beside_the_authors(runs: int) -> list[dict[str, float]] | str:
    """CPU milliseconds of a step of both codes with equal networks, weights and batch; or why they are not compared."""
    folder = os.environ.get(CODE)
    if folder is None or not (Path(folder) / "R3GAN" / "Networks.py").exists():
        return f"The step was not compared with the authors': {CODE} does not name a checkout of brownvc/R3GAN."
    networks, trainer = authors_code(Path(folder))
    rows = []
    for width, groups, blocks, resolution, batch in SIZES:
        settings = {"width": width, "groups": groups, "blocks": blocks}
        sizes = {"resolution": resolution, "channels": 3, "batch": batch, "steps": 10_000}
        recipe = replace(with_settings(QUICK, settings), network="paper", **cast(Any, sizes))
        steps = {"ganeval": our_step(recipe), "authors": their_step(recipe, networks, trainer)}
        best = dict.fromkeys(steps, math.inf)
        for _ in range(5 * runs):
            for name, step in steps.items():
                start = time.process_time()
                step()
                best[name] = min(best[name], (time.process_time() - start) * 1000)
        rows.append({"width": width, "blocks": blocks, "resolution": resolution, "batch": batch, **best})
        say(f"  {rows[-1]}")
    return rows


def speed_table(rows: Sequence[Mapping[str, float]]) -> str:
    """Rows of `beside_the_authors` as a table."""
    lines = [
        [
            f"width {row['width']}, {row['blocks']} blocks a stage, {row['resolution']} px, batch {row['batch']}",
            f"{row['ganeval']:.0f}",
            f"{row['authors']:.0f}",
            f"{row['authors'] / row['ganeval']:.2f}",
        ]
        for row in rows
    ]
    return table(["one step, one thread, fp32, CPU time", "ganeval, ms", "authors' code, ms", "times as fast"], lines)


def authors_code(folder: Path) -> tuple[Any, Any]:
    """Their modules Networks and Trainer; on a CPU their operators are their own references in PyTorch."""
    from packaging.version import parse

    # A part of setuptools that they import, and that its newer versions do not have.
    versions: Any = ModuleType("pkg_resources")
    versions.parse_version = parse
    sys.modules.setdefault("pkg_resources", versions)
    sys.path.insert(0, str(folder))
    try:
        from R3GAN import Networks, Trainer  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(folder))
    return Networks, Trainer


def our_step(recipe: Recipe) -> Callable[[], object]:
    """A step of the engine, average included."""
    return Training(TrainingPlan(recipe=recipe, data="noise"), noise(recipe)).advance


def noise(recipe: Recipe) -> Images:
    """Random images of a recipe's size."""
    shape = (8 * recipe.batch, 3, recipe.resolution, recipe.resolution)
    return images_of(torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))


def their_step(recipe: Recipe, networks: Any, trainer: Any) -> Callable[[], object]:
    """The iteration of their training loop: both players and the average; RuntimeError if its networks are not ours."""
    settings, stages = cast(Any, recipe.settings), int(math.log2(recipe.resolution)) - 1
    sizes = [settings.width] * stages, [settings.groups] * stages, [settings.blocks] * stages
    maker, judge = networks.Generator(recipe.latent.size, *sizes, 2), networks.Discriminator(*sizes, 2)
    torch.manual_seed(0)
    ours: Any = build_model(recipe, Data(3, recipe.resolution))
    copy_weights(ours.generator, maker, ("basis", "strengths", "stages", "output"))
    copy_weights(ours.discriminator, judge, ("input", "stages", "basis", "output"))
    z, images = torch.randn(4, recipe.latent.size), torch.randn(4, 3, recipe.resolution, recipe.resolution)
    with torch.no_grad():
        same = torch.allclose(maker(z), ours.generator(z), atol=1e-4)
        same = same and torch.allclose(judge(images), ours.discriminator(images), atol=1e-4)
    if not same:
        raise RuntimeError("The authors' networks give other outputs than these with the same weights.")
    game = trainer.AdversarialTraining(maker, judge)
    averaged = [parameter.detach().clone() for parameter in maker.parameters()]
    optimizers = [torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.0, 0.9)) for network in (judge, maker)]
    reals = noise(recipe).pixels.float() / 127.5 - 1
    count = 0

    def step() -> None:
        nonlocal count
        for network, other, optimizer in ((judge, maker, optimizers[0]), (maker, judge, optimizers[1])):
            at = count * recipe.batch % len(reals)
            count += 1
            batch = Batch(reals[at : at + recipe.batch])
            latents = torch.randn(recipe.batch, recipe.latent.size)
            network.requires_grad_(True)
            other.requires_grad_(False)
            optimizer.zero_grad()
            if network is judge:
                game.AccumulateDiscriminatorGradients(latents, batch.images, None, settings.gamma)
            else:
                game.AccumulateGeneratorGradients(latents, batch.images, None)
            optimizer.step()
        with torch.no_grad():
            for average, parameter in zip(averaged, maker.parameters(), strict=True):
                average.copy_(parameter.lerp(average, 0.99))

    return step


@torch.no_grad()
def copy_weights(ours: nn.Module, theirs: nn.Module, order: Sequence[str]) -> None:
    """Copy weights, then biases; random ones where ours are 0. order: of our layers, which is that of theirs."""
    named = sorted(ours.named_parameters(), key=lambda one: order.index(one[0].partition(".")[0]))
    for biases in (False, True):
        pairs = zip(
            [one for name, one in named if name.endswith("bias") == biases],
            [one for name, one in theirs.named_parameters() if name.endswith("Bias") == biases],
            strict=True,
        )
        for one, other in pairs:
            one.copy_(torch.randn_like(one) / 10 if not one.any() else one)
            other.copy_(one.view_as(other))
