"""Compare generators, or runs of methods, that are evaluated against the same reals."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Unpack

import numpy as np

from ganeval.comparison import (
    Comparison,
    ExtractorsComparison,
    check_named,
    counts_caveats,
    joint_differences,
    repeats_caveats,
)
from ganeval.duplicates import copies_caveat
from ganeval.evaluation import evaluations, settings_by_extractor
from ganeval.outputs import Output
from ganeval.progress import Progress, silent
from ganeval.results import Evaluation
from ganeval.run_statistics import compare_saved_runs, named_runs
from ganeval.runs import RunsComparison
from ganeval.selection import MetricNames, Selection, select_metrics
from ganeval.settings import MetricOptions, Settings, SettingsKeywords


def compare(
    real: object,
    fakes: Mapping[str, object],
    *,
    metrics: MetricNames = None,
    options: MetricOptions | None = None,
    also: Collection[Output] = (),
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> Comparison:
    """Evaluate two or more generators against the same reals, which are read once, and say which is better.

    Args:
        real: The reals, as for `evaluate`.
        fakes: What `open_source` takes, by the name of the generator; at least two.
        metrics: Metrics, as for `evaluate`.
        options: Of metrics, as in {"prdc": {"k": 3}}.
        also: Outputs of the extractor to keep in addition to those that metrics need, where it has them.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings`.

    Returns:
        The evaluations by name, and the difference of every pair with its p-value.

    Raises:
        UsageError: There are fewer than two generators, or what `evaluate` raises it for.
        SourceError: Images cannot be read.
        ExtractorError: The extractor breaks its contract.
        MetricError: A metric is not defined for these images.

    >>> fakes = {"train": "digits:train", "test": "digits:test"}
    >>> found = ganeval.compare("digits:train", fakes, metrics=["fid"], extractor="digits", cache=False)
    >>> list(found.evaluations)
    ['train', 'test']
    """
    check_named(fakes, "generators")
    chosen, selection = Settings.of(settings), select_metrics(metrics, options, also)
    found = evaluations(real, list(fakes.values()), selection, chosen, progress=progress)
    (compared,) = _comparisons(fakes, found, selection)
    return compared


def compare_extractors(
    real: object,
    fakes: Mapping[str, object],
    *,
    extractors: Sequence[object],
    metrics: MetricNames = None,
    options: MetricOptions | None = None,
    also: Collection[Output] = (),
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> ExtractorsComparison:
    """Compare generators by several extractors, and say where these disagree on which is better.

    Images are decoded once. P-values are corrected over the differences of all extractors together.

    Args:
        real: The reals, as for `evaluate`.
        fakes: What `open_source` takes, by the name of the generator; at least two.
        extractors: What `Settings.extractor` takes, two or more of different names.
        metrics: Metrics, as for `evaluate`. Without names, each extractor has those that it allows.
        options: Of metrics, as in {"prdc": {"k": 3}}.
        also: Outputs to keep in addition to those that metrics need, of every extractor that has them.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings` other than extractor and weights.

    Returns:
        A comparison by the name of the extractor, and their disagreements. Errors are those of `compare` and
        `evaluate_extractors`.

    >>> fakes = {"train": "digits:train", "test": "digits:test"}
    >>> settings = {"metrics": ["fid"], "num_samples": 100, "cache": False}
    >>> found = ganeval.compare_extractors("digits:train", fakes, extractors=["digits", "pixels:8"], **settings)
    >>> list(found.comparisons)
    ['digits', 'pixels:8']
    """
    check_named(fakes, "generators")
    variants, selection = settings_by_extractor(extractors, settings), select_metrics(metrics, options, also)
    chosen = list(variants.values())
    found = evaluations(real, list(fakes.values()), selection, chosen[0], chosen, progress=progress)
    return ExtractorsComparison(dict(zip(variants, _comparisons(fakes, found, selection), strict=True)))


def compare_runs(
    real: object,
    runs: Mapping[str, Sequence[object]],
    *,
    metrics: MetricNames = None,
    options: MetricOptions | None = None,
    also: Collection[Output] = (),
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> RunsComparison:
    """Evaluate training runs of two or more methods against the same reals, and say which method is better.

    A run is a model that was trained from its own seed, given by its images. Results that exist already are compared by
    `ganeval.compare_saved_runs`.

    Args:
        real: The reals, as for `evaluate`. They are read once.
        runs: By the name of the method, a list of what `open_source` takes. One run per method is allowed, but gives no
            verdict on the methods.
        metrics: Metrics, as for `evaluate`.
        options: Of metrics, as in {"prdc": {"k": 3}}.
        also: Outputs of the extractor to keep in addition to those that metrics need, where it has them.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings`.

    Returns:
        The results of all runs, their spread by method, and the difference of every pair of methods. A run is named as
        it was given if that is a string or a path, and otherwise by its number.

    Raises:
        UsageError: There are fewer than two methods, a run twice, runs of different numbers of images, or what
            `evaluate` raises it for.
        SourceError: Images cannot be read.
        ExtractorError: The extractor breaks its contract.
        MetricError: A metric is not defined for these images.

    >>> import torch
    >>> draw = lambda top: torch.randint(top, (50, 3, 4, 4), dtype=torch.uint8)
    >>> runs = {"A": [draw(256), draw(256), draw(256)], "B": [draw(100), draw(120), draw(140)]}
    >>> found = ganeval.compare_runs(draw(256), runs, metrics=["fid"], extractor="pixels:4", cache=False)
    >>> [one.verdict for one in found.differences]
    ['worse']
    """
    named = named_runs(runs)
    chosen, selection = Settings.of(settings), select_metrics(metrics, options, also)
    given = [one for found in named.values() for one in found.values()]
    results = iter(evaluations(real, given, selection, chosen, progress=progress))
    measured = {method: {run: next(results)[0] for run in found} for method, found in named.items()}
    compared = compare_saved_runs(measured)
    copying = [copies_caveat(name, one) for name, one in compared.evaluations.items()]
    warnings = (*compared.warnings, *(caveat for caveat in copying if caveat is not None))
    return replace(compared, warnings=warnings)


def _comparisons(names: Iterable[str], found: Sequence[Sequence[Evaluation]], selection: Selection) -> list[Comparison]:
    """One comparison per setup, from what `evaluations` returned; p-values are corrected over all setups together."""
    by_setup = [dict(zip(names, setup, strict=True)) for setup in zip(*found, strict=True)]
    judged = joint_differences([(by_name, partial(_covariance, by_name, selection)) for by_name in by_setup])
    compared = []
    for by_name, gaps in zip(by_setup, judged, strict=True):
        copying = [copies_caveat(name, one) for name, one in by_name.items()]
        caveats = (
            *repeats_caveats(by_name),
            *counts_caveats(by_name),
            *(caveat for caveat in copying if caveat is not None),
        )
        compared.append(Comparison(by_name, gaps, caveats))
    return compared


def _covariance(
    evaluations: Mapping[str, Evaluation], selection: Selection, metric: str, first: str, second: str
) -> float | None:
    """The covariance of a metric's values for two generators, due to the shared reals; None if unknown."""
    if selection.metrics[metric].real is None:
        return 0.0
    one, other = (evaluations[name].estimates[metric].shared for name in (first, second))
    return None if one is None or other is None or one.shape != other.shape else float(np.dot(one, other))
