"""The exemplar GAN: PSNR inside the hole with the right exemplar, and with that of another identity.

Every version has the quick recipe at four times its steps, which is what `ganeval train-and-score` trains, and is
measured on 200 identities that it never saw, in other handwriting. Its twins never see an exemplar, or see that of
another identity as they learn. Next to them are the mean of the training holes, and the exemplar's own hole.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.harness import save, say, table
from benchmarks.systems.ranking import shown
from ganeval.metrics import psnr
from reference_models.data.images import Images
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_held_out, read_images
from reference_models.engine.training import Training
from reference_models.engine.translations import parted, translated
from reference_models.models.exgan import ExGAN
from reference_models.scoring.train_and_score import LONGER

VERSIONS: Mapping[str, Mapping[str, object]] = {
    "exgan": {},
    "no adversarial loss": {"settings.adversarial": 0.0},
    "no exemplar": {"settings.sees_exemplar": False},
    "trained on shuffled exemplars": {},
}
EXEMPLARS = ("right", "shuffled")


def main(*, runs: int) -> None:
    """All versions. runs: seeds."""
    torch.set_num_threads(1)
    found: dict[str, list[Mapping[str, float]]] = {}
    trivial: Mapping[str, float] = {}
    for name in VERSIONS:
        for seed in range(runs):
            values, trivial = hole_psnr(name, seed)
            found.setdefault(name, []).append(values)
            say(f"  {name}, seed {seed}: {values}; {trivial}")
    steps = make_plan("exgan").recipe.steps * LONGER
    rows = [[name, *(shown([one[kind] for one in of], 2) for kind in EXEMPLARS)] for name, of in found.items()]
    rows += [[name, f"{value:.2f}", ""] for name, value in trivial.items()]
    head = [f"PSNR in the hole, dB, {steps} steps, {runs} seeds", *(f"{kind} exemplar" for kind in EXEMPLARS)]
    save("exgan", {"seeds": runs, "steps": steps, "psnr": found, "trivial": trivial}, table(head, rows))


def hole_psnr(version: str, seed: int) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """PSNR in the hole of held-out images by the kind of exemplar, after a training; and that of trivial methods."""
    steps = make_plan("exgan").recipe.steps * LONGER
    plan = make_plan("exgan", chosen={"steps": steps, **VERSIONS[version]}, seed=seed)
    images = read_images(plan)
    training = Training(plan, shuffled(images) if version == "trained on shuffled exemplars" else images)
    while training.step < steps:
        training.advance()
    test, model = read_held_out("hole:identities:test", training), training.best_model
    assert isinstance(model, ExGAN)
    hole = model.hole
    targets = hole.of(test.pixels).contiguous()

    def reached(made: Tensor) -> float:
        return psnr(targets, made.round().to(torch.uint8).expand_as(targets).contiguous()).mean().item()

    by_kind = {"right": test, "shuffled": shuffled(test)}
    return {kind: reached(hole.of(translated(model, of.tensors["inputs"], seed=0))) for kind, of in by_kind.items()}, {
        "training mean": reached(hole.of(images.pixels).float().mean(0)),
        "the exemplar itself": reached(hole.of(parted(test.tensors["inputs"])["exemplar"])),
    }


def shuffled(images: Images) -> Images:
    """The images with exemplars of the next identity, of which each has two images in succession."""
    given = parted(images.tensors["inputs"])
    return replace(images, inputs=torch.cat([given["input"], given["exemplar"].roll(2, 0)], 1))
