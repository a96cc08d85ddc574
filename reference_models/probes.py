"""Cheap looks at a training between its steps, for the diagnostics: they leave it as it was, to the last bit."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganeval.sources.sandbox import Sandbox
from reference_models.base import GAN, Batch
from reference_models.data import Draws, Images
from reference_models.training import Training

# Images a look: enough for a mean, and less work than a step.
LOOK = 64


class Spread:
    """How much a model's images differ from each other, over how much reals do: near 0 when all are alike.

    The number is the mean distance of pairs of LOOK images, pixel by pixel; it needs no network.
    """

    def __init__(self) -> None:
        self._reals: float | None = None

    def __call__(self, training: Training) -> Mapping[str, float]:
        """{"spread": the ratio}; nothing for training images that are all the same."""
        if self._reals is None:
            self._reals = _mean_distance(_batch(training.images, training, training.plan.seed).images)
        # Also where there are no two of them.
        if not self._reals > 0:
            return {}
        model, plan = training.best_model, training.plan
        rng = torch.Generator(plan.device).manual_seed(plan.seed)
        with Sandbox(model, plan.seed), torch.no_grad():
            fakes = model.generate(model.latent(LOOK, rng=rng), _labels(model, rng))
        return {"spread": _mean_distance(fakes) / self._reals}


class HeldOut:
    """What the discriminator makes of real images that it was never trained on."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def __call__(self, training: Training) -> Mapping[str, float]:
        """{"logit/train", "logit/held-out", "logit/fakes"}: mean outputs; nothing for a model that has no logits."""
        seed = training.plan.seed
        seen, unseen = (_batch(images, training, seed) for images in (training.images, self._images))
        rng = torch.Generator(training.plan.device).manual_seed(seed)
        with Sandbox(training.model, seed):
            for player in training.tools.players:
                logs = player.loss(seen, rng)[1]
                if "logit/real" in logs:
                    other = player.loss(unseen, rng)[1]
                    seen_as = {
                        "train": logs["logit/real"],
                        "held-out": other["logit/real"],
                        "fakes": logs["logit/fake"],
                    }
                    return {f"logit/{name}": _number(value) for name, value in seen_as.items()}
        return {}


def _batch(images: Images, training: Training, seed: int) -> Batch:
    """LOOK images, or all if there are fewer, as the model is trained on them; the same ones each time."""
    count, model = min(LOOK, len(images)), training.model
    draws = Draws(images, count, seed=seed, device=training.plan.device, to=model.value_range, flips=False)
    return draws()


def _number(value: float | Tensor) -> float:
    return float(value.detach()) if isinstance(value, Tensor) else value


def _labels(model: GAN, rng: torch.Generator) -> Tensor | None:
    if not model.conditional or model.data.classes is None:
        return None
    return torch.randint(model.data.classes, (LOOK,), generator=rng, device=rng.device)


def _mean_distance(images: Tensor) -> float:
    """Images or points [N, ...] => the mean Euclidean distance of two of them."""
    return float(nn.functional.pdist(images.flatten(1).float()).mean())
