"""Images in tables: Parquet, and Arrow IPC (.arrow, and Feather), local or at a URL.

A table has a column of image files: bytes, or Hugging Face's `{"bytes": ..., "path": ...}`. Rows are read in small
blocks as they are needed, so that no row group is held as a whole.

    data.parquet, data-{000..009}.parquet, 'data/*.parquet', a folder of tables without images
    parquet:PLACE?image=COLUMN&label=COLUMN      if the columns must be named
"""

import math
import mmap
import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from itertools import accumulate
from threading import Lock
from typing import Any, NamedTuple

from ganeval.documents import DocumentError, parse_json
from ganeval.errors import DecodeError, SourceError, UsageError
from ganeval.places import Place, RemotePath
from ganeval.printable import printable
from ganeval.sources.base import Fingerprint
from ganeval.sources.budget import claim
from ganeval.sources.files import Opened, digest_of, is_image, load_encoded, natural_order, told
from ganeval.sources.folder import find_files
from ganeval.sources.items import Item
from ganeval.sources.label_files import LABEL_COLUMNS
from ganeval.sources.labels import Labelling, by_value, from_array, with_names

PARQUET, ARROW = (".parquet", ".pq"), (".arrow", ".feather")
TABLES = (*PARQUET, *ARROW)
# Names of columns, in order of precedence.
IMAGES, LABELS = ("image", "img", "images", "jpg", "png", "webp", "bytes"), (*LABEL_COLUMNS, "labels", "cls")
# Bytes per block of rows, its largest number of rows, and the rows kept for threads
# that need them out of order.
BLOCK_BYTES, BLOCK_ROWS, KEPT_ROWS = 8 << 20, 256, 64
# Bytes of a file to read at a time; without such a limit, a row group is read as a whole.
PAGES = 1 << 20
# The split in the name of a file of the Hub: train-00000-of-00002.parquet.
_SPLIT = re.compile(r"(.+?)-[0-9]+(?:-of-[0-9]+)?(?:-[0-9a-f]+)?\.[a-z]+\Z")


class Columns(NamedTuple):
    """The columns to read from a table. names: of the classes."""

    image: str
    label: str | None
    names: tuple[str, ...] = ()


def find_tables(folder: Place) -> list[Place] | None:
    """The tables in a folder that has no images, in natural order; None for any other folder."""
    files = find_files(folder)
    tables = [name for name in files if name.lower().endswith(TABLES)]
    if not tables or any(map(is_image, files)):
        return None
    return [folder / name for name in natural_order(tables)]


def open_tables(
    places: Sequence[Place], *, where: str, image: str | None = None, label: str | None = None
) -> "TableItems":
    """The images in one or more tables, in this order.

    image, label: columns; None to find them. Raises UsageError without pyarrow or for a missing column, SourceError for
    a file that is not a table of images.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UsageError(f"{where}: tables need pyarrow; pip install pyarrow, or 'ganeval[parquet]'.") from error
    files = Opened(places)
    tables = [_table(place) for place in places]
    columns = _columns(tables[0], image, label)
    for table in tables[1:]:
        _check_image(table, columns.image)
    return TableItems(tables, columns, where=where, files=files)


class TableItems:
    """The images in tables: row by row, file by file."""

    parallel = True

    def __init__(self, tables: "Sequence[_TableFile]", columns: Columns, *, where: str, files: Opened) -> None:
        self.kind = "parquet" if str(files.paths[0]).lower().endswith(PARQUET) else "arrow"
        self._tables, self._columns, self._where, self._files = tables, columns, where, files
        self._groups = [_RowGroup(table, number) for table in tables for number in range(len(table.groups))]
        sizes = [group.table.groups[group.number] for group in self._groups]
        self._starts = [0, *accumulate(sizes)]
        self._cursor = _Cursor(columns.image)

    def __len__(self) -> int:
        return self._starts[-1]

    @cached_property
    def labelling(self) -> Labelling:
        """The classes of the images."""
        label = self._columns.label
        if label is None:
            return Labelling()
        for table in self._tables:
            if label not in table.schema.names:
                return Labelling(obstacle=f"{table.place} has no column '{label}', but other files have one")
        values = [value for table in self._tables for value in table.column(label)]
        origin = f"the column '{label}'"
        if all(type(value) is int for value in values):
            import numpy as np

            return with_names(from_array(np.asarray(values, dtype=np.int64), len(values), origin), self._columns.names)
        return by_value([(f"row {row}", value) for row, value in enumerate(values)], origin)

    @property
    def labels(self) -> Sequence[int] | None:
        """The class of each image, if there is a column of classes."""
        return self.labelling.labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What the classes are called, where that is not just their number."""
        return self.labelling.class_names

    @property
    def remarks(self) -> Sequence[str]:
        """Files of several splits that are read as one set."""
        splits = dict.fromkeys(found[1] for place in self._files.paths if (found := _SPLIT.match(place.name)))
        if len(splits) < 2:
            return []
        return [
            f"{self._where}: its files are of {len(splits)} splits ({', '.join(map(printable, splits))}) and are read "
            "as one set; a quoted glob takes some of them ('train-*.parquet')."
        ]

    def item_name(self, index: int) -> str:
        """The file and the row in it."""
        group = bisect_right(self._starts, index) - 1
        table = self._groups[group].table
        first = next(place for place, one in enumerate(self._groups) if one.table is table)
        return f"{table.place}[{index - self._starts[first]}]"

    def load(self, index: int) -> Item:
        """Read and decode the row's image."""
        label = None if self.labels is None else self.labels[index]
        return load_encoded(self._bytes(index), self.item_name(index), label)

    def digest(self, index: int) -> bytes:
        """Of the image file's bytes."""
        return digest_of(self._bytes(index))

    def fingerprint(self, indices: Sequence[int]) -> Fingerprint | None:
        """A digest of the identities of the files, the column, and the rows read; None if a file changed."""
        found = self._files.identity()
        if found is None:
            return None
        identity, settled = found
        rows = repr(indices) if isinstance(indices, range) else ",".join(map(str, indices))
        shape = digest_of(repr((self._columns.image, self._starts)).encode(), rows.encode())
        return Fingerprint(digest_of(identity, shape).hex(), shape.hex(), settled)

    def describe(self) -> dict[str, object]:
        """The column of images, the number of files, if several, and where the classes were read from."""
        files = {"files": len(self._tables)} if len(self._tables) > 1 else {}
        return {"column": self._columns.image, **files, **self.labelling.describe()}

    def _bytes(self, index: int) -> bytes:
        group = bisect_right(self._starts, index) - 1
        row = index - self._starts[group]
        with _readable(self._groups[group].table.place):
            found = self._cursor.value(self._groups[group], row)
        data = found.get("bytes") if isinstance(found, dict) else found
        if not isinstance(data, bytes):
            raise DecodeError(
                self.item_name(index),
                f"the column '{self._columns.image}' has no bytes here; images must be in the table itself, not beside "
                "it.",
            )
        claim(len(data))
        return data


