"""Dry run: which metrics can be computed for given counts of images and classes, before there are any images.

Whether a metric is defined hangs on counts, classes and options, not on what is in the images: so each is computed of
random features. What hangs on more is found out when it is measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.extractors import Output
from ganeval.metrics import Metric
from ganeval.pipeline import FeatureSet, Selection, Setup, compute, needs_labels

# Sets of more images have enough for any metric; of a class, so many are enough.
FEW, FEW_OF_A_CLASS = 1000, 20
# Metrics that need so many images in each cell of feature space, which hangs on where they lie.
_BY_CONTENT = frozenset({"ct"})
# Numbers per image: outputs that stand for what a network gives. Other outputs have demands beyond their count.
_WIDTHS: Mapping[Output, int] = {"features": 4, "spatial": 4, "logits": 10}


@dataclass(frozen=True, slots=True)
class Counted:
    """A set of images that need not be there. labels: int64 [count], the class of each, None where unknown."""

    count: int
    labels: Tensor | None = None
    class_names: tuple[str, ...] | None = None


def obstacles(selection: Selection, setup: Setup, real: Counted, fake: Counted) -> dict[str, str]:
    """Why metrics cannot be had of such sets, by name; those of which nothing is known are not among them."""
    found = {}
    for name, metric in selection.metrics.items():
        sides = None if name in _BY_CONTENT else _sides(metric, real, fake)
        if sides is None:
            continue
        one = Selection({name: metric}, selection.options)
        try:
            compute(one, setup, _drawn(sides[0], 0), _drawn(sides[1], 1), seed=0)
        except MetricError as error:
            found[name] = str(error.__cause__ or error)
    return found


def _sides(row: Metric, real: Counted, fake: Counted) -> tuple[Counted, Counted] | None:
    """Counts to compute a metric with; None if counts do not decide, or need not be checked."""
    outputs = {output for output in (row.real, row.fake) if output is not None}
    if not outputs <= set(_WIDTHS):
        return None
    if needs_labels(row):
        # Logits of classes say which is meant, and random ones say nothing.
        known = real.labels is not None and fake.labels is not None and "logits" not in outputs
        return (_fewer(real), _fewer(fake)) if known else None
    return (real, fake) if max(real.count, fake.count) <= FEW else None


def _fewer(side: Counted) -> Counted:
    """So many images of each class, which are enough, or all where there are fewer."""
    assert side.labels is not None
    order = side.labels.argsort(stable=True)
    counts = side.labels.bincount()
    rank = torch.arange(side.count) - (counts.cumsum(0) - counts)[side.labels[order]]
    labels = side.labels[order][rank < FEW_OF_A_CLASS]
    return Counted(len(labels), labels, side.class_names)


def _drawn(side: Counted, seed: int) -> FeatureSet:
    rng = torch.Generator().manual_seed(seed)
    arrays = {output: torch.randn(side.count, width, generator=rng) for output, width in _WIDTHS.items()}
    return FeatureSet(arrays, about={"name": "a dry run"}, labels=side.labels, class_names=side.class_names)
