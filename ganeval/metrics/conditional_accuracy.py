"""Class-conditional accuracy: how often a classifier trained on reals assigns fakes their intended class.

The variance is the sum of the fakes' binomial variances, class by class, and a jackknife variance for the reals that
the classifier was trained on.
"""

import math
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.discriminant import GROUPS, held_out, rules, training_changes
from ganeval.metrics.labels import Shares, common_classes
from ganeval.metrics.moments import check_pair
from ganeval.uncertainty import Estimate, share_interval


def conditional_accuracy(
    real: Tensor,
    fake: Tensor,
    *,
    real_labels: Tensor,
    fake_labels: Tensor,
    class_names: Mapping[int, str] | None = None,
    seed: int = 0,
) -> Estimate:
    """Accuracy on fakes of a classifier trained on reals (GAN-test), averaged over classes.

    A linear discriminant classifier is trained on the labelled reals' features, so any extractor and any classes can be
    used::

        accuracy = mean over classes c of: share of fakes of class c that are classified as c

    It does not measure variety: one perfect image per class scores 1.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        real_labels: Classes of the reals, an integer tensor ``[N]``.
        fake_labels: Classes that the fakes were generated for, an integer tensor ``[M]``.
        class_names: Names of classes by number, for ``details`` and messages; classes without one are named by number.
        seed: Seed of the groups of the standard error and of the reals' own accuracy; the value does not depend on it.
            Images are grouped by position, so another order of the images acts like another seed.

    Returns:
        The accuracy, from 0 to 1; higher is better. ``details`` has the accuracy of each class as "class NAME", and
        "reals": the accuracy on held-out reals, the limit of such a classifier.

    Raises:
        MetricError: There are fewer than two classes, one set lacks a class of the other, a class has fewer than 2
            images in a set, the labels are not integers ``[N]`` and ``[M]``, the dimensions differ, or the features are
            not finite floating tensors of two axes.

    References:
        Shmelkov et al. 2018, "How good is my GAN?" (GAN-test), which trains a deep network on the images.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import conditional_accuracy
        >>> rng = torch.Generator().manual_seed(0)
        >>> labels = torch.arange(400) % 2
        >>> real = torch.randn(400, 4, generator=rng) + 4 * labels[:, None]
        >>> fake = torch.randn(400, 4, generator=rng) + 4 * labels[:, None]
        >>> print(f"{conditional_accuracy(real, fake, real_labels=labels, fake_labels=labels).value:.2f}")
        1.00
    """
    check_options(conditional_accuracy, locals())
    real, fake = check_pair(real, fake)
    classes = common_classes(
        real, fake, real_labels, fake_labels, metric="Accuracy by class", least=2, class_names=class_names
    )
    hits = np.stack([rule(fake) == classes.fake for rule in rules(real, classes.real, groups=GROUPS, seed=seed)])
    shares = Shares.of(hits[0], classes.fake)
    changes, learned = training_changes(hits[1:], classes.fake)
    error, length = shares.error(learned=learned), float(np.linalg.norm(changes))
    return Estimate(
        shares.mean,
        error,
        share_interval(shares.mean, error, len(fake)),
        "binomial, class by class, and jackknife of the training reals",
        {"reals": held_out(real, classes.real, seed=seed).mean, **classes.details(shares.values)},
        shared=changes * (math.sqrt(learned) / length if length else 0.0),
    )


CONDITIONAL_ACCURACY = Metric(
    title="Class-conditional accuracy, by a classifier of the reals (GAN-test)",
    compute=conditional_accuracy,
    real="features",
    fake="features",
    direction="higher",
    source="Shmelkov et al. 2018",
)
