"""The images that a number points at, by name, from Python."""

import shutil
from pathlib import Path

import pytest
from core_helpers import random_images, write_folder

from ganeval import Evaluation, evaluate, most_discriminable_images, nearest_images
from ganeval.errors import MetricError, UsageError


@pytest.fixture
def copied(tmp_path: Path) -> Evaluation:
    """Ten reals and six fakes, of which the fourth is a copy of the real 3.png, and the second cannot be read."""
    reals, fakes = write_folder(tmp_path / "real", 10), write_folder(tmp_path / "fake", 6, seed=50)
    shutil.copy(reals / "3.png", fakes / "3.png")
    (fakes / "1.png").write_bytes(b"no image")
    return evaluate(reals, fakes, metrics=["nn"], extractor="pixels:8", cache=False, on_error="skip")


def test_nearest_images_have_names_and_places(copied: Evaluation, tmp_path: Path) -> None:
    """The copy comes first with its real, at the index it has in its source, and a grid is written."""
    found = nearest_images(copied, 2, grid=tmp_path / "grid.png")
    assert (Path(found[0].fake).name, found[0].index, found[0].ratio) == ("3.png", 3, 0.0)
    nearest = found[0].reals[0]
    assert (Path(nearest.real).name, nearest.index, nearest.distance) == ("3.png", 3, 0.0)
    assert sorted(one.index for one in found) == [0, 2, 3, 4, 5]
    assert all(len(one.reals) == 2 and one.reals[0].distance <= one.reals[1].distance for one in found)
    assert (tmp_path / "grid.png").is_file()


def test_the_distance_is_that_of_the_metric() -> None:
    """Without a distance it is that by which the metric was computed, and euclidean without the metric."""
    real, fake = random_images(10), random_images(5, seed=1)
    settings = {"extractor": "pixels:8", "cache": False}
    cosine = evaluate(real, fake, metrics=["nn"], options={"nn": {"distance": "cosine"}}, **settings)
    other = evaluate(real, fake, metrics=["fid"], **settings)
    assert nearest_images(cosine)[0].reals[0].distance < 1
    assert nearest_images(other) == nearest_images(cosine, distance="euclidean")
    assert nearest_images(other)[0].reals[0].distance > 1


def test_the_image_that_differs_is_the_most_discriminable(tmp_path: Path) -> None:
    """A white fake among noise is the first, with its probability; the grid is written."""
    real, fake = random_images(40) // 2, random_images(40, seed=1) // 2
    fake[7] = 255
    found = evaluate(real, fake, metrics=["fid"], extractor="pixels:8", cache=False)
    images = most_discriminable_images(found, count=8, grid=tmp_path / "grid.png")
    assert (images.fake[0].name, images.fake[0].index) == (found.fake.image_name(7), 7)
    assert images.fake[0].probability_fake > 0.5
    assert len(images.real) == len(images.fake) == 8
    assert (tmp_path / "grid.png").is_file()
    with pytest.raises(MetricError):
        most_discriminable_images(found, classifier="tree")


@pytest.mark.parametrize("find", [nearest_images, most_discriminable_images])
def test_a_result_from_a_file_has_no_images(find) -> None:
    """A saved result says that its features are not there."""
    result = evaluate(random_images(9), random_images(9, seed=1), metrics=["fid"], extractor="pixels:8", cache=False)
    with pytest.raises(UsageError, match=r"ganeval\.evaluate\(real, fake\)"):
        find(Evaluation.from_json(result.to_json()))
