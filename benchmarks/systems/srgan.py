"""SRGAN: PSNR of SRResNet over bicubic interpolation on held-out photographs, and what the adversarial phase changes.

Every version has the quick recipe at four times its steps, which is what `ganeval train-and-score` trains, on crops of
the upper parts of two photographs. It is measured on the lower parts of these, and on two whole photographs that it
never saw. PSNR is the mean over crops. The histogram distance is half the sum of the absolute differences between the
histograms of the outputs' and the photographs' gradients (differences of neighbouring levels), from 0 to 1: blurred
images have too few steep ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache

import torch
from torch import Tensor

from benchmarks.harness import save, say, table
from benchmarks.systems.ranking import shown
from ganeval.metrics import psnr
from reference_models.base import Translator
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_held_out, read_images
from reference_models.engine.training import Training
from reference_models.engine.translations import translated
from reference_models.scoring.train_and_score import LONGER
from reference_models.scoring.translations import enlarged

# Held-out images, by the name of the photographs.
HELD_OUT = {
    "china and flower": "lowres:photos:test:32,4",
    "chelsea": "lowres:skimage:chelsea:32,4",
    "coffee": "lowres:skimage:coffee:32,4",
}
# The twins have as many steps as SRGAN: the pixels' loss alone, without a discriminator's, and no first phase.
VERSIONS: Mapping[str, Mapping[str, object]] = {
    "srgan": {},
    "srresnet (no adversarial phase)": {"settings.pretraining": 1.0},
    "no pretraining": {"settings.pretraining": 0.0},
}
BICUBIC = "bicubic interpolation"
# Gradients from this on are counted together.
STEEPEST = 64


@dataclass(frozen=True, slots=True)
class Measured:
    """psnr: mean over crops, in dB. histogram: distance of the gradients' histograms."""

    psnr: float
    histogram: float


def main(*, runs: int) -> None:
    """All versions. runs: seeds."""
    torch.set_num_threads(1)
    found: dict[str, list[Mapping[str, Measured]]] = {}
    for name, settings in VERSIONS.items():
        for seed in range(runs):
            training = trained(settings, seed)
            model = training.best_model
            assert isinstance(model, Translator)
            outputs = {photo: translated(model, given, seed=0) for photo, (given, _) in held_out().items()}
            found.setdefault(name, []).append(of_each(outputs))
            say(f"  {name}, seed {seed}: {found[name][-1]}")
    bicubic = of_each({photo: enlarged(given, (32, 32)) for photo, (given, _) in held_out().items()})
    columns: dict[str, Sequence[Mapping[str, Measured]]] = {BICUBIC: [bicubic], **found}
    steps = make_plan("srgan").recipe.steps * LONGER
    measured = {name: [{photo: asdict(one[photo]) for photo in HELD_OUT} for one in of] for name, of in columns.items()}
    save("srgan", {"seeds": runs, "steps": steps, "measured": measured}, tables(steps, columns))


def tables(steps: int, found: Mapping[str, Sequence[Mapping[str, Measured]]]) -> str:
    """Means over seeds of each version; and differences from the recipe itself, seed by seed."""
    columns = [(photo, key, digits) for key, digits in (("psnr", 2), ("histogram", 3)) for photo in HELD_OUT]
    of = {
        name: [[getattr(one[photo], key) for one in seeds] for photo, key, _ in columns]
        for name, seeds in found.items()
    }
    first, *others = VERSIONS
    gaps = {
        f"{name} - {first}": [
            [one - other for one, other in zip(*pair, strict=True)] for pair in zip(of[name], of[first], strict=True)
        ]
        for name in others
    }
    heads = [f"{photo}, {'dB' if key == 'psnr' else key}" for photo, key, _ in columns]
    title = f"x4, {steps} steps, {len(found[first])} seeds, 95% intervals"
    parts = ((title, of), ("paired differences", gaps))
    return "\n\n".join(
        table(
            [head, *heads],
            [
                [name, *(shown(one, digits) for one, (*_, digits) in zip(some, columns, strict=True))]
                for name, some in rows.items()
            ],
        )
        for head, rows in parts
    )


def trained(settings: Mapping[str, object], seed: int) -> Training:
    """A version at the end of its training."""
    steps = make_plan("srgan").recipe.steps * LONGER
    plan = make_plan("srgan", chosen={"steps": steps, **settings}, seed=seed)
    training = Training(plan, read_images(plan))
    while training.step < steps:
        training.advance()
    return training


@cache
def held_out() -> Mapping[str, tuple[Tensor, Tensor]]:
    """Small images and their originals, uint8, by photograph."""
    plan = make_plan("srgan", data="lowres:photos:test:32,4")
    training = Training(plan, read_images(plan))
    found = {}
    for name, spec in HELD_OUT.items():
        images = read_held_out(spec, training)
        assert images.inputs is not None
        found[name] = images.inputs, images.pixels
    return found


def of_each(outputs: Mapping[str, Tensor]) -> Mapping[str, Measured]:
    """The measures of outputs, by photograph."""
    return {
        photo: Measured(
            psnr(held_out()[photo][1], made).mean().item(),
            float((histogram(held_out()[photo][1]) - histogram(made)).abs().sum() / 2),
        )
        for photo, made in outputs.items()
    }


def histogram(images: Tensor) -> Tensor:
    """Shares of the differences between horizontal and vertical neighbours, by their size in levels."""
    levels = images.int()
    steps = [levels.diff(dim=axis).abs().clamp(max=STEEPEST).flatten() for axis in (2, 3)]
    counts = torch.cat(steps).bincount(minlength=STEEPEST + 1).double()
    return counts / counts.sum()
