"""Thresholds: every allowed form, every mistake with its line, and the search for the file."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganeval.errors import UsageError
from ganeval.gate import Allowance, Tolerance, find_thresholds, read_thresholds
from ganeval.gate.lines import key_lines
from ganeval.gate.thresholds import SECTION, parse_thresholds, parse_tolerance

EVERYTHING = """
[fid]
max = 12.0
min = 0
worse_by = "5%"
significance = 0.01

[kid]
worse_by = 0.5

[is]
min = 5
may_be_missing = true
"""


def test_every_key_is_read() -> None:
    """Bounds, both kinds of allowances and the significance are read as written."""
    found = parse_thresholds(EVERYTHING, name="t.toml")
    assert found.tolerances == {
        "fid": Tolerance(maximum=12.0, minimum=0.0, worse_by=Allowance(0.05, relative=True), significance=0.01),
        "kid": Tolerance(worse_by=Allowance(0.5)),
        "is": Tolerance(minimum=5.0, may_be_missing=True),
    }
    assert str(found.tolerances["fid"]) == "max 12, min 0, worse_by 5%, significance 0.01"
    assert str(found.tolerances["is"]) == "min 5, may_be_missing"
    assert found.where("kid") == "t.toml, line 8, [kid]"


def test_pyproject_holds_the_same_tables(tmp_path: Path) -> None:
    """[tool.ganeval.thresholds.fid] in pyproject.toml is [fid] in a file of its own."""
    text = EVERYTHING.replace("[fid]", "[tool.ganeval.thresholds.fid]").replace(
        "[kid]", "[tool.ganeval.thresholds.kid]"
    )
    text = text.replace("[is]", "[tool.ganeval.thresholds.is]")
    (tmp_path / "pyproject.toml").write_text(f"[project]\nname = 'x'\n{text}", encoding="utf-8")
    found = read_thresholds(tmp_path / "pyproject.toml")
    assert found.tolerances == parse_thresholds(EVERYTHING, name="t").tolerances
    assert found.places["kid"] == 10


MISTAKES = {
    "[fid]\nmx = 1": "line 2: unknown key 'mx' in [fid]; did you mean 'max'?",
    "# first\n\n[fid]\nmax = 12\nworse-by = 1": "line 5: unknown key 'worse-by' in [fid]; did you mean 'worse_by'?",
    "[fid]\nq = 1": "line 2: unknown key 'q' in [fid]; choose from: max, min, worse_by, significance, may_be_missing.",
    "fid.mx = 1": "line 1: unknown key 'mx'",
    "[fid]\r\nmax = 1\r\n[kid]\r\nmx = 1\r\n": "line 4: unknown key 'mx' in [kid]",
    "[metrics.fid]\nmax = 1": "line 1: [metrics.fid] is a table inside another; the table of a metric is [fid]",
    "fid = {max = 1,\tmn = 2}": "line 1: unknown key 'mn' in [fid]; did you mean 'min'?",
    '["a b"]\n"m in" = 1': "line 2: unknown key 'm in' in [a b]",
    "max = 12": "line 1: max is outside a metric's table; write [fid] above it",
    "\nfid = 12": "line 2: fid must be a table",
    "[[fid]]\nmax = 12": "line 1: fid must be a table",
    "[fid]": "line 1: it sets nothing; give any of max, min, worse_by, significance, may_be_missing.",
    '[fid]\nmax = "12"': "line 2: max must be a number, found the text '12'.",
    "[fid]\nmin = true": "line 2: min must be a number, found True.",
    "[fid]\nmax = nan": "line 2: max must be a number, found nan.",
    "[fid]\nmax = [\n  1,\n]": "line 2: max must be a number, found [1].",
    "[fid]\nmin = 2\nmax = 1": "line 2: min is above max, so nothing could pass.",
    '[fid]\nworse_by = "5"': """line 2: worse_by must be a number, or a share of the baseline such as "5%", found""",
    '[fid]\nworse_by = "-5%"': "line 2: worse_by must be a number, or a share",
    "[fid]\nworse_by = -1": "line 2: worse_by has no sign, found -1; which way is worse comes from the metric.",
    "[fid]\nsignificance = 1": "line 2: significance must be a number above 0 and below 0.5, such as 0.01, found 1.",
    "[fid]\nsignificance = 0": "line 2: significance must be a number above 0",
    '[fid]\nsignificance = "1%"': "line 2: significance must be a number above 0",
    '[fid]\nworse_by = "{0}%"'.replace("{0}", "9" * 400): "line 2: worse_by must be a number, found inf.",
    "[fid]\nmay_be_missing = 1": "line 2: may_be_missing must be true or false, found 1.",
    "[fid]\nmay_be_missing = false": "line 1: it sets nothing",
    "[fid]\nmax = " + "1" * 400: "t.toml holds a whole number of more than 308 digits.",
    ".".join("a" * 100_000) + " = 1": "t.toml is nested deeper than 64 levels.",
    "[fid]\nmax = 1\nmax = 2\n": "t.toml is not TOML: Cannot overwrite a value (at line 3",
    "[fid\nmax = 1": "t.toml is not TOML: Expected ']' at the end of a table declaration (at line 1",
    "": "t.toml holds no thresholds; write one table per metric, such as [fid] with max = 12.0.",
}


@pytest.mark.parametrize(("text", "words"), MISTAKES.items(), ids=range(len(MISTAKES)))
def test_a_mistake_is_named_with_its_line(text: str, words: str) -> None:
    """Every mistake is reported with its line."""
    with pytest.raises(UsageError) as caught:
        parse_thresholds(text, name="t.toml")
    assert words in str(caught.value)
    assert str(caught.value).startswith("t.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[tool.ganeval.treshold.fid]\nmax = 1",
            "line 1: unknown key 'treshold' in [tool.ganeval]; did you mean 'thre",
        ),
        ("[tool.ganeval.thresholds.fid]\nmx = 1", "line 2: unknown key 'mx' in [tool.ganeval.thresholds.fid]"),
        ("[tool.ganeval]\nthresholds = 3", "line 2: thresholds must be a table."),
        ("[tool]\nganeval = 3", "line 2: ganeval must be a table."),
        (
            "[project]\nname = 'x'",
            "holds no thresholds; write one table per metric, such as [tool.ganeval.thresholds.fid]",
        ),
    ],
)
def test_mistakes_in_pyproject_are_named_as_well(text: str, words: str) -> None:
    """Mistakes in pyproject.toml are reported below [tool.ganeval.thresholds]."""
    with pytest.raises(UsageError) as caught:
        parse_thresholds(text, name="pyproject.toml", section=SECTION)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read: No such file"), (b"\xff[fid]", "is not UTF-8 text.")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    """A file that is missing or not text is named."""
    path = tmp_path / "t.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"t\.toml") as caught:
        read_thresholds(path)
    assert words in str(caught.value)


def test_the_nearest_file_is_found(tmp_path: Path) -> None:
    """gan-thresholds.toml precedes pyproject.toml, and the nearer folder comes first; unrelated files are skipped."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.ganeval.thresholds.fid]\nmax = 3\n", encoding="utf-8")
    (inner / "pyproject.toml").write_text("[tool.black]\nline-length = 1\n", encoding="utf-8")

    def maximum() -> float | None:
        found = find_thresholds(inner)
        assert found is not None
        return found.tolerances["fid"].maximum

    assert maximum() == 3
    (tmp_path / "gan-thresholds.toml").write_text("[fid]\nmax = 2\n", encoding="utf-8")
    assert maximum() == 2
    (inner / "gan-thresholds.toml").write_text("[fid]\nmax = 1\n", encoding="utf-8")
    assert maximum() == 1


