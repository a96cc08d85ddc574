"""Intra-class FID: the mean over classes of the FID between the reals and the fakes of a class.

The FID of each class is computed as in fid.py, also for fewer images than dimensions. Classes are drawn independently,
so the variance of the mean is the sum of their variances over C^2, for the given numbers of images per class.
"""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from torch import Tensor

from ganeval.metrics.base import Metric, check_options
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
    """Mean over classes of FID between the reals and the fakes of a class, with its standard error.

    The formula, for C classes::

        intra-FID = mean over c of FID(reals of class c, fakes of class c)

    A conditional generator can produce good images of the wrong class, or one class without variety. FID of all images
    hides both. FID is biased upwards for few images per dimension, and a class has few: compare only values of equal
    numbers of images per class, and not with FID of all images.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        real_labels: Classes of the reals, an integer tensor ``[N]``.
        fake_labels: Classes that the fakes were generated for, an integer tensor ``[M]``.
        class_names: Names of classes by number, for ``details`` and messages; classes without one are named by number.
        ddof: Covariances are over n - ddof: 1 as in nearly all published code, 0 as in StyleGAN's.

    Returns:
        The mean FID in squared units of the features; 0 or more, lower is better. ``details`` has FID of each class as
        "class NAME". A note warns of few images per class.

    Raises:
        MetricError: There are fewer than two classes, one set lacks a class of the other, a class has fewer than 2
            images in a set, the labels are not integers ``[N]`` and ``[M]``, ``ddof`` is neither 0 nor 1, the
            dimensions differ, or the features are not finite floating tensors of two axes.

    References:
        Miyato and Koyama 2018, "cGANs with Projection Discriminator"; DeVries et al. 2019, "On the
        Evaluation of Conditional GANs", on its limits.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import intra_fid
        >>> rng = torch.Generator().manual_seed(0)
        >>> labels = torch.arange(400) % 2
        >>> real = torch.randn(400, 4, generator=rng) + 4 * labels[:, None]
        >>> fake = torch.randn(400, 4, generator=rng) + 4 * labels[:, None]
        >>> matched = intra_fid(real, fake, real_labels=labels, fake_labels=labels)
        >>> swapped = intra_fid(real, fake, real_labels=labels, fake_labels=1 - labels)
        >>> print(f"{matched.value:.1f} {swapped.value:.0f}")
        0.2 63
    """
    check_options(intra_fid, locals())
    real, fake = check_pair(real, fake)
    classes = common_classes(
        real, fake, real_labels, fake_labels, metric="Intra-class FID", least=2, class_names=class_names
    )
    pairs = zip(by_class(real, classes.real), by_class(fake, classes.fake), strict=True)
    found = [fid(*pair, ddof=ddof) for pair in pairs]
    count = len(found)
    values = np.array([one.value for one in found])
    error = math.sqrt(math.fsum((one.standard_error or 0.0) ** 2 for one in found)) / count
    shared = np.concatenate([one.shared for one in found if one.shared is not None]) / count
    value, fewest = float(values.mean()), min(int(np.bincount(side).min()) for side in (classes.real, classes.fake))
    notes = (
        (
            f"{fewest} images of a class for {real.shape[1]} dimensions: FID of a class is biased upwards, by more "
            "than FID of all images; compare only values of equal numbers of images per class.",
        )
        if any(one.notes for one in found)
        else ()
    )
    method = "influence functions, class by class"
    interval = normal_interval(value, error, minimum=0.0)
    return Estimate(value, error, interval, method, classes.details(values), notes, shared=shared)


INTRA_FID = Metric(
    title="Intra-class FID: mean of FIDs by class",
    compute=intra_fid,
    real="features",
    fake="features",
    direction="lower",
    source="Miyato and Koyama 2018",
)
