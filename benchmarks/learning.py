"""Learning: how far every quick recipe brings the FID of the digits extractor below that of the untrained model.

The FID is of 1,347 images against the recipe's own data, after parts of the run; the run ends when it
is five times below that of the untrained model. The weights are those used for sampling: the average where there is
one. tests/reference_models/test_learning.py holds some variants to it, with one seed.
"""

import time
from dataclasses import asdict, dataclass

import ganeval
from benchmarks.harness import save, say, table
from reference_models import VARIANTS, model_class
from reference_models.base import GAN, Model
from reference_models.data.images import Images
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_images
from reference_models.engine.training import Training
from reference_models.sampling.sampler import Sampler

BETTER = 5  # times, at least
# The parts of a run after which the FID is computed: a model that is good enough need not be trained further.
PARTS = (1 / 3, 1 / 2, 2 / 3, 5 / 6, 1)


@dataclass(frozen=True, slots=True)
class Learned:
    """What a quick run learned. part: of the run, after which it was measured. seconds: of CPU time, with FIDs."""

    untrained: float
    trained: float
    part: float
    seconds: float

    @property
    def better(self) -> float:
        """How many times the FID is below that of the untrained model."""
        return self.untrained / self.trained


def main(*, runs: int) -> None:
    """Every variant that makes images from latents, with as many seeds as runs; the table has the worst."""
    found: dict[str, list[Learned]] = {}
    for name, row in VARIANTS.items():
        if issubclass(model_class(row.recipe("quick")), GAN):
            found[name] = [learned(name, seed) for seed in range(runs)]
            say(f"  {name}: {found[name]}")
    rows: list[list[object]] = []
    for name, of in found.items():
        one = min(of, key=lambda run: run.better)
        rows.append([name, f"{one.untrained:.1f}", f"{one.trained:.1f}", f"{one.better:.1f}", f"{one.part:.0%}"])
    head = [f"quick recipe, {runs} seeds", "FID untrained", "FID", "untrained / trained", "share of the run"]
    save("learning", {name: [asdict(one) for one in of] for name, of in found.items()}, table(head, rows))


def learned(name: str, seed: int = 0) -> Learned:
    """A quick run of a variant, until it has learned enough or has ended."""
    begin = time.process_time()
    plan = make_plan(name, seed=seed)
    images = read_images(plan)
    training = Training(plan, images)
    untrained = fid(images, training.model)
    for part in PARTS:
        while training.step < plan.recipe.steps * part:
            training.advance()
        trained = fid(images, training.best_model)
        if trained * BETTER < untrained:
            break
    return Learned(untrained, trained, part, time.process_time() - begin)


def fid(images: Images, model: Model) -> float:
    """FID of the digits extractor against the model's training images."""
    result = ganeval.fid(
        images.pixels, Sampler(model), extractor="digits", num_samples=1347, seed=0, batch_size=256, cache=False
    )
    return float(result.value)
