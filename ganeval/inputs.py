"""Open sets of images and extractors, and check that they fit together."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from ganeval.autocast import Precision
from ganeval.compatibility import check_features, check_inputs, check_supported, check_word
from ganeval.devices import find_device
from ganeval.errors import UsageError
from ganeval.extractors import Setup, extractor_name, open_extractor
from ganeval.extractors.graphs import GraphedExtractor, check_graphs
from ganeval.extractors.precomputed import PrecomputedExtractor
from ganeval.features import FeatureSet
from ganeval.places import RemotePath, place_of
from ganeval.protocols import find_protocol
from ganeval.selection import Selection
from ganeval.settings import Settings
from ganeval.sources import open_source
from ganeval.sources.generator import GeneratorSource
from ganeval.sources.npz import holds_images
from ganeval.sources.statistics import PICKLED, is_statistics, read_statistics


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
        fakes: What `evaluate` takes as the fakes, for each generator.
        selection: The metrics.
        settings: The settings.
        variants: Settings that differ from these only in protocol or extractor; if empty, only these settings are used.

    Returns:
        A selection per setup (if lenient, without the metrics that the setup does not allow); a setup per variant; the
        reals, None if no metric uses them; and the fakes.

    Raises:
        UsageError: A named thing does not exist, or the inputs do not fit together.
        SourceError: A source cannot be opened.
    """
    opened = [open_images(fake, settings) for fake in fakes]
    reals = None
    if selection.outputs(real=True):
        # The number to draw from a generator does not apply to a folder of reals, which is used whole, as in every
        # paper.
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
        whole: Take all images of an indexed source, whatever `num_samples` is.
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
        raise UsageError("A requested metric compares with real images, and there are none; give REAL.")
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
    """How the reals were made, from their file or else the settings; UsageError if these differ."""
    if said is None:
        return settings.prepared
    if settings.prepared not in (None, said):
        raise UsageError(
            f"{name} says that its images were prepared as '{said}', not as '{settings.prepared}'. Leave "
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
        variants: Settings that differ from these only in protocol or extractor, one per setup; if empty, only these.

    Returns:
        One setup per variant.

    Raises:
        UsageError: The inputs do not fit the settings, or each other, or the device has no CUDA graphs.
    """
    variants = variants or [settings]
    check_inputs(settings, variants, inputs)
    features = [one.given for one in inputs if one.given is not None]
    images = next((one.name for one in inputs if one.source is not None and one.given is None), None)
    check_features(features, images, extractor_name(settings.extractor))
    for one in inputs:
        if one.extracted is not None:
            for variant in variants:
                check_word(one.extracted, extractor_name(variant.extractor))
    device, precision = find_device(settings.device), cast(Precision, settings.precision)
    if settings.cuda_graphs:
        # Checked before looking for weights.
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


def _fitting(real: FeatureSet, setups: Sequence[Setup], selection: Selection) -> FeatureSet:
    """The reals without images or statistics that cannot be used here; moments come from the statistics."""
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
        remark = f"{stored.name} holds images, too; the requested metrics took its statistics."
        return replace(real, source=None, warnings=(remark,))
    return real if True in took else replace(real, stored=None)
