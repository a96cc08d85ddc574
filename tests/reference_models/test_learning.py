"""Every image model's quick recipe learns the embedded digits with one seed."""

import pytest
import torch

import ganeval
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


def fid(images: Images, model: Model) -> float:
    """FID of the digits extractor against the model's training images."""
    result = ganeval.fid(
        images.pixels, Sampler(model), extractor="digits", num_samples=1347, seed=0, batch_size=256, cache=False
    )
    return float(result.value)


@pytest.mark.parametrize(
    "name", [name for name, row in VARIANTS.items() if issubclass(model_class(row.recipe("quick")), GAN)]
)
def test_a_quick_run_brings_the_fid_at_least_5_times_below_its_untrained_value(name: str) -> None:
    """Against the recipe's own data; the weights are those used for sampling: the average where there is one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        plan = make_plan(name)
        images = read_images(plan)
        training = Training(plan, images)
        untrained = fid(images, training.model)
        found = []
        for part in PARTS:
            while training.step < plan.recipe.steps * part:
                training.advance()
            found.append(fid(images, training.best_model))
            if found[-1] * BETTER < untrained:
                return
        pytest.fail(f"FID was {untrained:.1f} untrained, then {found}")
    finally:
        torch.set_num_threads(threads)
