"""Agreement of label maps: per-pixel accuracy, mean class accuracy and mean IoU, of all pairs together."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from ganeval.errors import MetricError, raised_as
from ganeval.metrics.base import PairMetric, check_options
from ganeval.metrics.image_pairs import check_tensor
from ganeval.metrics.pooled import Pooled
from ganeval.uncertainty import Estimate

# Label maps are stored as grey images, so there are at most 256 classes.
CLASSES = 256
Truth = Literal["segmented", "labels"]


def segmentation(real: Tensor, fake: Tensor, *, ignore: int | None = 255) -> Mapping[str, Estimate]:
    """Agreement of predicted label maps with true ones, pooled over all pixels of all pairs.

    With n_ij the number of pixels of the true class i and the predicted class j::

        pixel_accuracy = sum_i n_ii / sum_ij n_ij
        class_accuracy = mean over true classes of n_ii / sum_j n_ij
        iou            = mean over classes of n_ii / (sum_j n_ij + sum_j n_ji - n_ii)

    Args:
        real: True classes, whole numbers from 0 to 255, ``[N, H, W]`` of any integer dtype.
        fake: Predicted classes, of the same shape.
        ignore: A true class whose pixels are not counted; None counts all.

    Returns:
        "pixel_accuracy", "class_accuracy" and "iou", each from 0 to 1. Standard errors are the jackknife's, over pairs
        up to 32 pairs and over 32 groups of pairs above; None for one pair.

    Raises:
        MetricError: The maps are not of whole numbers from 0 to 255, their shapes differ, or no pixel counts.

    References:
        Long, Shelhamer and Darrell 2015, "Fully convolutional networks for semantic segmentation". Classes that occur
        neither in the true nor in the predicted maps are left out of the means; pix2pix's evaluation adds 1e-12 to
        denominators and so counts them as 0.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import segmentation
        >>> real = torch.tensor([[[0, 0, 1, 1]]])
        >>> found = segmentation(real, torch.tensor([[[0, 0, 0, 1]]]))
        >>> found["pixel_accuracy"].value, found["class_accuracy"].value, round(found["iou"].value, 4)
        (0.75, 0.75, 0.5833)
    """
    check_options(segmentation, locals())
    pooled = Pooled()
    for statistic in _confusions(real, fake, ignore):
        pooled.add(statistic)
    return {name: pooled.estimate(pool) for name, pool in POOLS.items()}


def _confusions(real: Tensor, fake: Tensor, ignore: int | None) -> Tensor:
    """Pixels by true and predicted class, float64 [N, 256, 256]."""
    for side, labels in (("true", real), ("predicted", fake)):
        check_tensor(labels, f"{side} label maps")
        if labels.ndim != 3 or labels.is_floating_point() or labels.dtype == torch.bool or labels.numel() == 0:
            name = str(labels.dtype).removeprefix("torch.")
            raise MetricError(
                f"The {side} label maps must be whole numbers [N, height, width], found {name} {list(labels.shape)}."
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= CLASSES:
            raise MetricError(f"The {side} classes must be from 0 to {CLASSES - 1}, found {low} to {high}.")
    if real.shape != fake.shape:
        raise MetricError(
            f"The label maps of a pair must have one size, found {list(real.shape)} and {list(fake.shape)}."
        )
    found = []
    for true, predicted in zip(real.long(), fake.long(), strict=True):
        counted = torch.ones_like(true, dtype=torch.bool) if ignore is None else true != ignore
        places = true[counted] * CLASSES + predicted[counted]
        found.append(torch.bincount(places, minlength=CLASSES**2).reshape(CLASSES, CLASSES))
    return torch.stack(found).double()


def _segmented(
    real: Tensor,
    fake: Tensor,
    *,
    segmenter: str | Callable[[Tensor], Tensor] | None = None,
    truth: Truth = "segmented",
    ignore: int | None = 255,
) -> Tensor:
    """`_confusions` of the segmenter's classes for uint8 images [N, 3, H, W].

    segmenter: images => classes [N, H, W] or logits [N, K, H, W]. truth: "segmented" for the segmenter's map of the
    real image, "labels" where the real images are label maps, grey with the class as value.
    """
    check_options(_segmented, locals())
    if not callable(segmenter):
        raise MetricError("There is no segmenter, a function of images: give it with the option segmenter.")
    predicted = _labels(segmenter, fake)
    if truth == "segmented":
        return _confusions(_labels(segmenter, real), predicted, ignore)
    if not bool((real == real[:, :1]).all()):
        raise MetricError(
            "The real image is not grey: a label map is a grey image whose value is the class (truth=labels)."
        )
    return _confusions(real[:, 0], predicted, ignore)


def _labels(segmenter: Callable[[Tensor], object], images: Tensor) -> Tensor:
    """The segmenter's output for images, as classes [N, H, W]."""
    with raised_as(MetricError, "The segmenter"):
        found = segmenter(images)
    if isinstance(found, Tensor) and found.ndim == 4:
        found = found.argmax(1)
    expected = (len(images), *images.shape[2:])
    if not isinstance(found, Tensor) or tuple(found.shape) != expected or found.is_floating_point():
        shape = f"{found.dtype} {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise MetricError(
            f"The segmenter must return classes [N, height, width] as whole numbers, or logits [N, K, height, width], "
            f"of {len(images)} images of {expected[2]} x {expected[1]} pixels; found {shape}."
        )
    return found


def _pixel_accuracy(confusion: Tensor) -> float:
    return float(confusion.diagonal().sum() / _counted(confusion).sum())


def _class_accuracy(confusion: Tensor) -> float:
    pixels = _counted(confusion).sum(1)
    return float((confusion.diagonal() / pixels)[pixels > 0].mean())


def _iou(confusion: Tensor) -> float:
    union = _counted(confusion).sum(0) + confusion.sum(1) - confusion.diagonal()
    return float((confusion.diagonal() / union)[union > 0].mean())


def _counted(confusion: Tensor) -> Tensor:
    """The confusion matrix; MetricError if it has no pixels."""
    if not confusion.any():
        raise MetricError(
            "No pixel is counted: all of them have the class that is ignored, in all pairs or all but a few."
        )
    return confusion


POOLS: Mapping[str, Callable[[Tensor], float]] = {
    "pixel_accuracy": _pixel_accuracy,
    "class_accuracy": _class_accuracy,
    "iou": _iou,
}
_TITLES = {
    "pixel_accuracy": "Share of pixels of the right class",
    "class_accuracy": "Share of pixels of the right class, mean over classes",
    "iou": "Intersection over union, mean over classes",
}
PIXEL_ACCURACY, CLASS_ACCURACY, IOU = (
    PairMetric(
        title=_TITLES[name],
        compute=_segmented,
        pool=pool,
        direction="higher",
        source="Long et al. 2015",
        family="segmentation",
    )
    for name, pool in POOLS.items()
)
