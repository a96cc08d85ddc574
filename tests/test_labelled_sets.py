"""Metrics of labelled sets, from images to numbers: known classes and their names."""

import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from core_helpers import SHORT_TRAINING
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset
from torchvision.datasets import ImageFolder

from ganeval.errors import MetricError, UsageError
from ganeval.evaluation import evaluate
from ganeval.extraction import extract
from ganeval.extractors.digits import DigitsExtractor
from ganeval.metrics.intra_fid import intra_fid
from ganeval.sources import open_source
from ganeval.sources.base import Reading
from ganeval.sources.chosen import images_at
from reference_models.data.images import load_images


def classes(folder: Path, names: str, *, each: int = 4) -> Path:
    """A folder of class folders with digits of a class each; a name is a letter, a its first."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for name in names:
        (folder / name).mkdir(parents=True)
        for row in np.flatnonzero(digits.target == ord(name) - ord("a"))[:each]:
            Image.fromarray((digits.images[row] * 15).astype(np.uint8)).save(folder / name / f"{row}.png")
    return folder


def test_classes_of_images_reach_the_metric() -> None:
    """The number equals the function's for features and labels in the same order."""
    sources = [open_source(f"digits:{split}", num_samples=200, seed=3) for split in ("train", "test")]
    sets = [extract(source, [DigitsExtractor()], frozenset(("features",)), Reading())[0] for source in sources]
    real_labels, fake_labels = (torch.tensor(source.labels) for source in sources)
    arrays = [one.arrays["features"] for one in sets]
    expected = intra_fid(arrays[0], arrays[1], real_labels=real_labels, fake_labels=fake_labels)
    metrics = ("intra_fid", "head_accuracy", "conditional_accuracy", "cas")
    found = evaluate("digits:train", "digits:test", metrics=metrics, extractor="digits", num_samples=200, seed=3)
    assert found.metrics["intra_fid"].value == pytest.approx(expected.value)
    assert found.metrics["intra_fid"].details == pytest.approx(dict(expected.details))
    assert all(found.metrics[name].value > 0.9 for name in metrics[1:])


def numbered(folder: Path, numbers: Iterable[int], *, each: int = 20) -> Path:
    """A folder of class folders named by numbers; class k is noise around a grey of its own."""
    rng = np.random.RandomState(len(folder.name))
    for number in numbers:
        (folder / str(number)).mkdir(parents=True)
        for index in range(each):
            noise = rng.randint(0, 12, (4, 4, 3)) + 18 * number
            Image.fromarray(noise.astype(np.uint8)).save(folder / str(number) / f"{index}.png")
    return folder


def as_array(folder: Path) -> Path:
    """The images of a folder of class folders as an .npz, with the folders' numbers as labels."""
    files = [(int(path.name), file) for path in folder.iterdir() for file in sorted(path.iterdir())]
    images = np.stack([np.asarray(Image.open(file)) for _, file in files])
    path = folder.with_suffix(".npz")
    np.savez(path, arr_0=images, arr_1=np.array([number for number, _ in files]))
    return path


@pytest.mark.parametrize("numbers", [range(12), (1, 3, 10)])
def test_folders_named_by_numbers_are_those_classes(tmp_path: Path, numbers: Iterable[int]) -> None:
    """Ten comes after two, for folders on either side, and details use the numbers."""
    real, fake = numbered(tmp_path / "real", numbers), numbered(tmp_path / "fakes", numbers)
    pairs = [(real, fake), (real, as_array(fake)), (as_array(real), fake), (ImageFolder(real), as_array(fake))]
    metrics = ("conditional_accuracy", "cas", "intra_fid")
    found = [evaluate(*pair, metrics=metrics, extractor="pixels:4", cache=False) for pair in pairs]
    for one in found:
        assert [one[metric].value for metric in metrics[:2]] == [1, 1]
        assert one["intra_fid"].details == pytest.approx(dict(found[0]["intra_fid"].details))
        assert list(one["intra_fid"].details) == [f"class {number}" for number in numbers]
        assert one.warnings == ()


def test_a_conditional_generator_gives_classes_by_their_numbers(tmp_path: Path) -> None:
    """Its class 10 is the folder 10."""

    class Greys:
        num_classes, num_samples = 12, 240

        def sample(self, n: int, *, labels: torch.Tensor | None = None, rng: torch.Generator) -> torch.Tensor:
            assert labels is not None
            noise = torch.randint(0, 12, (n, 3, 4, 4), generator=rng)
            return (noise + 18 * labels[:, None, None, None]).to(torch.uint8)

    found = evaluate(numbered(tmp_path / "real", range(12)), Greys(), metrics=("cas",), extractor="pixels:4")
    assert found["cas"].value == 1
    assert found.warnings == ()


def test_numbers_for_names_are_places_and_a_warning_says_so(tmp_path: Path) -> None:
    """A warning is given for names that are not numbers, and for numbers that begin at another value."""
    real, fake = numbered(tmp_path / "real", (1, 2)), as_array(numbered(tmp_path / "fakes", (0, 1)))
    found = evaluate(real, fake, metrics=("intra_fid",), extractor="pixels:4", cache=False)
    (warning,) = found.warnings
    assert "of the reals have names and those of the fakes only numbers: number 0 for '1', 1 for '2'" in warning
    assert list(found["intra_fid"].details) == ["class 1", "class 2"]
    named = classes(tmp_path / "named", "ab")
    with pytest.raises(MetricError, match=r"none of 8 \(class 2, 3, 4, 5, 6, \.\.\.\)"):
        evaluate("digits:train", named, metrics=("cas",), extractor="digits", cache=False)


