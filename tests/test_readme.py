"""The documents do what they say: their Python runs, and their commands print what is written below them.

A block's first line says what it is: `python` is executed, `python file=NAME` is written to a file, `console` holds
commands and what they print, `toml file=NAME` is written to a file, too, and `no-run` marks the few that need a network
or a whole checkout.
"""

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

from ganeval_cli.main import COMMANDS, cli

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/results.md")
# Pages whose blocks follow on one another: each is run from top to bottom, in a folder of its own.
WALKS = ("docs/gate.md", "docs/generators.md", "docs/inputs.md", "docs/report.md", "docs/sources.md")
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?![\w.]*\w)")
EXIT_CODE = '; echo "exit code $?"'
# Other machines round otherwise; a document that is further off than this is wrong.
TOLERANCE = 0.02


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    document: str
    line: int
    kind: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{Path(self.document).stem}-{self.line}"


def blocks(*kind: str, documents: Sequence[str] = DOCUMENTS) -> list[Block]:
    """Every block that says exactly this of itself."""
    found = []
    for document in documents:
        text = (ROOT / document).read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\S[^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(document, line, tuple(match[1].split()), match[2]))
    return [block for block in found if block.kind[: len(kind)] == kind and "no-run" not in block.kind]


@dataclass(frozen=True)
class Checkout:
    """A folder as `make demo` leaves it, with the files that the documents define, and what the demo printed."""

    root: Path
    printed: str


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """`make demo`, but for the installing, in a folder of its own."""
    root = tmp_path_factory.mktemp("checkout")
    paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'cli'}"}
    script = [sys.executable, str(ROOT / "scripts/demo.py")]
    done = subprocess.run(script, cwd=root, env={**os.environ, **paths}, capture_output=True, text=True, check=True)
    for block in blocks("python"):
        write(block, root)
    return Checkout(root, done.stdout)


def write(block: Block, root: Path) -> bool:
    """Write a block that names a file; whether it does."""
    names = [word.removeprefix("file=") for word in block.kind if word.startswith("file=")]
    for name in names:
        (root / name).write_text(block.text, encoding="utf-8")
    return bool(names)


def test_the_demo_prints_what_the_readme_shows(checkout: Checkout) -> None:
    """The tables that `make demo` prints are those in the README."""
    (shown,) = [block for block in blocks("console") if "score demo/real demo/held-out" in block.text]
    for command, expected in commands(shown):
        table = "\n".join(line for line in expected.splitlines() if not line.startswith("warning: "))
        printed = checkout.printed.partition(f"$ {command}\n")[2][: len(table)]
        assert_alike(printed, table, command)


@pytest.mark.parametrize("block", [block for block in blocks("python") if len(block.kind) == 1], ids=str)
def test_python_blocks_run(block: Block, checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python example runs as it stands."""
    monkeypatch.chdir(checkout.root)
    execute(block)


def execute(block: Block) -> None:
    """A Python block, as if it were a script."""
    exec(compile(block.text, f"{block.document}:{block.line}", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_console_blocks_print_what_is_written(
    block: Block, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command prints the text below it, numbers to within rounding."""
    monkeypatch.chdir(checkout.root)
    for command, expected in commands(block):
        assert_alike(run(command), expected, command)


@pytest.mark.parametrize("page", WALKS)
def test_a_walk_through_works_from_top_to_bottom(
    page: str, checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever types what a page says, in its order, sees what it shows."""
    shutil.copytree(checkout.root / "demo", tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    shown = 0
    for block in blocks(documents=[page]):
        if write(block, tmp_path):
            continue
        if block.kind == ("python",):
            execute(block)
        if block.kind == ("console",):
            for command, expected in commands(block):
                assert_alike(run(command), expected, command)
                shown += 1
    assert shown > 0


def commands(block: Block) -> list[tuple[str, str]]:
    """(command, what it prints) of a console block."""
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def run(command: str) -> str:
    """A command's output and errors; ganeval in this process unless the line needs a shell."""
    alone, asked, _ = command.partition(EXIT_CODE)
    if alone.startswith("ganeval ") and not set("|;&>") & set(alone):
        done = CliRunner().invoke(cli, shlex.split(alone)[1:], prog_name="ganeval")
        return done.output + (f"exit code {done.exit_code}\n" if asked else "")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"PATH": path}
    # Together, as they come on a terminal.
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, shell=True, **streams, text=True, env=environment, check=False).stdout


def assert_alike(found: str, expected: str, command: str) -> None:
    """Equal words, "..." standing for any, and numbers that are equal to rounding."""
    words = ".*".join(re.escape(part) for part in NUMBER.sub("#", " ".join(expected.split())).split("..."))
    assert re.fullmatch(words, NUMBER.sub("#", " ".join(found.split()))), f"$ {command}\n{found}"
    # Where words were left out, numbers cannot be told apart, but for this one.
    assert re.findall(r"^exit code \d+$", found, re.MULTILINE) == re.findall(r"^exit code \d+$", expected, re.MULTILINE)
    if "..." not in expected:
        for one, other in zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True):
            assert math.isclose(float(one), float(other), rel_tol=TOLERANCE, abs_tol=TOLERANCE), f"$ {command}\n{found}"


def test_a_document_that_lies_is_found_out() -> None:
    """The comparison refuses another word, another number, and a line too many."""
    for wrong in ("fid 12.9 lower", "fid 12.3 higher", "fid 12.3 lower\nerror: no"):
        with pytest.raises(AssertionError):
            assert_alike(wrong, "fid 12.3 lower\n", "ganeval fid a b")


def test_the_picture_is_the_demos(checkout: Checkout) -> None:
    """docs/sets.png shows the sets that `make demo` writes."""
    from PIL import Image, ImageChops

    with Image.open(ROOT / "docs/sets.png") as shown, Image.open(checkout.root / "demo/sets.png") as made:
        assert ImageChops.difference(shown, made).getbbox() is None


def test_every_command_is_in_the_readme() -> None:
    """A newcomer finds every command in the README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"ganeval {name}" not in readme] == []


def test_every_protocol_and_scheme_is_in_the_readme() -> None:
    """So is every protocol, and every kind of source."""
    from ganeval.protocols import PROTOCOLS
    from ganeval.sources import SCHEMES

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in PROTOCOLS if f"`{name}`" not in readme] == []
    assert [name for name in SCHEMES if f"{name}:" not in readme] == []


def test_links_lead_somewhere() -> None:
    """Every relative link in a document points at a file of the repository."""
    for document in (*DOCUMENTS, *WALKS):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / document).read_text(encoding="utf-8")):
            assert ((ROOT / document).parent / target).exists(), f"{document}: {target}"
