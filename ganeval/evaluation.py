"""End-to-end evaluation: open sources, check, extract features, compute metrics."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from ganeval.checks import check_inputs, check_supported, fitting
from ganeval.comparison import Comparison, differences
from ganeval.compute import compute
from ganeval.errors import MetricError, UsageError
from ganeval.extractors import extractor_name
from ganeval.extractors.base import Output
from ganeval.features import FeatureSet, Progress, copied, extract, silent
from ganeval.inputs import Input, Setup, open_images, open_inputs, open_reading, open_setups
from ganeval.metrics.moments import Moments
from ganeval.metrics.nearest import near_copies
from ganeval.protocols import PROTOCOLS, Protocol, find_protocol
from ganeval.provenance import about_extractor
from ganeval.results import Evaluation, MetricResult
from ganeval.selection import Names, Options, Selection, select_metrics
from ganeval.settings import Settings
from ganeval.sources.precomputed import Features
from ganeval.sources.statistics import Gaussian, Statistics, read_statistics, write_statistics


def fid(
    real: object,
    fake: object,
    *,
    options: Options | None = None,
    progress: Progress = silent,
    **settings: object,
) -> MetricResult:
    """Fréchet inception distance of `fake` from `real`, with its standard error.

    real, fake: anything `open_source` takes: a path, a spec, a tensor, an array, a Dataset, a DataLoader, a generator;
    real may be a statistics file. The other arguments are those of `evaluate`.

        >>> import ganeval
        >>> ganeval.fid("digits:train", "digits:test", extractor="digits", cache=False).n_fake
        450
    """
    chosen, selection = Settings.of(settings), select_metrics(["fid"], options)
    return evaluations(real, [fake], selection, chosen, progress=progress)[0][0]["fid"]


def inception_score(
    fake: object,
    *,
    options: Options | None = None,
    progress: Progress = silent,
    **settings: object,
) -> MetricResult:
    """Inception score of `fake`, with its standard error; arguments as in `fid`."""
    chosen, selection = Settings.of(settings), select_metrics(["is"], options)
    return evaluations(None, [fake], selection, chosen, progress=progress)[0][0]["is"]


def evaluate(
    real: object,
    fake: object,
    *,
    metrics: Names = ("fid",),
    options: Options | None = None,
    also: Collection[Output] = (),
    progress: Progress = silent,
    **settings: object,
) -> Evaluation:
    """Metrics of `fake` against `real`.

    real, fake: anything `open_source` takes: a path, a spec, a tensor, an array, a Dataset, a DataLoader, a
    generator. real may be a statistics file, or None when no metric looks at it.
    metrics: names of the METRICS table; None for the usual ones and "all" for all, as far as the extractor and the
    sets give what they need: one that cannot be computed is left out, with a warning that says why.
    options: of metrics, as in {"prdc": {"k": 3}}. also: extractor outputs to keep besides those that metrics need,
    where the extractor has them. settings: the fields of `ganeval.Settings` (extractor=..., protocol=..., ...).
    progress: shows the reading.
    """
    chosen, selection = Settings.of(settings), select_metrics(metrics, options, also)
    return evaluations(real, [fake], selection, chosen, progress=progress)[0][0]


def evaluate_protocols(
    real: object,
    fake: object,
    *,
    metrics: Names = ("fid",),
    options: Options | None = None,
    progress: Progress = silent,
    **settings: object,
) -> dict[str, Evaluation]:
    """The same evaluation under every protocol, decoding once: how far the choice alone moves the number."""
    chosen, selection = Settings.of(settings), select_metrics(metrics, options)
    name = extractor_name(chosen.extractor)
    if name.partition(":")[0] != "inception":
        raise UsageError(
            f"Protocols differ in how images reach the inception network; the extractor '{name}' has a "
            "preprocessing of its own. Choose one protocol, or the extractor inception."
        )
    protocols = list(PROTOCOLS.values())
    (found,) = evaluations(real, [fake], selection, chosen, protocols, progress=progress)
    return {str(one.provenance["protocol"]): one for one in found}


def compare(
    real: object,
    fakes: Mapping[str, object],
    *,
    metrics: Names = None,
    options: Options | None = None,
    also: Collection[Output] = (),
    progress: Progress = silent,
    **settings: object,
) -> Comparison:
    """Evaluate two or more generators against the same reals, which are read once, and say which is better.

    fakes: by name, whatever `open_source` takes. The other arguments are those of `evaluate`.
    UsageError for fewer than two.
    """
    if len(fakes) < 2:
        raise UsageError(f"A comparison needs at least two generators, found {len(fakes)}.")
    chosen, selection = Settings.of(settings), select_metrics(metrics, options, also)
    found = evaluations(real, list(fakes.values()), selection, chosen, progress=progress)
    by_name = {name: setups[0] for name, setups in zip(fakes, found, strict=True)}
    caveats = (*_unequal(by_name), *_copying(by_name))
    return Comparison(by_name, differences(by_name, partial(_covariance, by_name, selection)), caveats)


def _covariance(
    evaluations: Mapping[str, Evaluation], selection: Selection, metric: str, first: str, second: str
) -> float | None:
    """Of a metric's values of two generators, because of the reals they share; None where it is not known."""
    if selection.metrics[metric].real is None:
        return 0.0
    one, other = (evaluations[name].estimates[metric].shared for name in (first, second))
    return None if one is None or other is None or one.shape != other.shape else float(np.dot(one, other))


def _unequal(evaluations: Mapping[str, Evaluation]) -> Iterator[str]:
    """A remark where generators gave different numbers of images."""
    counts = {name: len(one.fake) for name, one in evaluations.items() if one.fake is not None}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield (
            f"The generators have different numbers of images ({found}), and most metrics are biased by it: give "
            "--num-samples (num_samples=) to compare as many of each."
        )


