"""The error of a semi-supervised model's classifier, and the table of such metrics.

They take the classes of images instead of features, so they are rows of CLASSIFIER_METRICS, not of
`ganeval.metrics.METRICS`; `train_and_score` of a model that classifies computes them.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics import Estimate, share_of_reals
from ganeval.pipeline import metric_result
from ganeval.results import MetricResult
from ganeval.sources import Sandbox
from reference_models.base import Model, SemiSupervised
from reference_models.data.images import Images
from reference_models.scoring.task_metric import TaskMetric

# Images per forward pass.
CHUNK = 256
TEST_ERROR = "test_error"


def classification_error(assigned: Tensor, labels: Tensor) -> Estimate:
    """The share of held-out images that a classifier puts into a wrong class.

    It says how good this one classifier is. How the error varies with the labels that it learned from takes several
    draws of labels (`label_draws`)::

        test_error = mean over held-out images of: 1 if the assigned class is not the image's, else 0

    Args:
        assigned: The classes that images were put into, int64 ``[N]``.
        labels: Their true classes, int64 ``[N]``.

    Returns:
        The share, from 0 to 1; its standard error is that of a binomial count of independent images, for a classifier
        that is given.

    Raises:
        MetricError: There are fewer than 2 images, or not one true class for each.

    Examples:
        >>> found = classification_error(torch.tensor([0, 1, 1, 1]), torch.tensor([0, 1, 1, 0]))
        >>> round(found.value, 2), round(found.standard_error, 2)
        (0.25, 0.25)
    """
    if assigned.ndim != 1 or assigned.shape != labels.shape or len(labels) < 2:
        raise MetricError(
            f"There are assigned classes of shape {list(assigned.shape)} and true ones of shape {list(labels.shape)}; "
            "give one of each for every image, and 2 images or more."
        )
    return share_of_reals((assigned.cpu() != labels.cpu()).numpy(), "binomial, over the held-out images")


# By name.
CLASSIFIER_METRICS: Mapping[str, TaskMetric] = MappingProxyType(
    {
        TEST_ERROR: TaskMetric(
            title="Share of held-out images that the model's classifier puts into a wrong class",
            compute=classification_error,
            needs=("a model that classifies images", "held-out images with their classes"),
            direction="lower",
            source="Salimans et al. 2016",
        ),
    }
)


def classified(model: Model, images: Images) -> Tensor:
    """The classes that a model assigns to images, int64 [N], on the CPU."""
    assert isinstance(model, SemiSupervised)
    device = next(model.parameters()).device
    scale, shift = (2 / 255, -1.0) if model.value_range == "[-1,1]" else (1 / 255, 0.0)
    found = []
    with Sandbox(model, 0), torch.no_grad():
        for chunk in images.pixels.split(CHUNK):  # type: ignore[no-untyped-call]
            pixels = chunk.to(device=device, dtype=torch.float32)
            if chunk.dtype == torch.uint8:
                pixels = pixels.mul_(scale).add_(shift)
            found.append(model.classify(pixels).argmax(1).cpu())
    return torch.cat(found)


def error_result(found: Estimate, held_out: Images, *, labelled: int) -> MetricResult:
    """`test_error` as a row of a result. labelled: number of images whose labels were used in training."""
    return metric_result(
        replace(found, details={"labelled": float(labelled)}),
        direction=CLASSIFIER_METRICS[TEST_ERROR].direction,
        # Each image counts as one output of the classifier, like a pair.
        n_real=len(held_out),
        n_fake=len(held_out),
        # Errors on other images cannot be compared.
        options={"held_out": held_out.about["name"]},
    )
