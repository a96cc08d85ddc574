"""Dry run: which metrics can be computed for given numbers of images and classes, before there are images.

Whether a metric is defined depends on counts, classes and options, and rarely on the content of the images, so each is
computed on random features. Metrics that are defined or not depending on content are not checked here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.extractors import Output
from ganeval.metrics import Metric
from ganeval.pipeline import FeatureSet, Selection, Setup, compute, needs_labels

# Larger sets have enough images for every metric; so have classes with this many images.
FEW, FEW_OF_A_CLASS = 1000, 20
# Metrics that need a number of images in each cell of feature space, which depends on content.
_BY_CONTENT = frozenset({"ct"})
# Dimensions of the outputs that random numbers can replace; other outputs need more than a count.
_WIDTHS: Mapping[Output, int] = {"features": 4, "spatial": 4, "logits": 10}


@dataclass(frozen=True, slots=True)
class Counted:
    """The size of a set of images that need not exist yet. labels: int64 [count], the classes; None where unknown."""

    count: int
    labels: Tensor | None = None
    class_names: tuple[str, ...] | None = None


def obstacles(selection: Selection, setup: Setup, real: Counted, fake: Counted) -> dict[str, str]:
    """The metrics that cannot be computed for such sets, each with the reason; unchecked metrics are left out."""
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
    """Counts to compute a metric with; None if they do not decide, or need no check."""
    outputs = {output for output in (row.real, row.fake) if output is not None}
    if not outputs <= set(_WIDTHS):
        return None
    if needs_labels(row):
        # Random logits predict no class.
        known = real.labels is not None and fake.labels is not None and "logits" not in outputs
        return (_fewer(real), _fewer(fake)) if known else None
    return (real, fake) if max(real.count, fake.count) <= FEW else None


def _fewer(side: Counted) -> Counted:
    """At most FEW_OF_A_CLASS images of each class, which are enough."""
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
