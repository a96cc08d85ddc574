"""Commands that train under torchrun: the run is that of one process up to rounding, and is written and told once."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from distributed.forked import run
from made_once import Once

from reference_models import train

SMALL = ["--data", "digits:train", "--resolution", "8", "--steps", "3", "--batch", "9", "--device", "cpu", "-o", "run"]
MEASURED = ["--metrics", "fid", "--extractor", "digits", "--num-samples", "60"]
COMMANDS = {
    "train": ["train", "--variant", "gan", *SMALL, *MEASURED, "--score-every", "2", "--log-every", "1"],
    "train-and-score": ["train-and-score", "--variant", "gan", *SMALL, *MEASURED],
    "small": ["train", "--variant", "gan", *SMALL[:-4], "--batch", "1", "-o", "run"],
    "sample": ["sample", "{folder}/drawing", "-n", "5", "-o", "drawn"],
    "translate": [
        "translate",
        "{folder}/translating",
        "recoloured:digits:test",
        "--num-samples",
        "5",
        "-o",
        "translated",
    ],
}


@pytest.fixture(scope="module")
def folder(python: Sequence[str], once: Once) -> Path:
    """The output of every command, in one process and in two."""

    def make(folder: Path) -> None:
        for variant, name in (("gan", "drawing"), ("cyclegan", "translating")):
            train(variant, folder / name, chosen={"steps": 1}, device="cpu")
        told = {name: [word.format(folder=folder) for word in command] for name, command in COMMANDS.items()}
        (folder / "commands.json").write_text(json.dumps(told))
        run(python, "commands", folder)

    return once("trained", make)


def told(folder: Path, name: str, size: int, rank: int) -> dict[str, str]:
    """What a process printed, and its exit code."""
    return {ending: (folder / f"{name}-{size}-{rank}.{ending}").read_text() for ending in ("out", "err", "rc")}


def without_numbers(text: str) -> str:
    """A text whose numbers with a fraction, which differ in rounding, are left out."""
    return re.sub(r"\d+\.\d+(e-?\d+)?", "", text)


@pytest.mark.parametrize("name", ["train", "train-and-score"])
def test_two_processes_tell_what_one_tells(folder: Path, name: str) -> None:
    """The first prints what one process prints, up to rounding, and the second nothing."""
    one, first, second = (told(folder, name, size, rank) for size, rank in ((1, 0), (2, 0), (2, 1)))
    assert one["rc"] == "0", one["err"]
    assert {key: without_numbers(text) for key, text in first.items()} == {
        key: without_numbers(text) for key, text in one.items()
    }
    assert second == {"out": "", "err": "", "rc": "0"}


@pytest.mark.parametrize("name", ["train", "train-and-score"])
def test_two_processes_write_what_one_writes(folder: Path, name: str) -> None:
    """The same files, each line of the log once, the same numbers up to rounding."""
    names = [sorted(str(path.relative_to(root)) for path in root.rglob("*")) for root in roots(folder, name)]
    assert names[0] == names[1]
    assert "run/checkpoints/last.pt" in names[0]
    logs = [lines(root / "run/log.jsonl") for root in roots(folder, name)]
    assert [line.keys() for line in logs[0]] == [line.keys() for line in logs[1]]
    for line, other in zip(*logs, strict=True):
        for key, value in line.items():
            if isinstance(value, float) and key != "images/s":
                assert other[key] == pytest.approx(value, rel=1e-3, abs=1e-5), key


@pytest.mark.parametrize(("name", "drawn"), [("sample", "drawn"), ("translate", "translated")])
def test_two_processes_write_one_folder_of_images(folder: Path, name: str, drawn: str) -> None:
    """The first writes it, and tells it; both end without an error."""
    one, first, second = (told(folder, name, size, rank) for size, rank in ((1, 0), (2, 0), (2, 1)))
    assert one["rc"] == "0", one["err"]
    assert (first, second) == (one, {"out": "", "err": "", "rc": "0"})
    images = [{path.name: path.read_bytes() for path in (root / drawn).iterdir()} for root in roots(folder, name)]
    assert len(images[0]) == 5
    assert images[0] == images[1]
    assert [len(list(root.iterdir())) for root in roots(folder, name)] == [1, 1]


def roots(folder: Path, name: str) -> list[Path]:
    """Where a command ran, in one process and in two."""
    return [folder / f"{name}-{size}" for size in (1, 2)]


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_batch_that_cannot_be_shared_is_one_error(folder: Path) -> None:
    """A batch of one image is an error of two processes, told once, and leaves no run."""
    found = [told(folder, "small", 2, rank) for rank in range(2)]
    assert [one["rc"] for one in found] == ["2", "2"]
    messages = sorted(one["err"] for one in found)
    assert messages[0] == ""
    assert messages[1].startswith("error: 2 processes cannot share a batch, or a part of one, of 1 rows;")
    assert not (folder / "small-2/run").exists()
