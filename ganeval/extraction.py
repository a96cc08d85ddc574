"""Extract features: from the cache, or with one decode for all extractors whose features it lacks."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ganeval.cache import Cache, moments_of
from ganeval.duplicates import pixel_digests
from ganeval.errors import SourceError
from ganeval.extractors.base import Extractor, Identity, Output, identity
from ganeval.extractors.running import run_all
from ganeval.features import FeatureSet
from ganeval.inputs import Setup
from ganeval.parts import DIGEST, Part, gathered
from ganeval.paths import cache_root
from ganeval.processes import processes
from ganeval.progress import Progress, silent
from ganeval.row_store import RowStore
from ganeval.selection import Selection
from ganeval.settings import Settings
from ganeval.sources.base import Reading, ReadReport, Source, check_skips, length
from ganeval.sources.generator import GeneratorSource
from ganeval.sources.precomputed import Features
from ganeval.sources.remarks import reading_remarks, skips
from ganeval.sources.repeats import repeats_of

CPU_BATCH, GPU_BATCH = 8, 64


def extract_set(
    opened: FeatureSet,
    setups: Sequence[Setup],
    selection: Selection,
    settings: Settings,
    progress: Progress = silent,
    *,
    real: bool = True,
) -> list[FeatureSet]:
    """Extract what the metrics need of one set, in every setup.

    Args:
        opened: The set, from `inputs.prepare`.
        setups: Protocols with their extractors.
        selection: The metrics, and further outputs to keep.
        settings: How to read, and whether and where to cache.
        progress: Shows the reading.
        real: Whether the set is used as the reals.

    Returns:
        The set with its features, once per setup, in their order.

    Raises:
        SourceError: There is nothing to read, or an image cannot be read.
        ExtractorError: An extractor breaks its contract.
    """
    if opened.source is None:
        return [opened] * len(setups)
    outputs = selection.also
    moments: frozenset[Output] = frozenset()
    for metric in selection.metrics.values():
        output = metric.real if real else metric.fake
        if output is not None and not (real and opened.takes_stored(metric, output)):
            outputs |= {output}
            moments |= {output} if metric.takes_moments else frozenset()
    reading = Reading(
        batch_size=settings.batch_size or (CPU_BATCH if setups[0].extractor.device.startswith("cpu") else GPU_BATCH),
        workers=settings.decoding_threads,
        on_error=settings.on_error,
    )
    cache = Cache(settings.cache_dir or cache_root()) if settings.cache else None
    extractors = [setup.extractor for setup in setups]
    found = extract(opened.source, extractors, outputs, reading, moments=moments, cache=cache, progress=progress)
    return [
        replace(each, stored=opened.stored, prepared=opened.prepared, warnings=(*opened.warnings, *each.warnings))
        for each in found
    ]


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
    """Extract features of a source with several extractors; it is read once, or not at all if all are cached.

    Args:
        source: The images, or features in their place.
        extractors: Equal ones run once.
        outputs: To keep, of each extractor those that it has.
        reading: How images are read.
        moments: Outputs to compute mean and scatter of, if there are more rows than dimensions.
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
    read = partial(_read, source, outputs, reading, progress)
    found, failed = (read(distinct), []) if cache is None else cache.features(source, distinct, outputs, read)
    report = next(iter(found.values())).report
    warnings = [*skips(source.name, report), *failed, *reading_remarks(source, report)]
    sets = {}
    for key, extractor in distinct.items():
        known, failed = moments_of(found[key], extractor, moments, cache)
        sets[key] = replace(
            found[key].described_by(source), moments=known, warnings=tuple(dict.fromkeys((*warnings, *failed)))
        )
    return [sets[identity(extractor)] for extractor in extractors]


def _read(
    source: Source,
    outputs: frozenset[Output],
    reading: Reading,
    progress: Progress,
    extractors: Mapping[Identity, Extractor],
) -> dict[Identity, FeatureSet]:
    """Decode a source once, each process its part of it, and run every extractor on each batch."""
    team, total = processes(), length(source)
    lengths = team.exchange(total)
    if any(one != total for one in lengths):
        raise SourceError(f"{source.name}: the processes must see the same images, and find {lengths} of them.")
    share = source if team.size == 1 else source.part(team.rank, team.size, reading.batch_size)
    if share is None and team.first:
        share = source
    part = team.together(partial(_read_part, share, outputs, reading, progress, extractors))
    keys = [(key, output) for key, one in extractors.items() for output in sorted(outputs & one.outputs)]
    whole = gathered(part, keys)
    report = whole.report
    if report.skipped:
        check_skips(report, len(whole.pixels) + len(report.skipped), reading)
    if not len(whole.pixels):
        raise SourceError(f"{source.name}: no images to measure.")
    if source.kind == GeneratorSource.kind:
        report.repeats = repeats_of(whole.pixels)
    return {key: whole.features(key) for key in extractors}


def _read_part(
    source: Source | None,
    outputs: frozenset[Output],
    reading: Reading,
    progress: Progress,
    extractors: Mapping[Identity, Extractor],
) -> Part:
    """Decode a part of a source, None for none of it, and run every extractor on each batch."""
    report, rows, pixels, contents = ReadReport(), {key: RowStore() for key in extractors}, list[Tensor](), bytearray()
    has_contents = True
    with ExitStack() as stack:
        for kept in rows.values():
            stack.callback(kept.close)
        if source is not None:
            batches = stack.enter_context(closing(source.batches(reading, report)))
            advance = stack.enter_context(progress(source.name, length(source)))
            for batch, given in stack.enter_context(closing(run_all(batches, extractors, outputs))):
                for key, found in given.items():
                    rows[key].add(found)
                pixels.append(pixel_digests(batch))
                for group in batch.groups:
                    height, width = group.images.shape[2:]
                    report.sizes[width, height] += len(group.rows)
                contents += b"".join(batch.digests)
                has_contents &= len(batch.digests) == len(batch)
                processes().check()
                advance(len(batch))
        arrays = {(key, output): array for key, kept in rows.items() for output, array in kept.arrays().items()}
        known = torch.cat(pixels) if pixels else torch.empty(0, dtype=torch.int64, device="cpu")
        digests = torch.from_numpy(np.frombuffer(contents, np.uint8).reshape(-1, DIGEST)) if has_contents else None
        return Part(arrays, known, digests, report)
