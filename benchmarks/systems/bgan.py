"""BGAN: does it learn the distribution of binary images, and do its importance weights do it?

The quick recipe on binarised digits, beside two twins whose weights say nothing: all weights alike, and one image per
latent, which then has all the weight. Held-out digits are the floor.

Marginals: the joint distribution of the 4 pixels of each of the 49 squares of 2 x 2, compared by the Kullback-Leibler
divergence from the training images', with half a count added to each of the 16 patterns. Two-sample test: accuracy of a
classifier of pixels, 50% where it cannot tell.
"""

import time
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

import ganeval
from benchmarks.harness import mean_text, save, say, table
from reference_models.data.images import load_images
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_images
from reference_models.engine.training import Training

TWINS: Mapping[str, Mapping[str, object]] = {
    "importance weights": {},
    "uniform weights": {"settings.weights": "uniform"},
    "one sample per latent": {"settings.samples": 1},
}
HELD_OUT, TEST = "binarised:digits:test", "c2st_logistic"
PATTERNS, ADDED = 16, 0.5
# Parts of the run over which the effective number of samples is averaged.
PARTS = 4


def main(*, runs: int) -> None:
    """Train and score each twin with seeds 0 to runs - 1."""
    torch.set_num_threads(1)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in TWINS}
    for seed in range(runs):
        for name, chosen in TWINS.items():
            found[name].append(scored(chosen, seed))
            say(f"  {name}, seed {seed}: {found[name][-1]}")
    held_out = load_images(HELD_OUT, resolution=8, channels=1)
    floor = compared(read_images(make_plan("bgan")).pixels, held_out.pixels)
    figures = {"steps": make_plan("bgan").recipe.steps, "seeds": runs, "runs": found, "floor": floor}
    save("bgan", figures, tables(figures))


def tables(figures: Mapping[str, Any]) -> str:
    """Means over seeds of each twin, and what held-out digits score."""
    found, floor = figures["runs"], figures["floor"]
    columns = list(next(iter(found.values()))[0])
    rows = [[name, *(mean_text([one[key] for one in of]) for key in columns)] for name, of in found.items()]
    rows.append(["held-out digits", *(f"{floor[key]:.3g}" if key in floor else "-" for key in columns)])
    return table([f"{figures['steps']} steps, {figures['seeds']} seeds, 95% intervals", *columns], rows)


def scored(chosen: Mapping[str, object], seed: int) -> dict[str, float]:
    """Scores of a trained twin, its effective numbers of samples, and the CPU seconds of its training."""
    plan = make_plan("bgan", chosen=chosen, seed=seed)
    images = read_images(plan)
    training, begin = Training(plan, images), time.process_time()
    sizes = [float(training.advance()["ess"]) for _ in range(plan.recipe.steps)]
    seconds = time.process_time() - begin
    model = training.best_model.eval()
    with torch.no_grad():
        fakes = model.generate(model.latent(len(images), rng=torch.Generator().manual_seed(seed)))  # type: ignore[operator]
    share = len(sizes) // PARTS
    of_parts = {
        f"ESS, part {part + 1} of {PARTS}": fmean(sizes[part * share : (part + 1) * share]) for part in range(PARTS)
    }
    return compared(images.pixels, (fakes * 255).to(torch.uint8)) | of_parts | {"seconds": seconds}


def compared(reals: Tensor, others: Tensor) -> dict[str, float]:
    """Divergence of marginals, and accuracy of the two-sample test: uint8 [N, 1, 8, 8] of 0 and 255, both."""
    result = ganeval.evaluate(reals, others, metrics=[TEST], extractor="pixels:8", seed=0, cache=False)
    return {"KL of 4 pixels": divergence(reals, others), "C2ST accuracy": result.metrics[TEST].value}


def divergence(reals: Tensor, others: Tensor) -> float:
    """KL(reals || others) of the patterns in squares of 2 x 2 pixels, in nats, the mean over places."""
    real, other = (shares(images) for images in (reals, others))
    return float((real * (real / other).log()).sum(1).mean())


def shares(images: Tensor) -> Tensor:
    """The share of each of 16 patterns in each square of 2 x 2: uint8 [N, 1, H, W] => float64 [places, 16]."""
    on = (images[:, 0] > 0).long()
    codes = on[:, :-1, :-1] * 8 + on[:, :-1, 1:] * 4 + on[:, 1:, :-1] * 2 + on[:, 1:, 1:]
    counts = torch.nn.functional.one_hot(codes.flatten(1), PATTERNS).sum(0).double() + ADDED
    return counts / counts.sum(1, keepdim=True)
