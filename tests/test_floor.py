"""The noise floor: random halves of the reals against each other."""

import numpy as np
import pytest
import torch

import ganeval
from ganeval.errors import MetricError, UsageError
from ganeval.metrics.fid import fid

REALS = torch.randint(0, 256, (90, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
HOW = {"extractor": "pixels:2", "cache": False}


def test_the_floor_is_the_mean_over_halves() -> None:
    """The same as splitting by hand."""
    found = ganeval.noise_floor(REALS, metrics=["fid"], splits=3, seed=5, **HOW)["fid"]
    rng, values = np.random.RandomState(5), []
    from ganeval.extractors import open_extractor
    from ganeval.features import extract
    from ganeval.protocols import find_protocol
    from ganeval.sources import open_source
    from ganeval.sources.base import Reading

    extractor = open_extractor("pixels:2", protocol=find_protocol("tensorflow"), weights=None, device="cpu")
    (whole,) = extract(open_source(REALS), [extractor], frozenset(("features",)), Reading())
    for _ in range(3):
        order = torch.from_numpy(rng.permutation(90))
        array = whole.arrays["features"]
        values.append(fid(array[order[:45]], array[order[45:]]).value)
    assert found.value == pytest.approx(np.mean(values), rel=1e-9)
    assert found.standard_error == pytest.approx(np.std(values, ddof=1), rel=1e-6)
    assert (found.n_real, found.n_fake) == (45, 45)


def test_a_perfect_generator_scores_the_floor() -> None:
    """Another half of the same distribution is within a few errors of the floor, and a shifted one is not."""
    rng = torch.Generator().manual_seed(3)
    images = (torch.randn(400, 3, 4, 4, generator=rng) * 40 + 128).clamp(0, 255).to(torch.uint8)
    reals, fakes = images[:200], images[200:300]
    floor = ganeval.noise_floor(reals, metrics=["fid", "kid"], **HOW)
    good = ganeval.evaluate(reals[:100], fakes, metrics=["fid", "kid"], **HOW)
    bad = ganeval.evaluate(reals[:100], fakes // 2, metrics=["fid", "kid"], **HOW)
    for name in ("fid", "kid"):
        error = floor[name].standard_error or 0.0
        assert abs(good[name].value - floor[name].value) < 4 * error
        assert bad[name].value > floor[name].value + 20 * error


def test_too_few_images_or_splits_are_refused() -> None:
    """Halves need two images each, and a spread two splits."""
    with pytest.raises(MetricError, match="4 images or more, found 3"):
        ganeval.noise_floor(REALS[:3], metrics=["fid"], **HOW)
    with pytest.raises(UsageError, match="at least 2 splits"):
        ganeval.noise_floor(REALS, metrics=["fid"], splits=1, **HOW)