class _TableFile(ABC):
    """A file. place: where it is; schema: of its columns; groups: the number of rows of each part, in order."""

    place: Place
    schema: Any
    groups: Sequence[int]

    @abstractmethod
    def blocks(self, number: int, column: str) -> Iterator[Any]:
        """The values of a column in one part, as arrays of consecutive rows."""

    def column(self, name: str) -> list[object]:
        """All values of a small column."""
        with _readable(self.place):
            blocks = (block for number in range(len(self.groups)) for block in self.blocks(number, name))
            return [value for block in blocks for value in block.to_pylist()]


class _RowGroup(NamedTuple):
    """A part of a table."""

    table: _TableFile
    number: int


class _Parquet(_TableFile):
    """A Parquet file; only its metadata are kept."""

    def __init__(self, place: Place) -> None:
        self.place = place
        with self._opened() as file:
            self._metadata, self.schema = file.metadata, file.schema_arrow
        self.groups = [self._metadata.row_group(number).num_rows for number in range(self._metadata.num_row_groups)]

    @contextmanager
    def _opened(self, metadata: Any = None) -> Iterator[Any]:
        from pyarrow.parquet import ParquetFile

        with (
            self.place.open("rb") as stream,
            ParquetFile(stream, metadata=metadata, buffer_size=PAGES, pre_buffer=False) as file,
        ):
            yield file

    def blocks(self, number: int, column: str) -> Iterator[Any]:
        kind = self.schema.field(column).type
        is_struct = str(kind).startswith("struct")
        group = self._metadata.row_group(number)
        leaves = (group.column(place) for place in range(group.num_columns))
        count = sum(leaf.total_uncompressed_size for leaf in leaves if leaf.path_in_schema.partition(".")[0] == column)
        rows = max(1, min(BLOCK_ROWS, math.floor(BLOCK_BYTES * max(1, group.num_rows) / max(1, count))))
        wanted = f"{column}.bytes" if is_struct else column
        with (
            self._opened(self._metadata) as file,
            # The reader must be closed before its file.
            closing(file.iter_batches(rows, row_groups=[number], columns=[wanted], use_threads=False)) as batches,
        ):
            for batch in batches:
                yield batch.column(0)


