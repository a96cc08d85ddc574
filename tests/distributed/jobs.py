"""What several processes do together in the tests, and one process alone: the results must be equal.

`python -m distributed.jobs FOLDER SIZE...` does the jobs of JOBS on the files of FOLDER, and writes what each process
got to FOLDER/SIZE-RANK.json.
"""

import importlib.util
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import imblearn.over_sampling
import pytest
import safetensors.torch
import sklearn.manifold
import sklearn.neural_network
import torch
import torchmetrics
from core_helpers import SHORT_TRAINING
from distributed import forked
from torch import Tensor

import ganeval
import reference_models
from ganeval import evaluation, ranks
from ganeval.errors import GanevalError, TrainingError
from ganeval.processes import processes
from reference_models.scoring import augmentation

# Imported before the processes are forked, so that each need not import them.
IMPORTED = (imblearn, safetensors, sklearn, torchmetrics, evaluation)
if importlib.util.find_spec("datasets"):
    import datasets  # noqa: F401
SETTINGS: dict[str, Any] = {"extractor": "digits", "cache": False, "batch_size": 4}
JOBS: dict[str, Callable[[Path], object]] = {}
# These are done by more than two processes as well, of which some have nothing to do: no image, batch, shard, metric,
# split or class. The others divide images as these do.
IN_MORE = ("streams", "live", "few", "exchanged", "skipped", "several", "augmented")


def job(function: Callable[[Path], object]) -> Callable[[Path], object]:
    """Add a function to JOBS."""
    JOBS[function.__name__] = function
    return function


def jobs_of(size: int) -> list[str]:
    """The names of the jobs that so many processes do."""
    return [name for name in JOBS if size < 3 or name in IN_MORE]


class Drawn:
    """A generator of random digits of ten classes, that draws with its rng alone."""

    num_classes, value_range = 10, "[0,1]"

    def sample(self, n: int, *, labels: Tensor, rng: torch.Generator) -> Tensor:
        return (torch.rand(n, 1, 8, 8, generator=rng) + labels[:, None, None, None] / 10) / 2


class Careless:
    """A generator that draws from the global random state."""

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
        return torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8)


def _plain(result: ganeval.Evaluation) -> dict[str, Any]:
    """A result without its date, and without versions, which are of what was imported before."""
    found = result.to_dict()
    del found["provenance"]["created"], found["provenance"]["versions"]
    return found


def _fid(real: object, fake: object, **settings: Any) -> dict[str, Any]:
    return _plain(ganeval.evaluate(real, fake, **{**SETTINGS, **settings}))


@job
def every_metric(folder: Path) -> object:
    """All metrics of labelled sets, by an extractor with logits."""
    settings = {**SETTINGS, "metrics": "all", "options": SHORT_TRAINING}
    return _plain(ganeval.evaluate(folder / "real.npz", folder / "fake.npz", **settings))


@job
def of_pixels(folder: Path) -> object:
    """Metrics of images, by an extractor of pixels."""
    metrics = ["fwd", "ms_ssim_diversity", "lpips_diversity", "nn"]
    options = {"lpips_diversity": {"network": "alex:untrained", "pairs": 8}}
    settings = {**SETTINGS, "extractor": "pixels:32", "metrics": metrics, "options": options}
    return _plain(ganeval.evaluate(folder / "large.npy", folder / "set.npy", **settings))


@job
def sources(folder: Path) -> object:
    """Every kind of source of which an image can be read by itself, as fakes and as reals."""
    images = torch.arange(7 * 3 * 8 * 8).reshape(7, 3, 8, 8).byte()
    given: dict[str, object] = {
        **{name: folder / name for name in ("folder", "set.zip", "set.npy", "list.txt")},
        "lowres": f"lowres:{folder / 'folder'},2",
        "glob": str(folder / "folder" / "1*.png"),
        "features": ganeval.Features(torch.arange(40.0).reshape(20, 2) ** 1.5),
    }
    found = _measured(folder, given)
    for name in ("statistics.npz", "statistics.pkl", "statistics.pt"):
        found[name] = _fid(folder / name, images)
    assert len({found[name]["metrics"]["fid"]["value"] for name in found if name.startswith("statistics")}) == 1
    if importlib.util.find_spec("pyarrow"):
        found["table"] = _fid(folder / "set.npy", folder / "set.parquet", metrics=["fid"])
    return found


