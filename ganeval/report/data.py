"""Report data: pictures of both sets and small data for figures, saved next to a result.

Those of `result.json` are in `result.report-data.zip`: exhibits.json (schema 1, which has kept its first name) and one
member per thumbnail. A reader trusts none of it: members, their sizes and every field are checked. No maths, no torch.
"""

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ganeval.atomic import atomic_write
from ganeval.documents import DocumentError, parse_json
from ganeval.errors import ResultError

SCHEMA = 1
DOCUMENT = "exhibits.json"
# Bytes of all members together, unpacked: more than any run keeps, and less than any machine has.
MAX_BYTES = 16 << 20
MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of a set, as a thumbnail. name: the image as a person would look for it. width, height: its own."""

    name: str
    index: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class GalleryImage:
    """A picture in a gallery, by its key; value: what it was chosen by."""

    picture: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Gallery:
    """Images of both sets, the first ones chosen first."""

    real: tuple[GalleryImage, ...]
    fake: tuple[GalleryImage, ...]


@dataclass(frozen=True, slots=True)
class Mode:
    """Images alike of one set, the clearest first.

    side: that set, "real" or "fake". excess: their share of it; of modes that the other set lacks, by how much it is
    larger than that in the other.
    """

    side: str
    excess: float
    images: tuple[GalleryImage, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A fake and its nearest reals, nearest first. ratio: its distance over that real's own to another one.

    None where all reals are the same.
    """

    fake: str
    reals: tuple[str, ...]
    distances: tuple[float, ...]
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Projection:
    """Points of both sets in the plane. explained: the share of the features' variance along either axis."""

    real: tuple[tuple[float, float], ...]
    fake: tuple[tuple[float, float], ...]
    explained: tuple[float, float]


@dataclass(frozen=True, slots=True)
class TradeOff:
    """Precision against recall, each from 0 to 1, along a curve."""

    precision: tuple[float, ...]
    recall: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Images of either set by their distance to the nearest real (not themselves). edges: one more than counts."""

    edges: tuple[float, ...]
    real: tuple[int, ...]
    fake: tuple[int, ...]
    real_median: float
    fake_median: float


@dataclass(frozen=True, slots=True)
class ClassShare:
    """Images of a class. score: the fakes' mean distance to the nearest real, over that of the reals; 1 is as good.

    accuracy: the share of its fakes that the extractor's classifier recognises, where it was asked for by a label.
    """

    name: str
    real: int
    fake: int
    score: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Examples:
    """Images that belong together, in a row each: an input, what was made of it, what it should have become.

    headings: of the columns. rows: keys of pictures, one for each column.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Texts:
    """Lines of text with a heading: sequences that a model wrote, or real ones."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportData:
    """What a report shows of one result.

    Attributes:
        created: When that result was created.
        titles: The full names of its metrics.
        pictures: Images by key.
        galleries: "samples", "told_apart" (the most discriminable images), "typical", "untypical", "realistic",
            "unrealistic", "rare".
        pairs: Fakes with their nearest reals.
        modes: Modes that one set has and the other lacks, by decreasing excess of either.
        common_modes: The commonest modes of each set, by decreasing share.
        projection: Both sets in two dimensions.
        trade_off: Precision and recall.
        distances: Distances to the nearest real.
        classes: Shares of classes.
        classes_by: "labels" or "classifier".
        class_names: Of the reals' labels 0, 1, ..., where they have names.
        examples: Images in rows, of a model that translates them.
        texts: Sequences, of a model that writes them.
        left_out: What is missing, and why.
        images: The thumbnails' files by the keys of `pictures`, PNG or JPEG.
    """

    created: str
    titles: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    galleries: Mapping[str, Gallery] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    modes: tuple[Mode, ...] = ()
    common_modes: tuple[Mode, ...] = ()
    projection: Projection | None = None
    trade_off: TradeOff | None = None
    distances: Histogram | None = None
    classes: tuple[ClassShare, ...] = ()
    classes_by: str = ""
    class_names: tuple[str, ...] = ()
    examples: Examples | None = None
    texts: tuple[Texts, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def report_data_path(result: Path, number: int | None = None) -> Path:
    """The file of a result's report data.

    Args:
        result: The file of the result.
        number: Of a comparison, the number of the generator, from 1.

    Returns:
        The path next to the result.
    """
    which = "" if number is None else f".{number}"
    return result.with_name(f"{result.stem}{which}.report-data.zip")


def write_report_data(path: Path, data: ReportData) -> None:
    """Write report data in one step.

    Args:
        path: The file.
        data: The report data.

    Raises:
        ResultError: The file cannot be written.
    """
    document = {"schema": SCHEMA} | {key: value for key, value in asdict(data).items() if key != "images"}
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        text = json.dumps(document, allow_nan=False)
        archive.writestr(_member(DOCUMENT), text, compress_type=zipfile.ZIP_DEFLATED)
        for key, image in data.images.items():
            archive.writestr(_member(key), image)


def _member(name: str) -> zipfile.ZipInfo:
    # Without the time of day, the same data are the same bytes.
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))


def read_report_data(path: Path) -> ReportData:
    """Read the report data of a file.

    Args:
        path: The file.

    Returns:
        The report data.

    Raises:
        ResultError: They cannot be read, are damaged, or have a newer schema.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise ResultError(f"{path} is not an archive of report data: it holds more than {MAX_BYTES} bytes.")
            members = {member.filename: archive.read(member) for member in archive.infolist()}
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror or error}.") from error
    # What is encrypted, cut short or packed by unknown means.
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise ResultError(f"{path} is damaged, or is not an archive of report data ({error}).") from error
    return _report_data(members, str(path))


