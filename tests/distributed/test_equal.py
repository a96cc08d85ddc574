"""The number does not know how many processes made it: 1 and 2 of them, for every metric and source, and 5 of them.

With five, processes are on two hosts, and some have nothing to do.
"""

import importlib.util
import json
import pickle
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from core_helpers import write_folder
from distributed.forked import run
from distributed.jobs import jobs_of
from made_once import Once
from PIL import Image
from sklearn.datasets import load_digits

import ganeval
import reference_models
from ganeval.metrics import METRICS

SIZES = (2, 5)


@pytest.fixture(scope="module")
def found(python: Sequence[str], once: Once) -> dict[int, list[dict[str, Any]]]:
    """What every process of every number of them got, by the number and the rank."""

    def make(folder: Path) -> None:
        _files(folder)
        run(python, "jobs", folder, 1, *SIZES)
        assert not list(folder.glob("host-*/*"))

    folder, results = once("distributed", make), {}
    for size in (1, *SIZES):
        results[size] = [json.loads((folder / f"{size}-{rank}.json").read_text()) for rank in range(size)]
    return results


def _files(folder: Path) -> None:
    """Small sets of every kind."""
    digits = load_digits()
    images = np.repeat((digits.images / 16 * 255).astype(np.uint8)[..., None], 3, -1)
    noisy = np.clip(images[:150].astype(int) + np.random.RandomState(0).randint(-60, 60, images[:150].shape), 0, 255)
    np.savez(folder / "real.npz", images=images[200:390], labels=digits.target[200:390])
    # Some fakes are copies: of each other, and of reals.
    fakes = np.concatenate([noisy.astype(np.uint8), noisy[:3].astype(np.uint8), images[200:204]])
    np.savez(folder / "fake.npz", images=fakes, labels=np.concatenate([digits.target[:153], digits.target[200:204]]))
    np.save(folder / "set.npy", images[400:450])
    np.save(folder / "large.npy", images[450:480].repeat(4, 1).repeat(4, 2))
    names = sorted(write_folder(folder / "folder", 23).iterdir())
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        for path in names[:22]:
            archive.write(path, path.name)
    with tarfile.open(folder / "set.tar", "w") as tar:
        for path in names[:18]:
            tar.add(path, path.name)
    for number in range(6):
        with tarfile.open(folder / f"shard-{number}.tar", "w") as tar:
            for path in names[number * 3 : number * 4 + 3]:
                tar.add(path, path.name)
    if importlib.util.find_spec("pyarrow"):
        import pyarrow.parquet

        rows = pyarrow.table({"image": [path.read_bytes() for path in names[:21]]})
        pyarrow.parquet.write_table(rows, folder / "set.parquet", row_group_size=5)
        # As the Hub has data sets: a split in several files.
        (folder / "hub/data").mkdir(parents=True)
        for number in range(4):
            some = rows.slice(5 * number, 5)
            pyarrow.parquet.write_table(some, folder / f"hub/data/train-0000{number}-of-00004.parquet")
    (folder / "list.txt").write_text("".join(f"{path}\n" for path in names[3:14]))
    write_folder(folder / "damaged", 120)
    (folder / "damaged" / "77.png").write_bytes(b"nothing")
    write_folder(folder / "ruined", 120)
    for index in range(0, 120, 20):
        (folder / "ruined" / f"{index}.png").write_bytes(b"nothing")
    turned = folder / "turned"
    turned.mkdir()
    for number in range(48):
        Image.new("RGB", (8, 4) if number < 24 else (4, 8)).save(turned / f"{number:02}.png")
    written = ganeval.write_reference("digits:test", folder / "statistics.npz", extractor="digits", cache=False)
    moments = {"mu": written.features.mean, "sigma": written.features.covariance}
    (folder / "statistics.pkl").write_bytes(pickle.dumps(moments))
    torch.save(moments, folder / "statistics.pt")
    reference_models.train("gan", folder / "run", chosen={"steps": 1, "resolution": 8}, device="cpu")


@pytest.mark.parametrize(("name", "size"), [(name, size) for size in SIZES for name in jobs_of(size)])
def test_the_result_is_that_of_one_process(found: dict[int, list[dict[str, Any]]], name: str, size: int) -> None:
    """Every process has the result of one process, bit for bit."""
    (alone,) = found[1]
    for result in found[size]:
        assert _same(result[name]) == _same(alone[name])


def _same(result: object) -> object:
    """A result without which of several unreadable images was found first."""
    if isinstance(result, list):
        return [one.partition("; the first: ")[0] if isinstance(one, str) else one for one in result]
    return result


def test_every_metric_was_computed(found: dict[int, list[dict[str, Any]]]) -> None:
    """The results that were compared are of all metrics, and of skipped and copied images."""
    (alone,) = found[1]
    computed = {*alone["every_metric"]["metrics"], *alone["of_pixels"]["metrics"]}
    assert METRICS.keys() == computed
    assert "1 image could not be read" in str(alone["skipped"][0]["warnings"])
    assert alone["skipped"][2].startswith("SourceError: ")
    assert "over the limit of 1%" in alone["skipped"][2]
    assert alone["skipped"][3].startswith("DecodeError: ")
    assert alone["skipped"][4] == "ExtractorError: pixels needs images of one size"
    assert "repeats itself" not in str(alone["live"])
