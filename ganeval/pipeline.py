"""The steps of an evaluation, for programs that take them one by one.

`ganeval.evaluate` runs all of them. In its order: `select_metrics`, `prepare` (open the sets and the extractors, and
check that they fit together), `extract_set` for each set, and `compute`.

    selection = select_metrics(["fid"])
    (selection,), (setup,), real, (fake,) = prepare("real/", ["fake/"], selection, settings)
    real_features, = extract_set(real, [setup], [selection], settings)
    fake_features, = extract_set(fake, [setup], [selection], settings, real=False)
    evaluation = compute(selection, setup, real_features, fake_features, seed=settings.seed)
"""

from ganeval.compatibility import check_supported
from ganeval.compute import compute, metric_result
from ganeval.evaluation import evaluations
from ganeval.extraction import extract_set
from ganeval.extractors import Setup
from ganeval.features import FeatureSet
from ganeval.inputs import open_setups, prepare
from ganeval.metrics.base import defaults
from ganeval.metrics.lookup import ALL, find_metrics
from ganeval.options import needs_labels, options_key
from ganeval.selection import USUAL, MetricNames, Selection, select_metrics
from ganeval.settings import MetricOptions

__all__ = [
    "ALL",
    "USUAL",
    "FeatureSet",
    "MetricNames",
    "MetricOptions",
    "Selection",
    "Setup",
    "check_supported",
    "compute",
    "defaults",
    "evaluations",
    "extract_set",
    "find_metrics",
    "metric_result",
    "needs_labels",
    "open_setups",
    "options_key",
    "prepare",
    "select_metrics",
]
