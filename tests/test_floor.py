"""The noise floor: random halves of the reals against each other."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from core_helpers import values_alone

import ganeval
from ganeval.errors import MetricError, UsageError
from ganeval.metrics import METRICS
from ganeval.metrics.fid import fid
from ganeval.sources.arrays import ArrayItems
from ganeval.uncertainty import Estimate

REALS = torch.randint(0, 256, (90, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
HOW = {"extractor": "pixels:2", "cache": False}


def test_the_floor_is_the_mean_over_halves() -> None:
    """The floor equals that of halves split by hand."""
    floor = ganeval.noise_floor(REALS, metrics=["fid"], splits=3, seed=5, **HOW)
    assert floor.is_noise_floor
    assert not ganeval.evaluate(REALS, REALS, metrics=["fid"], **HOW).is_noise_floor
    found = floor["fid"]
    rng, estimates = np.random.RandomState(5), []
    from ganeval.extraction import extract
    from ganeval.extractors import open_extractor
    from ganeval.protocols import find_protocol
    from ganeval.sources import open_source
    from ganeval.sources.base import Reading

    extractor = open_extractor("pixels:2", protocol=find_protocol("tensorflow"), weights=None, device="cpu")
    (whole,) = extract(open_source(REALS), [extractor], frozenset(("features",)), Reading())
    for _ in range(3):
        order = torch.from_numpy(rng.permutation(90))
        array = whole.arrays["features"]
        estimates.append(fid(array[order[:45]], array[order[45:]]))
    values, errors = [one.value for one in estimates], [one.standard_error for one in estimates]
    assert found.value == pytest.approx(np.mean(values), rel=1e-9)
    assert found.standard_error == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-6)
    assert found.interval == pytest.approx(np.mean([one.interval for one in estimates], axis=0), rel=1e-6)
    assert found.details == {"spread": pytest.approx(np.std(values, ddof=1), rel=1e-6)}
    assert found.notes == estimates[0].notes
    assert (found.n_real, found.n_fake) == (45, 45)


def test_a_perfect_generator_scores_the_floor() -> None:
    """Another half is within a few errors of the floor, and a shifted one is not."""
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


def images(count: int, seed: int) -> torch.Tensor:
    """uint8 [count, 3, 2, 2], normal."""
    rng = torch.Generator().manual_seed(seed)
    return (torch.randn(count, 3, 2, 2, generator=rng) * 40 + 128).clamp(0, 255).to(torch.uint8)


def test_the_error_is_that_over_fresh_sets() -> None:
    """To a quarter, for what is well calibrated; known to 9% of 60 draws; the halves' error off by a tenth at times.

    The spread from split to split is less than that.
    """
    names = ["precision", "vendi"]
    with values_alone():
        draws = [ganeval.evaluate(images(80, 2 * i), images(80, 2 * i + 1), metrics=names, **HOW) for i in range(60)]
    floors = [ganeval.noise_floor(images(160, 1000 + i), metrics=names, splits=4, **HOW) for i in range(6)]
    for name in names:
        true = np.std([one[name].value for one in draws], ddof=1)
        assert np.mean([one[name].standard_error for one in floors]) == pytest.approx(true, rel=0.25)
        assert np.sqrt(np.mean([one[name].details["spread"] ** 2 for one in floors])) < 0.95 * true


def test_intervals_end_where_the_metric_does() -> None:
    """Shares are within 0 and 1, and a floor of 0 has an interval."""
    rng = torch.Generator().manual_seed(0)
    shades = torch.randint(0, 256, (200, 3, 4, 4), dtype=torch.uint8, generator=rng)
    names = ["precision", "coverage", "ndb", "jsd"]
    found = ganeval.noise_floor(shades, metrics=names, **HOW)
    for name in names:
        low, high = found[name].interval or (-1.0, 2.0)
        assert 0 <= low < high <= 1
        assert low <= found[name].value <= high


def test_what_splits_say_is_kept() -> None:
    """The notes of all splits are kept, each once though their numbers differ."""
    found = ganeval.noise_floor(REALS[:40], metrics=["fid", "vendi"], splits=4, **{**HOW, "extractor": "pixels:4"})
    assert len(found["fid"].notes) == len(found["vendi"].notes) == 1
    assert "20 images for 48 dimensions: the covariance is singular" in found["fid"].notes[0]


def test_a_metric_that_one_split_refuses_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out for any split that refuses it."""
    row, calls = METRICS["fid"], itertools.count()

    def moody(*sides: object, ddof: int = 1) -> Estimate:
        if next(calls) == 2:
            raise MetricError("Not this one.")
        return row.compute(*sides, ddof=ddof)

    monkeypatch.setattr("ganeval.metrics.lookup.METRICS", {**METRICS, "fid": replace(row, compute=moody)})
    found = ganeval.noise_floor(REALS, splits=4, **HOW)
    assert list(found.metrics) == ["kid", "precision", "recall", "density", "coverage"]
    assert "fid was not measured: Not this one." in found.warnings


def test_too_few_images_or_splits_are_refused() -> None:
    """Halves need two images each, and a standard deviation two splits."""
    with pytest.raises(MetricError, match="at least 4 images, found 3"):
        ganeval.noise_floor(REALS[:3], metrics=["fid"], **HOW)
    splits: Any
    for splits in (1, 2.5, "3"):
        with pytest.raises(UsageError, match=f"splits must be (at least 2|a whole number), found {splits!r}"):
            ganeval.noise_floor(REALS, metrics=["fid"], splits=splits, **HOW)
    splits = np.int64(2)
    assert ganeval.noise_floor(REALS[:8], metrics=["fid"], splits=splits, **HOW)["fid"].n_real == 4


def test_every_class_has_its_floor() -> None:
    """The details have the mean and spread of a class's values over the splits."""
    found = ganeval.noise_floor("digits:test", metrics=["cas"], splits=2, extractor="digits")["cas"]
    assert list(found.details) == ["spread", *(f"class {digit}" for digit in range(10))]
    shares = [value for name, value in found.details.items() if name != "spread"]
    assert sum(shares) / 10 == pytest.approx(found.value)


def test_a_lenient_floor_leaves_out_what_halves_lack() -> None:
    """There is one warning per metric, and metrics that are named explicitly are not left out."""
    images = np.random.RandomState(0).randint(0, 256, (12, 4, 4, 3), np.uint8)
    reals = ArrayItems(images, name="few", kind="array", labels=[0] * 9 + [1] * 3)
    how = {"metrics": ["fid", "cas"], "extractor": "pixels:4", "cache": False}
    with pytest.raises(MetricError, match="at least 2"):
        ganeval.noise_floor(reals, **how)
    found = ganeval.noise_floor(reals, lenient=True, **how)
    assert list(found.metrics) == ["fid"]
    assert [text.partition(" was")[0] for text in found.warnings if "measured" in text] == ["cas"]
