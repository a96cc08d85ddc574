"""Cheap measurements between training steps, for the diagnostics; the training stays the same bit for bit.

Every number has its standard error over the measured images, under error/<key>.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from ganeval.sources import Sandbox
from reference_models.base import GAN, means
from reference_models.batches import Batch, Tensors
from reference_models.data.images import Images
from reference_models.engine.training import Training, stream_of

# Images per measurement: enough for a mean, and less work than a step.
NUM_IMAGES = 64
# Minimum number of held-out images: with fewer, the standard error of their mean is unreliable.
MIN_IMAGES = 16


class SpreadMonitor:
    """The ratio of the mean distance between fakes to that between reals: near 0 if all fakes are alike.

    Distances are Euclidean, between pixels, over all pairs of NUM_IMAGES images; no network is needed.
    """

    def __init__(self) -> None:
        self._reals: tuple[float, float] | None = None

    def __call__(self, training: Training) -> Mapping[str, float]:
        """{"spread": the ratio, "error/spread"}.

        Empty if all training images are equal, and for a model that needs many network passes per fake.
        """
        model, plan = training.best_model, training.plan
        if not isinstance(model, GAN) or model.batch_type is not Batch or not model.one_pass:
            return {}
        if self._reals is None:
            self._reals = _mean_distance(cast(Batch, _batch(training.images, training, training.plan.seed)).images)
        real, real_error = self._reals
        # Also true for NaN, the value for fewer than two images.
        if not real > 0:
            return {}
        rng = torch.Generator(plan.device).manual_seed(plan.seed)
        with Sandbox(model, plan.seed), torch.no_grad():
            fakes = model.generate(model.latent(NUM_IMAGES, rng=rng), _labels(model, rng))
        fake, fake_error = _mean_distance(fakes)
        return {"spread": fake / real, "error/spread": math.hypot(fake_error, fake * real_error / real) / real}


class HeldOut:
    """The discriminator's outputs on real images that were held out from training."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def __call__(self, training: Training) -> Mapping[str, float]:
        """{"logit/train", "logit/held-out", "logit/fakes"}: mean outputs, with their errors.

        Empty for a model without logits, and for fewer than MIN_IMAGES images of either kind. Images and latents change
        from one measurement to the next, so that an unlucky choice does not persist.
        """
        if min(len(self._images), len(training.images)) < MIN_IMAGES or training.model.batch_type is not Batch:
            return {}
        seed = (training.plan.seed + training.step) % 2**32
        seen, unseen = (_batch(images, training, seed) for images in (training.images, self._images))
        rng = torch.Generator(training.plan.device).manual_seed(seed)
        with Sandbox(training.model, seed):
            for player in training.tools.players:
                logs = player.loss(seen, rng)[1]
                if "logit/real" in logs:
                    other = player.loss(unseen, rng)[1]
                    seen_as = {
                        "logit/train": logs["logit/real"],
                        "logit/held-out": other["logit/real"],
                        "logit/fakes": logs["logit/fake"],
                    }
                    return {name: float(value) for name, value in means(seen_as).items()}
        return {}


def _batch(images: Images, training: Training, seed: int) -> Tensors:
    """NUM_IMAGES seeded random images, or all if there are fewer, in the format of the training batches."""
    recipe = replace(training.plan.recipe, batch=min(NUM_IMAGES, len(images)))
    stream = stream_of(training.model, images, recipe, seed=seed, device=training.plan.device, flips=False)
    return stream()


def _labels(model: GAN, rng: torch.Generator) -> Tensor | None:
    if not model.conditional or model.data.classes is None:
        return None
    return torch.randint(model.data.classes, (NUM_IMAGES,), generator=rng, device=rng.device)


def _mean_distance(images: Tensor) -> tuple[float, float]:
    """Images or points [N, ...] => the mean Euclidean distance between two of them, and its standard error.

    The mean over pairs is a U-statistic: to first order its variance is four times that of an image's own mean
    distance from the others, over N (Hoeffding 1948). NaN for fewer than two images.
    """
    points = images.flatten(1).float()
    count = len(points)
    if count < 2:
        return math.nan, math.nan
    apart = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").sum(1) / (count - 1)
    return float(apart.mean()), 2 * float(apart.std()) / math.sqrt(count)