def _copying(evaluations: Mapping[str, Evaluation]) -> Iterator[str]:
    """A hint for every generator that gives copies of the reals, which most metrics take for quality."""
    for name, one in evaluations.items():
        if one.real is None or one.fake is None or not one.real.arrays:
            continue
        places = copied(one.real, one.fake)
        exact = 0 if places is None else int((places >= 0).sum())
        found = [f"{exact} of its {len(one.fake)} images equal a real in every pixel"] if exact else []
        if "features" in one.real.arrays and "features" in one.fake.arrays:
            near = near_copies(one.real.arrays["features"], one.fake.arrays["features"])
            if near is not None:
                found.append(f"{near[0]} of {near[1]} are closer to a real than 99% of unseen reals would be")
        if found:
            yield (
                f"{name}: {', and '.join(found)}. FID, KID, precision, density and coverage take copies for quality; "
                f"see `ganeval nn` (metrics nn, authenticity, ct) before you call it better."
            )


def evaluations(
    real: object,
    fakes: Sequence[object],
    selection: Selection,
    settings: Settings,
    protocols: Sequence[Protocol] | None = None,
    *,
    progress: Progress = silent,
) -> list[list[Evaluation]]:
    """Every generator under every protocol (None: the settings' own); each set is read once."""
    selection, setups, reals, opened = prepare(real, fakes, selection, settings, protocols)
    sides = read(reals, setups, selection, settings, progress, real=True)
    return [
        [
            compute(selection, setup, real_set, fake_set, seed=settings.seed)
            for setup, real_set, fake_set in zip(
                setups, sides, read(one, setups, selection, settings, progress, real=False), strict=True
            )
            if fake_set is not None
        ]
        for one in opened
    ]


def prepare(
    real: object,
    fakes: Sequence[object],
    selection: Selection,
    settings: Settings,
    protocols: Sequence[Protocol] | None = None,
) -> tuple[Selection, list[Setup], Input | None, list[Input]]:
    """Open sources and extractors, and refuse whatever can be known to be wrong before the first image is decoded.

    The selection comes without metrics that these inputs do not allow, where that is lenient.
    """
    protocols = [find_protocol(settings.protocol)] if protocols is None else protocols
    reals, opened = open_inputs(real, fakes, selection, settings)
    inputs = [*([] if reals is None else [reals]), *opened]
    check_inputs(settings, protocols, inputs)
    setups = open_setups(settings, protocols, inputs)
    reals = fitting(reals, setups, selection)
    return check_supported(selection, setups, reals, opened), setups, reals, opened


def read(
    one: Input | None,
    setups: Sequence[Setup],
    selection: Selection,
    settings: Settings,
    progress: Progress,
    *,
    real: bool,
) -> Sequence[FeatureSet | None]:
    """One set in every setup: features of its images, its stored statistics, or both. real: the side it plays."""
    if one is None:
        return [None] * len(setups)
    if one.images is None:
        warnings = () if one.remark is None else (one.remark,)
        return [FeatureSet({}, stored=one.stored, warnings=warnings)] * len(setups)
    outputs = selection.also & setups[0].extractor.outputs
    moments: frozenset[Output] = frozenset()
    for metric in selection.metrics.values():
        output = metric.real if real else metric.fake
        if output is not None and not (real and one.takes_stored(metric)):
            outputs |= {output}
            moments |= {output} if metric.takes_moments else frozenset()
    reading, cache = open_reading(settings, setups[0].extractor.device)
    extractors = [setup.extractor for setup in setups]
    found = extract(one.images, extractors, outputs, reading, moments=moments, cache=cache, progress=progress)
    remark = () if one.remark is None else (one.remark,)
    return [replace(each, stored=one.stored, warnings=(*remark, *each.warnings)) for each in found]


def write_reference(
    real: object,
    path: str | Path,
    *,
    options: Options | None = None,
    progress: Progress = silent,
    **settings: object,
) -> Statistics:
    """Write mean and covariance of `real` to a file that `evaluate` takes as real, and pytorch-fid reads.

    path: must end in .npz, which is how such a file is recognised. options: those of "fid", as for `evaluate`.
    MetricError for fewer than 2 images.
    """
    path, chosen, selection = Path(path), Settings.of(settings), select_metrics(["fid"], options)
    if path.suffix.lower() != ".npz":
        raise UsageError(f"{path} must end in .npz: that is how it is recognised as a statistics file.")
    protocol = find_protocol(chosen.protocol)
    source = Input(open_images(real, chosen))
    if isinstance(source.images, Features):
        raise UsageError(
            f"{source.name} holds features; write their moments with numpy: "
            f"numpy.savez('{path}', mu=f.mean(0), sigma=numpy.cov(f, rowvar=False))."
        )
    check_inputs(chosen, [protocol], [source])
    (setup,) = open_setups(chosen, [protocol])
    (features,) = read(source, [setup], selection, chosen, progress, real=True)
    assert features is not None
    ddof = cast(int, selection.options_of("fid", protocol)["ddof"])
    if len(features) < 2:
        raise MetricError(f"{source.name} holds 1 image, and a covariance needs at least 2.")
    moments = features.moments.get("features") or Moments.of(features.rows())
    gaussian = moments.gaussian(ddof=ddof)
    write_statistics(
        path,
        Gaussian(gaussian.mean.numpy(), gaussian.covariance.numpy()),
        count=len(features),
        ddof=ddof,
        measured={**about_extractor(setup.extractor, protocol), "source": features.provenance},
    )
    return read_statistics(path)
