"""Metrics of labelled sets, from images to numbers: whose classes are known, and what they are called."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganeval.errors import MetricError, UsageError
from ganeval.evaluation import evaluate
from ganeval.extractors.digits import DigitsExtractor
from ganeval.features import extract
from ganeval.metrics.intra_fid import intra_fid
from ganeval.sources import open_source
from ganeval.sources.base import Reading


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
    """The number is the function's, of features and labels in the same order."""
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


def test_classes_go_by_their_names(tmp_path: Path) -> None:
    """Folders of class folders are matched by name, so fakes of some classes are known for what they are."""
    real, fake = classes(tmp_path / "real", "abc"), classes(tmp_path / "fake", "bc")
    with pytest.raises(MetricError, match=r"fakes of every class .*none of 1 \(class 0\)"):
        evaluate(real, fake, metrics=("cas",), extractor="digits", cache=False)


def test_without_classes_there_is_no_such_metric(tmp_path: Path) -> None:
    """The message says which set has none and what has."""
    real = classes(tmp_path / "real", "abc")
    with pytest.raises(UsageError, match=r"'cas' needs the class of every image, .*fakes.* not known"):
        evaluate(real, classes(tmp_path / "fakes", "a") / "a", metrics=("cas",), extractor="digits", cache=False)


def test_all_metrics_are_those_that_can_be_had(tmp_path: Path) -> None:
    """Where nobody named them, metrics of classes are left out without classes, and of images without images."""
    real = classes(tmp_path / "real", "ab", each=20)
    found = evaluate(real, real / "a", metrics="all", extractor="digits", cache=False)
    assert not {"cas", "intra_fid", "ms_ssim"} & found.metrics.keys()
    labelled = evaluate(real, real, metrics="all", extractor="pixels:12", cache=False)
    assert {"cas", "intra_fid", "ms_ssim"} <= labelled.metrics.keys()
