"""Data for figures: a projection of both sets, precision against recall, distances, classes."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.class_alignment import align_classes
from ganeval.metrics.nearest import NearestPairs
from ganeval.metrics.prd import prd_curve
from ganeval.report.data import ClassShare, Histogram, Projection, TradeOff
from ganeval.report_data.image_set import ImageSet

# Images per set in the projection, and in the trade-off; bars of the histogram.
POINTS, CURVED, BARS = 500, 2000, 32
# Wider features are reduced to this many components for the classifier and for clustering.
WIDEST, CLUSTERED = 256, 64
# Maximum number of classes; those whose shares differ most come first.
MAX_CLASSES = 1000
# The share of labelled reals that a classifier must classify correctly for its classes to count as the labels'.
AGREEMENT = 0.5


def reduced(real: Tensor, fake: Tensor, dimensions: int = WIDEST) -> tuple[Tensor, Tensor]:
    """Features [N, D] and [M, D] in at most this many dimensions: their first common principal components."""
    if real.shape[1] <= dimensions:
        return real, fake
    points, _ = _components(np.concatenate([side.double().cpu().numpy() for side in (real, fake)]), dimensions)
    return torch.from_numpy(points[: len(real)]), torch.from_numpy(points[len(real) :])


def _components(rows: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first principal components [N, count] of rows [N, D], and the share of variance of each."""
    from sklearn.utils.extmath import randomized_svd

    rows = rows - rows.mean(0)
    left, values, _ = randomized_svd(rows, min(count, *rows.shape), random_state=0)
    return np.asarray(left * values), np.asarray(values**2 / (float((rows**2).sum()) or 1.0))


def projection(real: ImageSet, fake: ImageSet, *, seed: int) -> Projection:
    """The first two common principal components of equally many reals and fakes."""
    count = min(POINTS, len(real), len(fake))
    sides = [side.features[side.sample(count, seed)].double().numpy() for side in (real, fake)]
    points, shares = _components(np.concatenate(sides), 2)
    # The sign of eigenvectors is arbitrary: the fakes are put to the right of and above the reals.
    points *= np.where(points[count:].mean(0) < points[:count].mean(0), -1, 1)
    return Projection(_points(points[:count]), _points(points[count:]), (float(shares[0]), float(shares[1])))


def _points(points: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    return tuple((_short(x), _short(y)) for x, y in points)


def _short(value: float) -> float:
    """Rounded to five digits, which is enough for a figure."""
    return float(f"{value:.5g}")


def trade_off(real: ImageSet, fake: ImageSet, *, seed: int) -> TradeOff:
    """The curve of precision against recall."""
    chosen = [side.features[side.sample(CURVED, seed)] for side in (real, fake)]
    curve = prd_curve(*reduced(chosen[0], chosen[1], CLUSTERED), seed=seed)
    return TradeOff(tuple(map(_short, curve.precision)), tuple(map(_short, curve.recall)))


def distances(pairs: NearestPairs) -> Histogram:
    """Distances of fakes to the nearest real, next to those of reals to their nearest other, in shared bins."""
    real, fake = pairs.own[:, 0].cpu().numpy(), pairs.distances[:, 0].cpu().numpy()
    # A few outliers would leave one bar for all others: distances beyond the 99.5% quantile count in the last bar.
    end = max(float(np.quantile(side, 0.995)) for side in (real, fake))
    edges = np.linspace(0, end or 1.0, BARS + 1)
    counts = [np.histogram(np.minimum(side, edges[-1]), edges)[0] for side in (real, fake)]
    return Histogram(
        tuple(map(_short, edges)),
        tuple(map(int, counts[0])),
        tuple(map(int, counts[1])),
        _short(float(np.median(real))),
        _short(float(np.median(fake))),
    )


def classes(real: ImageSet, fake: ImageSet, pairs: NearestPairs) -> tuple[tuple[ClassShare, ...], str]:
    """Every class with an image, and what the classes come from; empty if classes are unknown."""
    sorted_by = "classifier" if real.logits is not None and fake.logits is not None else "labels"
    found = [_predicted(side) for side in (real, fake)] if sorted_by == "classifier" else _labelled(real, fake)
    if found is None:
        return (), ""
    names = _names(real, found[0]) if sorted_by == "classifier" else real.class_names
    nearest = np.empty(len(fake))
    nearest[pairs.fakes.cpu().numpy()] = pairs.distances[:, 0].cpu().numpy()
    own = pairs.own[:, 0].cpu().numpy()
    asked = None if names is None or sorted_by == "labels" else _asked(real, fake)
    rows = [
        ClassShare(
            name=str(number) if names is None else names[number],
            real=int((found[0] == number).sum()),
            fake=int((found[1] == number).sum()),
            score=_ratio(nearest[found[1] == number], own[found[0] == number]),
            accuracy=None if asked is None else _share(found[1][asked == number] == number),
        )
        for number in np.union1d(*found)
    ]
    rows.sort(key=lambda row: -abs(row.real / len(real) - row.fake / len(fake)))
    return tuple(rows[:MAX_CLASSES]), sorted_by


def _predicted(side: ImageSet) -> NDArray[np.int64]:
    assert side.logits is not None
    return np.asarray(side.logits.argmax(1).cpu().numpy(), np.int64)


def _labelled(real: ImageSet, fake: ImageSet) -> list[NDArray[np.int64]] | None:
    """Both sides' labels in the numbering of the reals; None if they do not name the same classes."""
    asked = _asked(real, fake)
    return None if real.labels is None or asked is None else [_numbers(real.labels), asked]


def _asked(real: ImageSet, fake: ImageSet) -> NDArray[np.int64] | None:
    """The fakes' labels in the numbering of the reals; None if there are none, or they are other classes."""
    if real.labels is None or fake.labels is None:
        return None
    if real.class_names is None and fake.class_names is None:
        return _numbers(fake.labels)
    found = align_classes(real.labels, fake.labels, real_names=real.class_names, fake_names=fake.class_names)
    places = dict(zip(found.real.tolist(), real.labels.tolist(), strict=True))
    asked: list[int] = found.fake.tolist()
    return np.asarray([places[number] for number in asked], np.int64) if places.keys() >= set(asked) else None


def _numbers(labels: Tensor) -> NDArray[np.int64]:
    return np.asarray(labels.cpu().numpy(), np.int64)


def _names(real: ImageSet, predicted: NDArray[np.int64]) -> list[str] | None:
    """Names of the classifier's classes: those of the reals' labels, if these are its classes."""
    if real.labels is None or float((_numbers(real.labels) == predicted).mean()) < AGREEMENT:
        return None
    assert real.logits is not None
    names = [] if real.class_names is None else list(real.class_names)
    return [names[number] if number < len(names) else str(number) for number in range(real.logits.shape[1])]


def _ratio(fake: NDArray[np.float64], real: NDArray[np.float64]) -> float | None:
    if not len(fake) or not len(real) or not real.mean() > 0:
        return None
    return _short(float(fake.mean() / real.mean()))


def _share(hits: NDArray[np.bool_]) -> float | None:
    return _short(float(hits.mean())) if len(hits) else None
