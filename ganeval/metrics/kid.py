"""Kernel inception distance: the squared maximum mean discrepancy of two sets of features, without bias.

    KID = mean k(x, x') + mean k(y, y') - 2 mean k(x, y),   k(x, y) = (<x, y> / D + 1)^3,

over all pairs of different reals, all pairs of different fakes, and all pairs of a real and a fake. It is unbiased at
every size, so it may be below zero when there is little between the sets.

The standard error is of this very estimator: the variance by Hoeffding's decomposition, each part without bias
(ustatistics.py). The part of the single images vanishes when both distributions are the same, and what is left is
then the degenerate part: so it holds in both cases, and for unequal sizes. Of a hundred images with heavy tails a few
decide value and error together: in simulations of sets plainly different, intervals held KID 80% of the time.

Features that have much in common (all near 100, say) make the kernel almost constant, and products would lose what
differs. Terms of the kernel that hang on one row alone cancel in KID: then they are left out, and float64 is used.

Papers' numbers are means over random subsets. Their std over subsets is in the details; it is not a standard error:
subsets overlap, and are smaller than the set. The standard error of such a mean is that of the estimator over all
pairs, its parts estimated within the subsets, and the noise of drawing subsets beside it.

Sources: Bińkowski et al. 2018, "Demystifying MMD GANs"; Gretton et al. 2012 (the estimator); Bounliphone et al.
2016 and Sutherland et al. 2017 (its variance from the sums of the kernel's matrix).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics.moments import check_pair
from ganeval.metrics.ustatistics import FEWEST, Between, Kernel, Within, between, within
from ganeval.precision import full_precision, outgrown
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence


def kid(
    real: Tensor, fake: Tensor, *, subsets: int | None = None, subset_size: int | None = None, seed: int = 2020
) -> Estimate:
    """KID of features [N, D] and [M, D].

    subsets, subset_size: None for all pairs; 100 and 1000 for the mean over subsets as torch-fidelity draws them from
    its input1 (the fakes) and input2 (the reals): by numpy's RandomState, without replacement, one of each set in turn,
    of the fakes first. The "std" over them (ddof 0) is in the details. seed: of the subsets. Raises MetricError for
    fewer than 2 images, mismatched dimensions, features that are not finite, one of the two options without the other,
    or subsets larger than a set.
    """
    real, fake = check_pair(real, fake)
    fewest = min(len(real), len(fake))
    if fewest < 2:
        raise MetricError(f"KID needs at least 2 real and 2 fake images, found {len(real)} and {len(fake)}.")
    if subsets is None and subset_size is None:
        sums = _Sums.of(*_prepared(real, fake))
        found = _estimate(sums.value, sums.parts, len(real), len(fake), method="U-statistic's variance", details={})
        return replace(found, shared=sums.shared)
    if subsets is None or subset_size is None:
        given, missing = ("subset_size", "subsets") if subsets is None else ("subsets", "subset_size")
        raise MetricError(f"{given} was given without {missing}; give both (100 and 1000 in papers) or neither.")
    if subsets < 1 or not 2 <= subset_size <= fewest:
        raise MetricError(
            f"KID over {subsets} subsets of {subset_size} images cannot be had from {len(real)} real and {len(fake)} "
            f"fake images: it takes at least 1 subset of 2 to {fewest} images. Without both options all pairs are used."
        )
    rng = np.random.RandomState(seed)
    draws = [(_draw(rng, len(fake), subset_size), _draw(rng, len(real), subset_size)) for _ in range(subsets)]
    return _over_subsets(*_prepared(real, fake), [(of_real, of_fake) for of_fake, of_real in draws])


class _Parts(NamedTuple):
    """Variances of the parts of Hoeffding's decomposition: of one real, one fake, and the rest of the three kernels."""

    real: float
    fake: float
    reals: float
    fakes: float
    both: float

    def variance(self, n: int, m: int) -> float:
        """Of KID of n reals and m fakes; never less than when the distributions are the same."""
        single = max(4 * self.real / n + 4 * self.fake / m, 0.0)
        rest = 2 * self.reals / (n * (n - 1)) + 2 * self.fakes / (m * (m - 1)) + 4 * self.both / (n * m)
        return single + max(rest, 0.0)


