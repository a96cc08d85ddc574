"""ADM's reference batches: images and their statistics in one file, and which of them each metric uses."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from core_helpers import random_images

import ganeval
from ganeval.errors import SourceError
from ganeval.metrics.fid import frechet_distance
from ganeval.preprocess import resample
from ganeval.results import Evaluation
from ganeval.sources.statistics import read_statistics
from ganeval_cli.main import cli

IMAGES, FAKES = random_images(40, seed=1), random_images(30, seed=2)
RANDOM = np.random.RandomState(0)
WIDTH = 12
ROWS = RANDOM.rand(400, WIDTH)
CHOSEN = {"extractor": "pixels:2", "cache": False}
SCHEMA = json.loads((Path(__file__).parents[1] / "docs/result.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def batch(tmp_path: Path) -> Callable[..., Path]:
    """batch(): a file with 40 images and the moments of 400 others; keywords replace or add arrays."""

    def write(**arrays: np.ndarray) -> Path:
        path = tmp_path / "reference.npz"
        moments = {"mu": ROWS.mean(0), "sigma": np.cov(ROWS, rowvar=False)}
        np.savez(path, **{"arr_0": IMAGES.permute(0, 2, 3, 1).numpy(), **moments, **arrays})
        return path

    return write


def measured(real: object, fake: object = FAKES, **chosen: object) -> Evaluation:
    """All possible metrics, or the requested ones."""
    return ganeval.evaluate(real, fake, **{"metrics": ["fid", "kid", "precision"], **CHOSEN, **chosen})


def test_each_metric_takes_what_it_needs(batch: Callable[..., Path]) -> None:
    """FID uses the statistics exactly, KID and precision the images, in one run that says which."""
    found, images = measured(batch()), measured(IMAGES)
    pixels = resample(FAKES, 2, 2, "clean").flatten(1).double().numpy() / 255
    expected = frechet_distance(ROWS.mean(0), np.cov(ROWS.T), pixels.mean(0), np.cov(pixels.T))
    assert found["fid"].value == pytest.approx(expected, rel=1e-5)
    assert images["fid"].value != pytest.approx(expected, rel=0.1)
    assert found["kid"].value == images["kid"].value
    assert found["precision"].value == images["precision"].value
    assert (found["fid"].n_real, found["kid"].n_real) == (None, 40)
    told = "holds 40 images and statistics: fid took the statistics, kid, precision the images."
    assert any(told in warning for warning in found.warnings)
    assert any("does not say how its statistics were measured" in warning for warning in found.warnings)
    jsonschema.validate(json.loads(found.to_json()), SCHEMA)


def test_the_statistics_alone_give_the_same(batch: Callable[..., Path], tmp_path: Path) -> None:
    """The FID equals that of a file with the moments alone, and no image is read for it."""
    np.savez(tmp_path / "alone.npz", mu=ROWS.mean(0), sigma=np.cov(ROWS, rowvar=False))
    alone = measured(tmp_path / "alone.npz", metrics=["fid"])
    for names in (["fid"], ["fid", "kid"]):
        assert measured(batch(), metrics=names)["fid"].value == alone["fid"].value
    found = measured(batch(), metrics=["fid"])
    assert found.provenance["real"]["kind"] == "statistics"
    assert any("holds images, too; the requested metrics took its statistics" in warning for warning in found.warnings)
    assert measured(batch(), metrics=["kid"]).warnings == ()


def test_as_fakes_the_images_are_taken(batch: Callable[..., Path]) -> None:
    """The provenance has the unused statistics."""
    found = measured(IMAGES, batch())
    assert found["fid"].value == measured(IMAGES, IMAGES)["fid"].value
    assert found.provenance["fake"]["beside"] == "statistics (mu, sigma)"


def test_statistics_of_another_extractor_give_way_to_the_images(batch: Callable[..., Path]) -> None:
    """If their width is not the extractor's, every metric uses the images, with a warning."""
    found = measured(batch(), extractor="pixels:4")
    assert found["fid"].value == measured(IMAGES, extractor="pixels:4")["fid"].value
    assert any("all metrics took the images" in warning for warning in found.warnings)


def test_spatial_fid_takes_images_where_there_are_no_spatial_statistics(batch: Callable[..., Path]) -> None:
    """ADM's files have both; one without mu_s and sigma_s has images to measure."""
    width = 128
    moments = {"mu": np.zeros(64), "sigma": np.eye(64)}
    spatial = {"mu_s": np.zeros(width), "sigma_s": np.eye(width)}
    without = measured(batch(**moments), extractor="digits", metrics=["fid", "sfid"])
    assert (without["fid"].n_real, without["sfid"].n_real) == (None, 40)
    stored = measured(batch(**moments, **spatial), extractor="digits", metrics=["fid", "sfid"])
    assert (stored["fid"].n_real, stored["sfid"].n_real) == (None, None)


def test_other_ways_to_use_a_batch(batch: Callable[..., Path], tmp_path: Path) -> None:
    """`compare` uses the statistics for every generator; the noise floor and `stats` use the images."""
    found = ganeval.compare(batch(), {"a": FAKES, "b": IMAGES}, metrics=["fid", "kid"], **CHOSEN)
    assert found.evaluations["a"]["fid"].value == measured(batch())["fid"].value
    assert ganeval.noise_floor(batch(), metrics=["kid"], **CHOSEN)["kid"].n_real == 20
    assert ganeval.write_reference(batch(), tmp_path / "own.npz", **CHOSEN).count == 40
    assert measured(batch(), num_samples=20)["kid"].n_real == 20


def test_images_beside_statistics_are_not_read_with_them(batch: Callable[..., Path]) -> None:
    """Moments are read without the images, whose member may be gigabytes or not be images at all."""
    path = batch(arr_0=np.zeros((0, 4, 4, 3), np.uint8))
    assert read_statistics(path).features.mean.shape == (WIDTH,)
    found = measured(batch(arr_0=np.zeros(3)), metrics=["fid"])
    assert found.warnings[0].endswith("the same weights.")
    with pytest.raises(SourceError, match=r"holds statistics \(mu, sigma\), not images"):
        measured(IMAGES, batch(arr_0=np.zeros(3)))


def test_the_command_says_which_was_used(batch: Callable[..., Path], tmp_path: Path) -> None:
    """Standard error has one line, and -v describes the sets."""
    sides = [str(batch()), str(tmp_path / "fake.npy")]
    np.save(sides[1], FAKES.numpy())
    how = ["--extractor", "pixels:2", "-v"]
    result = CliRunner().invoke(cli, ["score", *sides, *how, "--metrics", "fid,kid"], prog_name="ganeval")
    assert result.exit_code == 0, result.stderr
    assert "fid took the statistics, kid the images" in result.stderr
    assert "also holds statistics, taken by the metrics of moments" in result.stdout
    result = CliRunner().invoke(cli, ["fid", *reversed(sides), *how], prog_name="ganeval")
    assert "not used: statistics (mu, sigma)" in result.stdout
