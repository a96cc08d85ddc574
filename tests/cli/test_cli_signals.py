"""Signals that ask a command to end: one line, the exit code of the signal, and nothing half-written."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli_helpers import Run
from click.exceptions import Exit
from core_helpers import terminated_child

import ganeval_cli.signals
from ganeval_cli.errors import foreseen_errors
from ganeval_cli.signals import interruptible

ROOT = Path(__file__).parents[2]
PATHS = f"{ROOT}{os.pathsep}{ROOT / 'cli'}"
PATIENCE = 120
# An extractor and a generator that say that they were called, and would need minutes.
SLOW = """
import pathlib, time
import torch

def embed(x):
    pathlib.Path("started").touch()
    time.sleep(0.5)
    return x.float().mean((2, 3))

class Generator:
    value_range = "uint8"

    def sample(self, n, *, labels=None, rng):
        pathlib.Path("started").touch()
        time.sleep(0.5)
        return torch.randint(0, 256, (n, 3, 8, 8), generator=rng, dtype=torch.uint8)

generator = Generator()
"""
SETS, EMBED = ("digits:train", "digits:test"), ("--extractor", "py:slow.py:embed", "--batch-size", "8")
COMMANDS = {
    "fid": (*SETS, *EMBED, "-o", "out.json"),
    "is": ("py:slow.py:generator", "--num-samples", "5000", "--extractor", "digits", "-o", "out.json"),
    "prdc": (*SETS, *EMBED, "--no-cache", "-o", "out.json"),
    "nn": (*SETS, *EMBED, "-o", "out.json"),
    "c2st": (*SETS, *EMBED, "-o", "out.json"),
    "score": (*SETS, *EMBED, "-o", "out.json", "--report", "out.html", "--report-data"),
    "compare": (*SETS, "digits:train", *EMBED, "-o", "out.json"),
    "noise-floor": ("digits:train", *EMBED, "-o", "out.json"),
    "stats": ("digits:train", *EMBED, "-o", "out.npz"),
    "extract": ("digits:train", *EMBED, "-o", "out.npz"),
    "sample": ("run", "-n", "1000000", "-o", "out"),
    "train-and-score": ("--variant", "gan", "--steps", "1", *EMBED[:2], "-o", "out"),
}


@pytest.fixture(scope="module")
def trained(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    small = ("--variant", "gan", "--resolution", "8", "--batch", "16", "--set", "hidden=16", "--device", "cpu")
    assert run("train", *small, "--steps", "1", "-o", folder).exit_code == 0
    return folder


@pytest.fixture
def place(tmp_path: Path, trained: Path) -> Path:
    """A folder to work in, and one for temporary files."""
    (tmp_path / "work").mkdir()
    (tmp_path / "temporary").mkdir()
    (tmp_path / "work/slow.py").write_text(SLOW)
    (tmp_path / "work/run").symlink_to(trained)
    return tmp_path


def begin(python: Sequence[str], place: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A command that is at work."""
    environment = {**os.environ, "PYTHONPATH": PATHS, "TMPDIR": str(place / "temporary")}
    process = subprocess.Popen(
        [*python, "-m", "ganeval_cli", *arguments],
        cwd=place / "work",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE
    while not (place / "work/started").exists() and not list((place / "work").glob(".ganeval-*/*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def left(place: Path) -> set[str]:
    """The names of what is in the folders now, but was not at first."""
    files = {path.name for name in ("work", "temporary") for path in (place / name).iterdir()}
    return files - {"slow.py", "run", "started", "__pycache__"}


CASES = [
    *((name, signal.SIGTERM) for name in COMMANDS),
    *((name, number) for name in ("fid", "sample") for number in (signal.SIGINT, signal.SIGHUP)),
]


@pytest.mark.parametrize(("name", "number"), CASES, ids=[f"{name}-{number.name}" for name, number in CASES])
def test_a_signal_ends_a_command_and_leaves_nothing(
    python: Sequence[str], place: Path, name: str, number: signal.Signals
) -> None:
    """It prints one line, its exit code is 128 + the signal, and there is neither a result nor a temporary file."""
    process = begin(python, place, name, *COMMANDS[name])
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    told = "interrupted" if number == signal.SIGINT else f"interrupted by {number.name}"
    lines = errors.splitlines()
    assert (process.returncode, output, lines[:1]) == (128 + number, "", [told])
    assert len(lines) == 1
    assert left(place) == set()


def test_an_earlier_result_is_untouched(python: Sequence[str], place: Path) -> None:
    """The file that the command would have replaced is as it was."""
    (place / "work/out.json").write_text("earlier")
    process = begin(python, place, "fid", *COMMANDS["fid"])
    process.terminate()
    process.communicate(timeout=30)
    assert (place / "work/out.json").read_text() == "earlier"
    assert left(place) == {"out.json"}


def test_a_signal_that_comes_twice_is_one(python: Sequence[str], place: Path) -> None:
    """A held key, or the same signal from the terminal and from torchrun, does not interrupt the cleaning up."""
    process = begin(python, place, "sample", *COMMANDS["sample"])
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
        time.sleep(0.005)
    _, errors = process.communicate(timeout=30)
    assert errors.startswith("interrupted")
    assert "Traceback" not in errors
    assert left(place) == set()


def test_an_ignored_signal_stays_ignored() -> None:
    """Under `nohup` the end of the terminal does not end the command."""
    numbers = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    before = [
        signal.signal(number, kind)
        for number, kind in zip(numbers, (signal.SIG_IGN, *[signal.SIG_DFL] * 2), strict=True)
    ]
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            for number in (signal.SIGTERM, signal.SIGINT):
                assert callable(signal.getsignal(number))
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_a_forked_process_ends_as_usual() -> None:
    """A worker that is terminated neither raises an exception nor deletes the command's temporary files."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with interruptible():
            assert terminated_child() == -signal.SIGTERM
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_an_import_is_no_hindrance(python: Sequence[str], place: Path) -> None:
    """A signal during an import, in which an exception may be lost, ends the command in the same way."""
    (place / "work/slow.py").write_text("import pathlib, time\npathlib.Path('started').touch()\ntime.sleep(100)\n")
    process = begin(python, place, "fid", *COMMANDS["fid"])
    process.terminate()
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (143, "", "interrupted by SIGTERM\n")
    assert left(place) == set()


def test_an_error_that_follows_from_a_signal_is_not_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a library turned the interruption into an error of its own, the command was interrupted all the same."""
    monkeypatch.setattr(ganeval_cli.signals._request, "number", int(signal.SIGTERM))
    with pytest.raises(Exit) as ended, foreseen_errors():
        raise ImportError("half-loaded")
    assert ended.value.exit_code == 143
    assert capsys.readouterr().err == "interrupted by SIGTERM\n"
