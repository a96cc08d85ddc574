"""The two questions that are asked most, in one call each."""

from typing import Any

from ganeval.evaluation import evaluate
from ganeval.results import MetricResult


def fid(real: object, fake: object, **settings: Any) -> MetricResult:
    """Fréchet inception distance of `fake` from `real`, with its standard error.

    real, fake: anything `open_source` takes: a path, a spec, a tensor, an array, a Dataset, a DataLoader, a generator;
    real may be a statistics file. settings: the fields of `Settings` (extractor=..., protocol=..., ...).

        >>> import ganeval
        >>> ganeval.fid("digits:train", "digits:test", extractor="digits", cache=False).n_fake
        450
    """
    return evaluate(real, fake, metrics=["fid"], **settings)["fid"]


def inception_score(fake: object, **settings: Any) -> MetricResult:
    """Inception score of `fake`, with its standard error; arguments as in `fid`."""
    return evaluate(None, fake, metrics=["is"], **settings)["is"]
