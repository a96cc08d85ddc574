"""Extract the features of a set in parts, in separate processes, and merge the files of the parts."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ganeval.array_types import FeatureArray
from ganeval.cache import Cache
from ganeval.duplicates import pixel_digests, with_equal_rows
from ganeval.errors import DecodeError, SourceError, UsageError
from ganeval.extraction import read_part, reading_of
from ganeval.extractors import Setup
from ganeval.extractors.base import Extractor, identity
from ganeval.inputs import open_images, open_setups
from ganeval.options import resolve_options
from ganeval.outputs import Output
from ganeval.parts import FeaturePart
from ganeval.paths import cache_root
from ganeval.places import Place, RemotePath, place_of
from ganeval.processes import processes
from ganeval.progress import Progress, silent
from ganeval.provenance import about_extractor
from ganeval.segments import Segments, segment_count
from ganeval.selection import MetricNames, Selection, select_metrics
from ganeval.settings import Settings, SettingsKeywords
from ganeval.sources.base import Fingerprint, Reading, ReadReport, Source, check_skips, joined_reports, length
from ganeval.sources.extracted import PartFile, PartHeader, PartRows, is_extracted, shard_names, united, write_part
from ganeval.sources.file_filter import is_glob
from ganeval.sources.generator import GeneratorSource
from ganeval.sources.items import Remarkable
from ganeval.sources.lists import matching
from ganeval.sources.remarks import skips
from ganeval.sources.shards import MAX_SHARDS

# What is compared between parts, as phrases for messages.
_WORDS: Mapping[str, str] = {
    "batch_size": "the batch size, on which last digits depend; give --batch-size where devices differ",
    "shards": "the number of shards",
    "total": "the number of images of the set",
    "identity": "their images: they are of different sets, or the set changed",
}


@dataclass(frozen=True, slots=True)
class ExtractedPart:
    """A file of extracted features.

    Attributes:
        path: The file.
        images: Its images, with skipped ones.
        skipped: Images that could not be read.
        total: The images of the whole set.
        shards: The number of shards that the set is divided into.
        missing: The shards, from 1, of which images are not in the file; none in a file of the whole set.
        outputs: The outputs of the extractor, with their widths; 0 where there are no rows.
        written: Whether the file was written now; False if it was there already.
        warnings: Which images could not be read.
    """

    path: Place
    images: int
    skipped: int
    total: int
    shards: int
    missing: tuple[int, ...]
    outputs: Mapping[str, int]
    written: bool
    warnings: tuple[str, ...] = ()


def extract_features(
    source: object,
    path: str | Place,
    *,
    shard: tuple[int, int] = (1, 1),
    metrics: MetricNames = None,
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> ExtractedPart:
    """Write the features of a set, or of one of its shards, to a file that every evaluation takes in place of the set.

    Shards are contiguous, begin at whole batches, and may be empty. Merged by `merge_parts`, they give what one process
    extracts, to the last digit. If `path` holds the same shard of the same set already, nothing is read.

    Args:
        source: Images, as for `evaluate`.
        path: A path or a URL. Must end in .npz.
        shard: The number of the shard, from 1, and of how many.
        metrics: The metrics that the features are for, as for `evaluate`; they decide which outputs are kept.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings`.

    Returns:
        What the file holds.

    Raises:
        UsageError: There is no such shard, the source cannot be read in parts, or it has no images.
        SourceError: Images cannot be read.
        ExtractorError: The extractor breaks its contract.

    >>> for number in (1, 2, 3):
    ...     part = ganeval.extract_features("digits:test", f"{number}.npz", shard=(number, 3), extractor="digits")
    >>> whole = ganeval.merge_parts(["1.npz", "2.npz", "3.npz"], "test.npz")
    >>> ganeval.fid("digits:train", "test.npz", extractor="digits", cache=False).n_fake
    450
    """
    path, chosen, selection = _checked(path), Settings.of(settings), select_metrics(metrics)
    if not isinstance(shard, tuple | list) or [type(one) for one in shard] != [int, int]:
        raise UsageError(f"A shard is given as its number and the number of shards, as in (3, 8), found {shard!r}.")
    number, of = shard
    if not 1 <= of <= MAX_SHARDS:
        raise UsageError(f"A set is extracted in 1 to {MAX_SHARDS:,} shards, found {of:,}.")
    if not 1 <= number <= of:
        raise UsageError(f"Shard {number} of {of} does not exist; shards of {of} are 1 to {of}.")
    opened = open_images(source, chosen)
    if opened.source is None or opened.outputs is not None:
        raise UsageError(f"{opened.name} holds features already; images are extracted.")
    (setup,) = open_setups(chosen, [opened])
    if not setup.extractor.weights.complete:
        raise UsageError(
            f"What {setup.extractor.name} computes is code that may change unseen, so that parts could not be told "
            "apart. Give a module defined in a file, or an Extractor with a digest."
        )
    reading = reading_of(chosen, setup.extractor)
    share = opened.source if of == 1 else opened.source.part(number - 1, of, reading.batch_size)
    if share is None or (of > 1 and length(opened.source) is None):
        raise UsageError(
            f"{opened.name} can only be read from its beginning, so it has no shards. Archives are indexed, and have "
            "some, where they are given without 'webdataset:'."
        )
    team = processes()
    fingerprint = team.by_first(partial(_fingerprint, opened.source))
    outputs = _outputs(selection, setup.extractor)
    wanted = _header(
        opened.source,
        fingerprint=fingerprint,
        setup=setup,
        reading=reading,
        outputs=outputs,
        shards=of,
        settings=chosen,
    )
    if of > 1:
        places = wanted.places(number)
        wanted = replace(wanted, ranges=united([(places.start, places.stop)]))
    known = team.by_first(partial(_already, path, wanted, share, skips_allowed=reading.on_error == "skip"))
    if known is not None:
        return known
    cache = Cache(chosen.cache_dir or cache_root()) if chosen.cache else None
    segments = None if cache is None else _segments(cache, wanted, fingerprint, reading, length(share))
    key = identity(setup.extractor)
    part = read_part(share, {key: setup.extractor}, outputs, reading, progress=progress, segments=segments)
    found = _write(path, wanted, part, opened.source)
    if segments is not None:
        segments.remove()
    return found


def merge_parts(paths: Sequence[str | Place], path: str | Place, *, partial: bool = False) -> ExtractedPart:
    """Write the features of several files of `extract_features` to one, which stands for all of their images.

    Merged files can be merged again; the order does not matter. Rows are copied in blocks of bounded size.

    Args:
        paths: The files: paths or URLs, also with wildcards.
        path: The file to write, a path or a URL. Must end in .npz.
        partial: Allow missing images; no evaluation takes such a file.

    Returns:
        What the file holds.

    Raises:
        UsageError: Files are of different sets, extractors, protocols or precisions, or overlap, or are not files of
            extracted features.
        SourceError: A shard is missing, a file is damaged, or too many images could not be read.
    """
    path = _checked(path)
    if isinstance(paths, str | Place):
        raise UsageError(f"Parts are a list of files, and {paths} is one; write [{str(paths)!r}].")
    if not isinstance(paths, Iterable):
        raise UsageError(f"Parts are a list of files, found {paths!r}.")
    files = [PartFile(place) for one in paths for place in _places(place_of(one))]
    if not files:
        raise UsageError("There is nothing to merge; give the files of all shards.")
    _check_alike(files)
    pieces = _pieces(files)
    header = _merged(files)
    if not header.complete and not partial:
        raise SourceError(
            f"{header.images} of {header.shared['total']} images are there; missing: {shard_names(header.missing())} "
            f"of {header.shared['shards']}. Extract what is missing, or allow it with --partial (partial=True)."
        )
    if header.complete and header.report.skipped:
        check_skips(header.report, header.images, Reading())
    if header.complete and not header.count:
        raise SourceError(f"{header.name}: no images to measure.")
    rows = _Joined(pieces, header.shared["outputs"])
    write_part(path, header, rows.arrays(live=header.shared["live"], labelled=header.shared["labelled"]))
    return _described(path, header, rows.widths, written=True)


def _checked(path: str | Place) -> Place:
    path = place_of(path)
    if path.suffix.lower() != ".npz":
        raise UsageError(f"{path} must end in .npz: that is how a file of features is recognised.")
    return path


def _places(place: Place) -> list[Place]:
    """The files that a path or a URL with wildcards stands for, or the one that it is; UsageError for none."""
    if not is_glob(place.path if isinstance(place, RemotePath) else str(place)) or place.exists():
        return [place]
    root, names = matching(place)
    if not names:
        raise UsageError(f"No file matches {place}; give the files of all shards.")
    return [root / name for name in names]


def _outputs(selection: Selection, extractor: Extractor) -> frozenset[Output]:
    """The outputs that metrics need of either side; UsageError for one that was named and has none of them."""
    wanted = selection.outputs(real=True) | selection.outputs(real=False)
    found = wanted & extractor.outputs
    if not found or (found != wanted and not selection.lenient):
        lacking = ", ".join(sorted(wanted - extractor.outputs))
        raise UsageError(
            f"The metrics need {lacking}, and the extractor '{extractor.name}' gives only "
            f"{', '.join(sorted(extractor.outputs))}; leave these metrics out, or choose another extractor."
        )
    return found


def _fingerprint(source: Source) -> Fingerprint | None:
    try:
        return source.fingerprint()
    except DecodeError:
        return None


def _header(
    source: Source,
    *,
    fingerprint: Fingerprint | None,
    setup: Setup,
    reading: Reading,
    outputs: frozenset[Output],
    shards: int,
    settings: Settings,
) -> PartHeader:
    """What the file of the whole set would say before it is read."""
    total = length(source)
    said = {} if settings.prepared is None else {"prepared": settings.prepared}
    names = getattr(source, "class_names", None)
    shared = {
        "measured": {**about_extractor(setup.extractor, setup.protocol), **said},
        "outputs": sorted(outputs),
        "ddof": resolve_options("fid", select_metrics(["fid"]).metrics["fid"], {}, setup.protocol)["ddof"],
        "source": {"kind": source.kind, **source.describe()},
        "class_names": None if names is None else list(names),
        "remarks": list(source.remarks) if isinstance(source, Remarkable) else [],
        "labelled": source.labels is not None,
        "live": source.kind == GeneratorSource.kind,
        "identity": _identity(source, fingerprint, reading),
        "batch_size": reading.batch_size,
        "total": total,
        "shards": shards,
    }
    files = None if fingerprint is None or not fingerprint.settled else fingerprint.fast
    ranges = () if total is None else united([(0, total)])
    # As JSON reads it again, so that headers of files compare.
    return PartHeader(json.loads(json.dumps(shared)), source.name, ranges, ReadReport(), files)


def _identity(source: Source, fingerprint: Fingerprint | None, reading: Reading) -> str | None:
    """What tells a set from others on any machine: the sizes of its files, and the pixels of its first batch.

    The first batch tells a generator from the same one after more training. None for a source that can be read only
    once.
    """
    total = length(source)
    batches = 0 if total is None else -(-total // reading.batch_size)
    first = source.part(0, batches, reading.batch_size) if batches else None
    if first is None:
        return None
    digest = blake2b(("" if fingerprint is None else fingerprint.sizes).encode(), digest_size=16)
    lenient = Reading(batch_size=reading.batch_size, workers=reading.workers, on_error="skip", skip_limit=1.0)
    with closing(first.batches(lenient, ReadReport())) as found:
        for batch in found:
            digest.update(pixel_digests(batch).numpy().tobytes())
    return digest.hexdigest()


def _segments(
    cache: Cache, header: PartHeader, fingerprint: Fingerprint | None, reading: Reading, total: int | None
) -> Segments | None:
    """Where segments are kept; None if there are few images, or the segments could not be recognised later."""
    known = header.fingerprint is not None if fingerprint is not None else header.shared["live"]
    if not known or segment_count(total or 0) < 2:
        return None
    return cache.segments(header.to_text(), reading.on_error)


def _already(path: Place, wanted: PartHeader, share: Source, *, skips_allowed: bool) -> ExtractedPart | None:
    """The part in an existing file, if the file is complete and as requested and its images have not changed; else
    None.

    skips_allowed: whether unreadable images may be missing.
    """
    if not is_extracted(path):
        return None
    try:
        file = PartFile(path)
        found = file.header
        if found.shared != wanted.shared or found.ranges != wanted.ranges:
            return None
        if found.report.skipped and not skips_allowed:
            return None
        file.check()
        if not _unchanged(file, wanted, share):
            return None
        return _described(path, found, {one: file.width(one) or 0 for one in found.shared["outputs"]}, written=False)
    except (SourceError, UsageError):
        return None


def _unchanged(file: PartFile, wanted: PartHeader, share: Source) -> bool:
    """Whether the images of a file still equal those of a source."""
    if wanted.shared["live"]:
        # The set's identity covers the first images, which were drawn again.
        return wanted.shared["identity"] is not None
    if wanted.fingerprint is not None and wanted.fingerprint == file.header.fingerprint:
        return True
    if share.fingerprint() is None or file.header.report.skipped:
        # Unreadable images have no digests, and may have been replaced.
        return False
    contents = file.array("contents")
    return contents is not None and b"".join(share.digests()) == contents.tobytes()


def _write(path: Place, wanted: PartHeader, part: FeaturePart, source: Source) -> ExtractedPart:
    """Write the features of a shard."""
    start = wanted.ranges[0][0] if wanted.ranges else 0
    report = replace(part.report, skipped_indices=[start + index for index in part.report.skipped_indices])
    shared, ranges = wanted.shared, wanted.ranges
    if shared["total"] is None:
        total = len(part.pixels) + len(report.skipped)
        shared, ranges = {**shared, "total": total, "live": part.contents is None}, united([(0, total)])
    header = replace(wanted, shared=shared, ranges=ranges, report=report)
    if header.complete and report.skipped:
        check_skips(report, header.images, Reading())
    if header.complete and not header.count:
        raise SourceError(f"{header.name}: no images to measure.")
    arrays = with_equal_rows({output: array for (_, output), array in part.arrays.items()}, part.pixels)
    outputs: dict[str, tuple[int, list[FeatureArray]]] = {
        output: (array.shape[1], [array.numpy()]) for output, array in arrays.items()
    }
    labels = None
    if source.labels is not None:
        every = np.asarray(source.labels, np.int64)
        labels = np.concatenate([every[:0], *(every[a:b] for a, b in ranges)])
    contents = None if part.contents is None or shared["live"] else part.contents.numpy()
    write_part(path, header, PartRows(outputs, part.pixels.numpy(), contents, labels))
    widths = {output: outputs[output][0] if output in outputs else 0 for output in shared["outputs"]}
    return _described(path, header, widths, written=True)


def _described(path: Place, header: PartHeader, outputs: Mapping[str, int], *, written: bool) -> ExtractedPart:
    return ExtractedPart(
        path,
        header.images,
        len(header.report.skipped),
        header.shared["total"],
        header.shared["shards"],
        header.missing(),
        outputs,
        written,
        tuple(skips(header.name, header.report)),
    )


def _check_alike(files: Sequence[PartFile]) -> None:
    """UsageError unless all files are of one set and were extracted alike."""
    first = files[0]
    wanted = _flat(first.header.shared)
    for other in files[1:]:
        if other.header.shared == first.header.shared:
            continue
        found = _flat(other.header.shared)
        key = next(key for key in (*_WORDS, *wanted, *found) if wanted.get(key) != found.get(key))
        values = "" if key == "identity" else f": '{wanted.get(key)}' and '{found.get(key)}'"
        raise UsageError(
            f"{first.path} and {other.path} differ in {_WORDS.get(key, key.replace('_', ' '))}{values}. Parts that are "
            "merged must be of one set, and extracted in the same way."
        )


def _flat(shared: Mapping[str, Any]) -> dict[str, Any]:
    """The shared header of parts as one flat dict, with the entries of the extractor and the source."""
    rest = {key: value for key, value in shared.items() if key not in ("measured", "source")}
    return {**shared["measured"], **{f"source {key}": value for key, value in shared["source"].items()}, **rest}


@dataclass(frozen=True, slots=True)
class _Piece:
    """The rows of one range of a file: `start` to `stop` of its rows, and the images from `image` on of its images."""

    file: PartFile
    places: range
    start: int
    stop: int
    image: int


def _pieces(files: Sequence[PartFile]) -> list[_Piece]:
    """All ranges of all files in the order of their places; UsageError where two overlap."""
    found = []
    for file in files:
        if len(file.header.ranges) > 1:
            # Rows of this file are taken in pieces; those of other files are checked as they are read.
            file.check()
        skipped = np.asarray(sorted(file.header.report.skipped_indices), np.int64)
        row = image = 0
        for start, stop in file.header.ranges:
            left_out = np.searchsorted(skipped, stop) - np.searchsorted(skipped, start)
            count = stop - start - int(left_out)
            found.append(_Piece(file, range(start, stop), row, row + count, image))
            row, image = row + count, image + stop - start
    found.sort(key=lambda piece: piece.places.start)
    for one, other in pairwise(found):
        if other.places.start < one.places.stop:
            a, b = one.file.array("contents"), other.file.array("contents")
            same = one.places == other.places and a is not None and b is not None and np.array_equal(a, b)
            raise UsageError(
                f"{one.file.path} and {other.file.path} both hold image {other.places.start + 1}"
                f"{', and are of the same images' if same else ''}: leave one of them out."
            )
    return found


def _merged(files: Sequence[PartFile]) -> PartHeader:
    """The header of all files together: the same for every order."""
    headers = sorted(
        (file.header for file in files), key=lambda header: header.ranges or ((header.shared["total"], 0),)
    )
    report = joined_reports([(0, header.report) for header in headers])
    skips = sorted(zip(report.skipped_indices, report.skipped, strict=True))
    report.skipped_indices, report.skipped = [place for place, _ in skips], [skip for _, skip in skips]
    ranges = united(one for header in headers for one in header.ranges)
    return PartHeader(headers[0].shared, headers[0].name, ranges, report)


class _Joined:
    """The arrays of several files, joined."""

    def __init__(self, pieces: Sequence[_Piece], outputs: Sequence[str]) -> None:
        self._pieces = pieces
        none = np.empty(0, np.int64)
        pixels = {id(file): file.pixels() for file in {id(one.file): one.file for one in pieces}.values()}
        self.pixels = np.concatenate([none, *(pixels[id(one.file)][one.start : one.stop] for one in pieces)])
        _, firsts, group = np.unique(self.pixels, return_index=True, return_inverse=True)
        self._first = firsts[group]
        self._offsets = np.cumsum([0, *(one.stop - one.start for one in pieces)])
        self.widths = {output: self._width(output) for output in outputs}

    def arrays(self, *, live: bool, labelled: bool) -> PartRows:
        """The arrays; rows are read on demand."""
        contents = None if live else self._small("contents", np.empty((0, 16), np.uint8), by_image=False)
        labels = self._small("labels", np.empty(0, np.int64), by_image=True) if labelled else None
        outputs = {output: (width, self._rows(output)) for output, width in self.widths.items() if width}
        return PartRows(outputs, self.pixels, contents, labels)

    def _width(self, output: str) -> int:
        """The width of an output, 0 without rows; UsageError where files differ."""
        found = {width: one.file.path for one in self._pieces if (width := one.file.width(output)) is not None}
        if len(found) > 1:
            (width, path), (other, second) = list(found.items())[:2]
            raise UsageError(f"{path} has {width} {output} of an image, and {second} has {other}.")
        return next(iter(found), 0)

    def _small(self, name: str, none: NDArray[Any], *, by_image: bool) -> NDArray[Any]:
        found = [none]
        for one in self._pieces:
            array = one.file.array(name)
            if array is None:
                raise one.file.damaged(ValueError(f"it has no {name}"))
            start, count = (one.image, len(one.places)) if by_image else (one.start, one.stop - one.start)
            found.append(array[start : start + count])
        return np.concatenate(found)

    def _rows(self, output: str) -> Iterator[FeatureArray]:
        """The rows of an output in the order of the images; equal images get equal rows."""
        mapped: dict[Place, FeatureArray] = {}
        for number, piece in enumerate(self._pieces):
            first = int(self._offsets[number])
            for block in piece.file.blocks(output, piece.start, piece.stop):
                self._equalise(block, first, output, mapped)
                first += len(block)
                yield block

    def _equalise(self, rows: FeatureArray, first: int, output: str, mapped: dict[Place, FeatureArray]) -> None:
        """Give images that equal earlier images their rows. first: the index of the first of these rows."""
        wanted = self._first[first : first + len(rows)]
        for row in np.flatnonzero(wanted != np.arange(first, first + len(rows))):
            number = int(np.searchsorted(self._offsets, wanted[row], side="right")) - 1
            piece = self._pieces[number]
            if piece.file.path not in mapped:
                mapped[piece.file.path] = piece.file.mapped(output)
            rows[row] = mapped[piece.file.path][piece.start + int(wanted[row]) - int(self._offsets[number])]
