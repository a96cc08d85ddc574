"""Kernel inception distance: an unbiased estimate of the squared maximum mean discrepancy of two sets of features.

The standard error is that of this estimator: the variance by Hoeffding's decomposition, each part estimated without
bias (ustatistics.py). If both distributions are equal, the part due to single images vanishes and the degenerate part
remains, so the error is valid in both cases and for unequal sizes. With a hundred images and heavy tails a few images
dominate both value and error: in simulations of clearly different sets, intervals covered KID 80% of the time.

If features have a large common part (all near 100, say), the kernel is almost constant and float32 products lose the
differences. Terms of the kernel that depend on one row alone cancel in KID; in that case they are left out, and float64
is used.

The standard error of a mean over random subsets is that of the estimator over all pairs, with its parts estimated
within the subsets, plus the noise of drawing subsets.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.mmd import KernelSums, Parts
from ganeval.metrics.moments import check_pair
from ganeval.metrics.ustatistics import FEWEST, Kernel
from ganeval.precision import full_precision, outgrown
from ganeval.uncertainty import Estimate, normal_interval


def kid(
    real: Tensor, fake: Tensor, *, subsets: int | None = None, subset_size: int | None = None, seed: int = 2020
) -> Estimate:
    """Kernel inception distance between two sets of features, with its standard error.

    The unbiased estimator of the squared maximum mean discrepancy with a cubic kernel::

        KID = mean k(x, x') + mean k(y, y') - 2 mean k(x, y),    k(x, y) = (<x, y> / D + 1)^3

    over all pairs of different reals, all pairs of different fakes, and all pairs of a real and a fake. It is unbiased
    at every size, so it may be negative if the sets are similar.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        subsets: Number of random subsets whose KIDs are averaged; None uses all pairs, which is more precise. Papers
            take 100, with ``subset_size=1000``.
        subset_size: Images per subset; given together with ``subsets`` or not at all.
        seed: Seed of the subsets. 2020 draws those of torch-fidelity with the fakes as its input1 and the reals as its
            input2: numpy's RandomState, without replacement, fakes and reals alternately.

    Returns:
        KID; lower is better. The standard error is None for fewer than 4 images of a set. With subsets,
        ``details["std"]`` is the standard deviation over them (ddof 0) that papers report. It is not a standard error:
        subsets overlap, and are smaller than the set.

    Raises:
        MetricError: A set has fewer than 2 images, the dimensions differ, the features are not finite floating tensors
            of two axes, one of ``subsets`` and ``subset_size`` is missing, or subsets are larger than a set.

    References:
        Bińkowski et al. 2018, "Demystifying MMD GANs"; Gretton et al. 2012, "A Kernel Two-Sample Test" (the
        estimator); Bounliphone et al. 2016 and Sutherland et al. 2017 (its variance).

    Examples:
        >>> import torch
        >>> from ganeval.metrics import kid
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(500, 4, generator=rng), torch.randn(500, 4, generator=rng) + 1
        >>> estimate = kid(real, fake)
        >>> print(f"{estimate.value:.1f} ± {estimate.standard_error:.1f}")
        8.2 ± 0.7
    """
    check_options(kid, locals())
    real, fake = check_pair(real, fake)
    fewest = min(len(real), len(fake))
    if fewest < 2:
        raise MetricError(f"KID needs at least 2 real and 2 fake images, found {len(real)} and {len(fake)}.")
    if subsets is None and subset_size is None:
        sums = KernelSums.of(*_prepared(real, fake))
        found = _estimate(sums.value, sums.parts, len(real), len(fake), method="U-statistic's variance", details={})
        return replace(found, shared=sums.shared)
    if subsets is None or subset_size is None:
        given, missing = ("subset_size", "subsets") if subsets is None else ("subsets", "subset_size")
        raise MetricError(f"{given} was given without {missing}; give both (100 and 1000 in papers) or neither.")
    if subsets < 1 or not 2 <= subset_size <= fewest:
        raise MetricError(
            f"KID over {subsets} subsets of {subset_size} images cannot be computed from {len(real)} real and "
            f"{len(fake)} fake images: choose at least 1 subset of 2 to {fewest} images, or leave out both options to "
            "use all pairs."
        )
    rng = np.random.RandomState(seed)
    draws = [(_draw(rng, len(fake), subset_size), _draw(rng, len(real), subset_size)) for _ in range(subsets)]
    return _over_subsets(*_prepared(real, fake), [(of_real, of_fake) for of_fake, of_real in draws])


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    """(<x, y> / D + 1)^3 - 1: the constant cancels in KID, and would cost digits."""
    with full_precision(), torch.autocast(first.device.type, enabled=False):
        products = (first @ second.T).double().div_(first.shape[1])
    return (products + 3).mul_(products).add_(3).mul_(products)


def _prepared(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Kernel]:
    """Both sets in the form that the kernel needs, and the kernel."""
    if not outgrown(real, fake):
        return real, fake, _kernel
    middle = (real.double().mean(0) + fake.double().mean(0)) / 2
    width = len(middle)
    about = [side.double() - middle for side in (real, fake)]
    sides = [torch.cat([rows, (rows @ middle / width)[:, None]], 1) for rows in about]
    return sides[0], sides[1], partial(_kernel_about, 1 + float(middle.square().sum()) / width)


def _kernel_about(constant: float, first: Tensor, second: Tensor) -> Tensor:
    """The kernel of rows m + u and m + v, without the terms that depend on one of them alone.

    With a = <m, u> / D, b = <m, v> / D, c = |m|^2 / D + 1 and w = <u, v> / D it is (c + a + b + w)^3. first, second: u
    and v, with a and b as a last column.
    """
    products = (first[:, :-1] @ second[:, :-1].T).div_(first.shape[1] - 1)
    a, b = first[:, -1:], second[:, -1]
    rest = constant + a + b
    return ((products + 3 * rest) * products + 3 * rest.square()) * products + 3 * a * b * (rest + constant)


def _draw(rng: np.random.RandomState, count: int, size: int) -> Tensor:
    return torch.from_numpy(rng.choice(count, size, replace=False))


def _over_subsets(real: Tensor, fake: Tensor, kernel: Kernel, draws: Sequence[tuple[Tensor, Tensor]]) -> Estimate:
    size = len(draws[0][0])
    # Compare the pairs of all images (half of them, by symmetry) with the pairs of all subsets, and take the fewer.
    if (len(real) + len(fake)) ** 2 <= len(draws) * (2 * size) ** 2:
        members = _members(real, [draw[0] for draw in draws]), _members(fake, [draw[1] for draw in draws])
        sums = KernelSums.of(real, fake, kernel, members)
        values, parts = sums.values(size), sums.parts
    else:
        alone = [
            KernelSums.of(real[mine.to(real.device)], fake[theirs.to(fake.device)], kernel) for mine, theirs in draws
        ]
        values = torch.tensor([one.value for one in alone], dtype=torch.float64, device="cpu")
        known = [one.parts for one in alone if one.parts is not None]
        parts = Parts(*np.mean(known, axis=0).tolist()) if known else None
    several = len(values) > 1
    return _estimate(
        float(values.mean()),
        parts,
        # With a single subset, the noise is that of sets of its size.
        len(real) if several else size,
        len(fake) if several else size,
        drawing=float(values.var()) / len(values) if several else 0.0,
        method="U-statistic's variance, and the drawing of subsets",
        details={"std": float(values.std(correction=0))},
    )


def _members(side: Tensor, draws: Sequence[Tensor]) -> Tensor:
    members = torch.zeros(len(side), len(draws), dtype=torch.float64, device="cpu")
    for number, draw in enumerate(draws):
        members[draw, number] = 1
    return members.to(side.device)


def _estimate(
    value: float,
    parts: Parts | None,
    n: int,
    m: int,
    *,
    method: str,
    drawing: float = 0.0,
    details: Mapping[str, float],
) -> Estimate:
    if parts is None:
        return Estimate(value, None, None, f"fewer than {FEWEST} images: no error bar", details)
    error = math.sqrt(parts.variance(n, m) + drawing)
    return Estimate(value, error, normal_interval(value, error), method, details)


KID = Metric(
    title="Kernel inception distance",
    compute=kid,
    real="features",
    fake="features",
    direction="lower",
    source="Bińkowski et al. 2018",
)
