"""Class-conditional accuracy: of the fakes of a class, the share that a classifier of the reals gives that class.

The classifier learns from the labelled reals' features (discriminant.py), so any extractor and any classes will do. The
value is the mean over classes, which are in the details, with the same for reals ("reals": each half told by a
classifier of the other half): what such a classifier can do. It says nothing of how the images vary: one perfect image
a class scores 1.

The variance is the binomial one of the fakes, class by class, and a jackknife's because of the reals learned from.

Source: Shmelkov et al. 2018, "How Good Is My GAN?" (GAN-test).
"""

import math
from collections.abc import Mapping

import numpy as np
from torch import Tensor

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
    """The share of fakes [M, D] that a classifier of the reals [N, D] gives the class they were asked for.

    real_labels, fake_labels: int64 [N] and [M]; class_names: of these, where they have any. seed: of the groups that
    errors and the reals' own accuracy are made of; the value does not depend on it. Raises MetricError for fewer than
    two classes, a class that one set lacks, fewer than 2 images of a class in either set, mismatched dimensions, or
    features that are not finite.
    """
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
        "binomial, class by class, and jackknife of the reals learned from",
        {"reals": held_out(real, classes.real, seed=seed).mean, **classes.details(shares.values)},
        shared=changes * (math.sqrt(learned) / length if length else 0.0),
    )
