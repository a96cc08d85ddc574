"""Extract features: from the cache, or with one decode for all extractors whose features it lacks."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain

from ganeval.cache import Cache, moments_of
from ganeval.compatibility import check_sizes
from ganeval.errors import SourceError
from ganeval.extractors import Setup
from ganeval.extractors.base import Extractor, Identity, identity
from ganeval.features import FeatureSet
from ganeval.outputs import Output
from ganeval.parts import FeaturePart, extracted, gathered, joined
from ganeval.paths import cache_root
from ganeval.processes import processes
from ganeval.progress import Progress, silent
from ganeval.segments import Segments
from ganeval.selection import Selection
from ganeval.settings import Settings
from ganeval.sources.base import Reading, Source, check_skips, length
from ganeval.sources.extracted import Extracted
from ganeval.sources.generator import GeneratorSource
from ganeval.sources.precomputed import Features
from ganeval.sources.remarks import reading_remarks, skips
from ganeval.sources.repeats import repeats_of

CPU_BATCH, GPU_BATCH = 8, 64


def extract_set(
    opened: FeatureSet,
    setups: Sequence[Setup],
    selections: Sequence[Selection],
    settings: Settings,
    progress: Progress = silent,
    *,
    real: bool = True,
) -> list[FeatureSet]:
    """Extract what the metrics need from one set, in every setup.

    Args:
        opened: The set, from `inputs.prepare`.
        setups: Protocols with their extractors.
        selections: The metrics and further outputs to keep, for each setup.
        settings: How to read, and whether and where to cache.
        progress: Shows the reading.
        real: Whether the set is used as the reals.

    Returns:
        The set with its features, once per setup, in the order of the setups.

    Raises:
        SourceError: There is nothing to read, or an image cannot be read.
        ExtractorError: An extractor breaks its contract.
    """
    if opened.source is None:
        return [opened] * len(setups)
    outputs = frozenset[Output]().union(*(selection.also for selection in selections))
    moments: frozenset[Output] = frozenset()
    for metric in chain.from_iterable(selection.metrics.values() for selection in selections):
        output = metric.real if real else metric.fake
        if output is not None and not (real and opened.takes_stored(metric, output)):
            outputs |= {output}
            moments |= {output} if metric.takes_moments else frozenset()
    reading = reading_of(settings, setups[0].extractor)
    cache = Cache(settings.cache_dir or cache_root()) if settings.cache else None
    extractors = [setup.extractor for setup in setups]
    found = extract(opened.source, extractors, outputs, reading, moments=moments, cache=cache, progress=progress)
    return [
        replace(each, stored=opened.stored, prepared=opened.prepared, warnings=(*opened.warnings, *each.warnings))
        for each in found
    ]


def reading_of(settings: Settings, extractor: Extractor) -> Reading:
    """How images are read for an extractor.

    Args:
        settings: Batch size, threads, and what to do about damaged images.
        extractor: Its device decides the batch size if the settings do not.
    """
    return Reading(
        batch_size=settings.batch_size or (CPU_BATCH if extractor.device.startswith("cpu") else GPU_BATCH),
        workers=settings.decoding_threads,
        on_error=settings.on_error,
    )


def extract(
    source: Source,
    extractors: Sequence[Extractor],
    outputs: frozenset[Output],
    reading: Reading,
    *,
    moments: frozenset[Output] = frozenset(),
    cache: Cache | None = None,
    progress: Progress = silent,
) -> list[FeatureSet]:
    """Extract features of a source with several extractors; it is read once, or not at all if all features are cached.

    Args:
        source: The images, or features given in place of images.
        extractors: Equal extractors run once.
        outputs: Outputs to keep; each extractor gives those that it has.
        reading: How images are read.
        moments: Outputs whose mean and scatter are computed if there are more rows than dimensions.
        cache: Where features are kept; None to keep none.
        progress: Shows the reading.

    Returns:
        One set per extractor, in their order.

    Raises:
        SourceError: There is nothing to read, or an image cannot be read.
        ExtractorError: An extractor breaks its contract.
    """
    if isinstance(source, Features):
        given = FeatureSet({"features": source.rows}, source.digest())
        return [given.described_by(source)] * len(extractors)
    distinct = {identity(extractor): extractor for extractor in extractors}
    read = partial(_read, source=source, outputs=outputs, reading=reading, progress=progress)
    failed: list[str] = []
    if isinstance(source, Extracted):
        found = {key: _from_file(source, outputs & extractor.outputs) for key, extractor in distinct.items()}
    elif cache is None:
        found = read(distinct)
    else:
        found, failed = cache.features(source, distinct, outputs, reading, read)
    report = next(iter(found.values())).report
    warnings = [*skips(source.name, report), *failed, *reading_remarks(source, report)]
    sets = {}
    for key, extractor in distinct.items():
        known, failed = moments_of(found[key], extractor, moments, cache)
        sets[key] = replace(
            found[key].described_by(source), moments=known, warnings=tuple(dict.fromkeys((*warnings, *failed)))
        )
    return [sets[identity(extractor)] for extractor in extractors]


def _from_file(source: Extracted, outputs: frozenset[Output]) -> FeatureSet:
    """The set from a file of extracted features, equal to one that is read now."""
    arrays = {output: source.rows(output) for output in sorted(outputs & source.outputs)}
    report = replace(source.report, repeats=repeats_of(source.pixels) if source.live else [])
    return FeatureSet(arrays, source.digest(), report, cached=True, pixels=source.pixels)


def _read(
    extractors: Mapping[Identity, Extractor],
    segments: Segments | None = None,
    *,
    source: Source,
    outputs: frozenset[Output],
    reading: Reading,
    progress: Progress,
) -> dict[Identity, FeatureSet]:
    """Read a source, and make sets of features from what was extracted."""
    whole = read_part(source, extractors, outputs, reading, progress=progress, segments=segments)
    report = whole.report
    if report.skipped:
        check_skips(report, len(whole.pixels) + len(report.skipped), reading)
    if not len(whole.pixels):
        raise SourceError(f"{source.name}: no images to measure.")
    if source.kind == GeneratorSource.kind:
        report.repeats = repeats_of(whole.pixels)
    return {key: whole.features(key) for key in extractors}


def read_part(
    source: Source,
    extractors: Mapping[Identity, Extractor],
    outputs: frozenset[Output],
    reading: Reading,
    *,
    progress: Progress = silent,
    segments: Segments | None = None,
) -> FeaturePart:
    """Decode a source once and run every extractor on each batch; processes share the images.

    Args:
        source: The images; a part of a source is a source, too.
        extractors: By identity.
        outputs: Outputs to keep; each extractor gives those that it has.
        reading: How images are read.
        progress: Shows the reading.
        segments: Where finished segments are kept; None to keep none. Segments are kept only with a single process.

    Returns:
        What was extracted from all images, in every process.

    Raises:
        SourceError: An image cannot be read, or processes see different images.
        ExtractorError: An extractor breaks its contract.
    """
    team, total = processes(), length(source)
    lengths = team.exchange(total)
    if any(one != total for one in lengths):
        raise SourceError(f"{source.name}: all processes must see the same images, but they found {lengths} images.")
    share = source if team.size == 1 else source.part(team.rank, team.size, reading.batch_size)
    if share is None and team.first:
        share = source
    keys = [(key, output) for key, one in extractors.items() for output in sorted(outputs & one.outputs)]

    with nullcontext(lambda _: None) if share is None else progress(share.name, length(share)) as advance:
        read = partial(extracted, extractors=extractors, outputs=outputs, reading=reading, advance=advance)
        if segments is None or total is None or team.size > 1:
            with team.together():
                part = read(share)
        else:
            part = joined(segments.parts(source, reading.batch_size, keys, read, advance), keys)
    whole = gathered(part, keys)
    for extractor in extractors.values():
        check_sizes(extractor, whole.report)
    return whole
