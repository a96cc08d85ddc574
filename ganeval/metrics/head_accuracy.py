"""Class-conditional accuracy by the extractor's own classifier: of the fakes of a class, the share it gives that class.

The value is the mean over classes, which are in the details, with the same for reals ("reals"): what the classifier
itself can do. Where that is little for some class, a note says so: such a value tells of the classifier, not of the
fakes. It says nothing of how the images vary: one perfect image a class scores 1.

A classifier's classes are not always those of the labels: their order may differ, or there is one more at the front.
So the reals' labels are asked first: of most classes, the reals must most often be given their own number.

The classifier is fixed, and the error binomial, class by class.

Source: Shmelkov et al. 2018, "How Good Is My GAN?"; Ravuri and Vinyals 2019 on the reverse (cas.py).
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.labels import Classes, Labels, Shares, common_classes
from ganeval.metrics.moments import check_pair
from ganeval.uncertainty import Estimate, share_interval

# The least share of a class's reals that a classifier which knows it gives this class.
KNOWN = 0.5


def head_accuracy(
    real: Tensor,
    fake: Tensor,
    *,
    real_labels: Tensor,
    fake_labels: Tensor,
    class_names: Mapping[int, str] | None = None,
) -> Estimate:
    """The share of fakes whose largest logit is that of their class, of logits [N, K] and [M, K].

    real_labels, fake_labels: int64 [N] and [M], the class an image is of, or was asked for; class_names: of these,
    where they have any. Raises MetricError for logits of other classes than the labels', fewer than two classes, a
    class that one set lacks, fewer than 2 images of a class in either set, or logits that are not finite.
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
        "binomial, class by class; the classifier as fixed",
        {"reals": reals.mean, **classes.details(shares.values)},
        _notes(reals, classes),
        # The reals decide nothing but whether the question makes sense.
        shared=np.zeros(1),
    )


def _notes(reals: Shares, classes: Classes) -> tuple[str, ...]:
    """A remark where the classifier misses more reals of a class than it knows: fakes of it cannot score well."""
    missed = {name: share for name, share in classes.details(reals.values).items() if share < KNOWN}
    if not missed:
        return ()
    name, share = min(missed.items(), key=lambda one: one[1])
    return (
        f"The extractor's classifier does not know {len(missed)} of {len(classes.names)} classes: it gives only "
        f"{share:.0%} of the reals of {name} their own. Low values are its own there; take conditional_accuracy, "
        "which learns the classes from the reals.",
    )


def _check_names(known: Labels, classes: Classes) -> None:
    """known: what the classifier says of the reals. MetricError unless it means the labels' classes."""
    right = sum(
        int(np.bincount(known[classes.real == place]).argmax() == name) for place, name in enumerate(classes.names)
    )
    if 2 * right <= len(classes.names):
        raise MetricError(
            f"The extractor's classifier gives the reals of only {right} of {len(classes.names)} classes most often "
            "their own number: its classes are not those of the labels. Take conditional_accuracy, which learns the "
            "classes from the reals, or an extractor that knows them."
        )
