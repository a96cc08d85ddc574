"""Mode coverage and class balance by a classifier's classes, and the covered modes of a mixture with known centres.

The error of the coverage is from a jackknife: leaving out a fake loses its mode if this has exactly `least` fakes. The
second-order term subtracts half as much for modes with one fake more. The error is for these modes and this number of
fakes. In simulations it was within a quarter of the truth for least = 1, and up to a half too large for more. The
jackknife error is 0 if no mode has so few fakes, although a class missing from few fakes may be drawn the next time. So
the error is at least that of binomial counts with one fake more, spread evenly over the modes and all else; in
simulations this was twice the truth where nearly all modes are covered. The error of the balance is the bootstrap of
shares.py.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import bdtrc
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.linalg import chunks
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.moments import check_pair
from ganeval.metrics.shares import standard_error, total_variation
from ganeval.uncertainty import Estimate, normal_interval, share_interval


@dataclass(frozen=True, slots=True)
class Modes:
    """Samples of a mixture, counted by mode.

    Attributes:
        counts: int64 ``[K]``, for each centre the samples within the radius for which it is the nearest centre.
        covered: The number of centres with enough samples.
        quality: The share of samples within the radius of any centre ("high-quality samples").
    """

    counts: Tensor
    covered: int
    quality: float


def modes_covered(samples: Tensor, centres: Tensor, radius: float, *, least: int = 1) -> Modes:
    """Modes of a mixture with known centres that samples cover, and the share of high-quality samples.

    Args:
        samples: Generated samples, ``[N, D]`` of any floating dtype.
        centres: Centres of the mixture, ``[K, D]``.
        radius: Maximum distance of a sample to its centre, inclusive, in units of the samples. Three standard
            deviations of a component are usual.
        least: Samples that a mode needs to count as covered; 1 as in the papers.

    Returns:
        Counts by mode, the number of covered modes and the share of samples within the radius of any centre. A sample
        counts for its nearest centre, and for the first of equally near ones.

    Raises:
        MetricError: ``radius`` or ``least`` is not positive, the dimensions differ, or samples or centres are not
            finite floating tensors of two axes.

    References:
        Srivastava et al. 2017, "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import modes_covered
        >>> found = modes_covered(torch.tensor([[0.1], [0.2], [9.0]]), torch.tensor([[0.0], [5.0]]), radius=1.0)
        >>> found.covered, found.counts.tolist(), round(found.quality, 2)
        (1, [2, 0], 0.67)
    """
    check_options(modes_covered, locals())
    samples, centres = check_pair(samples, centres)
    if not (0 < radius < math.inf and least >= 1):
        raise MetricError(f"The radius must be above 0 and a mode needs at least 1 sample, found {radius} and {least}.")
    centres = centres.double()
    counts = torch.zeros(len(centres), dtype=torch.int64, device=centres.device)
    for part in chunks(samples.to(centres.device)):
        distances, at = torch.cdist(part, centres, compute_mode="donot_use_mm_for_euclid_dist").min(1)
        counts += at[distances <= radius].bincount(minlength=len(centres))
    return Modes(counts, int((counts >= least).sum()), float(counts.sum()) / len(samples))


def mode_coverage(real: Tensor, fake: Tensor, *, least: int = 1, seed: int = 0) -> Mapping[str, Estimate]:
    """Mode coverage and class balance, by the classes that a classifier assigns to reals and fakes.

    The class of an image is that of its largest logit. The modes are the classes of at least one real::

        mode_coverage = modes with at least `least` fakes / modes
        class_balance = total variation between the class proportions of reals and fakes

    A classifier makes mistakes, so a class that was not generated may count as covered; a larger ``least`` reduces
    this.

    Args:
        real: Class logits of the real images, ``[N, classes]`` of any floating dtype.
        fake: Class logits of the generated images, ``[M, classes]``.
        least: Fakes that a mode needs to count as covered; 1 as for Stacked MNIST.
        seed: Seed of the bootstrap of the balance's standard error.

    Returns:
        Estimates by name: "mode_coverage" from 0 to 1, higher is better; and "class_balance" from 0 to 1, the share of
        fakes that would have to change class, lower is better.

    Raises:
        MetricError: There are fewer than 2 classes, ``least`` is below 1 or above the number of fakes, the numbers of
            classes differ, or the logits are not finite floating tensors of two axes.

    References:
        Metz et al. 2017, "Unrolled Generative Adversarial Networks" (Stacked MNIST); Santurkar et al. 2018, "A
        Classification-Based Study of Covariate Shift in GAN Distributions" (class balance).

    Examples:
        >>> import torch
        >>> from ganeval.metrics import mode_coverage
        >>> found = mode_coverage(torch.eye(4).repeat(100, 1), torch.eye(4)[:3].repeat(100, 1))
        >>> {name: estimate.value for name, estimate in found.items()}
        {'mode_coverage': 0.75, 'class_balance': 0.24999999999999997}
    """
    check_options(mode_coverage, locals())
    real, fake = check_pair(real, fake)
    if real.shape[1] < 2:
        raise MetricError("Mode coverage and class balance need logits of at least 2 classes, found 1.")
    if not 1 <= least <= len(fake):
        raise MetricError(f"least must be from 1 to {len(fake)}, the number of fakes, found {least}.")
    counts = [
        np.bincount(side.argmax(1).cpu().numpy(), minlength=side.shape[1]).astype(np.int64) for side in (real, fake)
    ]
    return {"mode_coverage": _coverage(counts[0], counts[1], least), "class_balance": _balance(*counts, seed=seed)}


def _coverage(real: NDArray[np.int64], fake: NDArray[np.int64], least: int) -> Estimate:
    modes = real > 0
    found, count = fake[modes], int(modes.sum())
    value = float((found >= least).mean())
    last, spare = (least * int((found == least + more).sum()) for more in (0, 1))
    jackknife = last - spare / 2 - last**2 / int(fake.sum())
    error = math.sqrt(max(jackknife, _redrawn(found, int(fake.sum()), least))) / count
    details = {
        "modes": float(count),
        "covered": float((found >= least).sum()),
        "fakes_elsewhere": float(fake[~modes].sum() / fake.sum()),
    }
    return Estimate(
        value,
        error,
        share_interval(value, error, count),
        "jackknife of the fakes, at least that of binomial counts, for these modes",
        details,
        shared=np.zeros(1),
    )


def _redrawn(found: NDArray[np.int64], fakes: int, least: int) -> float:
    """The variance of the number of covered modes, if the fakes were drawn again.

    found: int64 [K], fakes of each mode; one more fake is spread evenly over the modes and all else.
    """
    shares = (found + 1 / (len(found) + 1)) / (fakes + 1)
    covered = bdtrc(least - 1, fakes, shares)
    return float((covered * (1 - covered)).sum())


def _balance(real: NDArray[np.int64], fake: NDArray[np.int64], *, seed: int) -> Estimate:
    value = float(total_variation(real, fake))
    error = standard_error(real, fake, total_variation, seed=seed)
    low, high = normal_interval(value, error, minimum=0.0)
    few = min(int(real.sum()), int(fake.sum()))
    used = int(((real + fake) > 0).sum())
    notes = (
        (f"{few} images for {used} classes: proportions differ by chance alone; compare only equal numbers of images.",)
        if few < 100 * used
        else ()
    )
    return Estimate(
        value, error, (low, min(high, 1.0)), "parametric bootstrap of counts", {"classes": float(used)}, notes
    )


MODE_COVERAGE = Metric(
    title="Mode coverage: share of the reals' classes among the fakes",
    compute=mode_coverage,
    real="logits",
    fake="logits",
    direction="higher",
    source="Metz et al. 2017",
    family="classes",
)

CLASS_BALANCE = Metric(
    title="Class balance: total variation of class proportions",
    compute=mode_coverage,
    real="logits",
    fake="logits",
    direction="lower",
    source="Santurkar et al. 2018",
    family="classes",
)
