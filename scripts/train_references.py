"""Train the reference GANs on the embedded digits and the planar mixtures, and write the results into the docs.

    python scripts/train_references.py [--variants NAME,...] [--steps N] [--seeds N] [--threads N] [--long] [--toys]

Every variant follows its quick recipe, for `--steps` steps, or with `--long` the recipe in LONGER, in bfloat16. FID is
computed with the digits extractor, between 10,000 generated images and the 1,347 training images at the model's
resolution; the noise floor is the score of the held-out digits. Rows of trained variants are replaced in
docs/reference_models.json, and the page's tables are regenerated. One seed and one thread give the same results again
with the same machine and torch.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

import ganeval
from ganeval.autocast import Precision
from reference_models import VARIANTS, build_model, model_class
from reference_models.base import GAN, Model
from reference_models.batches import Batch
from reference_models.data.images import Images, load_images
from reference_models.data.toy import Mixture, covered_by, grid, learn, ring
from reference_models.engine.plan import TrainingPlan
from reference_models.engine.training import Training
from reference_models.models import dcgan_recipes as dcgan
from reference_models.models.bigan import BiGAN, neighbour_accuracy, reconstruction_ratio
from reference_models.recipes import Adam, Latent, Linear, Recipe
from reference_models.sampling.sampler import Sampler

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference_models.md"
FIGURES = ROOT / "docs" / "reference_models.json"
DRAWN = 10_000
TOY_STEPS = 2000
# The learning rate of both players on mixtures; an encoder with the same rate diverges.
PERCEPTRONS = {"gan": 1e-3, "cgan": 1e-3, "bigan": 2e-4}

# A discriminator much slower than the generator, as it soon memorises 1,347 images; and one that keeps its rate while
# the generator's falls to 0, so that its feedback to the generator keeps improving.
LONGER = {
    "dcgan": replace(
        dcgan.QUICK,
        batch=128,
        steps=2000,
        latent=Latent(16),
        settings=dcgan.Settings(width=32),
        optimizers={
            "discriminator": Adam(2e-4, (0.5, 0.999)),
            "generator": Adam(Linear(1e-3, 0.0), (0.5, 0.999)),
        },
        ema=0.995,
    )
}


@dataclass(frozen=True, slots=True)
class Trained:
    """One training.

    untrained, fid: FID before and after training. floor: FID of held-out digits. seconds: CPU time of this process.
    machine: the machine it ran on.
    """

    variant: str
    resolution: int
    batch: int
    steps: int
    seed: int
    seconds: float
    untrained: float
    fid: float
    floor: float
    machine: str
    also: str = ""


def digits(split: str, resolution: int) -> Images:
    """One split of the embedded digits, at a model's resolution."""
    return load_images(f"digits:{split}", resolution=resolution, channels=1, resize=True)


def fid(images: Images, model: Model) -> float:
    """FID of a model's samples against its training images."""
    result = ganeval.fid(images.pixels, Sampler(model), extractor="digits", num_samples=DRAWN, seed=0, cache=False)
    return float(result.value)


def train(recipe: Recipe, seed: int, precision: Precision) -> Trained:
    """Run one training from beginning to end."""
    images, held_out = digits("train", recipe.resolution), digits("test", recipe.resolution)
    training = Training(TrainingPlan(recipe=recipe, data="digits:train", seed=seed, precision=precision), images)
    untrained = fid(images, training.model)
    start = time.process_time()
    for _ in range(recipe.steps):
        training.advance()
    seconds = time.process_time() - start
    floor = ganeval.fid(images.pixels, held_out.pixels, extractor="digits", cache=False).value
    model = training.best_model
    also = features(model, images, held_out) if isinstance(model, BiGAN) else ""
    return Trained(
        *(recipe.variant, recipe.resolution, recipe.batch, recipe.steps, seed, seconds),
        *(untrained, fid(images, model), float(floor), machine(), also),
    )


def features(model: BiGAN, known: Images, asked: Images) -> str:
    """The figures specific to a BiGAN, on held-out digits."""
    model.eval()
    ratio = reconstruction_ratio(model, unit(asked.pixels))
    accuracy = neighbour_accuracy(
        model, Batch(unit(known.pixels), known.labels), Batch(unit(asked.pixels), asked.labels)
    )
    return f"reconstruction ratio {ratio:.2f}, 1-NN accuracy of encodings {accuracy:.1%}"


def unit(pixels: Tensor) -> Tensor:
    """uint8 => float32 in [0, 1]"""
    return pixels.float() / 255


def toys(seed: int) -> list[tuple[str, ...]]:
    """How many of 8 and of 25 Gaussians the perceptrons cover."""
    rows = []
    for name in PERCEPTRONS:
        cells = [covered(name, mixture, seed) for mixture in (ring(8), grid(5))]
        rows.append((name, *cells))
        say(f"  {name}: {cells}")
    return rows


