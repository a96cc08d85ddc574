"""Classification accuracy score: what a classifier that has seen fakes alone knows of reals.

It learns from the fakes' features and the classes they were asked for (discriminant.py), and tells the reals'. The
value is the mean over classes, which are in the details, with that of a classifier of reals ("reals": each half told by
a classifier of the other half). Fakes of the wrong class, classes without variety and images unlike the reals all cost
accuracy. The published score trains a ResNet-50 on the images; this one is linear in the extractor's features, so
compare it only with itself.

The variance is the binomial one of the reals, class by class, and a jackknife's because of the fakes learned from.

Source: Ravuri and Vinyals 2019, "Classification Accuracy Score for Conditional Generative Models".
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ganeval.metrics.discriminant import GROUPS, held_out, rules, training_changes
from ganeval.metrics.labels import Shares, common_classes, influence
from ganeval.metrics.moments import check_pair
from ganeval.uncertainty import Estimate, share_interval


def cas(
    real: Tensor,
    fake: Tensor,
    *,
    real_labels: Tensor,
    fake_labels: Tensor,
    class_names: Mapping[int, str] | None = None,
    seed: int = 0,
) -> Estimate:
    """The share of reals [N, D] that a classifier of the fakes [M, D] gives their class.

    real_labels, fake_labels: int64 [N] and [M]; class_names: of these, where they have any. seed: of the groups that
    errors and the reals' own accuracy are made of; the value does not depend on it. Raises MetricError for fewer than
    two classes, a class that one set lacks, fewer than 2 images of a class in either set, mismatched dimensions, or
    features that are not finite.
    """
    real, fake = check_pair(real, fake)
    classes = common_classes(
        real, fake, real_labels, fake_labels, metric="Classification accuracy", least=2, class_names=class_names
    )
    hits = np.stack([rule(real) == classes.real for rule in rules(fake, classes.fake, groups=GROUPS, seed=seed)])
    shares = Shares.of(hits[0], classes.real)
    _, learned = training_changes(hits[1:], classes.real)
    error = shares.error(learned=learned)
    return Estimate(
        shares.mean,
        error,
        share_interval(shares.mean, error, len(real)),
        "binomial, class by class, and jackknife of the fakes learned from",
        {"reals": held_out(real, classes.real, seed=seed).mean, **classes.details(shares.values)},
        shared=influence(hits[0], classes.real),
    )
