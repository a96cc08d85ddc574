"""Labelled tables, for classifiers: `table:FILE.csv,LABEL_COLUMN`, or scikit-learn's `table:breast_cancer`."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganeval.errors import SourceError, UsageError, did_you_mean
from ganeval.printable import printable

SCHEME = "table:"
EMBEDDED = "breast_cancer"
# The square of a larger number exceeds float64, so a column could not be standardised.
LARGEST = 1e150


@dataclass(frozen=True, slots=True)
class TabularData:
    """Rows of numbers, and the class of each.

    features: float64 [N, D]. labels: int64 [N], from 0 to K - 1 with at least one row of each class. class_names: of
    classes 0 to K - 1. columns: the names of the D features.
    """

    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.features)


def is_table(spec: str) -> bool:
    """Whether a spec is of a table."""
    return spec.startswith(SCHEME)


def load_table(spec: str) -> TabularData:
    """Read a table.

    Raises UsageError for a spec of another form, and SourceError for a file that cannot be read, with line and column.
    """
    rest = spec.removeprefix(SCHEME)
    if rest == EMBEDDED:
        return _embedded()
    name, comma, label = rest.rpartition(",")
    if not (comma and name and label):
        raise UsageError(
            f"'{spec}' names no label column; write {SCHEME}FILE.csv,LABEL_COLUMN, or {SCHEME}{EMBEDDED} for the table "
            "that scikit-learn ships."
        )
    return _file(Path(name), label)


def _embedded() -> TabularData:
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = tuple(map(str, found.target_names))
    labels = np.asarray(found.target, dtype=np.int64)
    return TabularData(np.asarray(found.data, dtype=np.float64), labels, names, tuple(map(str, found.feature_names)))


def _file(path: Path, label: str) -> TabularData:
    lines = _lines(path)
    head = next(lines, None)
    if head is None:
        raise SourceError(f"{path} is empty; it must have a line with the names of the columns, and a line per row.")
    columns = [cell.strip() for cell in head[1]]
    place = _label_column(path, columns, label)
    rows, classes = [], []
    for number, cells in lines:
        if len(cells) != len(columns):
            raise SourceError(
                f"Line {number} of {path} has {len(cells)} cells, and its first line {len(columns)}; give every line "
                "one cell per column."
            )
        named = cells[place].strip()
        if not named:
            raise SourceError(
                f"Line {number} of {path} has an empty cell in the column '{printable(label)}'; give every row its "
                "class, or leave it out."
            )
        classes.append(named)
        features = [(column, cell) for at, (column, cell) in enumerate(zip(columns, cells, strict=True)) if at != place]
        rows.append([_number(path, number, column, cell) for column, cell in features])
    if not rows:
        raise SourceError(f"{path} has the names of columns but no row; give one line per row below them.")
    names, labels = np.unique(np.array(classes), return_inverse=True)
    if len(names) == 1:
        raise SourceError(
            f"Every row of {path} has '{printable(str(names[0]))}' in the column '{printable(label)}'; a classifier "
            "needs two classes or more."
        )
    own = tuple(column for at, column in enumerate(columns) if at != place)
    return TabularData(np.array(rows), labels.astype(np.int64), tuple(map(str, names)), own)


def _label_column(path: Path, columns: Sequence[str], label: str) -> int:
    """The index of the label column; SourceError for columns with equal names, or without features."""
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise SourceError(f"Line 1 of {path} names two columns '{printable(twice)}'; rename one of them.")
    if label not in columns:
        near = did_you_mean(printable(label), [printable(name) for name in columns])
        raise SourceError(f"{path} has no column '{printable(label)}'; {near}")
    if len(columns) == 1:
        raise SourceError(f"{path} has no column besides '{printable(label)}'; give the features of each row, too.")
    return columns.index(label)


def _number(path: Path, line: int, column: str, cell: str) -> float:
    """The number in a cell; SourceError for anything else."""
    try:
        # Python's float() accepts underscores.
        value = math.nan if "_" in cell else float(cell)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:
        raise SourceError(
            f"Line {line} of {path} has '{printable(cell)}' in the column '{printable(column)}'; features must be "
            f"finite numbers of at most {LARGEST:g}. Replace it, leave the row out, or encode the column as numbers."
        )
    return value


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number (from 1) and cells of every line; blank lines are an error except at the end of the file."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        wrong = error.object[: error.start].count(b"\n") + 1
        raise SourceError(f"Line {wrong} of {path} is not UTF-8; save the file as UTF-8 text.") from error
    # A row is numbered by its last line: a quoted cell may hold line breaks.
    reader = csv.reader(io.StringIO(text.rstrip(), newline=""), strict=True)
    try:
        for cells in reader:
            if not cells:
                raise SourceError(f"Line {reader.line_num} of {path} is blank; every line must be a row. Delete it.")
            yield reader.line_num, cells
    except csv.Error as error:
        raise SourceError(f"Line {reader.line_num} of {path} cannot be read as CSV: {error}.") from error
