"""The pixels extractor: exactly the pixels, and one size at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ganeval
from ganeval.errors import ExtractorError, UsageError
from ganeval.extractors.base import Extractor
from ganeval.extractors.pixels import PixelsExtractor
from ganeval.outputs import Output
from ganeval.preprocess import resample

FEATURES: frozenset[Output] = frozenset(("features",))


def images(count: int, height: int, width: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(height * width)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=rng)


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))
def test_features_are_the_pixels_in_order(count: int, height: int, width: int) -> None:
    """Without a size, features times 255 are the bytes, channel by channel, row by row."""
    pixels = images(count, height, width)
    extractor = PixelsExtractor()
    features = extractor.forward(extractor.prepare(pixels), FEATURES)["features"]
    assert features.dtype == torch.float32
    assert torch.equal((features * 255).round().to(torch.uint8), pixels.flatten(1))
    assert features.shape[1] == 3 * height * width


def test_images_are_the_features() -> None:
    """The images output equals the features, requested alone or together with them."""
    extractor = PixelsExtractor(size=4)
    inputs = extractor.prepare(images(3, 5, 6))
    both = extractor.forward(inputs, frozenset(("features", "images")))
    assert torch.equal(both["images"], both["features"])
    assert extractor.forward(inputs, frozenset(("images",))).keys() == {"images"}


def test_a_size_makes_all_images_equal() -> None:
    """With a size, images of any sizes give features of one width: the resampled pixels."""
    extractor = PixelsExtractor(size=4)
    assert (extractor.name, extractor.dimensions) == ("pixels:4", 48)
    for height, width in ((4, 4), (9, 5), (2, 3)):
        pixels = images(2, height, width)
        features = extractor.forward(extractor.prepare(pixels), FEATURES)["features"]
        assert torch.equal(features, (resample(pixels, 4, 4, "clean") / 255).flatten(1))


def test_a_second_size_is_refused() -> None:
    """Without a size, two image sizes are an error that names both and the remedy."""
    extractor = PixelsExtractor()
    extractor.prepare(images(1, 4, 6))
    with pytest.raises(ExtractorError, match=r"6 x 4 and 7 x 5 .*pixels:32"):
        extractor.prepare(images(1, 5, 7))


@pytest.mark.parametrize("cached", [True, False])
def test_a_second_size_is_refused_between_sets(tmp_path: Path, *, cached: bool) -> None:
    """Reals and fakes of as many pixels and of other sizes are refused, also where features come from a file."""
    settings: Any = {"extractor": "pixels", "cache": cached, "cache_dir": tmp_path / "cache"}
    wide, high = torch.zeros(4, 3, 2, 3, dtype=torch.uint8), torch.zeros(4, 3, 3, 2, dtype=torch.uint8)
    np.save(tmp_path / "wide.npy", wide.permute(0, 2, 3, 1).numpy())
    extracted = tmp_path / "features.npz"
    ganeval.extract_features(tmp_path / "wide.npy", extracted, **settings)
    for real in (wide, tmp_path / "wide.npy", extracted):
        with pytest.raises(ExtractorError, match="pixels needs images of one size, found"):
            ganeval.fid(real, high, **settings)


def test_dimensions_without_a_size_are_the_images_own() -> None:
    """Without a size the extractor cannot know its width, also when features come from the cache."""
    assert PixelsExtractor().dimensions is None


def test_what_it_cannot_do_is_refused() -> None:
    """Logits, other precisions and sizes below 1 are refused."""
    extractor = PixelsExtractor(size=2)
    assert isinstance(extractor, Extractor)
    with pytest.raises(ExtractorError, match="no classifier and cannot give logits"):
        extractor.forward(extractor.prepare(images(1, 2, 2)), frozenset(("logits",)))
    with pytest.raises(UsageError, match="no network that could run in bf16"):
        PixelsExtractor(precision="bf16")
    with pytest.raises(UsageError, match="from 1 to 4,096, found 0"):
        PixelsExtractor(size=0)


def test_preprocessing_tells_sizes_apart() -> None:
    """Extractors of different sizes have different preprocessing, and so different cache keys."""
    assert len({PixelsExtractor(size=size).preprocessing for size in (None, 8, 16)}) == 3