class _Arrow(_TableFile):
    """An Arrow file or stream, memory-mapped: uncompressed data are read in place."""

    def __init__(self, place: Place) -> None:
        import pyarrow as pa

        self.place = place
        if isinstance(place, RemotePath):
            mapped = mmap.mmap(place.fetch().fileno(), 0, access=mmap.ACCESS_READ)
        else:
            with place.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        buffer = pa.py_buffer(mapped)
        try:
            reader = pa.ipc.open_file(buffer)
            self._batch = reader.get_batch
            self.groups = [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
        except pa.ArrowInvalid:
            reader = pa.ipc.open_stream(buffer)
            batches = list(reader)
            self._batch = batches.__getitem__
            self.groups = [batch.num_rows for batch in batches]
        self.schema = reader.schema

    def blocks(self, number: int, column: str) -> Iterator[Any]:
        values = self._batch(number).column(column)
        yield from (values.slice(start, BLOCK_ROWS) for start in range(0, len(values), BLOCK_ROWS))


class _Cursor:
    """A position in a table: rows are read in order, or nearly so; going back starts the part again."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._lock = Lock()
        self._group: _RowGroup | None = None
        self._blocks: Iterator[Any] = iter(())
        self._next = 0
        self._recent: deque[tuple[_RowGroup, int, Any]] = deque()

    def value(self, group: _RowGroup, row: int) -> object:
        """The value of a row of a part."""
        with self._lock:
            for kept, start, block in reversed(self._recent):
                if kept == group and start <= row < start + len(block):
                    return block[row - start].as_py()
            if self._group != group or row < self._next:
                self._group, self._next = group, 0
                self._blocks = group.table.blocks(group.number, self._column)
            for block in self._blocks:
                start, self._next = self._next, self._next + len(block)
                self._keep(group, start, block)
                if row < self._next:
                    return block[row - start].as_py()
        raise SourceError(f"{group.table.place} has fewer rows than it declares.")

    def _keep(self, group: _RowGroup, start: int, block: Any) -> None:
        self._recent.append((group, start, block))
        while sum(len(one) for _, _, one in self._recent) - len(self._recent[0][2]) >= KEPT_ROWS:
            self._recent.popleft()


def _table(place: Place) -> _TableFile:
    with _readable(place):
        return _Parquet(place) if place.name.lower().endswith(PARQUET) else _Arrow(place)


@contextmanager
def _readable(place: Place) -> Iterator[None]:
    """SourceError for pyarrow's errors about a file."""
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, NotImplementedError, MemoryError) as error:
        raise SourceError(f"{place} cannot be read as a table ({told(error)}).") from error


def _columns(table: _TableFile, image: str | None, label: str | None) -> Columns:
    """The columns to read: those requested, those in the Hub's metadata, or those with usual names."""
    features = _hub_features(table.schema.metadata)
    names: Sequence[str] = table.schema.names
    for asked in (image, label):
        if asked is not None and asked not in names:
            raise UsageError(f"{table.place} has no column '{asked}'; it has {', '.join(map(printable, names))}.")
    chosen = image or _image_column(table, features)
    _check_image(table, chosen)
    classes = [name for name, one in features.items() if _type_of(one) == "ClassLabel" and name in names]
    named = [name for name in LABELS if name in names and name != chosen]
    if label is None:
        label = classes[0] if len(classes) == 1 else next(iter(named), None)
    listed = features.get(label or "", {})
    found = listed.get("names") if isinstance(listed, dict) else None
    known = tuple(map(str, found)) if isinstance(found, list) else ()
    return Columns(chosen, label, known)


def _image_column(table: _TableFile, features: Mapping[str, object]) -> str:
    declared = [name for name, one in features.items() if _type_of(one) == "Image" and name in table.schema.names]
    possible = declared or [field.name for field in table.schema if _holds_bytes(field.type)]
    named = [name for name in IMAGES if name in possible]
    if len(possible) == 1 or named:
        return possible[0] if len(possible) == 1 else named[0]
    shown = ", ".join(f"{printable(field.name)} ({field.type})" for field in table.schema)
    if not possible:
        raise SourceError(
            f"{table.place} has no column of image files (bytes, or a struct with 'bytes'). Found: {shown[:600]}."
        )
    raise UsageError(
        f"{table.place} has several columns of bytes: {', '.join(map(printable, possible))}. Say which are the images: "
        f"parquet:{table.place}?image={printable(possible[0])}"
    )


def _check_image(table: _TableFile, column: str) -> None:
    names = table.schema.names
    if column not in names or not _holds_bytes(table.schema.field(column).type):
        kind = table.schema.field(column).type if column in names else "nothing of that name"
        raise SourceError(
            f"{table.place}: the column '{printable(column)}' must hold image files (bytes, or a struct with 'bytes'), "
            f"found {kind}."
        )


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_bytes(kind.field(place).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or str(kind) == "binary_view")


def _hub_features(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, object]:
    """The features that files of a data set of the Hub describe; empty for other files."""
    try:
        found = parse_json((metadata or {}).get(b"huggingface", b"{}"))
        features = found["info"]["features"]
    except (DocumentError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _type_of(feature: object) -> object:
    return feature.get("_type") if isinstance(feature, dict) else None
