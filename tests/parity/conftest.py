"""Two folders of real images of many sizes, and one file of generated weights that every tool is given.

ganeval's features are kept in a cache that all these tests share, as running the network takes nearly all their time.
"""

import os
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganeval.cache import Cache
from ganeval.extraction import extract
from ganeval.extractors import open_extractor
from ganeval.features import FeatureSet
from ganeval.outputs import Output
from ganeval.protocols import find_protocol
from ganeval.sources import open_source
from ganeval.sources.base import Reading

Features = Callable[..., Tensor]
# Smaller, equal and larger than the network's 299, square and not, odd and even.
SIZES = ((256, 256), (299, 299), (299, 200), (120, 340), (400, 400), (33, 47))
# Reals: of each size one photograph or more, a digit, and two JPEG files. Fakes are as many as splits and subsets need.
COUNT, FAKES = 8, 4


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """8 and 4 RGB images: crops of photographs at mixed sizes, and a digit; those of the second folder are noisy."""
    from sklearn.datasets import load_digits, load_sample_images

    rng = np.random.RandomState(0)
    photos, digits = load_sample_images().images, load_digits().images
    found = []
    for name, count, noise in (("real", COUNT, 0.0), ("fake", FAKES, 25.0)):
        folder = tmp_path_factory.mktemp(name)
        for i in range(count):
            if i == len(SIZES):
                image = np.repeat((digits[rng.randint(len(digits))] * 255 / 16).astype(np.uint8)[:, :, None], 3, axis=2)
            else:
                height, width = SIZES[i % len(SIZES)]
                photo = photos[rng.randint(2)]
                top, left = rng.randint(photo.shape[0] - height + 1), rng.randint(photo.shape[1] - width + 1)
                image = photo[top : top + height, left : left + width]
            damaged = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
            # Pillow decodes for every peer, so JPEG shows that decoding agrees too.
            Image.fromarray(damaged).save(folder / f"{i:03}.{'jpg' if i % 5 == 0 else 'png'}")
        found.append(folder)
    return found[0], found[1]


@pytest.fixture(scope="session")
def known(untrained_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings of ganeval's functions: the weights, and a cache for all the processes of a run."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    return {"weights": untrained_weights, "cache_dir": shared / "parity-cache"}


@pytest.fixture(scope="session")
def ours(known: dict[str, Any]) -> Features:
    """ganeval's arrays of a folder: ours(folder, protocol, output, tap)."""

    @cache
    def features(folder: Path, protocol: str, tap: int) -> FeatureSet:
        extractor = open_extractor(f"inception:{tap}", protocol=find_protocol(protocol), weights=known["weights"])
        outputs: frozenset[Output] = frozenset(["features", "logits", "spatial"] if tap == 2048 else ["features"])
        (found,) = extract(
            open_source(folder), [extractor], outputs, Reading(batch_size=7), cache=Cache(known["cache_dir"])
        )
        return found

    def arrays(folder: Path, protocol: str, output: Output = "features", tap: int = 2048) -> Tensor:
        return features(folder, protocol, tap).arrays[output]

    return arrays


@pytest.fixture
def peers_may_warn() -> "object":
    """Deprecation warnings of other tools' libraries are ignored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# Two orders of float32 sums through 94 layers of generated weights end 2.5e-5 apart at the last pool, and twice that
# in the logits, where they partly cancel; the layers up to the 768-wide tap stay within a third of the tighter bound.
DEEP, SHALLOW = 1e-4, 1e-5


def close(ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    """Every image's features agree within a share of their own length."""
    assert ours.shape == theirs.shape
    error = (ours.double() - theirs.double()).norm(dim=1) / theirs.double().norm(dim=1)
    assert float(error.max()) < tolerance, f"largest relative error {float(error.max()):.2e}"


def well_conditioned() -> tuple[np.ndarray, np.ndarray]:
    """Two sets of more rows than dimensions, for which a matrix root is accurate and takes no time."""
    rng = np.random.RandomState(0)
    return rng.rand(400, 60) ** 2, rng.rand(300, 60) ** 3


def moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance, as the peers compute them."""
    return rows.mean(0), np.cov(rows, rowvar=False)


def images(folder: Path) -> list[Tensor]:
    """uint8 [3, H, W] of every file, in name order, decoded by Pillow."""
    return [
        torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
        for path in sorted(folder.iterdir())
    ]
