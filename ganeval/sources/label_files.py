"""Files with the class of each image of a folder or an archive.

    dataset.json      of StyleGAN's and EDM's dataset_tool: {"labels": [["00000/img00000000.png", 6], ...]}, or null
    labels.csv        a column of files and one of classes
    metadata.jsonl,   of Hugging Face's imagefolder: `file_name`, and `label` if there are classes
    metadata.csv

Names in them are relative to the folder of the file.
"""

import csv
import io
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ganeval.documents import DocumentError, parse_json
from ganeval.errors import SourceError

FILE_COLUMNS = ("file_name", "filename", "file", "image", "path")
LABEL_COLUMNS = ("label", "class", "class_name")
# The label file of 14 million images has about 500 MB.
MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class LabelFile:
    """name: of the file. labels: by relative image name; None if the file states that there are no labels."""

    name: str
    labels: Mapping[str, object] | None

    @property
    def folder(self) -> str:
        """The folder that its names are relative to: "" or "train/"."""
        return self.name[: self.name.rfind("/") + 1]


def parse_label_file(name: str, data: bytes) -> LabelFile | None:
    """Parse a file named as one of LABEL_FILES; None if it has other metadata but no labels.

    Raises SourceError for a file that cannot be read, or gives an image two labels.
    """
    text = decode_text(name, data)
    try:
        pairs = _PARSERS[posixpath.basename(name)](name, text)
    except DocumentError as error:
        raise SourceError(f"{name} {error}") from error
    except csv.Error as error:
        raise SourceError(f"{name} cannot be read ({error}).") from error
    if pairs is None:
        return None
    labels: dict[str, object] = {}
    for image, label in pairs:
        if labels.setdefault(image, label) != label:
            raise SourceError(f"{name} gives two labels for {image}: {labels[image]} and {label}.")
    return LabelFile(name, labels or None)


def decode_text(name: str, data: bytes) -> str:
    """Decode UTF-8, with or without a byte order mark; SourceError for other bytes."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{name} is not UTF-8 text ({error.reason} at byte {error.start}).") from error


def relative_name(text: str) -> str:
    """Normalise a file name from a list to the form that folders and archives use."""
    return posixpath.normpath(text.strip().replace("\\", "/"))


@dataclass(frozen=True, slots=True)
class CsvColumns:
    """The columns of a CSV file. labels: None if there is no such column."""

    files: Sequence[str]
    labels: Sequence[str] | None


def parse_csv(name: str, text: str) -> CsvColumns:
    """Parse a CSV file with a header row; SourceError if no column holds file names.

    The header is optional in a table of one column, and in one of two columns: `a.png,3`.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise SourceError(f"{name} cannot be read ({error}).") from error
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    files = next((column for column in FILE_COLUMNS if column in head), None)
    labels = next((column for column in LABEL_COLUMNS if column in head), None)
    if files is None and len(head) in (1, 2) and labels is None and "." in head[0]:
        return _columns(name, rows, 0, 1 if len(head) == 2 else None, first=1)
    if files is None:
        raise SourceError(
            f"{name} has no column of files: found {', '.join(head) or 'nothing'}; call it {' or '.join(FILE_COLUMNS)}."
        )
    return _columns(name, rows[1:], head.index(files), None if labels is None else head.index(labels), first=2)


def _columns(name: str, rows: Sequence[Sequence[str]], file: int, label: int | None, *, first: int) -> CsvColumns:
    for number, row in enumerate(rows, start=first):
        if len(row) <= max(file, label or 0):
            raise SourceError(f"{name}: row {number} has {len(row)} cells, too few for its columns.")
    return CsvColumns([row[file] for row in rows], None if label is None else [row[label] for row in rows])


FileLabels = Iterable[tuple[str, object]]


def _dataset_json(name: str, text: str) -> FileLabels | None:
    document = parse_json(text)
    if not isinstance(document, dict) or "labels" not in document:
        return None
    labels = document["labels"]
    if labels is None:
        return ()
    if isinstance(labels, dict):
        labels = list(labels.items())
    if not isinstance(labels, list):
        raise SourceError(f"{name}: 'labels' must be null or a list of [file, label], found {type(labels).__name__}.")
    for number, entry in enumerate(labels):
        if not isinstance(entry, list | tuple) or len(entry) != 2 or not isinstance(entry[0], str):
            raise SourceError(f"{name}: entry {number} of 'labels' is not [file, label].")
    return ((relative_name(image), label) for image, label in labels)


def _metadata_jsonl(name: str, text: str) -> FileLabels | None:
    lines = [(number, parse_json(line)) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not any(isinstance(line, dict) and "file_name" in line for _, line in lines):
        return None
    for number, line in lines:
        if not isinstance(line, dict) or not isinstance(line.get("file_name"), str):
            raise SourceError(f"{name}: line {number} has no 'file_name'.")
    key = next((key for key in LABEL_COLUMNS if any(key in line for _, line in lines)), None)
    return None if key is None else ((relative_name(line["file_name"]), line.get(key)) for _, line in lines)


def _metadata_csv(name: str, text: str) -> FileLabels | None:
    head = next(csv.reader(io.StringIO(text, newline="")), [])
    return _labels_csv(name, text) if "file_name" in head else None


def _labels_csv(name: str, text: str) -> FileLabels | None:
    table = parse_csv(name, text)
    return None if table.labels is None else zip(map(relative_name, table.files), table.labels, strict=True)


# In order of precedence.
_PARSERS: Mapping[str, Callable[[str, str], FileLabels | None]] = MappingProxyType(
    {
        "dataset.json": _dataset_json,
        "labels.csv": _labels_csv,
        "metadata.jsonl": _metadata_jsonl,
        "metadata.csv": _metadata_csv,
    }
)
LABEL_FILES = tuple(_PARSERS)


def folders_above(name: str) -> Iterator[str]:
    """The folders a file lies in, from the nearest to the root: "a/b/c.png" => "a/b/", "a/", ""."""
    while name:
        name = name[: name.rstrip("/").rfind("/") + 1]
        yield name
