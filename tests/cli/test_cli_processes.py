"""Properties that need a separate process: imports, terminals, pipes and signals.

What a whole evaluation writes to pipes is in tests/test_packaging.py.
"""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from gate_helpers import save

COMMAND = (sys.executable, "-m", "ganeval_cli")
ROOT = Path(__file__).parents[2]
# The tests may run without ganeval being installed.
PATHS = f"{ROOT}{os.pathsep}{ROOT / 'cli'}"
# Every answer here takes well under a second or two of work; this is for a machine that is very busy.
PATIENCE = 120

WITHOUT_TORCH = """
import os, sys
from ganeval_cli.main import cli

for line in sys.stdin.read().splitlines():
    try:
        cli(line.split(), prog_name="ganeval")
    except SystemExit:
        pass
    assert "torch" not in sys.modules, f"ganeval {line} imported torch"
"""
LIGHT = """

--help
--version
fid --help
fid
fdi
fid none also-none
fid digits:train none
fid digts:train digits:test
fid digits:train digits:test --protocl clean
fid digits:train digits:test --protocol cleen
fid digits:train digits:test --precision fp64
fid digits:train digits:test --extractor digts
fid digits:train digits:test --extractor torchvision
fid digits:train digits:test --weights none.pth
fid digits:train digits:test --option k=3
fid digits:train digits:test --output none/result.json
stats digits:train
stats digits:train -o none/ref.npz
protocols
protocols --format json
extractors
weights --help
cache --help
selfcheck --help
"""

# Runs commands one after another in one process.
COMMANDS = """
import sys
from ganeval_cli.main import main

words = sys.argv[1:]
while words:
    end = words.index("then")
    sys.argv, words = ["ganeval", *words[:end]], words[end + 1 :]
    try:
        main()
    except SystemExit as leaving:
        assert not leaving.code, (sys.argv, leaving.code)
"""


def start(*arguments: str, python: Sequence[str] = COMMAND[:1], **options: object) -> "subprocess.Popen[str]":
    """`ganeval` with these arguments, as a shell would start it."""
    environment = {**os.environ, "PYTHONPATH": PATHS}
    return subprocess.Popen([*python, *COMMAND[1:], *arguments], env=environment, text=True, **options)  # type: ignore[call-overload, no-any-return]


def test_help_listings_and_usage_errors_import_no_torch(tmp_path: Path) -> None:
    """Help, listings and usage errors do not import torch."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        input=LIGHT,
        env={**os.environ, "PYTHONPATH": PATHS},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("error: ") == 15


@pytest.mark.parametrize(("arguments", "code"), [(("protocols",), 0), (("--help",), 141)])
def test_a_reader_that_has_gone_is_no_error(arguments: tuple[str, ...], code: int) -> None:
    """`| head` causes no traceback, not even at interpreter exit, and a finished command keeps its exit code."""
    read, write = os.pipe()
    os.close(read)
    process = start(*arguments, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    _, errors = process.communicate(timeout=PATIENCE)
    assert errors == ""
    assert process.returncode == code


@pytest.mark.parametrize(
    ("redirected", "arguments", "code"),
    [
        (">&-", "protocols", 0),
        (">&-", "protocls", 2),
        (">&- 2>&-", "--help", 0),
        ("<&- >&- 2>&-", "protocols", 0),
        ("<&-", "protocols", 0),
    ],
)
def test_closed_streams_are_like_nowhere(redirected: str, arguments: str, code: int) -> None:
    """A stream closed with `>&-` causes no traceback, keeps the exit code, and no file takes its descriptor."""
    done = shell(f"{arguments} {redirected}")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (redirected == "<&-")


def shell(words: str) -> "subprocess.CompletedProcess[str]":
    """`ganeval` with these words, run by a shell."""
    environment = {**os.environ, "PYTHONPATH": PATHS}
    script = f"{sys.executable} -m ganeval_cli {words}"
    return subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize(("redirected", "code"), [("1</dev/null", 1), ("2</dev/null", 0)])
def test_a_stream_that_cannot_be_written_is_named(redirected: str, code: int) -> None:
    """An unwritable standard output is an error of one line; an unwritable standard error is ignored."""
    done = shell(f"protocols {redirected}")
    assert done.returncode == code
    assert done.stderr == ("error: Standard output cannot be written: Bad file descriptor.\n" if code else "")


@pytest.mark.parametrize("locale", [{}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_any_name_of_a_file_can_be_written_in_any_locale(tmp_path: Path, locale: dict[str, str]) -> None:
    """Under LC_ALL=C, names beyond ASCII and names that are not UTF-8 are written, read, and shown escaped."""
    environment = {**os.environ, "PYTHONPATH": PATHS, "LC_ALL": "C", **locale}
    name = b"caf\xc3\xa9\xff"
    save(tmp_path / os.fsdecode(name + b".json"))
    steps = (
        [b"baseline", b"update", name + b".json", b"--baseline", name + b".base"],
        [b"check", name + b".json", b"--baseline", name + b".base", b"--junit", name + b".xml"],
        [b"history", b".", b"--plot", name + b".svg"],
    )
    command = [sys.executable, "-c", COMMANDS, *(word for step in steps for word in (*step, b"then"))]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    for end in (b".base", b".xml", b".svg"):
        assert (tmp_path / os.fsdecode(name + end)).stat().st_size > 0


@pytest.mark.parametrize(("quiet", "shown"), [((), True), (("-q",), False)])
def test_bars_are_drawn_on_a_terminal(python: Sequence[str], quiet: tuple[str, ...], shown: bool) -> None:
    """On a terminal standard error shows images and images per second; with -q, and through a pipe, no bar."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    arguments = ("fid", "digits:train", "digits:test", "--extractor", "digits", "--no-cache", *quiet)
    process = start(*arguments, python=python, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    drawn = b""
    while True:
        try:
            piece = os.read(screen, 4096)
        except OSError:
            # Linux says so when the other side of a terminal is closed.
            break
        if not piece:
            break
        drawn += piece
    os.close(screen)
    table, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert table.startswith("metric")
    assert ("digits:train" in drawn.decode()) == shown
    assert ("images/s" in drawn.decode()) == shown


@pytest.mark.parametrize(("arguments", "code"), [(("metrics",), 0), (("fid", "none", "none"), 1), (("fdi",), 2)])
def test_a_command_of_the_warm_process_ends_with_its_exit_code(
    python: Sequence[str], arguments: tuple[str, ...], code: int
) -> None:
    """Other tests judge commands that run there by their exit codes."""
    with start(*arguments, python=python, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.communicate(timeout=PATIENCE)
    assert process.returncode == code


def test_ctrl_c_ends_a_long_reading_promptly_and_leaves_nothing(tmp_path: Path) -> None:
    """SIGINT during an evaluation gives one line, exit code 130, and no result or partial file."""
    slow = tmp_path / "slow.py"
    started = tmp_path / "started"
    slow.write_text(
        "import time, pathlib\n\n"
        "def embed(x):\n"
        f"    pathlib.Path({str(started)!r}).touch()\n"
        "    time.sleep(0.5)\n"
        "    return x.float().mean((2, 3))\n"
    )
    results = tmp_path / "results"
    results.mkdir()
    process = start(
        *("fid", "digits:train", "digits:test", "--extractor", f"py:{slow}:embed"),
        *("--output", str(results / "result.json")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    wait_for(started, process)
    process.send_signal(signal.SIGINT)
    # The whole measurement takes two minutes; it must not be finished first.
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors.strip()) == (130, "", "interrupted")
    assert list(results.iterdir()) == []


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until the process has made this file."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
