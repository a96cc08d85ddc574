"""Intra-class FID: the mean over classes of the FID between a class's reals and its fakes.

A generator that is asked for a class can have the right images and give them for the wrong one: FID of all images does
not see that, nor a class whose images are all alike among many that vary. FID of every class is in the details.

FID is biased upwards by about as much as there are few images a dimension, and a class has few: so the mean lies above
FID of all images even for a perfect generator. Compare it only at as many images a class. Each class's FID is that of
fid.py, also for fewer images than dimensions; classes are drawn independently of each other, so the variance of the
mean is the sum of theirs over C^2. It is for as many images a class as there are.

Sources: Miyato and Koyama 2018, "cGANs with Projection Discriminator"; DeVries et al. 2019 on what else a class's FID
can hide.
"""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from torch import Tensor

from ganeval.metrics.fid import fid
from ganeval.metrics.labels import by_class, common_classes
from ganeval.metrics.moments import check_pair
from ganeval.uncertainty import Estimate, normal_interval


def intra_fid(
    real: Tensor,
    fake: Tensor,
    *,
    real_labels: Tensor,
    fake_labels: Tensor,
    class_names: Mapping[int, str] | None = None,
    ddof: Literal[0, 1] = 1,
) -> Estimate:
    """The mean over classes of FID, of features [N, D] and [M, D] with classes int64 [N] and [M].

    class_names: of these, where they have any. ddof: as of `fid`. Raises MetricError for fewer than two classes, a
    class that one set lacks, fewer than 2 images of a class in either set, mismatched dimensions, or features that are
    not finite.
    """
    real, fake = check_pair(real, fake)
    classes = common_classes(
        real, fake, real_labels, fake_labels, metric="Intra-class FID", least=2, class_names=class_names
    )
    reals, fakes = by_class(real, classes.real), by_class(fake, classes.fake)
    found = [fid(reals[place], fakes[place], ddof=ddof) for place in reals]
    count = len(found)
    values = np.array([one.value for one in found])
    error = math.sqrt(math.fsum((one.standard_error or 0.0) ** 2 for one in found)) / count
    shared = np.concatenate([one.shared for one in found if one.shared is not None]) / count
    value, fewest = float(values.mean()), min(map(len, (*reals.values(), *fakes.values())))
    notes = (
        (
            f"{fewest} images of a class for {real.shape[1]} dimensions: FID of a class is biased upwards, and by more "
            "than that of all images; compare only at as many images a class.",
        )
        if any(one.notes for one in found)
        else ()
    )
    method = "influence functions, class by class"
    interval = normal_interval(value, error, minimum=0.0)
    return Estimate(value, error, interval, method, classes.details(values), notes, shared=shared)
