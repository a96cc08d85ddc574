"""Spatial FID: FID of the extractor's "spatial" output, whose moments must never be those of its "features"."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from core_helpers import Means, write_folder
from torch import Tensor

from ganeval.cache import Cache
from ganeval.compute import compute
from ganeval.extraction import extract
from ganeval.extractors import Setup
from ganeval.features import FeatureSet
from ganeval.metrics import Metric
from ganeval.metrics.fid import fid
from ganeval.metrics.moments import Moments
from ganeval.outputs import Output
from ganeval.protocols import find_protocol
from ganeval.selection import Selection
from ganeval.sources import open_source
from ganeval.sources.base import Reading
from ganeval.sources.statistics import StoredGaussian, read_statistics, write_statistics

OUTPUTS: frozenset[Output] = frozenset(("features", "spatial"))


def row(output: Output) -> Metric:
    return Metric(title="", compute=fid, real=output, fake=output, direction="lower", source="", takes_moments=True)


class Layout(Means):
    """The mean colours of quarters are the features; where the brightness is, at half of its range, is spatial."""

    outputs = OUTPUTS

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        given: dict[Output, Tensor] = {"features": inputs.flatten(1), "spatial": inputs.mean(1).flatten(1) / 2}
        return {output: given[output] for output in outputs}


class Run:
    """One evaluation over a cache: what a new process would have. moments: of which outputs they are wanted."""

    def __init__(self, folders: list[Path], cache: Cache | None, moments: frozenset[Output] = OUTPUTS) -> None:
        self.extractor = Layout()
        self.setup = Setup(find_protocol("tensorflow"), self.extractor)
        self.sets: list[FeatureSet] = [
            extract(open_source(path), [self.extractor], OUTPUTS, Reading(), moments=moments, cache=cache)[0]
            for path in folders
        ]

    def values(self, *outputs: Output) -> dict[Output, float]:
        metrics: dict[str, Metric] = {output: row(output) for output in outputs}
        found = compute(Selection(metrics, {}), self.setup, *self.sets, seed=0)
        return {output: found[output].value for output in outputs}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """More images than dimensions, so that moments are made and kept."""
    return [write_folder(tmp_path / name, 20, seed=seed) for name, seed in (("real", 1), ("fake", 2))]


@pytest.mark.parametrize("order", [("features", "spatial"), ("spatial", "features")])
def test_each_output_has_moments_of_its_own(tmp_path: Path, folders: list[Path], order: tuple[Output, Output]) -> None:
    """With a cold cache, a warm cache and none, FID of either output is that of its own arrays."""
    cache = Cache(tmp_path / "cache")
    arrays = [found.arrays for found in Run(folders, None).sets]
    expected = {output: fid(arrays[0][output], arrays[1][output]).value for output in order}
    assert expected["features"] != pytest.approx(expected["spatial"], rel=0.1)
    for kept in (cache, cache, None):
        assert Run(folders, kept).values(*order) == pytest.approx(expected, rel=1e-10)


def test_moments_of_one_output_are_kept_apart_from_the_others(tmp_path: Path, folders: list[Path]) -> None:
    """Cached moments of spatial features are not used for features."""
    cache = Cache(tmp_path / "cache")
    run = Run(folders, cache, frozenset(("spatial",)))
    run.values("spatial")
    digest = run.sets[0].digest
    assert digest is not None
    assert cache.load_moments(digest, run.extractor) is None
    kept = cache.load_moments(digest, run.extractor, "spatial")
    assert kept is not None
    assert torch.equal(kept.mean, Moments.of(run.sets[0].arrays["spatial"]).mean)


def test_stored_statistics_answer_with_their_spatial_part(tmp_path: Path, folders: list[Path]) -> None:
    """A file with mu_s and sigma_s, as ADM's, is the reference of spatial FID."""
    run = Run(folders, None)
    sides = [Moments.of(run.sets[0].arrays[output]).gaussian() for output in ("features", "spatial")]
    features, spatial = (StoredGaussian(side.mean.numpy(), side.covariance.numpy()) for side in sides)
    path = tmp_path / "reference.npz"
    write_statistics(path, features, spatial=spatial, count=20, ddof=1, measured={})
    real = FeatureSet({}, stored=read_statistics(path))
    found = compute(Selection({"sfid": row("spatial")}, {}), run.setup, real, run.sets[1], seed=0)
    assert found["sfid"].value == pytest.approx(run.values("spatial")["spatial"], rel=1e-9)