@job
def streams(folder: Path) -> object:
    """Sources that are read one image after another or in batches, fewer of them than processes, and a trained run."""
    images = torch.arange(7 * 3 * 8 * 8).reshape(7, 3, 8, 8).byte()
    given: dict[str, object] = {
        "tar": folder / "set.tar",
        "shards": f"{folder}/shard-{{0..5}}.tar",
        "tensor": images,
        "loader": torch.utils.data.DataLoader(list(images), batch_size=3),
        "iterator": iter([images[:4], images[4:]]),
    }
    found = _measured(folder, given)
    # More images than a chunk of a live generator.
    drawn = {"num_samples": 70, "metrics": ["fid"]}
    found["run"] = _fid(folder / "set.npy", f"ckpt:{folder / 'run'}", **drawn)
    found["streamed"] = _fid(folder / "set.npy", f"webdataset:{folder}/shard-{{0..5}}.tar", metrics=["fid"])
    if importlib.util.find_spec("datasets"):
        found["hub"] = _fid(folder / "set.npy", f"hfds:{folder / 'hub'}:train", metrics=["fid"])
    return found


def _measured(folder: Path, given: dict[str, object]) -> dict[str, dict[str, Any]]:
    """The FID of each source."""
    found = {}
    for name, source in given.items():
        real = ganeval.Features(torch.arange(30.0).reshape(15, 2)) if name == "features" else folder / "set.npy"
        settings = {} if name != "features" else {"extractor": "inception"}
        found[name] = _fid(real, source, num_samples=None, metrics=["fid"], **settings)
    return found


@job
def live(folder: Path) -> object:
    """Live generators: with classes, more and fewer images than a chunk, and one that ignores its rng."""
    metrics = {"metrics": ["fid", "intra_fid", "precision"]}
    return [
        _fid(folder / "real.npz", Drawn(), num_samples=101, **metrics),
        _fid(folder / "set.npy", Drawn(), num_samples=21, seed=3, metrics=["fid"]),
        _fid(folder / "set.npy", Careless(), num_samples=70),
    ]


@job
def few(folder: Path) -> object:
    """Fewer images than processes, and fewer batches."""
    return [
        _fid(folder / "set.npy", torch.arange(192 * n).reshape(n, 3, 8, 8).byte(), metrics=["fid"]) for n in (2, 3, 5)
    ]


@job
def exchanged(folder: Path) -> object:
    """Values of other sizes in every process, about as long as a message, shorter and longer."""
    team = processes()
    for length in (0, *range(ranks.MESSAGE_BYTES - 30, ranks.MESSAGE_BYTES, 4), 5000):
        assert team.exchange("x" * (length + 3 * team.rank)) == ["x" * (length + 3 * rank) for rank in range(team.size)]
    return None


@job
def skipped(folder: Path) -> object:
    """Images that cannot be read, left out; and the limit of them, which is of the whole set."""
    settings = {"on_error": "skip", "metrics": ["kid"]}
    read = ganeval.evaluate(folder / "damaged", folder / "set.npy", **{**SETTINGS, **settings})
    assert read.real is not None
    found: list[object] = [_plain(read), {"images": [read.real.image_name(row) for row in range(len(read.real))]}]
    for name, wanted in (("ruined", settings), ("damaged", {"metrics": ["kid"]})):
        found.append(_refused(folder / name, folder / "set.npy", **wanted))
    # Processes have one size each, of equally many pixels.
    refused = _refused(folder / "turned", folder / "turned", extractor="pixels", metrics=["fid"])
    found.append(refused.partition(", found")[0])
    return found


def _refused(real: object, fake: object, **settings: Any) -> str:
    """The error of an evaluation."""
    with pytest.raises(GanevalError) as raised:
        _fid(real, fake, **settings)
    return f"{type(raised.value).__name__}: {raised.value}"


