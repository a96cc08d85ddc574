"""Labelled tables: what is read, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from ganeval.errors import SourceError, UsageError
from reference_models.data.tables import load_table


def written(folder: Path, text: str | bytes) -> Path:
    """A CSV file."""
    path = folder / "rows.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_embedded_table_is_scikit_learns() -> None:
    """569 rows of 30 features, 212 of them malignant."""
    table = load_table("table:breast_cancer")
    assert table.features.shape == (569, 30)
    assert table.class_names == ("malignant", "benign")
    assert np.bincount(table.labels).tolist() == [212, 357]
    assert table.columns[0] == "mean radius"


def test_a_csv_file_is_features_and_a_label_column(tmp_path: Path) -> None:
    """The label column may be anywhere, classes are sorted by name, and blanks, quotes and a BOM are read."""
    path = written(tmp_path, '\ufeffage,kind,size\r\n1, b,2.5\r\n-3e2,a,0\r\n4,"b",1\r\n\r\n')
    table = load_table(f"table:{path},kind")
    assert table.columns == ("age", "size")
    assert table.class_names == ("a", "b")
    assert table.labels.tolist() == [1, 0, 1]
    assert table.features.tolist() == [[1, 2.5], [-300, 0], [4, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; it must have a line with the names"),
        ("\n\n", "is empty"),
        ("a,kind\n", "names of columns but no row"),
        ("a,b\n1,2\n", "no column 'kind'; choose from: a, b"),
        ("a,Kind\n1,2\n", "no column 'kind'; did you mean 'Kind'"),
        ("kind\nx\n", "no column besides 'kind'"),
        ("a,a,kind\n1,2,x\n", "Line 1 of .* names two columns 'a'"),
        ("a,kind\n1,x\n2\n", "Line 3 of .* has 1 cells, and its first line 2"),
        ("a,kind\n1,x\n2,\n", "Line 3 of .* has an empty cell in the column 'kind'"),
        ("a,kind\n1,x\nlow,y\n", "Line 3 of .* has 'low' in the column 'a'; features must be finite numbers"),
        ("a,kind\n1,x\n,y\n", "Line 3 of .* has '' in the column 'a'"),
        ("a,kind\n1,x\nnan,y\n", "Line 3 of .* has 'nan' in the column 'a'"),
        ("a,kind\n1,x\ninf,y\n", "Line 3 of .* has 'inf' in the column 'a'"),
        ("a,kind\n1,x\n1e200,y\n", "Line 3 of .* has '1e200' in the column 'a'; .* at most 1e[+]150"),
        ("a,kind\n1,x\n1_0,y\n", "Line 3 of .* has '1_0' in the column 'a'"),
        ("a,kind\n1,x\n2,x\n", "Every row of .* has 'x' in the column 'kind'; a classifier needs two classes"),
        ("a,kind\n1,x\n\n2,y\n", "Line 3 of .* is blank"),
        ('a,kind\n1,x\n"2,y\n', "Line 3 of .* cannot be read as CSV"),
        (b"a,kind\n1,x\n\xff,y\n", "Line 3 of .* is not UTF-8"),
    ],
)
def test_a_broken_file_is_an_error_that_names_the_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    """The message has the line and the column, where there are some."""
    with pytest.raises(SourceError, match=message):
        load_table(f"table:{written(tmp_path, text)},kind")


def test_a_quoted_cell_may_hold_a_line_break(tmp_path: Path) -> None:
    """Lines are counted as an editor does."""
    path = written(tmp_path, 'a,kind\n1,"x\ny"\nlow,z\n')
    with pytest.raises(SourceError, match="Line 4 of"):
        load_table(f"table:{path},kind")


def test_a_spec_needs_a_file_and_a_label_column(tmp_path: Path) -> None:
    """A missing part is a usage error, a missing file one of the source."""
    for spec in ("table:", "table:rows.csv", "table:rows.csv,", "table:,kind"):
        with pytest.raises(UsageError, match="names no label column"):
            load_table(spec)
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        load_table(f"table:{tmp_path / 'none.csv'},kind")
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        load_table(f"table:{tmp_path},kind")