@pytest.mark.parametrize("kind", ["folder", "link to nothing"])
def test_a_nearest_file_that_cannot_be_read_is_not_passed_over(tmp_path: Path, kind: str) -> None:
    """An unreadable thresholds file is an error, and no other file is used instead."""
    (tmp_path / "pyproject.toml").write_text("[tool.ganeval.thresholds.fid]\nmax = 3\n", encoding="utf-8")
    inner = tmp_path / "inner"
    inner.mkdir()
    if kind == "folder":
        (inner / "gan-thresholds.toml").mkdir()
    else:
        (inner / "gan-thresholds.toml").symlink_to("nowhere")
    with pytest.raises(UsageError, match=r"inner/gan-thresholds\.toml cannot be read"):
        find_thresholds(inner)


@pytest.mark.parametrize("text", ["tool = 3", "[[tool]]\nganeval = 1"])
def test_a_pyproject_of_another_form_has_no_thresholds(tmp_path: Path, text: str) -> None:
    """A `tool` that is not a table is ignored."""
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    assert find_thresholds(tmp_path) is None


def test_where_there_is_none_none_is_found(tmp_path: Path) -> None:
    """A folder without thresholds in it or above it has none."""
    assert find_thresholds(tmp_path) is None


def test_tolerances_from_python_have_the_same_keys() -> None:
    """A table in Python has the same keys and errors as one in a file."""
    assert parse_tolerance({"worse_by": "5%"}, name="fid") == Tolerance(worse_by=Allowance(0.05, relative=True))
    with pytest.raises(UsageError, match=r"thresholds, \[fid.mx\]: unknown key 'mx' in \[fid\]; did you mean 'max'"):
        parse_tolerance({"mx": 1}, name="fid")


NAMES = st.text("abc_-09", min_size=1, max_size=4) | st.sampled_from(['"a.b"', '"a = b"', "'#c'"])


@settings(max_examples=60)
@given(
    st.dictionaries(NAMES, st.dictionaries(NAMES, st.sampled_from(["1", '"#x"', "{k = 2}"]), max_size=3), max_size=3)
)
def test_every_key_has_its_line(tables: dict[str, dict[str, str]]) -> None:
    """In any text of tables and quoted keys, each key is found on its line."""
    lines = ["# a comment"]
    expected = {}
    for table, keys in tables.items():
        lines += ["", f"[{table}] # here"]
        expected[table.strip("\"'"),] = len(lines)
        for key, value in keys.items():
            lines.append(f"  {key} = {value}")
            expected[table.strip("\"'"), key.strip("\"'")] = len(lines)
    found = key_lines("\n".join(lines))
    assert {place: line for place, line in found.items() if len(place) < 3} == expected


@settings(max_examples=150)
@given(st.text("[]{}=\"'.,#\n 5%fidmaxworse_by", max_size=40) | st.just("x = " + "[" * 5000))
def test_any_text_is_read_or_explained(text: str) -> None:
    """Any text is read or refused with a message."""
    with suppress(UsageError):
        parse_thresholds(text, name="t.toml")
