"""Open sets of images and extractors, and refuse what does not fit together before the first image is decoded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

from ganeval.autocast import Precision
from ganeval.compatibility import check_extracted, check_features, check_statistics, check_width, check_word, unlabelled
from ganeval.devices import find_device
from ganeval.errors import UsageError
from ganeval.extractors import extractor_name, open_extractor
from ganeval.extractors.base import PROVIDERS, Extractor
from ganeval.extractors.graphs import GraphedExtractor, check_graphs
from ganeval.extractors.precomputed import PrecomputedExtractor
from ganeval.features import FeatureSet
from ganeval.metrics import Metric
from ganeval.options import needs_labels
from ganeval.places import RemotePath, place_of
from ganeval.protocols import Protocol, find_protocol
from ganeval.selection import Selection
from ganeval.settings import Settings
from ganeval.sources import open_source
from ganeval.sources.generator import GeneratorSource
from ganeval.sources.npz import holds_images
from ganeval.sources.statistics import PICKLED, is_statistics, read_statistics


@dataclass(frozen=True, slots=True)
class Setup:
    """One protocol and extractor; an evaluation uses one or several over the same images.

    Attributes:
        protocol: The protocol.
        extractor: The extractor, opened for it.
    """

    protocol: Protocol
    extractor: Extractor


def prepare(
    real: object,
    fakes: Sequence[object],
    selection: Selection,
    settings: Settings,
    variants: Sequence[Settings] = (),
) -> tuple[list[Selection], list[Setup], FeatureSet | None, list[FeatureSet]]:
    """Open sets and extractors, and check them, without decoding an image.

    Args:
        real: What `evaluate` takes as the reals.
        fakes: What it takes as the fakes, for each generator.
        selection: The metrics.
        settings: The settings.
        variants: Settings that differ from these in protocol or extractor alone; none for these alone.

    Returns:
        The selection per setup, where it is lenient without the metrics that the setup does not allow; a setup per
        variant; the reals, None where no metric looks at them; and the fakes.

    Raises:
        UsageError: Something was named that does not exist, or does not fit the rest.
        SourceError: A source cannot be opened.
    """
    opened = [open_images(fake, settings) for fake in fakes]
    reals = None
    if selection.outputs(real=True):
        # How many to draw from a generator says nothing of a folder of reals: that is used whole, as every paper does.
        whole = any(one.source is not None and one.source.kind == GeneratorSource.kind for one in opened)
        reals = _open_reals(real, settings, whole=whole)
    setups = open_setups(settings, [*([] if reals is None else [reals]), *opened], variants)
    reals = None if reals is None else _fitting(reals, setups, selection)
    return [check_supported(selection, setup, reals, opened) for setup in setups], setups, reals, opened


def open_images(spec: object, settings: Settings, *, whole: bool = False) -> FeatureSet:
    """A set of images or given features.

    Args:
        spec: What `open_source` takes.
        settings: How many images to take, which files, and their range.
        whole: Take all of what has indices, independent of `num_samples`.
    """
    source = open_source(
        spec,
        num_samples=settings.num_samples,
        seed=settings.seed,
        whole=whole,
        include=settings.include,
        exclude=settings.exclude,
        value_range=settings.value_range,
    )
    return FeatureSet(source=source)


def _open_reals(real: object, settings: Settings, *, whole: bool) -> FeatureSet:
    """The reals: images, stored statistics of them, or both (ADM's reference batches)."""
    if real is None:
        raise UsageError("A metric that was asked for compares with real images, and there are none; give REAL.")
    place = place_of(real) if isinstance(real, str | Path | RemotePath) else None
    if place is None or not is_statistics(place):
        opened = open_images(real, settings, whole=whole)
        said = None if opened.extracted is None else opened.extracted.measured.get("prepared")
        return replace(opened, prepared=_prepared(opened.name, said, settings))
    stored = read_statistics(place, extractor_name(settings.extractor))
    prepared = _prepared(stored.name, stored.prepared, settings)
    if place.suffix.lower() in PICKLED or not holds_images(place):
        return FeatureSet(stored=stored, prepared=prepared)
    return replace(open_images(real, settings, whole=whole), stored=stored, prepared=prepared)


def _prepared(name: str, said: object, settings: Settings) -> str | None:
    """How the reals were made, by their file or else the settings; UsageError where these differ."""
    if said is None:
        return settings.prepared
    if settings.prepared not in (None, said):
        raise UsageError(
            f"{name} says that its images were prepared as '{said}', and not as '{settings.prepared}'. Leave "
            "--prepared (prepared=) out, or measure the reference again."
        )
    return str(said)


def open_setups(
    settings: Settings, inputs: Sequence[FeatureSet] = (), variants: Sequence[Settings] = ()
) -> list[Setup]:
    """Open the extractor of these settings, or of each of their variants, on the device that they name.

    Args:
        settings: Extractor, weights, device and precision, and whether its network is replayed as a CUDA graph.
        inputs: The sets that will be evaluated. If all of them are features or statistics, the extractor is the one
            that they name, and never runs.
        variants: Settings that differ from these in protocol or extractor alone, one per setup; none for these alone.

    Returns:
        One setup per variant.

    Raises:
        UsageError: The inputs do not fit the settings, or each other, or the device has no CUDA graphs.
    """
    variants = variants or [settings]
    _check_inputs(settings, variants, inputs)
    features = [one.given for one in inputs if one.given is not None]
    images = next((one.name for one in inputs if one.source is not None and one.given is None), None)
    check_features(features, images, extractor_name(settings.extractor))
    for one in inputs:
        if one.extracted is not None:
            for variant in variants:
                check_word(one.extracted, extractor_name(variant.extractor))
    device, precision = find_device(settings.device), cast(Precision, settings.precision)
    if settings.cuda_graphs:
        # Before weights are looked for.
        check_graphs(device)
    if features and images is None:
        stated = next((one.extractor for one in features if one.extractor is not None), None)
        width = features[0].rows.shape[1]
        precomputed = PrecomputedExtractor(stated, width, device=device)
        return [Setup(find_protocol(one.protocol), precomputed) for one in variants]
    opened = partial(open_extractor, weights=settings.weights, device=device, precision=precision)
    protocols = [find_protocol(one.protocol) for one in variants]
    extractors = [opened(one.extractor, protocol=protocol) for one, protocol in zip(variants, protocols, strict=True)]
    run = [GraphedExtractor(one) for one in extractors] if settings.cuda_graphs else extractors
    return [Setup(protocol, extractor) for protocol, extractor in zip(protocols, run, strict=True)]


def _check_inputs(settings: Settings, variants: Sequence[Settings], inputs: Sequence[FeatureSet]) -> None:
    """UsageError for inputs that do not fit these settings or variants."""
    several_extractors = len({extractor_name(one.extractor) for one in variants}) > 1
    for one in inputs:
        if one.source is None and len(variants) > 1:
            raise UsageError(
                f"{one.name} holds statistics, measured by one protocol and extractor; several need images."
            )
        if one.given is not None and several_extractors:
            raise UsageError(f"{one.name} holds features of one extractor; several need images.")
    has_files = any(one.source is not None and "selection" in one.source.describe() for one in inputs)
    if inputs and (settings.include or settings.exclude) and not has_files:
        named = ", ".join(one.name for one in inputs)
        raise UsageError(
            f"include and exclude select among the files of folders, archives and lists, and there are none: {named}."
        )


def _fitting(real: FeatureSet, setups: Sequence[Setup], selection: Selection) -> FeatureSet:
    """Of the reals' images and statistics what these setups and metrics can use: moments come from the statistics."""
    stored, extractor = real.stored, setups[0].extractor
    if stored is None or real.source is None:
        return real
    width = len(stored.features.mean)
    if len(setups) > 1 or extractor.dimensions not in (None, width):
        reason = (
            "which are of one protocol and extractor"
            if len(setups) > 1
            else f"of {width} dimensions, where the extractor '{extractor.name}' gives {extractor.dimensions}"
        )
        remark = f"{stored.name} holds images and statistics, {reason}: all metrics took the images."
        return replace(real, stored=None, warnings=(remark,))
    took = {real.takes_stored(metric, metric.real) for metric in selection.metrics.values() if metric.real is not None}
    if took == {True}:
        remark = f"{stored.name} holds images, too; the metrics asked for took its statistics."
        return replace(real, source=None, warnings=(remark,))
    return real if True in took else replace(real, stored=None)


def check_supported(
    selection: Selection, setup: Setup, real: FeatureSet | None, fakes: Sequence[FeatureSet]
) -> Selection:
    """The selection; a lenient one without the metrics that this setup and these sets do not allow.

    Args:
        selection: The metrics.
        setup: The protocol and extractor.
        real: The reals as they were opened; None where no metric looks at them, or they are not known yet.
        fakes: The fakes as they were opened.

    Returns:
        The selection.

    Raises:
        UsageError: A metric that was named cannot be computed, or stored statistics were measured otherwise than the
            fakes will be.
        SourceError: Stored statistics have another width than the extractor's features.
    """
    obstacles = {
        name: found
        for name, metric in selection.metrics.items()
        if (found := next(_obstacles(name, metric, setup, real, fakes), None)) is not None
    }
    allowed = _without(selection, obstacles)
    for one in (real, *fakes):
        if one is not None and one.given is not None:
            check_width(one.given, setup.extractor)
        if one is not None and one.extracted is not None:
            check_extracted(one.extracted, setup.extractor, setup.protocol)
    if real is not None and real.stored is not None:
        check_statistics(real.stored, setup.extractor, setup.protocol)
    return allowed


def _without(selection: Selection, obstacles: Mapping[str, tuple[str, str]]) -> Selection:
    """A lenient selection without the metrics that cannot be computed; UsageError for another, and if none remain."""
    if not obstacles:
        return selection
    if not selection.lenient:
        raise UsageError(next(iter(obstacles.values()))[1])
    names: dict[str, list[str]] = {}
    for name, (reason, _) in obstacles.items():
        names.setdefault(reason, []).append(name)
    listed = "; ".join(f"{', '.join(some)} ({reason})" for reason, some in names.items())
    metrics = {name: metric for name, metric in selection.metrics.items() if name not in obstacles}
    if not metrics:
        raise UsageError(
            f"None of the requested metrics can be computed for these inputs with this extractor: {listed}."
        )
    before = "" if selection.left_out is None else f"{selection.left_out} "
    return replace(selection, metrics=metrics, left_out=f"{before}Left out: {listed}.")


def _obstacles(
    name: str, metric: Metric, setup: Setup, real: FeatureSet | None, fakes: Sequence[FeatureSet]
) -> Iterator[tuple[str, str]]:
    """Why a metric cannot be computed: in short, for a list of those left out, and as an error."""
    extractor = setup.extractor
    sides = [(real, metric.real), *((fake, metric.fake) for fake in fakes)]
    for one, output in sides:
        if one is not None and output is not None and one.outputs is not None and output not in one.outputs:
            held = " and ".join(sorted(one.outputs))
            yield (
                f"{one.name} holds {held} alone, and no {output}",
                f"The metric '{name}' needs {output}, and {one.name} holds {held} alone.",
            )
    for output in (metric.real, metric.fake):
        if output is not None and output not in extractor.outputs:
            yield (
                f"the extractor '{extractor.name}' gives no {output}",
                f"The metric '{name}' needs {output}, and the extractor '{extractor.name}' gives only "
                f"{', '.join(sorted(extractor.outputs))}; choose one that has them ({PROVIDERS[output]}).",
            )
    if real is not None and real.source is None and metric.real and not real.takes_stored(metric, metric.real):
        yield (
            f"{real.name} holds only statistics",
            f"The metric '{name}' needs the real images themselves; {real.name} holds only statistics.",
        )
    for one, output in sides if needs_labels(metric) else ():
        if one is not None and output and (one.source is None or one.source.labels is None):
            why = None if one.source is None else one.source.describe().get("unlabelled")
            yield (
                f"the classes of {one.name} are not known" + (f" ({why})" if why else ""),
                unlabelled(name, one.name, why),
            )
