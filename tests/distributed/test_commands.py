"""Every measuring command under torchrun: its output is that of one process, once, and so is its error."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core_helpers import write_folder
from distributed.forked import run
from made_once import Once
from sklearn.datasets import load_digits

import ganeval

MEASURED = ("--extractor", "digits", "--no-cache")
REAL, FAKE = "{folder}/real.npz", "{folder}/fake.npz"
RUNS = ("--runs", f"A={FAKE},{{folder}}/more.npz", "--runs", "B={folder}/other.npz,{folder}/real.npz")
SMALL = ("--set", "width=4", "--device", "cpu")
COMMANDS = {
    "fid": ["fid", REAL, FAKE, *MEASURED, "-o", "fid.json"],
    "is": ["is", FAKE, *MEASURED],
    "kid": ["kid", REAL, FAKE, *MEASURED, "--format", "csv"],
    "prdc": ["prdc", REAL, FAKE, *MEASURED],
    "nn": ["nn", REAL, FAKE, *MEASURED, "--grid", "grid.png"],
    "c2st": ["c2st", REAL, FAKE, *MEASURED],
    "score": ["score", REAL, FAKE, *MEASURED, "--extractor", "digits,pixels:8", "--metrics", "fid,precision"],
    "compare": ["compare", REAL, FAKE, "{folder}/other.npz", *MEASURED, "--metrics", "fid,kid"],
    "runs": ["compare", REAL, *RUNS, *MEASURED, "--metrics", "fid", "--num-samples", "70", "-o", "runs.json"],
    "saved-runs": ["compare", "--runs", "A={folder}/fake.json,{folder}/more.json", "--runs", "B={folder}/other.json"],
    "pairs": ["pairs", "{folder}/pairs", "{folder}/twins", "-o", "pairs.json", "--metrics", "l1,psnr"],
    "noise-floor": ["noise-floor", REAL, *MEASURED, "--metrics", "fid,kid"],
    "report": ["score", REAL, FAKE, *MEASURED, "--metrics", "fid", "--report", "report.html"],
    "stats": ["stats", REAL, "-o", "stats.npz", *MEASURED],
    "extract": ["extract", REAL, "-o", "part.npz", "--shard", "2/3", *MEASURED],
    "merge": ["merge", "{folder}/part-1-of-2.npz", "{folder}/part-2-of-2.npz", "-o", "part.npz"],
    "augment": ["augment", "table:breast_cancer", "--splits", "3", "--steps", "2", *SMALL, "-o", "augment.json"],
    "ppl": ["ppl", "py:{folder}/shades.py:model", "--network", "alex:untrained", "--num-samples", "40"],
    "missing": ["fid", "nothing", FAKE, *MEASURED],
    "mistyped": ["fid", REAL, FAKE, "--nope"],
    "help": ["fid", "--help"],
    "damaged": ["fid", "{folder}/damaged", FAKE, *MEASURED, "-o", "fid.json"],
    "undefined": ["is", "{folder}/few.npz", *MEASURED],
}
SHADES = """
import torch

class Shades:
    value_range = "[-1,1]"

    def latent(self, n, rng):
        return torch.rand(n, 1, generator=rng) * 2 - 1

    def sample(self, n, *, labels=None, rng):
        return self.generate(self.latent(n, rng))

    def generate(self, z, labels=None):
        return z.reshape(-1, 1, 1, 1).expand(-1, 3, 16, 16)

model = Shades()
"""


@pytest.fixture(scope="module")
def folder(python: Sequence[str], once: Once) -> Path:
    """The output of every command, in one process and in two."""

    def make(folder: Path) -> None:
        images = np.repeat((load_digits().images / 16 * 255).astype(np.uint8)[..., None], 3, -1)
        for name, part in {
            "real": images[:90],
            "fake": images[90:170],
            "other": images[170:240] // 2,
            "more": images[240:310],
            "few": images[:5],
        }.items():
            np.savez(folder / f"{name}.npz", images=part)
        write_folder(folder / "pairs", 9)
        write_folder(folder / "twins", 9, seed=1)
        write_folder(folder / "damaged", 40)
        (folder / "damaged" / "33.png").write_bytes(b"nothing")
        (folder / "shades.py").write_text(SHADES)
        for number in (1, 2):
            part = folder / f"part-{number}-of-2.npz"
            ganeval.extract_features(folder / "real.npz", part, shard=(number, 2), extractor="digits", cache=False)
        for name in ("fake", "other", "more"):
            settings: Any = {"metrics": ["fid"], "extractor": "digits", "num_samples": 70, "cache": False}
            found = ganeval.evaluate(folder / "real.npz", folder / f"{name}.npz", **settings)
            (folder / f"{name}.json").write_text(found.to_json())
        told = {name: [word.format(folder=folder) for word in command] for name, command in COMMANDS.items()}
        (folder / "commands.json").write_text(json.dumps(told))
        run(python, "commands", folder)

    return once("commands", make)


def _undated(document: object) -> object:
    """A document without its dates, and without versions, which are of what was imported before."""
    if isinstance(document, dict):
        return {key: _undated(value) for key, value in document.items() if key not in ("created", "versions")}
    return [_undated(one) for one in document] if isinstance(document, list) else document


def _told(folder: Path, name: str, ending: str, size: int, rank: int) -> str:
    text = (folder / f"{name}-{size}-{rank}.{ending}").read_text()
    # Of another folder, and with the seconds that it took.
    return re.sub(r"\d+(\.\d+)? s\b", "", text.replace(f"{name}-{size}", name))


@pytest.mark.parametrize("name", COMMANDS)
def test_two_processes_tell_what_one_tells(folder: Path, name: str) -> None:
    """The first prints what one process prints, the second nothing; messages come once, and all end with its code."""
    for ending in ("out", "rc"):
        assert _told(folder, name, ending, 2, 0) == _told(folder, name, ending, 1, 0)
    assert _told(folder, name, "rc", 2, 1) == _told(folder, name, "rc", 1, 0)
    assert _told(folder, name, "out", 2, 1) == ""
    messages = sorted(_told(folder, name, "err", 2, rank) for rank in range(2))
    assert messages == ["", _told(folder, name, "err", 1, 0)]


@pytest.mark.parametrize("name", COMMANDS)
def test_two_processes_write_what_one_writes(folder: Path, name: str) -> None:
    """The same files, of the same results."""
    one, two = ({path.name for path in (folder / f"{name}-{size}").rglob("*")} for size in (1, 2))
    assert one == two
    for path in one:
        if path.endswith(".json"):
            results = [json.loads((folder / f"{name}-{size}" / path).read_text()) for size in (1, 2)]
            assert _undated(results[0]) == _undated(results[1])
        if path == "part.npz":
            assert len({(folder / f"{name}-{size}" / path).read_bytes() for size in (1, 2)}) == 1


def test_errors_were_errors(folder: Path) -> None:
    """The commands that must fail did, with the code of their error."""
    codes = {name: _told(folder, name, "rc", 2, 1) for name in COMMANDS}
    failed = {"missing": "1", "mistyped": "2", "damaged": "1", "undefined": "1"}
    assert codes == {name: failed.get(name, "0") for name in COMMANDS}
    assert "33.png: it is not an image" in "".join(_told(folder, "damaged", "err", 2, rank) for rank in range(2))
