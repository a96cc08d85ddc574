"""The documents do what they say: their Python runs, and their commands print what is written below them.

A block's first line says what it is: `python` is executed, `python file=NAME` is written to a file, `console` holds
commands and what they print, `toml file=NAME` is written to a file, too, and `no-run` marks the few that need a network
or a whole checkout. Each page is run from top to bottom, in a folder of its own that looks as `make demo` leaves it.
"""

import html
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from filelock import FileLock

import ganeval
from ganeval.sources import SCHEMES
from ganeval_cli.main import COMMANDS, cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
LONGEST_README = 150
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?![\w.]*\w)")
EXIT_CODE = '; echo "exit code $?"'
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
# Other machines round otherwise; a document that is further off than this is wrong.
TOLERANCE = 0.02


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    document: str
    line: int
    kind: tuple[str, ...]
    text: str

    @property
    def named(self) -> str:
        """The file that it is written to; "" for a block that is run."""
        return next((word.removeprefix("file=") for word in self.kind if word.startswith("file=")), "")


def documents() -> list[str]:
    """The paths of README, CONTRIBUTING, and every page."""
    pages = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
    return ["README.md", "CONTRIBUTING.md", *(path.relative_to(ROOT).as_posix() for path in pages)]


def blocks(document: str, *, unrun: bool = False) -> list[Block]:
    """The blocks of a document that are run or written, in its order; with those that are marked as not run, or not."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = [
        Block(document, text.count("\n", 0, match.start()) + 1, tuple(match[1].split()), match[2])
        for match in re.finditer(r"^```(\S[^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]
    return [
        block
        for block in found
        if (block.kind[0] in ("python", "console") or block.named) and (unrun or "no-run" not in block.kind)
    ]


@dataclass(frozen=True)
class Checkout:
    """A folder as `make demo` leaves it, and what the demo printed."""

    root: Path
    printed: str


@pytest.fixture(scope="module")
def checkout(python: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The result of `make demo`, without the installation, in a folder of its own; made once for all processes."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    root, printed = shared / "checkout", shared / "printed.txt"
    with FileLock(f"{root}.lock"):
        if not printed.exists():
            root.mkdir(exist_ok=True)
            paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'cli'}"}
            environment = {**os.environ, **paths}
            done = subprocess.run(
                [*python, "-m", "scripts.demo"], cwd=root, env=environment, capture_output=True, text=True, check=True
            )
            printed.write_text(done.stdout, encoding="utf-8")
    return Checkout(root, printed.read_text(encoding="utf-8"))


def test_the_demo_prints_what_the_tutorial_shows(checkout: Checkout) -> None:
    """The tables of `make demo` are those of the first tutorial, which does not run those of photographs again."""
    shown = dict(
        pair
        for block in blocks("docs/tutorials/score_a_folder.md", unrun=True)
        for pair in commands(block)
        if pair[0].startswith("ganeval score")
    )
    assert len(shown) == 3
    for command, expected in shown.items():
        table = "\n".join(line for line in expected.splitlines() if not line.startswith("warning: "))
        printed = checkout.printed.partition(f"$ {command}\n")[2][: len(table)]
        assert_alike(printed, table, command)


@pytest.fixture
def _quick_python(
    python: Sequence[str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python` in a shell runs in a fork (see warm.py); but pytest warns of plugins that have been imported."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "python"
    real, quick = shlex.quote(sys.executable), shlex.join(python)
    text = f'#!/bin/sh\ncase "$2" in pytest) exec {real} "$@";; *) exec {quick} "$@";; esac\n'
    command.write_text(text, encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((str(folder), str(Path(sys.executable).parent), os.environ["PATH"])))


@pytest.mark.usefixtures("_quick_python")
@pytest.mark.parametrize("document", [name for name in documents() if blocks(name)])
def test_a_page_works_from_top_to_bottom(
    document: str, checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands and code of a page, run in order, give the output that it shows."""
    (tmp_path / "demo").mkdir()
    # Thousands of images, which no page changes.
    for name in ("real", "held-out", "worse"):
        shutil.copytree(checkout.root / "demo" / name, tmp_path / "demo" / name, copy_function=os.link)
    # A reader has one cache for all pages.
    monkeypatch.setenv("GANEVAL_CACHE", str(checkout.root / "cache"))
    monkeypatch.chdir(tmp_path)
    # Modules that a page writes can be imported by its later blocks, and by no other page.
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(document):
        if block.named:
            (tmp_path / block.named).write_text(block.text, encoding="utf-8")
        elif block.kind[0] == "python":
            exec(compile(block.text, f"{document}:{block.line}", "exec"), names)
        else:
            for command, expected in commands(block):
                assert_alike(run(command), expected, command)
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