@job
def subsets(folder: Path) -> object:
    """Seeded subsets of both sets."""
    return [
        _fid(folder / "real.npz", folder / "fake.npz", num_samples=n, seed=n, metrics=["fid", "kid"]) for n in (37, 50)
    ]


@job
def cached(folder: Path) -> object:
    """Twice the same, the second time from the cache."""
    settings = {"cache": True, "cache_dir": folder / f"cache-{processes().size}", "metrics": ["fid", "is"]}
    once, again = (_fid(folder / "folder", folder / "set.zip", **settings) for _ in range(2))
    assert again["provenance"]["real"].pop("cached")
    assert not once["provenance"]["real"].pop("cached")
    del once["provenance"]["fake"]["cached"], again["provenance"]["fake"]["cached"]
    assert once == again
    return once


@job
def several(folder: Path) -> object:
    """Comparisons, the noise floor, several extractors, and a statistics file."""
    some = {**SETTINGS, "num_samples": 31, "metrics": ["fid", "kid"]}
    fakes = {"test": folder / "set.npy", "drawn": folder / "fake.npz"}
    compared = ganeval.compare(folder / "real.npz", fakes, **some)
    floor = ganeval.noise_floor(folder / "set.npy", splits=2, **some)
    both = {**some, "extractors": ["digits", "pixels:8"]}
    del both["extractor"]
    by = ganeval.evaluate_extractors(folder / "real.npz", folder / "set.npy", **both)
    written = folder / f"written-{processes().size}.npz"
    ganeval.write_reference(folder / "set.npy", written, **SETTINGS)
    return {
        "differences": [asdict(one) for one in compared.differences],
        "floor": _plain(floor),
        "extractors": {name: _plain(one) for name, one in by.items()},
        "statistics": ganeval.fid(written, folder / "real.npz", **SETTINGS).value,
    }


@job
def augmented(folder: Path) -> object:
    """Splits of an augmentation, which are no multiple of the processes, and fewer; and generators that fail."""
    told, fitted = list[str](), list[int]()
    trained, small = augmentation._trained, {"steps": 2, "batch": 4, "settings.width": 4}

    def watched(plan: Any, pixels: Tensor, labels: Any, seed: int) -> Any:
        fitted.append(seed)
        return trained(plan, pixels, labels, seed)

    def failing(plan: Any, pixels: Tensor, labels: Any, seed: int) -> Any:
        raise TrainingError(f"The generator of seed {seed} fails.")

    def augment() -> reference_models.Augmentation:
        return reference_models.augment(
            "table:breast_cancer", splits=3, chosen=small, device="cpu", progress=told.append
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augmentation, "_trained", watched)
        found = augment()
        seeds = processes().exchange(fitted)
        # Each of two classes in three splits is learned once, by processes that take turns.
        assert [len(own) for own in seeds] == [
            2 * len(range(3)[rank :: processes().size]) for rank in range(len(seeds))
        ]
        patch.setattr(augmentation, "_trained", failing)
        with pytest.raises(TrainingError) as raised:
            augment()
    return {
        "found": found.to_dict(),
        "told": told,
        "seeds": sorted(seed for own in seeds for seed in own),
        "error": str(raised.value),
    }


def _run(folder: Path, rank: int, size: int) -> None:
    """The jobs in one of several processes."""
    # Features of 50 images are sent as they are; those of 190 lie in a file, which two processes fill block by block.
    ranks.IN_MEMORY_BYTES = 1 << 14
    ranks.BLOCK_BYTES = 1 << 14
    if size == 5:
        # As on two hosts: processes that do not see the same temporary files.
        tempfile.tempdir = str(folder / f"host-{rank % 2}")
        Path(tempfile.tempdir).mkdir(exist_ok=True)
    with ranks.launched():
        found = {name: JOBS[name](folder) for name in jobs_of(size)}
        assert bool(forked.threads_of_groups()) == (size > 1)
    (folder / f"{size}-{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    forked.main(_run)
