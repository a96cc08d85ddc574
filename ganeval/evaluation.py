"""From images to numbers: select metrics, open and check inputs, extract features, compute."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Unpack

import numpy as np
import torch

from ganeval.averaging import mean_evaluation
from ganeval.compatibility import check_supported
from ganeval.compute import compute
from ganeval.errors import MetricError, UsageError
from ganeval.extraction import extract_set
from ganeval.extractors import extractor_name
from ganeval.features import FeatureSet
from ganeval.inputs import open_images, open_setups, prepare
from ganeval.outputs import Output
from ganeval.progress import Progress, silent
from ganeval.protocols import PROTOCOLS
from ganeval.results import HALVES, Evaluation, MetricResult
from ganeval.selection import MetricNames, Selection, select_metrics
from ganeval.settings import MetricOptions, Settings, SettingsKeywords, whole_number

SPLITS = 10


def fid(
    real: object,
    fake: object,
    *,
    options: MetricOptions | None = None,
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> MetricResult:
    """Fréchet inception distance of `fake` from `real`, with its standard error (Heusel et al. 2017).

    Errors are those of `evaluate`.

    Args:
        real: The reals, as for `evaluate`.
        fake: The fakes, as for `evaluate`.
        options: Of the metric, as in {"fid": {"ddof": 0}}.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings`.

    Returns:
        The value, its standard error and its 95% interval.

    >>> ganeval.fid("digits:train", "digits:test", extractor="digits", cache=False).n_fake
    450
    """
    chosen, selection = Settings.of(settings), select_metrics(["fid"], options)
    return evaluations(real, [fake], selection, chosen, progress=progress)[0][0]["fid"]


def inception_score(
    fake: object,
    *,
    options: MetricOptions | None = None,
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> MetricResult:
    """Inception score of `fake`, with its standard error (Salimans et al. 2016).

    Errors are those of `evaluate`.

    Args:
        fake: The fakes, as for `evaluate`.
        options: Of the metric, as in {"is": {"splits": 1}}.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings`.

    Returns:
        The value, its standard error and its 95% interval.

    >>> round(ganeval.inception_score("digits:test", extractor="digits", cache=False).value)
    8
    """
    chosen, selection = Settings.of(settings), select_metrics(["is"], options)
    return evaluations(None, [fake], selection, chosen, progress=progress)[0][0]["is"]


def evaluate(
    real: object,
    fake: object,
    *,
    metrics: MetricNames = ("fid",),
    options: MetricOptions | None = None,
    also: Collection[Output] = (),
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> Evaluation:
    """Compute metrics of `fake` against `real`.

    Args:
        real: Anything `open_source` takes: a path, a spec such as "digits:train", a tensor or array of images, a
            Dataset, a DataLoader, a generator. It may be a statistics file, or None if no metric uses reals.
        fake: Anything `open_source` takes.
        metrics: Names of the METRICS table; None for the usual ones and "all" for all. Metrics that the extractor or
            the sets do not allow are then left out, each with a warning that says why.
        options: Of metrics, as in {"prdc": {"k": 3}}.
        also: Outputs of the extractor to keep in addition to those that metrics need, where it has them.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings`, such as extractor, protocol, num_samples and cache.

    Returns:
        The results by metric, with provenance and warnings.

    Raises:
        UsageError: A name, option or setting does not exist, or the inputs do not fit together.
        SourceError: Images cannot be read.
        ExtractorError: The extractor breaks its contract.
        MetricError: A metric is not defined for these images.

    >>> found = ganeval.evaluate("digits:train", "digits:test", metrics=["kid"], extractor="digits", cache=False)
    >>> list(found), found["kid"].n_real
    (['kid'], 1347)
    """
    chosen, selection = Settings.of(settings), select_metrics(metrics, options, also)
    return evaluations(real, [fake], selection, chosen, progress=progress)[0][0]


def evaluate_protocols(
    real: object,
    fake: object,
    *,
    metrics: MetricNames = ("fid",),
    options: MetricOptions | None = None,
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> dict[str, Evaluation]:
    """Evaluate under every protocol of inception: shows how much the choice of protocol alone changes a number.

    Images are decoded once. Further errors are those of `evaluate`.

    Args:
        real: The reals, as for `evaluate`.
        fake: The fakes, as for `evaluate`.
        metrics: Metrics, as for `evaluate`.
        options: Of metrics, as in {"prdc": {"k": 3}}.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings` other than protocol.

    Returns:
        The results by the name of the protocol.

    Raises:
        UsageError: The extractor is not inception, so that no protocol decides its preprocessing.

    >>> from pathlib import Path
    >>> from ganeval.extractors.untrained import untrained_weights
    >>> settings = {"weights": untrained_weights(Path("untrained.pth")), "num_samples": 2, "cache": False}
    >>> settings["extractor"] = "inception:64"  # the first layers, to be quick
    >>> ganeval.evaluate_protocols("digits:train", "digits:test", **settings)["clean"]["fid"].n_fake
    2
    """
    chosen, selection = Settings.of(settings), select_metrics(metrics, options)
    name = extractor_name(chosen.extractor)
    if name.partition(":")[0] != "inception":
        raise UsageError(
            f"Protocols differ in how images reach the inception network; the extractor '{name}' has a "
            "preprocessing of its own. Choose one protocol, or the extractor inception."
        )
    variants = [replace(chosen, protocol=name) for name, protocol in PROTOCOLS.items() if not protocol.prescribes]
    (found,) = evaluations(real, [fake], selection, chosen, variants, progress=progress)
    return {str(one.provenance["protocol"]): one for one in found}


def evaluate_extractors(
    real: object,
    fake: object,
    *,
    extractors: Sequence[object],
    metrics: MetricNames = ("fid",),
    options: MetricOptions | None = None,
    also: Collection[Output] = (),
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> dict[str, Evaluation]:
    """Evaluate by several extractors: a generator trained with the features of one may look best only by that one.

    Images are decoded once. Further errors are those of `evaluate`.

    Args:
        real: The reals, as for `evaluate`.
        fake: The fakes, as for `evaluate`.
        extractors: What `Settings.extractor` takes, two or more of different names.
        metrics: Metrics, as for `evaluate`. Without names, each extractor has those that it allows; named metrics must
            be possible with all extractors.
        options: Of metrics, as in {"prdc": {"k": 3}}.
        also: Outputs to keep in addition to those that metrics need, of every extractor that has them.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings` other than extractor and weights.

    Returns:
        The results by the name of the extractor.

    Raises:
        UsageError: There are fewer than two extractors, one is given twice, or a set is features or statistics, which
            belong to one extractor.

    >>> settings = {"extractors": ["digits", "pixels:8"], "num_samples": 100, "cache": False}
    >>> found = ganeval.evaluate_extractors("digits:train", "digits:test", **settings)
    >>> {name: one["fid"].n_fake for name, one in found.items()}
    {'digits': 100, 'pixels:8': 100}
    """
    variants, selection = settings_by_extractor(extractors, settings), select_metrics(metrics, options, also)
    chosen = list(variants.values())
    (found,) = evaluations(real, [fake], selection, chosen[0], chosen, progress=progress)
    return dict(zip(variants, found, strict=True))


def noise_floor(
    real: object,
    *,
    metrics: MetricNames = None,
    options: MetricOptions | None = None,
    splits: int = SPLITS,
    lenient: bool = False,
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> Evaluation:
    """The mean value of each metric between random halves of `real`, with the error bar of one value.

    One of the halves serves as the fakes. Both have the same distribution, so this is a perfect generator's score at
    this sample size. For metrics that are biased by the number of images, the floor falls as this number grows: compare
    it only with values for the same number of images.

    Args:
        real: Images, as for `evaluate`.
        metrics: Names of the METRICS table; None for the usual ones, "all" for all.
        options: Of metrics, as in {"prdc": {"k": 3}}.
        splits: How many times the reals are split, 2 or more.
        lenient: Leave out metrics that cannot be computed for halves, with a warning, even if they were named.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings`.

    Returns:
        Values are means over the splits; errors and intervals are means over the splits, None if a split has none.
        The details contain the "spread" of values between splits, and means of values by class.

    Raises:
        UsageError: There are fewer than 2 splits, or what `evaluate` raises it for.
        MetricError: There are fewer than 4 images, or halves do not allow a metric.

    >>> found = ganeval.noise_floor("digits:test", metrics=["fid"], splits=2, extractor="digits", cache=False)
    >>> found["fid"].n_real
    225
    """
    splits = whole_number("splits", splits, least=2)
    chosen, selection = Settings.of(settings), select_metrics(metrics, options)
    selection = replace(selection, lenient=selection.lenient or lenient)
    opened = open_images(real, chosen)
    (setup,) = open_setups(chosen, [opened])
    selection = check_supported(selection, setup, opened, [opened])
    wanted = replace(selection, also=selection.outputs(real=True) | selection.outputs(real=False))
    (whole,) = extract_set(opened, [setup], [wanted], chosen, progress)
    if len(whole) < 4:
        raise MetricError(f"Halves need at least 4 images, found {len(whole)}.")
    rng = np.random.RandomState(chosen.seed)
    found = []
    for _ in range(splits):
        # Two disjoint halves of the images, in random order; an odd one is left out.
        order = torch.from_numpy(rng.permutation(len(whole)))
        half = len(order) // 2
        one, other = whole.part(order[:half]), whole.part(order[half : 2 * half])
        found.append(compute(selection, setup, one, other, seed=chosen.seed))
    return mean_evaluation(found, {**whole.provenance, "name": f"{whole.name}{HALVES}"})


def evaluations(
    real: object,
    fakes: Sequence[object],
    selection: Selection,
    settings: Settings,
    variants: Sequence[Settings] = (),
    *,
    progress: Progress = silent,
) -> list[list[Evaluation]]:
    """Evaluate every generator in every setup; each set is read once.

    Args:
        real: As for `evaluate`.
        fakes: As for `evaluate`, for each generator.
        selection: The metrics, with their options.
        settings: The settings.
        variants: Settings that differ from these only in protocol or extractor; if empty, only these settings are used.
        progress: Shows the reading.

    Returns:
        For each generator one evaluation per variant, in the order of the variants. Errors are those of `evaluate`.
    """
    selections, setups, opened_real, opened = prepare(real, fakes, selection, settings, variants)
    real_sets: Sequence[FeatureSet | None] = [None] * len(setups)
    if opened_real is not None:
        real_sets = extract_set(opened_real, setups, selections, settings, progress)
    found = []
    for one in opened:
        fake_sets = extract_set(one, setups, selections, settings, progress, real=False)
        sides = zip(selections, setups, real_sets, fake_sets, strict=True)
        found.append([compute(some, setup, reals, other, seed=settings.seed) for some, setup, reals, other in sides])
    return found


def settings_by_extractor(extractors: Sequence[object], settings: SettingsKeywords) -> dict[str, Settings]:
    """Settings for each of several extractors.

    Args:
        extractors: What `Settings.extractor` takes, two or more of different names.
        settings: All fields of `ganeval.Settings` other than extractor and weights.

    Returns:
        Settings by the name of the extractor.

    Raises:
        UsageError: There are fewer than two extractors, an extractor is given twice, or a weights file is given.
    """
    if not isinstance(extractors, Collection) or isinstance(extractors, str) or len(extractors) < 2:
        raise UsageError(f"extractors must be two or more, as in ['lite0', 'digits'], found {extractors!r}.")
    if settings.get("extractor") is not None:
        raise UsageError("extractor names one and extractors names several; leave extractor out.")
    if settings.get("weights") is not None:
        raise UsageError(
            "A weights file belongs to one extractor, and there are several; leave --weights (weights=) out."
        )
    found: dict[str, Settings] = {}
    for one in extractors:
        name = extractor_name(one)
        if name in found:
            raise UsageError(f"The extractor '{name}' was given twice; several must be different and have other names.")
        found[name] = Settings.of({**settings, "extractor": one})
    return found
