"""FLD, the feature likelihood divergence: how likely held-out reals are under a density estimated from the fakes.

Scaled features are kept in a temporary file if there are many. Squared distances are float32 and, where memory allows
(CACHE), computed once; the fit is in float32, likelihoods of the fitted density in float64.

The standard error has three parts: the spread of the held-out reals, each under both densities, and the jackknife over
the centres of either density, for the fitted variances. The training images also determine these variances; this part
is left out, as it vanishes to first order at the fit. A jackknife error is too large: in simulations with 24 dimensions
by two thirds for 100 reals and 100 fakes, and by a quarter for 300 of each; the error of the gap was within a fifth.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval import distances as tiling
from ganeval.distances import Frame, Rows, slices
from ganeval.errors import MetricError
from ganeval.linalg import TOO_LARGE
from ganeval.metrics.base import Metric, check_options
from ganeval.metrics.moments import check_features, check_pair
from ganeval.metrics.nearest import jackknifed
from ganeval.spool import spooled
from ganeval.uncertainty import Estimate, normal_interval, shared_by_influence

# The authors' optimizer: learning rate of Adam, maximum number of passes, images per step; the fit ends when the mean
# loss of the last passes has changed by less than STILL.
RATE, PASSES, BATCH, LAST, STILL = 0.5, 50, 10_000, 5, 5e-4
# Log-variances are limited to -LARGEST to LARGEST. Variances start at the squared distance to the nearest image plus
# NEAREST, per dimension.
LARGEST, NEAREST = 40.0, 1e-3
# The fit has one more component, at the mean of the images; their distances to it are multiplied by this.
TOWARDS_MEAN = 0.9
# Squared distances per dimension below this are rounding errors of float32 products, and are raised to it.
SAME = 2.0**-22
# Bytes of squared distances that are kept between passes; if there are more, they are computed again.
CACHE = 1 << 30
# Bytes of columns per block when means and standard deviations are computed.
COLUMN_BYTES = 1 << 27
# At this value or above, fakes are copies, and the exact value depends on rounding.
COPIES = 1000.0

Blocks = Iterator[tuple[slice, Tensor]]


def fld(
    real: Tensor, fake: Tensor, *, held_out: float = 0.5, centres: int = 10_000, seed: int = 0
) -> Mapping[str, Estimate]:
    """FLD and its generalisation gap if only one set of reals is given: a random part of it is held out.

    The values are those of ``fld_score``. They detect copies of training images only if the generator has not seen the
    held-out images: if it was trained on all of the reals, copies of the held-out ones improve its value.

    Args:
        real: Features of the real images, ``[N, D]`` of any floating dtype.
        fake: Features of the generated images, ``[M, D]``.
        held_out: Share of the reals that is held out, between 0 and 1.
        centres: Maximum number of fakes that are used, drawn at random; 10,000 as in the authors' code.
        seed: Seed of the held-out part, of the fakes used, and of the half of the training images for the baseline.

    Returns:
        Estimates by name: "fld" and "fld_gap", as those of ``fld_score``.

    Raises:
        MetricError: ``held_out`` leaves a part empty, or as for ``fld_score``.

    References:
        Jiralerspong et al. 2023, "Feature Likelihood Divergence: Evaluating the Generalization of Generative Models
        Using Samples".

    Examples:
        >>> import torch
        >>> from ganeval.metrics import fld
        >>> rng = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(400, 8, generator=rng), torch.randn(200, 8, generator=rng)
        >>> fld(real, fake)["fld"].value < fld(real, 2 * fake)["fld"].value
        True
    """
    check_options(fld, locals())
    real, fake = check_pair(real, fake)
    if not 0 < held_out < 1:
        raise MetricError(f"The share of reals to hold out must be between 0 and 1, found {held_out:g}.")
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(real))).to(real.device)
    count = round(held_out * len(real))
    if not 0 < count < len(real):
        raise MetricError(f"A share of {held_out:g} of {len(real)} reals leaves one part empty; give more reals.")
    parts = (Rows(real, chosen=order[count:]), Rows(real, chosen=order[:count]), Rows(fake))
    return _scores(*parts, centres=centres, seed=seed)


def fld_score(
    train: Tensor, test: Tensor, fake: Tensor, *, centres: int = 10_000, seed: int = 0
) -> Mapping[str, Estimate]:
    """FLD and its generalisation gap, from training images, held-out reals and fakes.

    The density of the fakes is a mixture of isotropic Gaussians, one centred at each fake, whose variances are fitted
    so that the training images are likely. A fake that copies a training image gets a tiny variance, and does not make
    held-out images likely. With L the mean negative log-likelihood per dimension, of features scaled by mean and
    standard deviation of the held-out reals::

        fld     = 100 (L(test; fakes) - L(test; half of train))
        fld_gap = 100 (L(train; fakes) - L(test; fakes))

    The baseline is the same density with a random half of the training images as centres, at most as many as fakes,
    fitted to the other half. FLD depends on the numbers of images: compare only values of equal numbers.

    Args:
        train: Features of the images that the generator was trained on, ``[L, D]`` of any floating dtype.
        test: Features of other real images, ``[N, D]``.
        fake: Features of the generated images, ``[M, D]``.
        centres: Maximum number of fakes that are used, drawn at random; 10,000 as in the authors' code.
        seed: Seed of the fakes used, of the half of the training images, and of the order of training images.

    Returns:
        Estimates by name. "fld": lower is better. It is about 0 for fakes as good as training images and half as many,
        lower for more fakes, and thousands for copies. "fld_gap": 0 is best; below 0, fakes are nearer to the training
        images than to held-out ones. The details of "fld" have L as "test" and "baseline", those of the gap as "train"
        and "test", in nats per dimension.

    Raises:
        MetricError: There are fewer than 4 training images, or fewer than 2 held-out ones or fakes, all held-out images
            are equal, ``centres`` is below 2, the dimensions differ, or the features are not finite floating tensors of
            two axes.

    References:
        Jiralerspong et al. 2023, "Feature Likelihood Divergence: Evaluating the Generalization of Generative Models
        Using Samples"; the optimizer's settings are those of the authors' code. dgm-eval's ``fls`` is an older score on
        another scale.

    Examples:
        >>> import torch
        >>> from ganeval.metrics import fld_score
        >>> rng = torch.Generator().manual_seed(0)
        >>> train, test = torch.randn(200, 8, generator=rng), torch.randn(200, 8, generator=rng)
        >>> found = fld_score(train, test, train + 1e-3)
        >>> found["fld"].value > 1000, found["fld_gap"].value < -1000
        (True, True)
    """
    check_options(fld_score, locals())
    sides = [check_features(side) for side in (train, test, fake)]
    if len({side.shape[1] for side in sides}) > 1:
        raise MetricError(
            f"Training, held-out and fake features have {', '.join(str(side.shape[1]) for side in sides)} dimensions; "
            "all must come from the same extractor."
        )
    return _scores(*map(Rows, sides), centres=centres, seed=seed)


def _scores(train: Rows, test: Rows, fake: Rows, *, centres: int, seed: int) -> Mapping[str, Estimate]:
    """Both estimates, as `fld_score` gives them."""
    if len(train) < 4 or len(test) < 2 or len(fake) < 2 or centres < 2:
        raise MetricError(
            f"FLD needs at least 4 training images, 2 held-out ones, 2 fakes and 2 centres, found {len(train)}, "
            f"{len(test)}, {len(fake)} and {centres}."
        )
    rng = np.random.RandomState(seed)
    orders = [torch.from_numpy(rng.permutation(len(side))).to(side.features.device) for side in (train, fake)]
    known, unseen, made = _standardised(_some(train, orders[0]), test, _some(fake, orders[1][:centres]))
    half = min(len(made), len(train) // 2)
    density, baseline = _FittedMixture(made), _FittedMixture(known[:half])
    density.fit(known)
    baseline.fit(known[half:])
    of_test, of_train, of_baseline = density.losses(unseen), density.losses(known), baseline.losses(unseen)
    # In the order that the training images were given in.
    halves = np.zeros(len(train))
    halves[orders[0].cpu().numpy()[:half]] = jackknifed(of_baseline.changes)
    means = {name: float(one.losses.mean()) for name, one in (("test", of_test), ("baseline", of_baseline))}
    gap_means = {"train": float(of_train.losses.mean()), "test": means["test"]}
    spreads = [shared_by_influence(one.cpu().numpy()) for one in (of_test.losses - of_baseline.losses, of_test.losses)]
    of_train_images = np.zeros(len(train))
    of_train_images[orders[0].cpu().numpy()] = shared_by_influence(of_train.losses.cpu().numpy())
    return {
        "fld": _estimate(
            means["test"] - means["baseline"],
            np.concatenate([-halves, spreads[0]]),
            jackknifed(of_test.changes),
            means,
        ),
        "fld_gap": _estimate(
            gap_means["train"] - gap_means["test"],
            np.concatenate([of_train_images, -spreads[1]]),
            jackknifed(of_train.changes - of_test.changes),
            gap_means,
        ),
    }


def _some(rows: Rows, places: Tensor) -> Rows:
    """The rows at these positions."""
    return Rows(rows.features, chosen=places if rows.chosen is None else rows.chosen[places])


def _columns(rows: Rows) -> Iterator[Tensor]:
    """All rows as float64, a bounded number of columns at a time.

    The mean and standard deviation of a column are bit for bit those computed from all columns at once.
    """
    width, size = rows.features.shape[1], max(2, COLUMN_BYTES // (8 * len(rows)))
    # No block has a single column, unless there is only one: torch sums a single column in another order.
    for start, stop in pairwise([*range(0, max(width - 1, 1), size), width]):
        columns = rows.features[:, start:stop]
        yield (columns if rows.chosen is None else columns[rows.chosen]).double().contiguous()


def _standardised(train: Rows, test: Rows, fake: Rows) -> tuple[Tensor, Tensor, Tensor]:
    """float32 features standardised by the test set, without those constant in it; mapped from a file if many."""
    statistics = [
        (block.mean(0), block.std(0), torch.stack(torch.aminmax(block, dim=0)).abs().amax(0))
        for block in _columns(test)
    ]
    mean, spread, largest = map(torch.cat, zip(*statistics, strict=True))
    # Constant up to rounding: the mean of equal values may be off in the last digits.
    kept = spread > 1e-12 * largest
    if not kept.any():
        raise MetricError("All held-out images have the same features, so there is no scale; give different images.")

    def scaled() -> Iterator[Tensor]:
        for part in chain(train.parts(), test.parts(), fake.parts()):
            found = ((part - mean) / spread)[:, kept].float()
            if not (spread.isfinite().all() and torch.stack(torch.aminmax(found)).isfinite().all()):
                raise MetricError(TOO_LARGE)
            yield found

    counts = [len(train), len(test), len(fake)]
    first, second, third = torch.split(spooled(scaled(), sum(counts)), counts)
    return first, second, third


@dataclass(frozen=True, slots=True)
class _Losses:
    """Negative log-likelihoods per dimension of rows, float64 [N].

    changes: float64 [M], the increase of their mean when each centre is left out, up to a constant.
    """

    losses: Tensor
    changes: Tensor


class _FittedMixture:
    """Isotropic Gaussians of equal weight at centres [M, D]; logs: float64 [M], the logarithms of their variances."""

    def __init__(self, centres: Tensor) -> None:
        self.centres, (self.count, self.width) = Rows(centres), centres.shape
        self.logs = torch.zeros(self.count, dtype=torch.float64, device=centres.device)

    def fit(self, rows: Tensor) -> None:
        """Set the variances so that the rows are likely."""
        batches = [rows[part] for part in slices(len(rows), BATCH)]
        squares = self._kept(batches)
        nearest = torch.stack([block.amin(0) for batch in squares for _, block in batch()]).amin(0)
        self.logs = ((nearest.double() + NEAREST) / self.width).log_()
        mean = torch.cat([block.mean(0) for block in _columns(Rows(rows))])
        to_mean = [
            torch.cat([(part - mean).square_().sum(1) for part in Rows(batch).parts()]).mul_(TOWARDS_MEAN**2)
            for batch in batches
        ]
        # The log-variances; the last is that of the component at the mean, which is not limited.
        logs = torch.cat([self.logs, torch.zeros_like(self.logs[:1])])
        adam, history = _Adam(logs), list[float]()
        for _ in range(PASSES):
            losses = []
            for batch, distances in zip(squares, to_mean, strict=True):
                self.logs, of_mean = logs[:-1], logs[-1:]
                loss, slopes = self._step(batch(), distances, of_mean)
                adam.step(slopes)
                self.logs.clamp_(-LARGEST, LARGEST)
                losses.append(loss)
            history.append(sum(losses) / len(losses))
            recent = history[-LAST:]
            if len(history) > LAST + 1 and max(abs(history[-1] - loss) for loss in recent) < STILL:
                break

    def losses(self, rows: Tensor) -> _Losses:
        """The losses of rows [N, D] under the fitted density."""
        # Preallocated: many small tensors between the large ones would prevent the reuse of their memory.
        losses, changes = self.logs.new_empty(len(rows)), torch.zeros_like(self.logs)
        scale, offset = self._terms(torch.float64)
        for place, block in self._squares(rows):
            for part in slices(len(block), self._piece(8)):
                terms = block[part].double().mul_(scale).add_(offset)
                top, total = terms.argmax(1, keepdim=True), terms.logsumexp(1)
                losses[place.start + part.start : place.start + part.stop] = -total
                # The density without each centre, relative to the whole; without the largest term it is summed anew.
                terms.sub_(total[:, None])
                largest = terms.gather(1, top)
                rest = terms.scatter(1, top, -math.inf).logsumexp(1, keepdim=True)
                changes -= torch.log1p(-terms.scatter(1, top, -math.inf).exp_()).sum(0)
                changes.index_add_(0, top[:, 0], -torch.where(largest < -1, torch.log1p(-largest.exp()), rest)[:, 0])
        constant = self.width / 2 * math.log(2 * math.pi)
        return _Losses((losses + constant) / self.width, changes / (len(rows) * self.width))

    def _terms(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The factor of squared distances and the summand that give the logarithm of each component, [M] each."""
        scale = (-0.5 * (-self.logs).exp()).to(dtype)
        return scale, (-self.width / 2 * self.logs - math.log(self.count)).to(dtype)

    def _step(self, blocks: Blocks, to_mean: Tensor, of_mean: Tensor) -> tuple[float, Tensor]:
        """The mean loss per dimension of a batch, and its derivatives by all log-variances, that of `of_mean` last."""
        total, grown, count = 0.0, torch.zeros_like(self.logs), len(to_mean)
        scale, offset = self._terms(torch.float32)
        at_mean = -0.5 * to_mean * (-of_mean).exp() - self.width / 2 * of_mean
        slope = torch.zeros_like(of_mean)
        for rows, block in blocks:
            for part in slices(len(block), self._piece(4)):
                squares = block[part]
                here = slice(rows.start + part.start, rows.start + part.stop)
                terms = torch.addcmul(offset, squares, scale)
                likely = torch.logaddexp(terms.logsumexp(1).double(), at_mean[here])
                total -= float(likely.sum())
                weights = terms.sub_(likely.float()[:, None]).exp_()
                grown += self.width / 2 * weights.sum(0).double()
                grown += scale.double() * weights.mul_(squares).sum(0).double()
                weights_of_mean = (at_mean[here] - likely).exp()
                slope += (weights_of_mean * (self.width / 2 - 0.5 * to_mean[here] * (-of_mean).exp())).sum()
        size = count * self.width
        return total / size, torch.cat([grown, slope]) / size

    def _kept(self, batches: list[Tensor]) -> list[Callable[[], Blocks]]:
        """For each batch, a function that returns its squared distances; they are kept if they fit into CACHE."""
        if 4 * self.count * sum(map(len, batches)) > CACHE:
            return [lambda batch=batch: self._squares(batch) for batch in batches]  # type: ignore[misc]
        kept = [list(self._squares(batch)) for batch in batches]
        return [lambda blocks=blocks: iter(blocks) for blocks in kept]  # type: ignore[misc]

    def _squares(self, rows: Tensor) -> Blocks:
        """Squared distances float32 [R, M] of a part of the rows to all centres, a part at a time."""
        frame = Frame(Rows(rows), self.centres)
        block, start = list[Tensor](), 0
        for part, _, tile in frame.settled_tiles():
            if part.start != start:
                yield slice(start, part.start), torch.cat(block, 1)
                block, start = [], part.start
            block.append(tile.mul_(frame.unit**2).clamp_(min=SAME * self.width))
        yield slice(start, len(rows)), torch.cat(block, 1)

    def _piece(self, size: int) -> int:
        """How many rows of squared distances fit into a tile."""
        return max(1, tiling.TILE_BYTES // (size * self.count))


class _Adam:
    """Adam (Kingma and Ba 2015) with its usual settings, in place; torch's own takes seconds to load."""

    def __init__(self, values: Tensor) -> None:
        self.values, self.first, self.second, self.steps = values, torch.zeros_like(values), torch.zeros_like(values), 0

    def step(self, slopes: Tensor) -> None:
        """Move the values against the slopes."""
        self.steps += 1
        self.first.lerp_(slopes, 0.1)
        self.second.lerp_(slopes.square(), 0.001)
        scale = (self.second / (1 - 0.999**self.steps)).sqrt_().add_(1e-8)
        self.values -= RATE / (1 - 0.9**self.steps) * self.first / scale


def _estimate(
    value: float, reals: NDArray[np.float64], fakes: NDArray[np.float64], details: Mapping[str, float]
) -> Estimate:
    """The estimate, from the reals' and the fakes' parts of the error, in nats per dimension."""
    value, error = 100 * value, 100 * math.hypot(float(np.linalg.norm(reals)), float(np.linalg.norm(fakes)))
    copies = "Held-out reals are next to impossible under the fakes, which means that the fakes are copies."
    notes = (copies,) if abs(value) > COPIES else ()
    method = "spread over held-out reals, and jackknife over centres"
    return Estimate(value, error, normal_interval(value, error), method, details, notes, 100 * reals)


FLD = Metric(
    title="FLD: feature likelihood divergence",
    compute=fld,
    real="features",
    fake="features",
    direction="lower",
    source="Jiralerspong et al. 2023",
    family="fld",
)

FLD_GAP = Metric(
    title="FLD's generalisation gap: likelihood of held-out reals, less that of training images",
    compute=fld,
    real="features",
    fake="features",
    direction="closer",
    source="Jiralerspong et al. 2023",
    family="fld",
    ideal=0.0,
)