@dataclass(frozen=True, slots=True)
class _Sums:
    """The kernel's sums over the pairs of reals, of fakes, and of both."""

    reals: Within
    fakes: Within
    both: Between

    @classmethod
    def of(cls, real: Tensor, fake: Tensor, kernel: Kernel, members: tuple[Tensor, Tensor] | None = None) -> "_Sums":
        """members: float64 [N, S] and [M, S], which images belong to which subset."""
        mine, theirs = members or (None, None)
        return cls(
            within(real, kernel, groups=mine),
            within(fake, kernel, groups=theirs),
            between(real, fake, kernel, groups=members),
        )

    @property
    def value(self) -> float:
        """KID over all pairs."""
        return self.reals.mean + self.fakes.mean - 2 * self.both.mean

    def values(self, size: int) -> Tensor:
        """KID of each subset of this size alone, [S]."""
        return (self.reals.groups + self.fakes.groups) / (size * (size - 1)) - 2 * self.both.groups / size**2

    @property
    def shared(self) -> NDArray[np.float64] | None:
        """`Estimate.shared`: the reals' influences, as long as the part that reals have in the variance."""
        parts = self.parts
        if parts is None:
            return None
        n = self.reals.count
        influences = self.reals.means - self.both.rows / self.fakes.count
        variance = 4 * max(parts.real, 0.0) / n + 2 * max(parts.reals, 0.0) / (n * (n - 1))
        return shared_by_influence(influences.cpu().numpy(), variance=variance)

    @property
    def parts(self) -> _Parts | None:
        """None for fewer images than the estimates need."""
        n, m = self.reals.count, self.fakes.count
        if min(n, m) < FEWEST:
            return None
        one_real, one_fake = self.reals.means - self.both.rows / m, self.fakes.means - self.both.columns / n
        # Row means of finite sets carry the rest's noise, which is taken out of their spread.
        return _Parts(
            real=float(one_real.var()) - self.reals.rest / (n - 2) - self.both.rest / m,
            fake=float(one_fake.var()) - self.fakes.rest / (m - 2) - self.both.rest / n,
            reals=self.reals.rest,
            fakes=self.fakes.rest,
            both=self.both.rest,
        )


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    """(<x, y> / D + 1)^3 - 1: the constant cancels in the discrepancy, and without it fewer digits do."""
    with full_precision(), torch.autocast(first.device.type, enabled=False):
        products = (first @ second.T).double().div_(first.shape[1])
    return (products + 3).mul_(products).add_(3).mul_(products)


def _prepared(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Kernel]:
    """Both sets as the kernel takes them, and the kernel."""
    if not outgrown(real, fake):
        return real, fake, _kernel
    middle = (real.double().mean(0) + fake.double().mean(0)) / 2
    width = len(middle)
    about = [side.double() - middle for side in (real, fake)]
    sides = [torch.cat([rows, (rows @ middle / width)[:, None]], 1) for rows in about]
    return sides[0], sides[1], partial(_kernel_about, 1 + float(middle.square().sum()) / width)


def _kernel_about(constant: float, first: Tensor, second: Tensor) -> Tensor:
    """The kernel of rows m + u and m + v, less what hangs on one of them alone.

    With a = <m, u> / D, b = <m, v> / D, c = |m|^2 / D + 1 and w = <u, v> / D it is (c + a + b + w)^3. first, second:
    u and v with a and b as a last column.
    """
    products = (first[:, :-1] @ second[:, :-1].T).div_(first.shape[1] - 1)
    a, b = first[:, -1:], second[:, -1]
    rest = constant + a + b
    return ((products + 3 * rest) * products + 3 * rest.square()) * products + 3 * a * b * (rest + constant)


def _draw(rng: np.random.RandomState, count: int, size: int) -> Tensor:
    return torch.from_numpy(rng.choice(count, size, replace=False))


def _over_subsets(real: Tensor, fake: Tensor, kernel: Kernel, draws: Sequence[tuple[Tensor, Tensor]]) -> Estimate:
    size = len(draws[0][0])
    # Half of the pairs of all images, against the pairs of every subset: overlapping ones are cheaper together.
    if (len(real) + len(fake)) ** 2 <= len(draws) * (2 * size) ** 2:
        members = _members(real, [draw[0] for draw in draws]), _members(fake, [draw[1] for draw in draws])
        sums = _Sums.of(real, fake, kernel, members)
        values, parts = sums.values(size), sums.parts
    else:
        alone = [_Sums.of(real[mine.to(real.device)], fake[theirs.to(fake.device)], kernel) for mine, theirs in draws]
        values = torch.tensor([one.value for one in alone], dtype=torch.float64)
        known = [one.parts for one in alone if one.parts is not None]
        parts = _Parts(*np.mean(known, axis=0).tolist()) if known else None
    several = len(values) > 1
    return _estimate(
        float(values.mean()),
        parts,
        # One subset tells of no other: its noise is that of sets of its size.
        len(real) if several else size,
        len(fake) if several else size,
        drawing=float(values.var()) / len(values) if several else 0.0,
        method="U-statistic's variance, and the drawing of subsets",
        details={"std": float(values.std(correction=0))},
    )


def _members(side: Tensor, draws: Sequence[Tensor]) -> Tensor:
    members = torch.zeros(len(side), len(draws), dtype=torch.float64)
    for number, draw in enumerate(draws):
        members[draw, number] = 1
    return members.to(side.device)


def _estimate(
    value: float,
    parts: _Parts | None,
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