def _report_data(members: Mapping[str, bytes], name: str) -> ReportData:
    try:
        document = parse_json(members.get(DOCUMENT, b"null"))
    except DocumentError as error:
        raise ResultError(f"{name} is damaged: its {DOCUMENT} {error}") from error
    if not isinstance(document, dict) or "schema" not in document:
        raise ResultError(f"{name} is not an archive of report data: it has no {DOCUMENT} with a schema.")
    if document["schema"] != SCHEMA:
        raise ResultError(f"{name} has schema {str(document['schema'])[:40]}; this ganeval reads schema {SCHEMA}.")
    try:
        found: ReportData = _build(ReportData, {**document, "images": {}})
        images = {key: _image(members[key]) for key in found.pictures}
        _check_keys(found)
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(f"{name} is damaged ({type(error).__name__}: {error}).") from error
    return ReportData(**{one.name: getattr(found, one.name) for one in fields(found)} | {"images": images})


def media_type(image: bytes) -> str:
    """ "image/png" or "image/jpeg", by the first bytes; ValueError for anything else."""
    for magic, name in MAGIC.items():
        if image.startswith(magic):
            return name
    raise ValueError("a thumbnail is neither PNG nor JPEG")


def _image(data: bytes) -> bytes:
    media_type(data)
    return data


def _check_keys(data: ReportData) -> None:
    """KeyError for a picture that is shown and not there, ValueError for figures whose parts do not fit together."""
    for key in _shown(data):
        data.pictures[key]
    if any(mode.side not in ("real", "fake") for mode in (*data.modes, *data.common_modes)):
        raise ValueError("a mode is of neither set")
    if any(len(pair.reals) != len(pair.distances) for pair in data.pairs):
        raise ValueError("a pair does not have as many distances as reals")
    if data.examples and any(len(row) != len(data.examples.headings) for row in data.examples.rows):
        raise ValueError("a row of examples does not have as many images as there are headings")
    histogram, curve = data.distances, data.trade_off
    if histogram and not len(histogram.edges) - 1 == len(histogram.real) == len(histogram.fake):
        raise ValueError("a histogram's edges do not fit its counts")
    if curve and len(curve.precision) != len(curve.recall):
        raise ValueError("a curve does not have as many precisions as recalls")


def _shown(data: ReportData) -> Iterator[str]:
    """The keys of all pictures that are shown, some more than once."""
    for gallery in data.galleries.values():
        yield from (shown.picture for shown in (*gallery.real, *gallery.fake))
    for mode in (*data.modes, *data.common_modes):
        yield from (shown.picture for shown in mode.images)
    for pair in data.pairs:
        yield from (pair.fake, *pair.reals)
    for row in () if data.examples is None else data.examples.rows:
        yield from row


def _build(kind: Any, value: Any) -> Any:
    """Plain data => what an annotation says it is; TypeError, ValueError or KeyError where it is not."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        (wanted,) = (each for each in inner if each is not NoneType)
        return None if value is None else _build(wanted, value)
    if origin is tuple:
        return _tuple(inner, value)
    if origin is Mapping:
        return {_build(str, key): _build(inner[1], each) for key, each in _dict(value).items()}
    if isinstance(kind, type) and is_dataclass(kind):
        hints, known = get_type_hints(kind), _dict(value)
        # An archive of an earlier version lacks what was added since.
        spare = {one.name for one in fields(kind) if (one.default, one.default_factory) != (MISSING, MISSING)}
        return kind(**{name: _build(hints[name], known[name]) for name in hints if name in known or name not in spare})
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind is not float and type(value) is kind:
        return value
    raise TypeError(f"{str(value)[:40]!r} is not of type {kind.__name__}")


def _tuple(inner: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:40]!r} is not a list")
    if inner[-1] is Ellipsis:
        return tuple(_build(inner[0], each) for each in value)
    return tuple(_build(one, each) for one, each in zip(inner, value, strict=True))


def _dict(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{str(value)[:40]!r} is not an object")
    return value