def covered(name: str, mixture: Mixture, seed: int) -> str:
    """Train on a mixture; return the modes covered, and the share of samples close to one."""
    rate = Adam(Linear(PERCEPTRONS[name], 0.0), (0.5, 0.999))
    recipe = VARIANTS[name].recipe("quick")
    recipe = replace(recipe, batch=128, steps=TOY_STEPS, optimizers={"discriminator": rate, "generator": rate})
    torch.manual_seed(seed)
    model = build_model(recipe, mixture.data)
    learn(model, mixture, steps=TOY_STEPS, seed=seed)
    found = covered_by(cast(GAN, model), mixture)
    return f"{found.covered} of {len(found.counts)}, {found.quality:.0%} close"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def ranking(found: Sequence[Trained]) -> str:
    """Variants by their mean FID, the best first."""
    rows = []
    for name in {one.variant for one in found}:
        runs = [one for one in found if one.variant == name]
        first, values = runs[0], [one.fid for one in runs]
        mean = statistics.mean(values)
        places = 2 if mean < 5 else 1
        spread = f" ± {statistics.stdev(values):.{places}f}" if len(values) > 1 else ""
        times = statistics.mean(one.untrained for one in runs) / mean
        row = (
            *(
                name,
                f"{first.resolution} px",
                first.batch,
                first.steps,
                f"{statistics.mean(r.seconds for r in runs):.0f} s",
            ),
            *(
                f"{first.untrained:.0f}",
                f"{mean:.{places}f}{spread}",
                f"{times:.0f} x",
                f"{first.floor:.2f}",
                first.also,
            ),
        )
        rows.append((mean, row))
    head = ("variant", "size", "batch", "steps", "CPU", "untrained", "FID", "improvement", "floor", "also")
    return table(head, [row for _, row in sorted(rows)])


def machine() -> str:
    """The machine that it was measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    amx = ", AMX" if any("amx_bf16" in line for line in lines) else ""
    return f"{os.cpu_count()} cores of one {cpu}{amx}, torch {torch.__version__.partition('+')[0]}"


def put(name: str, text: str) -> None:
    """Replace the text between a pair of markers on the page."""
    page = PAGE.read_text()
    opening, closing = f"<!-- {name} -->", f"<!-- end {name} -->"
    before, _, rest = page.partition(opening)
    _, found, after = rest.partition(closing)
    if not found:
        raise SystemExit(f"{PAGE} has no {opening} ... {closing}")
    PAGE.write_text(f"{before}{opening}\n{text}\n{closing}{after}")


def keep(section: str, name: str, runs: Sequence[Trained]) -> None:
    """Replace a variant's earlier runs, and regenerate the page's table from all runs."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    others = [one for one in figures.get(section, []) if one["variant"] != name]
    figures |= {section: others + [asdict(one) for one in runs]}
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    kept = [Trained(**one) for one in figures[section]]
    put(section, f"{ranking(kept)}\n\n{measured_on(kept)}")


def measured_on(runs: Sequence[Trained]) -> str:
    """One sentence per machine; if there are several, with the variants that were trained on each."""
    names: dict[str, list[str]] = {}
    for one in runs:
        names.setdefault(one.machine, []).append(one.variant)
    if len(names) == 1:
        return f"Measured on {runs[0].machine}."
    return " ".join(f"{', '.join(dict.fromkeys(some))}: measured on {where}." for where, some in names.items())


def main() -> None:
    """Train the variants, and write the results and the tables made from them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--variants", help="variants to train, separated by commas (all)")
    parser.add_argument("--steps", type=int, help="steps of each training (as in its recipe)")
    parser.add_argument("--long", action="store_true", help="use the longer recipes")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each variant (1)")
    parser.add_argument("--threads", type=int, default=1, help="threads (1)")
    parser.add_argument("--toys", action="store_true", help="also train on the mixtures of Gaussians")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    section = "longer" if chosen.long else "ranking"
    quick = {name: variant.recipe("quick") for name, variant in VARIANTS.items()}
    images = {name: recipe for name, recipe in quick.items() if issubclass(model_class(recipe), GAN)}
    recipes = LONGER if chosen.long else images
    names = list(recipes) if chosen.variants is None else [name for name in chosen.variants.split(",") if name]
    for name in names:
        recipe = replace(recipes[name], steps=chosen.steps or recipes[name].steps)
        runs = [train(recipe, seed, "bf16" if chosen.long else "fp32") for seed in range(chosen.seeds)]
        say(f"  {name}: FID {[round(one.fid, 2) for one in runs]} after {recipe.steps} steps, {runs[0].seconds:.0f} s")
        keep(section, name, runs)
    if chosen.toys:
        put("toys", table(("variant", "8 on a circle", "25 on a grid"), toys(0)))


def say(line: str) -> None:
    """A line of progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
