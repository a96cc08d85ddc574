"""R3GAN: FID on digits, and modes of a grid and of stacked digits.

Each part has the versions that the paper compares with, as settings of the same model: without R1, without R2, and with
the non-saturating loss instead of the relativistic one.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from benchmarks.harness import RESULTS, save, say, table
from benchmarks.systems.progan import differences
from benchmarks.systems.ranking import METRICS, scores, shown
from ganeval.extractors.digits import CLASSES, DigitsExtractor
from ganeval.images import to_uint8
from reference_models import VARIANTS, build_model
from reference_models.base import GAN
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
OTHER_STACKS = "other stacks of the same digits"
PARTS = ("digits", "grid", "stacked")


Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True)
class Modes:
    """covered: modes with a sample. quality: share of samples near a mode, for the grid. kl: from equal shares."""

    covered: int
    quality: float | None = None
    kl: float | None = None


def main(*, runs: int, data: Sequence[str] = PARTS) -> None:
    """The parts that are named, with so many seeds; the others keep their earlier figures."""
    torch.set_num_threads(1)
    if unknown := set(data) - set(PARTS):
        raise SystemExit(f"r3gan has no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}.")
    kept = RESULTS / "r3gan.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    figures: dict[str, Any] = {part: known[part] for part in PARTS if part in known}
    for part in data:
        figures[part] = measured(part, runs)
        # Kept after each part, so that an interrupted run is of use.
        save("r3gan", figures, "\n\n".join(part_table(one, figures[one]) for one in PARTS if one in figures))


def measured(part: str, runs: int) -> Any:
    """The figures of a part, as plain data, of every twin by seed."""
    if part == "digits":
        return each_twin(on_digits, runs)
    if part == "grid":
        return {name: [asdict(one) for one in of] for name, of in each_twin(on_the_grid, runs).items()}
    found = each_twin(on_stacked_digits, runs)
    return {name: [asdict(one) for one in of] for name, of in found.items()} | {
        OTHER_STACKS: [asdict(modes_of(stacks(seed=1, count=DRAWN).pixels))]
    }


def part_table(part: str, found: Any) -> str:
    """The figures of a part as a table, with the differences from the recipe itself, seed by seed."""
    seeds = len(next(iter(found.values())))
    head, columns = {
        "digits": (f"digits, {QUICK.steps} steps, {seeds} seeds, against test images", dict.fromkeys(METRICS, 2)),
        "grid": (f"grid of 25, {GRID_STEPS} steps, {seeds} seeds", {"covered": 1, "quality": 2}),
        "stacked": (f"stacked digits, {STACKED_STEPS} steps, {seeds} seeds", {"covered": 0, "kl": 2}),
    }[part]
    rows = [
        [name, *(shown([one[key] for one in of], digits) for key, digits in columns.items())]
        for name, of in found.items()
    ]
    first, *others = (name for name in TWINS if name in found)
    rows += [
        [
            f"{name} - {first}, paired",
            *(shown(differences(found[name], found[first], key), columns[key]) for key in columns),
        ]
        for name in others
    ]
    names = {"covered": "modes", "quality": "samples near a mode", "kl": "KL"}
    return table([head, *(names.get(key, key) for key in columns)], rows)


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
