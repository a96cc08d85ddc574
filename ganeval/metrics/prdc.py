"""Precision, recall, density, coverage, symmetric precision and recall: are fakes where reals are, and the reverse?

ADM's evaluator rounds squared lengths, products and distances to float16, so its result depends on the precision in
which the hardware accumulates. Here the exact value is computed. On simulated features of 1,000 x 1,000 images and
2,048 dimensions, with squared lengths of 250, ADM's value was off by up to 0.015 with sums in float32; with sums in
float16 it was too high by 0.02 to 0.04 (precision) and 0.01 to 0.07 (recall).

The neighbourhoods are random too, as the images are: a binomial error of the shares, which takes neighbourhoods as
given, is too small by half and more. The standard error is from random halves: both sets are cut in two; the two halves
are independent, so half the squared difference of their values is an unbiased estimate of the variance at half the
size; half of that is the variance here, averaged over splits. This assumes that the variance is proportional to 1 / n.
If very few images determine the value, this does not hold and the error is too small: in simulations by a third to a
half for fakes that lie only in the neighbourhood of one outlying real, and by a quarter for a density far above 1;
otherwise it was within a fifth.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.distances import Rows
from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.cover import Counts, Cover, check_sizes, listed, no_error_bar
from ganeval.metrics.moments import check_pair
from ganeval.neighbours import balls, near_balls
from ganeval.uncertainty import (
    SPLITS,
    Estimate,
    normal_interval,
    random_halves,
    share_by_halves,
    shared_by_halves,
)

NAMES = ("precision", "recall", "density", "coverage", "symmetric_precision", "symmetric_recall")
# Shares of fakes; density is not a share, and the others are shares of reals.
OF_FAKES = ("precision", "symmetric_precision")


def prdc(
    real: Tensor,
    fake: Tensor,
    *,
    k: int = 5,
    ties: Literal["strict", "inclusive"] = "strict",
    subset_size: int | None = None,
    seed: int = 0,
) -> Mapping[str, Estimate]:
    """Precision, recall, density, coverage, and symmetric precision and recall, with their standard errors.

    The neighbourhood of an image is a ball with the distance to its k-th nearest neighbour in its own set as radius::

        precision = share of fakes in the neighbourhood of any real
        recall    = share of reals in the neighbourhood of any fake
        density   = number of neighbourhoods of reals that contain a fake, over k, averaged over fakes
        coverage  = share of reals whose neighbourhood contains any fake
        symmetric precision = min(precision, share of fakes whose neighbourhood contains any real)
        symmetric recall    = min(recall, coverage)

    All of them depend on the numbers of images: compare only values of equal numbers.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        k: Which neighbour gives the radius, not counting the image itself. 5 as in Naeem et al., dgm-eval and
            StudioGAN; 3 in Kynkäänniemi et al., torch-fidelity, StyleGAN and ADM.
        ties: Whether the surface of a ball belongs to it: "strict" (no) as in prdc, dgm-eval and StudioGAN, "inclusive"
            (yes) as in torch-fidelity, StyleGAN and ADM.
        subset_size: Images of each set that are used, drawn at random without replacement, as the time grows with the
            square of their number; a smaller set is used whole. None uses all. dgm-eval takes 10,000.
        seed: Seed of the subsets, and of the random halves of the standard errors; without subsets, values do not
            depend on it.

    Returns:
        Estimates by name: "precision", "recall", "coverage", "symmetric_precision" and "symmetric_recall" from 0 to 1,
        and "density" from 0; higher is better. The standard errors are None where halves are too small, or too many
        pairs would have to be resampled.

    Raises:
        MetricError: k is below 1, a set or subset has k images or fewer, ``ties`` is unknown, the dimensions differ, or
            the features are not finite floating tensors of two axes.

    References:
        Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models"; Naeem et al.
        2020, "Reliable Fidelity and Diversity Metrics for Generative Models"; Khayatkhoei and AbdAlmageed 2023,
        "Emergent Asymmetry of Precision and Recall for Measuring Fidelity and Diversity of Generative Models in High
        Dimensions" (the symmetric ones). ADM's code computes distances in float16.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import prdc
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), 0.5 * torch.randn(500, 4, generator=rng)
        >>> for name, estimate in prdc(real, fake).items():
        ...     print(f"{name} {estimate.value:.1f}")
        precision 1.0
        recall 0.5
        density 1.2
        coverage 0.6
        symmetric_precision 0.7
        symmetric_recall 0.5
    """
    check_options(prdc, locals())
    real, fake = check_pair(real, fake)
    if subset_size is not None:
        # The reals that are drawn do not depend on the fakes: all generators are compared with the same ones.
        real, fake = (_drawn(side, subset_size, [seed, place]) for place, side in enumerate((real, fake), start=2))
    check_sizes(real, fake, k)
    reals, fakes = (balls(Rows(side), k, depth=listed(k)) for side in (real, fake))
    inclusive = ties == "inclusive"
    over_fakes = Cover(reals, len(fake), k, inclusive=inclusive)
    over_reals = Cover(fakes, len(real), k, inclusive=inclusive)
    for there, back in near_balls(reals, fakes, inclusive=inclusive):
        over_fakes.add(there)
        over_reals.add(back)
    value = _values(over_fakes.whole, over_reals.whole, k, (len(real), len(fake)))
    if reason := no_error_bar((over_fakes, over_reals), min(len(real), len(fake)), k):
        return {name: Estimate(value[name], None, None, reason) for name in NAMES}
    halves = _on_halves(over_fakes, over_reals, k, seed)
    return {name: _estimate(name, value[name], halves[name], len(real), len(fake)) for name in NAMES}


def _drawn(side: Tensor, size: int, seed: list[int]) -> Tensor:
    """`size` of the rows, in their order."""
    if size < 1:
        raise MetricError(f"subset_size must be at least 1, found {size}; leave it out to use all images.")
    if size >= len(side):
        return side
    chosen = np.sort(np.random.RandomState(seed).permutation(len(side))[:size])
    return side[torch.from_numpy(chosen).to(side.device)]


def _values(over_fakes: Counts, over_reals: Counts, k: int, sizes: tuple[int, int]) -> dict[str, float]:
    """All values. sizes: the numbers of reals and fakes."""
    reals, fakes = sizes
    precision, recall = int((over_fakes.rows > 0).sum()) / fakes, int((over_reals.rows > 0).sum()) / reals
    coverage, complement = int((over_fakes.balls > 0).sum()) / reals, int((over_reals.balls > 0).sum()) / fakes
    return {
        "precision": precision,
        "recall": recall,
        "density": int(over_fakes.rows.sum()) / (k * fakes),
        "coverage": coverage,
        "symmetric_precision": min(precision, complement),
        "symmetric_recall": min(recall, coverage),
    }


def _on_halves(over_fakes: Cover, over_reals: Cover, k: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """All values on random halves of both sets, in the form of `shared_by_halves`."""
    sizes = len(over_fakes.whole.balls), len(over_fakes.whole.rows)
    choices = [half for halves in random_halves(sizes, seed=seed) for half in halves]
    there = over_fakes.subsets((reals, fakes) for reals, fakes in choices)
    back = over_reals.subsets((fakes, reals) for reals, fakes in choices)
    values = [
        _values(of_fakes.counts(len(fakes)), of_reals.counts(len(reals)), k, (int(reals.sum()), int(fakes.sum())))
        for of_fakes, of_reals, (reals, fakes) in zip(there, back, choices, strict=True)
    ]
    pairs = list(zip(values[::2], values[1::2], strict=True))
    return {name: shared_by_halves([(one[name], other[name]) for one, other in pairs]) for name in NAMES}


def _estimate(name: str, value: float, halves: NDArray[np.float64], reals: int, fakes: int) -> Estimate:
    method = f"differences of random halves ({SPLITS} splits)"
    if name == "density":
        error = float(np.linalg.norm(halves))
        return Estimate(value, error, normal_interval(value, error, minimum=0.0), method, shared=halves)
    error, interval, shared = share_by_halves(value, halves, fakes if name in OF_FAKES else reals)
    return Estimate(value, error, interval, method, shared=shared)


PRECISION = Metric(
    title="Improved precision: share of fakes on the manifold of reals",
    compute=prdc,
    real="features",
    fake="features",
    direction="higher",
    source="Kynkäänniemi et al. 2019",
    family="prdc",
)

RECALL = Metric(
    title="Improved recall: share of reals on the manifold of fakes",
    compute=prdc,
    real="features",
    fake="features",
    direction="higher",
    source="Kynkäänniemi et al. 2019",
    family="prdc",
)

DENSITY = Metric(
    title="Density: neighbourhoods of reals that contain a fake, per fake",
    compute=prdc,
    real="features",
    fake="features",
    direction="higher",
    source="Naeem et al. 2020",
    family="prdc",
)

COVERAGE = Metric(
    title="Coverage: share of reals with a fake in their neighbourhood",
    compute=prdc,
    real="features",
    fake="features",
    direction="higher",
    source="Naeem et al. 2020",
    family="prdc",
)

SYMMETRIC_PRECISION = Metric(
    title="Symmetric precision: the lower of precision and its complement",
    compute=prdc,
    real="features",
    fake="features",
    direction="higher",
    source="Khayatkhoei and AbdAlmageed 2023",
    family="prdc",
)

SYMMETRIC_RECALL = Metric(
    title="Symmetric recall: the lower of recall and coverage",
    compute=prdc,
    real="features",
    fake="features",
    direction="higher",
    source="Khayatkhoei and AbdAlmageed 2023",
    family="prdc",
)
