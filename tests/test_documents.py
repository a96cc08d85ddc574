"""Documents of unknown origin that would break a reader are refused quickly with a reason."""

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganeval import documents
from ganeval.documents import MAX_DEPTH, DocumentError, parse_json, parse_toml, read_text

DEEP, LONG = "is nested deeper than 64 levels.", "holds a whole number of more than 308 digits."
BAD_JSON = {
    "never closed": ("[" * 100_000, DEEP),
    "100,000 deep": ("[" * 100_000 + "]" * 100_000, DEEP),
    "one level too deep": ("[" * 65 + "]" * 65, DEEP),
    "deep objects": ('{"a":' * 900 + "1" + "}" * 900, DEEP),
    "400 digits": ("1" * 400, LONG),
    "5,000 digits": ('{"n": -' + "1" * 5000 + "}", LONG),
    "a float beyond floats": ("1e999", "holds 1e999, which is beyond the range of floats."),
    "NaN": ("[NaN]", "holds NaN, which is not a JSON number."),
    "minus infinity": ("[-Infinity]", "holds -Infinity, which is not a JSON number."),
    "twice": ('[{"a": 1, "a": 2}]', "holds 'a' twice; remove one of them."),
    "cut": ('{"a": 1', "is not JSON: "),
    "bytes that are no text": (b"\xff", "is not JSON: "),
}
BAD_TOML = {
    "never closed": ("x = " + "[" * 100_000, DEEP),
    "a dotted key": (".".join("a" * 100_000) + " = 1", DEEP),
    "a dotted table": ("[" + " . ".join("a" * 100_000) + "]", DEEP),
    "a quoted dotted key": (".".join(['"a"'] * 100_000) + " = 1", DEEP),
    "inline tables": ("x = " + "{a = " * 500 + "1" + "}" * 500, DEEP),
    "400 digits": ("x = " + "1" * 400, LONG),
    "5,000 digits": ("x = " + "1" * 5000, LONG),
    "5,000 hexadecimal digits": ("x = 0x" + "f" * 5000, LONG),
    "a float beyond floats": ("x = 1e999", "holds 1e999, which is beyond the range of floats."),
    "no TOML": ("x = ", "is not TOML: "),
}


@pytest.mark.parametrize(("text", "words"), BAD_JSON.values(), ids=BAD_JSON.keys())
def test_json_that_would_break_its_reader_is_refused(text: str | bytes, words: str) -> None:
    """Excessive depth and digits, repeated names and NaN give one kind of error with the reason."""
    with pytest.raises(DocumentError) as caught:
        parse_json(text)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(("text", "words"), BAD_TOML.values(), ids=BAD_TOML.keys())
def test_toml_that_would_break_its_reader_is_refused(text: str, words: str) -> None:
    """TOML has the same limits; its parser takes quadratic time for dotted keys."""
    with pytest.raises(DocumentError) as caught:
        parse_toml(text)
    assert str(caught.value).startswith(words)


def test_what_is_within_bounds_is_read() -> None:
    """The largest allowed documents are read unchanged."""
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_json('{"n": ' + "9" * 308 + ', "deep": ' + deep[1:-1] + "}")["n"] == 10**308 - 1
    assert parse_json("[NaN, 1e999]", finite=False)[1] == float("inf")
    table = parse_toml(".".join("a" * MAX_DEPTH) + " = 'x'\n" + f'[b]\ntext = "{"a." * 60} {"1" * 400}"\nx = 0.5')
    assert (table["b"]["x"], list(table["a"])) == (0.5, ["a"])


@settings(max_examples=30)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_any_other_json_is_read_as_ever(value: object) -> None:
    """Plain values written by json are read back unchanged."""
    assert parse_json(json.dumps(value)) == value


def test_a_file_is_read_whole_and_no_more(tmp_path: Path) -> None:
    """A file of the maximum size is read; larger ones, bytes that are not text, and devices are refused."""
    path = tmp_path / "t"
    path.write_bytes(b"x" * 10)
    assert read_text(path, most=10) == "x" * 10
    with pytest.raises(DocumentError, match="has more than 9 bytes"):
        read_text(path, most=9)
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_text(path) == "{}"
    path.write_bytes(b"\xff")
    with pytest.raises(DocumentError, match="is not UTF-8 text"):
        read_text(path)
    with pytest.raises(DocumentError, match="is a device"):
        read_text(Path("/dev/zero"))
    with pytest.raises(IsADirectoryError):
        read_text(tmp_path)


def test_a_pipe_is_read_as_its_writer_writes(tmp_path: Path) -> None:
    """A pipe, such as a shell's <(command), is read to its end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with path.open("w", encoding="utf-8") as pipe:
            for part in ("[fid]\n", "max = 12\n"):
                pipe.write(part)
                pipe.flush()

    writer = threading.Thread(target=write)
    writer.start()
    assert read_text(path) == "[fid]\nmax = 12\n"
    writer.join()


def test_a_pipe_that_nobody_writes_to_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a named pipe without a writer ends with an error."""
    monkeypatch.setattr(documents, "PATIENCE", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DocumentError, match=r"is a pipe that nothing was written to for 0\.05 s"):
        read_text(tmp_path / "pipe")