def test_classes_go_by_their_names(tmp_path: Path) -> None:
    """Folders of class folders are matched by name, also when fakes have only some classes."""
    real, fake = classes(tmp_path / "real", "abc"), classes(tmp_path / "fake", "bc")
    with pytest.raises(MetricError, match=r"fakes of every class .*none of 1 \(class a\)"):
        evaluate(real, fake, metrics=("cas",), extractor="digits", cache=False)
    fake = classes(tmp_path / "fakes", "bc", each=20)
    found = evaluate(fake, fake, metrics=("cas", "intra_fid"), extractor="digits", cache=False)
    assert list(found["cas"].details) == ["reals", "class b", "class c"]


@pytest.mark.parametrize(("known", "more"), [("ab", "abd"), ((1, 2), (1, 2, 10))])
def test_a_class_of_the_fakes_alone_costs_only_metrics_of_classes(
    tmp_path: Path, known: Sequence[Any], more: Sequence[Any]
) -> None:
    """They are left out unless named explicitly, and the reason names the class."""
    make = classes if isinstance(known, str) else numbered
    real, fake = make(tmp_path / "real", known, each=20), make(tmp_path / "fakes", more, each=20)
    found = evaluate(real, fake, metrics="all", options=SHORT_TRAINING, extractor="pixels:4", cache=False)
    assert {"fid", "kid"} <= found.metrics.keys()
    (reason,) = [text for text in found.warnings if text.startswith("cas was not measured")]
    assert f"reals of every class of the fakes, found none of 1 (class {more[-1]})" in reason


def test_without_classes_there_is_no_such_metric(tmp_path: Path) -> None:
    """The message says which set has no classes and which kinds of sets have."""
    real = classes(tmp_path / "real", "abc")
    with pytest.raises(UsageError, match=r"'cas' needs the class of every image, .*fakes.* not known"):
        evaluate(real, classes(tmp_path / "fakes", "a") / "a", metrics=("cas",), extractor="digits", cache=False)


def test_all_metrics_are_those_that_can_be_had(tmp_path: Path) -> None:
    """Metrics of classes and of images are left out where these are missing, unless named explicitly."""
    real = classes(tmp_path / "real", "ab", each=20)
    settings: dict[str, Any] = {"metrics": "all", "options": SHORT_TRAINING, "cache": False}
    found = evaluate(real, real / "a", extractor="digits", **settings)
    assert not {"cas", "intra_fid", "ms_ssim_diversity"} & found.metrics.keys()
    labelled = evaluate(real, real, extractor="pixels:12", **settings)
    assert {"cas", "intra_fid", "ms_ssim_diversity"} <= labelled.metrics.keys()


def shards(root: Path, split: str, count: int, *, noise: float = 0) -> Path:
    """Digits as StyleGAN's dataset_tool writes them, a thousand per folder and labels in dataset.json; and as a zip."""
    source, rng = open_source(f"digits:{split}", num_samples=count), np.random.RandomState(0)
    assert source.labels is not None
    labels = []
    with zipfile.ZipFile(root.with_suffix(".zip"), "w") as archive:
        for index, label in enumerate(source.labels):
            name, picture = f"{index // 1000:05}/img{index:08}.png", images_at(source, [index])[index][0].numpy()
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            noisy = (picture + noise * rng.randn(8, 8)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(path)
            archive.write(path, name)
            labels.append([name, label])
        (root / "dataset.json").write_text(json.dumps({"labels": labels}))
        archive.write(root / "dataset.json", "dataset.json")
    return root


def test_shards_of_a_thousand_are_no_classes(tmp_path: Path) -> None:
    """A dataset_tool folder, and its zip, have the classes of their dataset.json; a GAN learns ten, not two.

    With the two shards as classes, intra_fid was 2.83 and cas 0.72 here.
    """
    real, fake = shards(tmp_path / "real", "train", 1100), shards(tmp_path / "fake", "train", 1050, noise=30)
    found = evaluate(real, fake, metrics=("intra_fid", "cas"), extractor="digits", cache=False)
    assert list(found["intra_fid"].details) == [f"class {digit}" for digit in range(10)]
    assert found["intra_fid"].value == pytest.approx(1.90, abs=0.05)
    assert found["cas"].value > 0.98
    assert (found.provenance["real"]["labels"], found.provenance["real"]["classes"]) == ("dataset.json", 10)
    folder, zipped = open_source(real), open_source(f"{real}.zip")
    assert folder.labels == zipped.labels
    assert list(folder.digests()) == list(zipped.digests())
    assert load_images(real, resolution=8).data.classes == 10
    (real / "dataset.json").unlink()
    with pytest.raises(
        UsageError, match=r"real are not known: its folders \(00000, 00001\) number shards, and no file"
    ):
        evaluate(real, fake, metrics=("cas",), extractor="pixels:2", cache=False)


def test_classes_of_a_tensor_dataset_count_and_those_of_its_loader_do_not() -> None:
    """intra_fid takes the second tensor's classes; a loader's batches are refused, with what to give."""
    pixels = torch.randint(0, 256, (60, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.arange(60) % 3
    data = TensorDataset(pixels, labels)
    order = labels.argsort(stable=True)
    other = TensorDataset(pixels[order], labels[order])
    found = evaluate(data, other, metrics=["intra_fid"], extractor="pixels:8")
    assert found["intra_fid"].value == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(UsageError, match="a TensorDataset of images and classes, or a torch Dataset with `targets`"):
        evaluate(data, DataLoader(data, 50), metrics=["intra_fid"], extractor="pixels:8")
