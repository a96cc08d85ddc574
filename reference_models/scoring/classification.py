"""The error of a model's own classifier on labelled images that it was not trained on."""

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ganeval.errors import UsageError
from ganeval.results import MetricResult
from ganeval.sources import Sandbox
from reference_models.base import Model
from reference_models.data.images import Images

# Images per forward pass.
CHUNK = 256
# Standard errors from a value to the ends of its 95% interval.
REACH = 1.96


@runtime_checkable
class Classifier(Protocol):
    """A model that classifies images, too."""

    def classify(self, images: Tensor) -> Tensor:
        """float32 [N, C, H, W] in the model's range => logits of the classes, [N, classes]"""


def mistakes(model: Model, images: Images) -> Tensor:
    """Which images a model's `classify` puts into a wrong class, bool [N].

    images: labelled, with the model's classes. Raises UsageError for images without labels, and for a model that is no
    `Classifier`.
    """
    if not isinstance(model, Classifier):
        raise UsageError(f"{model.recipe.variant} does not classify images; choose a variant that does, such as ssgan.")
    if images.labels is None:
        raise UsageError("A classifier's error needs the classes of the held-out images, and these have none.")
    device = next(model.parameters()).device
    scale, shift = (2 / 255, -1.0) if model.value_range == "[-1,1]" else (1 / 255, 0.0)
    found = []
    with Sandbox(model, 0), torch.no_grad():
        for chunk in images.pixels.split(CHUNK):  # type: ignore[no-untyped-call]
            pixels = chunk.to(device=device, dtype=torch.float32)
            if chunk.dtype == torch.uint8:
                pixels = pixels.mul_(scale).add_(shift)
            found.append(model.classify(pixels).argmax(1).cpu())
    return torch.cat(found) != images.labels.cpu()


def test_error(model: Model, images: Images) -> MetricResult:
    """The share of labelled images that a model puts into a wrong class, as a row of a result. Raises as `mistakes`."""
    share, error = error_rate(mistakes(model, images))
    return MetricResult(
        value=share,
        standard_error=error,
        interval=(max(0.0, share - REACH * error), min(1.0, share + REACH * error)),
        direction="lower",
        n_real=len(images),
        n_fake=0,
        method="binomial, over the held-out images",
    )


def error_rate(wrong: Tensor) -> tuple[float, float]:
    """Mistakes, bool [N] => their share, and its standard error over the images, of a binomial count."""
    share = float(wrong.double().mean())
    return share, math.sqrt(share * (1 - share) / len(wrong))
