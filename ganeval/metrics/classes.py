"""Mode coverage and class balance, by the classes a classifier gives to reals and fakes; and exactly, for mixtures.

An image's class is the one of its largest logit. The modes are the classes that at least one real image is given, and a
mode is covered when at least `least` fakes are: the rule of Stacked MNIST's count of modes, with least = 1. A
classifier errs, so that a class nobody drew may be covered by a mistake; a larger `least` asks for more than that.

    mode_coverage   covered modes / modes
    class_balance   the total variation between the classes' shares among reals and fakes: the share of fakes that would
                    have to be of another class; 0 is best

The error of the coverage is a jackknife's: leaving out a fake loses a mode that has exactly `least`. To second order
one takes half as many off for modes that have a fake more. It is for these modes and this many fakes; within a quarter
of the truth for least = 1 in simulations, and too large by up to a half for more. Where no mode has so few it is 0, and
what nobody drew among few fakes may be drawn the next time: so it is at least that of binomial counts with one fake
more than there are, spread evenly over the modes and all else; where nearly all are covered, twice the truth in
simulations. That of the balance is the bootstrap of shares.py.

Sources: Metz et al. 2017, "Unrolled Generative Adversarial Networks" (Stacked MNIST); Srivastava et al. 2017, "VEEGAN"
(mixtures: modes captured, and the share of samples of high quality); Santurkar et al. 2018 (class balance).
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
from ganeval.metrics.moments import check_pair
from ganeval.metrics.shares import standard_error, total_variation
from ganeval.uncertainty import Estimate, normal_interval, share_interval


@dataclass(frozen=True, slots=True)
class Modes:
    """Samples of a mixture, counted. counts: int64 [K], samples within the radius of a centre that is their nearest.

    covered: centres with enough of them. quality: the share of samples that are within the radius of any centre.
    """

    counts: Tensor
    covered: int
    quality: float


def modes_covered(samples: Tensor, centres: Tensor, radius: float, *, least: int = 1) -> Modes:
    """Which modes of a mixture samples [N, D] are from; centres [K, D], the radius in the samples' units (inclusive).

    Three standard deviations of a component are a usual radius. A sample counts for its nearest centre, the first of
    equally near ones. Raises MetricError for a radius or a `least` that is not positive, mismatched dimensions, or
    numbers that are not finite.
    """
    samples, centres = check_pair(samples, centres)
    if not (0 < radius < math.inf and least >= 1):
        raise MetricError(f"A radius above 0 and at least 1 sample a mode are needed, found {radius} and {least}.")
    centres = centres.double()
    counts = torch.zeros(len(centres), dtype=torch.int64, device=centres.device)
    for part in chunks(samples.to(centres.device)):
        distances, at = torch.cdist(part, centres, compute_mode="donot_use_mm_for_euclid_dist").min(1)
        counts += at[distances <= radius].bincount(minlength=len(centres))
    return Modes(counts, int((counts >= least).sum()), float(counts.sum()) / len(samples))


def classes(real: Tensor, fake: Tensor, *, least: int = 1, seed: int = 0) -> Mapping[str, Estimate]:
    """ "mode_coverage" and "class_balance" of class logits [N, classes] and [M, classes].

    least: fakes that a mode needs to count as covered. seed: of the bootstrap. Raises MetricError for fewer than 2
    classes, `least` below 1 or above the number of fakes, mismatched classes, or logits that are not finite.
    """
    real, fake = check_pair(real, fake)
    if real.shape[1] < 2:
        raise MetricError("Mode coverage and class balance need logits of at least 2 classes, found 1.")
    if not 1 <= least <= len(fake):
        raise MetricError(f"A mode can ask for 1 to {len(fake)} fakes (as many as there are), found {least}.")
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
        "jackknife of the fakes, no less than by one fake more, for these modes",
        details,
        shared=np.zeros(1),
    )


def _redrawn(found: NDArray[np.int64], fakes: int, least: int) -> float:
    """The variance of how many modes are covered, were the fakes drawn again.

    found: int64 [K], fakes of each mode; one more than there are is spread evenly over the modes and all else.
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
        (f"{few} images for {used} classes: chance alone keeps the shares apart; compare only at as many images.",)
        if few < 100 * used
        else ()
    )
    return Estimate(
        value, error, (low, min(high, 1.0)), "parametric bootstrap of counts", {"classes": float(used)}, notes
    )
