"""Names with control characters are escaped wherever they are printed."""

import io
import sys
from pathlib import Path

import pytest
from cli_helpers import Run
from PIL import Image

from ganeval.printable import printable, printable_lines
from ganeval.tables import Table, facts, markdown_text
from ganeval_cli.console import note, out
from ganeval_cli.progress import bars

ACTS = "a\x1b[2J\r\n::error::b\x07\x9b\u202ec\u2028"
SHOWN = "a\\x1b[2J\\r\\n::error::b\\x07\\x9b\\u202ec\\u2028"
FORMATS = ("table", "markdown", "csv")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of images whose names hold escape sequences and line breaks."""
    root = tmp_path_factory.mktemp("named")
    for number, name in enumerate((ACTS, "plain")):
        (root / name).mkdir()
        for index in range(6):
            image = Image.new("RGB", (6, 6), (40 * index, 90 * number, 7))
            image.putpixel((index, number), (255, 255, 255))
            image.save(root / name / f"{ACTS}{index}.png")
    return root


def harmless(text: str) -> bool:
    """Whether a text has no control characters and no line that a name could use as a command."""
    return printable_lines(text) == text and not any(line.startswith("::") for line in text.splitlines())


@pytest.mark.parametrize("form", FORMATS)
def test_names_of_images_are_escaped(run: Run, named: Path, form: str) -> None:
    """`nn` escapes the names of pairs."""
    found = run("nn", named, named, "--extractor", "pixels:4", "--format", form, "--no-cache")
    assert found.exit_code == 0
    shown = markdown_text(ACTS) if form == "markdown" else printable(ACTS)
    assert form == "csv" or shown in found.output
    assert harmless(found.output)


@pytest.mark.parametrize("form", FORMATS)
def test_names_of_classes_are_escaped(run: Run, named: Path, form: str) -> None:
    """Names of classes are escaped in details, warnings and errors."""
    arguments = (
        "--metrics",
        "intra_fid,class_balance",
        "--extractor",
        "pixels:4",
        "--format",
        form,
        "--no-cache",
        "-v",
    )
    assert harmless(run("score", named, named, *arguments).output)
    assert harmless(run("score", named, named / "plain", *arguments).output)


def test_names_of_unreadable_images_are_escaped(run: Run, named: Path) -> None:
    """Names of unreadable images are escaped in errors and in warnings about skipped images."""
    broken = named / "plain" / f"{ACTS}.png"
    broken.write_bytes(b"x")
    try:
        for policy in ("fail", "skip"):
            found = run("fid", named, named, "--extractor", "pixels:4", "--on-error", policy, "--no-cache")
            assert SHOWN in found.output
            assert harmless(found.output)
    finally:
        broken.unlink()


def test_tables_have_a_line_a_row() -> None:
    """A name with line breaks takes one line in every kind of table."""
    table = Table(("name",), [(ACTS,)])
    for text in (table.text(), facts([("name", ACTS)])):
        assert SHOWN in text
        assert harmless(text)
        assert len(text.splitlines()) <= 3


def test_whatever_is_printed_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    """The two functions that print all text keep line breaks and escape other control characters."""
    out(f"one\ttab\n{ACTS}")
    note(f"± {ACTS} \udc80")
    shown = capsys.readouterr()
    assert shown.out == "one\ttab\na\\x1b[2J\\r\n::error::b\\x07\\x9b\\u202ec\\u2028\n"
    assert shown.err == "± a\\x1b[2J\\r\n::error::b\\x07\\x9b\\u202ec\\u2028 \\udc80\n"


def test_progress_bars_escape_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A progress bar shows the escaped name of its source."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with bars(quiet=False)(ACTS[:12], 3) as advance:
        advance(3)
        shown = sys.stderr.getvalue()  # type: ignore[attr-defined]  # it is the one above
    assert "a\\x1b[2J\\r\\n::er" in shown
    assert "\x1b[2J" not in shown
