"""Class-conditional accuracy by the extractor's own classifier.

The classes of a classifier are not always those of the labels: their order may differ, or the classifier may have one
more at the front. So the reals are checked first: for more than half of the classes, the reals must most often be
assigned their own number.

The classifier is fixed, and the error is binomial, class by class.
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import Metric
from ganeval.metrics.labels import Classes, Labels, Shares, common_classes
from ganeval.metrics.moments import check_pair
from ganeval.uncertainty import Estimate, share_interval

# A classifier knows a class if it assigns at least this share of its reals to it.
KNOWN = 0.5


def head_accuracy(
    real: Tensor,
    fake: Tensor,
    *,
    real_labels: Tensor,
    fake_labels: Tensor,
    class_names: Mapping[int, str] | None = None,
) -> Estimate:
    """Accuracy of the extractor's own classifier on the classes that fakes were generated for, averaged over classes.

    The formula::

        accuracy = mean over classes c of: share of fakes of class c whose largest logit is that of c

    It does not measure variety: one perfect image per class scores 1.

    Args:
        real: Class logits of the real images, ``[N, classes]`` of any floating dtype.
        fake: Class logits of the generated images, ``[M, classes]``.
        real_labels: Classes of the reals, an integer tensor ``[N]``.
        fake_labels: Classes that the fakes were generated for, an integer tensor ``[M]``.
        class_names: Names of classes by number, for ``details`` and messages; classes without one are named by number.

    Returns:
        The accuracy, from 0 to 1; higher is better. ``details`` has the accuracy of each class as "class NAME", and
        "reals": the accuracy on reals. A note is given if the classifier misses more than half of the reals of a class:
        a low value is then due to the classifier.

    Raises:
        MetricError: The classifier's classes are not those of the labels; there are fewer than two classes, one set
            lacks a class of the other, a class has fewer than 2 images in a set, the labels are not integers ``[N]``
            and ``[M]``, the numbers of logits differ, or the logits are not finite floating tensors of two axes.

    References:
        Shmelkov et al. 2018, "How good is my GAN?" (GAN-test), with a classifier that was trained elsewhere.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import head_accuracy
        >>> logits, labels = torch.eye(2).repeat(50, 1), torch.arange(100) % 2
        >>> fakes = torch.cat([logits[:90], 1 - logits[90:]])
        >>> print(f"{head_accuracy(logits, fakes, real_labels=labels, fake_labels=labels).value:.2f}")
        0.90
    """
    real, fake = check_pair(real, fake)
    classes = common_classes(
        real, fake, real_labels, fake_labels, metric="Accuracy by class", least=2, class_names=class_names
    )
    known, asked = (side.argmax(1).cpu().numpy() for side in (real, fake))
    _check_names(known, classes)
    shares = Shares.of(asked == classes.names[classes.fake], classes.fake)
    error = shares.error()
    reals = Shares.of(known == classes.names[classes.real], classes.real)
    return Estimate(
        shares.mean,
        error,
        share_interval(shares.mean, error, len(fake)),
        "binomial, class by class, for a fixed classifier",
        {"reals": reals.mean, **classes.details(shares.values)},
        _notes(reals, classes),
        # The value does not depend on the reals.
        shared=np.zeros(1),
    )


def _notes(reals: Shares, classes: Classes) -> tuple[str, ...]:
    """A note if the classifier misses most reals of a class, so that its fakes cannot score well."""
    missed = {name: share for name, share in classes.details(reals.values).items() if share < KNOWN}
    if not missed:
        return ()
    name, share = min(missed.items(), key=lambda one: one[1])
    return (
        f"The extractor's classifier does not know {len(missed)} of {len(classes.names)} classes: it classifies only "
        f"{share:.0%} of the reals of {name} correctly. Low values of such classes are due to the classifier; use "
        "conditional_accuracy, which learns the classes from the reals.",
    )


def _check_names(known: Labels, classes: Classes) -> None:
    """MetricError unless the classes assigned to the reals are the labels' classes. known: these assignments."""
    right = sum(
        int(np.bincount(known[classes.real == place]).argmax() == name) for place, name in enumerate(classes.names)
    )
    if 2 * right <= len(classes.names):
        raise MetricError(
            f"The classes of the extractor's classifier are not those of the labels: for only {right} of "
            f"{len(classes.names)} classes it assigns most reals their own number. Use conditional_accuracy, which "
            "learns the classes from the reals, or an extractor that knows them."
        )


HEAD_ACCURACY = Metric(
    title="Class-conditional accuracy, by the extractor's classifier",
    compute=head_accuracy,
    real="logits",
    fake="logits",
    direction="higher",
    source="Shmelkov et al. 2018",
)