def commands(block: Block) -> list[tuple[str, str]]:
    """Each command of a console block with its expected output."""
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def run(command: str) -> str:
    """A command's output and errors; ganeval runs in this process unless the line needs a shell."""
    alone, asked, _ = command.partition(EXIT_CODE)
    first, piped, reader = alone.partition(" | ")
    if first.startswith("ganeval ") and not set("|;&>") & set(QUOTED.sub("", first)):
        done = CliRunner().invoke(cli, shlex.split(first)[1:], prog_name="ganeval")
        if piped:
            return done.stderr + in_a_shell(reader, done.stdout)
        return done.output + (f"exit code {done.exit_code}\n" if asked else "")
    return in_a_shell(command)


def in_a_shell(command: str, given: str = "") -> str:
    """What a shell prints for a command, output and errors together as they come on a terminal."""
    # What concerns the tests that run this is not of the page.
    own = ("CI", "PYTEST_ADDOPTS")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, shell=True, input=given, **streams, text=True, env=environment, check=False).stdout


def assert_alike(found: str, expected: str, command: str) -> None:
    """Assert equal words, "..." standing for any, and numbers that are equal up to rounding."""
    words = ".*".join(re.escape(part) for part in NUMBER.sub("#", " ".join(expected.split())).split("..."))
    assert re.fullmatch(words, NUMBER.sub("#", " ".join(found.split()))), f"$ {command}\n{found}"
    # Where words were left out, numbers cannot be told apart, but for this one.
    assert re.findall(r"^exit code \d+$", found, re.MULTILINE) == re.findall(r"^exit code \d+$", expected, re.MULTILINE)
    if "..." not in expected:
        for one, other in zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True):
            assert math.isclose(float(one), float(other), rel_tol=TOLERANCE, abs_tol=TOLERANCE), f"$ {command}\n{found}"


def test_a_document_that_is_wrong_is_found_out() -> None:
    """The comparison detects another word, another number, and an extra line."""
    for wrong in ("fid 12.9 lower", "fid 12.3 higher", "fid 12.3 lower\nerror: no"):
        with pytest.raises(AssertionError):
            assert_alike(wrong, "fid 12.3 lower\n", "ganeval fid a b")


def test_the_picture_is_the_demos(checkout: Checkout) -> None:
    """docs/sets.png shows the sets of digits that `make demo` writes."""
    from PIL import Image, ImageChops

    with Image.open(ROOT / "docs/sets.png") as shown, Image.open(checkout.root / "demo/sets.png") as made:
        assert ImageChops.difference(shown, made).getbbox() is None


def test_the_terminal_shows_what_is_printed(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's picture of a terminal holds a command and what it prints."""
    monkeypatch.chdir(checkout.root)
    drawn = re.findall(r"<text[^>]*>(.*)</text>", (DOCS / "terminal.svg").read_text(encoding="utf-8"))
    command, *lines = html.unescape("\n".join(drawn)).replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert_alike(run(command.removeprefix("$ ")), "\n".join(lines), command)


def test_the_readme_is_short() -> None:
    """It leads to the pages instead of repeating them, and names the command that runs the tests."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= LONGEST_README
    assert "`make test`" in readme


def test_every_command_is_on_its_page() -> None:
    """Every command is in the list of commands."""
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"ganeval {name}" not in page] == []


def test_every_protocol_and_scheme_is_on_its_page() -> None:
    """Every protocol and kind of source is on its page."""
    from ganeval.protocols import PROTOCOLS

    protocols, sources = ((DOCS / name).read_text(encoding="utf-8") for name in ("protocols.md", "sources.md"))
    assert [name for name in PROTOCOLS if f"`{name}`" not in protocols] == []
    assert [name for name in SCHEMES if f"`{name}:" not in sources] == []


def test_every_public_name_is_in_the_reference() -> None:
    """The reference documents every name of `from ganeval import *` except the version."""
    reference = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    assert [name for name in ganeval.__all__ if f":: ganeval.{name}\n" not in reference and name[0] != "_"] == []
