"""No part of a result depends on the batch size, for all metrics, as documented."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from core_helpers import SHORT_TRAINING
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import Dataset

from ganeval.compute import compute
from ganeval.evaluation import evaluate
from ganeval.extractors import Setup
from ganeval.extractors.digits import DigitsExtractor
from ganeval.features import FeatureSet
from ganeval.metrics import METRICS
from ganeval.metrics.nearest import nearest_pairs
from ganeval.protocols import find_protocol
from ganeval.results import Evaluation
from ganeval.selection import select_metrics
from ganeval.streaming import Evaluator

SIZES = (1, 40)


class Digits(Dataset[tuple[Tensor, int]]):
    """Some of scikit-learn's digits, as 8-bit greyscale images with their classes."""

    def __init__(self, chosen: list[int]) -> None:
        known = load_digits()
        self.images = torch.from_numpy(known.images[chosen] * 15.9).to(torch.uint8)[:, None]
        self.targets = [int(label) for label in known.target[chosen]]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], self.targets[index]


# Five fakes are reals, at other places in their batches; some images are there twice, on either side.
COPIED = [3, 50, 100, 117, 101]
REALS = Digits([*range(118), 3, 7])
FAKES = Digits([*range(118, 213), *COPIED, 118, 119, 120, 130, 131])


@pytest.fixture(scope="module")
def results() -> Mapping[int, Evaluation]:
    """All metrics that the embedded extractor allows, by batch size."""
    return {
        size: evaluate(
            REALS, FAKES, metrics="all", options=SHORT_TRAINING, extractor="digits", batch_size=size, cache=False
        )
        for size in SIZES
    }


# Its training amplifies rounding until an image or two are classified differently.
CHAOTIC = ("c2st_mlp",)


@pytest.mark.parametrize("name", [name for name, row in METRICS.items() if row.fake != "images"])
def test_values_and_details_are_the_same(name: str, results: Mapping[int, Evaluation]) -> None:
    """Values are equal up to rounding, counts exactly, including copies and equal images."""
    expected = results[SIZES[0]][name]
    for size in SIZES[1:]:
        found = results[size][name]
        if name in CHAOTIC:
            assert expected.standard_error is not None
            assert abs(found.value - expected.value) < expected.standard_error / 2
            continue
        assert found.value == pytest.approx(expected.value, rel=2e-4, abs=1e-6)
        assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-3, abs=1e-6)
        assert found.details.keys() == expected.details.keys()
        for key, detail in expected.details.items():
            whole = float(detail).is_integer() and abs(detail) >= 1
            assert found.details[key] == (detail if whole else pytest.approx(detail, rel=1e-3, abs=1e-5)), key
        assert [note[:40] for note in found.notes] == [note[:40] for note in expected.notes]


def test_copies_are_counted_by_their_pixels(results: Mapping[int, Evaluation]) -> None:
    """Five copies are found at every batch size, at distance 0 and first in the list; none is authentic."""
    for size in SIZES:
        assert results[size]["nn"].details["duplicates"] == 5
    for size in (8, 40):
        found = evaluate(REALS, FAKES, metrics=["nn"], extractor="digits", batch_size=size, cache=False)
        assert found.real is not None
        assert found.fake is not None
        pairs = nearest_pairs(found.real.rows(), found.fake.rows())
        assert pairs.distances[:5, 0].tolist() == [0] * 5
        assert sorted(pairs.fakes[:5].tolist()) == [95, 96, 97, 98, 99]
        assert pairs.distances[5, 0] > 0.1


def test_pixels_are_the_same_one_by_one() -> None:
    """Similarity of pairs of images does not depend on the batch size."""
    one, other = (
        evaluate(REALS, FAKES, metrics=["ms_ssim_diversity"], extractor="pixels:12", batch_size=size, cache=False)[
            "ms_ssim_diversity"
        ]
        for size in (1, 40)
    )
    assert one.value == pytest.approx(other.value, rel=1e-6)
    assert one.details == pytest.approx(other.details, rel=1e-6)


@pytest.mark.parametrize("size", [8, 40])
def test_a_stream_counts_the_same_copies(size: int) -> None:
    """Streamed images are identified by their pixels, also after a checkpoint."""
    evaluator = Evaluator(metrics=["nn"], extractor="digits", batch_size=size)
    evaluator.update(REALS.images, real=True)
    evaluator.update(FAKES.images.expand(-1, 3, -1, -1)[:60], real=False)
    other = Evaluator(metrics=["nn"], extractor="digits", batch_size=size)
    other.load_state_dict(evaluator.state_dict())
    other.update(FAKES.images[60:], real=False)
    assert other.compute()["nn"].details["duplicates"] == 5


class Copier:
    """A generator that gives training images."""

    num_samples = 20

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
        return REALS.images[torch.randint(118, (n,), generator=rng)]


def test_a_live_generator_of_copies_is_seen_through() -> None:
    """Generated images are compared with files by their pixels."""
    result = evaluate(REALS, Copier(), metrics=["nn"], extractor="digits", batch_size=3, cache=False)
    assert result["nn"].details["duplicates"] == 20


@pytest.mark.parametrize("cached", [False, True])
def test_a_format_is_no_difference_and_a_size_is_one(tmp_path: Path, cached: bool) -> None:
    """PNG, BMP and RGB of one picture are copies, also from a cache; a JPEG, another size or a brighter one is not."""
    folders = tmp_path / "real", tmp_path / "fake"
    for folder in folders:
        folder.mkdir()
    rng = np.random.RandomState(0)
    pictures = [Image.fromarray(rng.randint(0, 200, (16, 16)).astype(np.uint8)) for _ in range(12)]
    for index, picture in enumerate(pictures):
        picture.save(folders[0] / f"{index:02}.png")
    pictures[0].save(folders[1] / "a.bmp")
    pictures[1].convert("RGB").save(folders[1] / "b.png")
    pictures[2].save(folders[1] / "c.jpg")
    pictures[3].resize((32, 32), Image.Resampling.NEAREST).save(folders[1] / "d.png")
    pictures[4].point(lambda value: value + 1).save(folders[1] / "e.png")
    Image.new("L", (16, 16), 7).save(folders[1] / "f.png")
    # The same bytes in rows of another length.
    Image.fromarray(np.asarray(pictures[5]).reshape(8, 32)).save(folders[1] / "g.png")
    chosen = {"cache": cached, "cache_dir": tmp_path / "cache", "extractor": "pixels:8"}
    for _ in range(2 if cached else 1):
        result = evaluate(*folders, metrics=["nn"], options={"nn": {"distance": "cosine"}}, **chosen)
    assert result["nn"].details["duplicates"] == 2


def test_a_fake_that_is_a_real_has_its_features() -> None:
    """Its distance is 0 and it is a copy, for any rounding in another batch."""
    rng = torch.Generator().manual_seed(0)
    rows, pixels = torch.randn(40, 4, generator=rng), torch.arange(40)
    real = FeatureSet({"features": rows}, pixels=pixels)
    fake = FeatureSet({"features": rows[:20] + 1e-4 * torch.randn(20, 4, generator=rng)}, pixels=pixels[:20])
    setup = Setup(find_protocol("tensorflow"), DigitsExtractor())
    found = compute(select_metrics(["nn"]), setup, real, fake, seed=0)
    assert found["nn"].value == 0
    assert found["nn"].details["duplicates"] == 20
    assert found.fake is not None
    assert torch.equal(found.fake.rows(), rows[:20])
