"""Embedded sets: crops of photographs and textures, their held-out parts, and what cannot be had."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_sample_image
from source_helpers import images_of

from ganeval import open_pairs
from ganeval.errors import SourceError, UsageError
from ganeval.sources import open_source
from ganeval.sources.crops import PHOTOGRAPHS, SKIMAGE
from ganeval.testing import check_source


def pixels_of(spec):
    """All images of a source, [N, H, W, 3]."""
    return np.stack(images_of(open_source(spec))[0]).transpose(0, 2, 3, 1)


@pytest.mark.parametrize(
    ("spec", "count"),
    [("photos:train", 1110), ("photos:test", 40), ("photos:train:32", 5236), ("photos:test:32", 160),
     ("photos:train:64", 1110), ("photos:test:128", 10), ("photos:test:96", 12)],
)  # fmt: skip
def test_the_number_of_crops_is_fixed(spec, count):
    """As many as the documentation says, of the side that is asked for, half of each photograph."""
    source = open_source(spec)
    side = int(spec.split(":")[2]) if spec.count(":") == 2 else 64
    assert len(source) == count
    assert {source.image_at(index).shape for index in (0, count - 1)} == {(3, side, side)}
    assert np.bincount(source.labels).tolist() == [count // 2, count // 2]
    assert source.class_names == ("china", "flower")
    assert source.describe() == {"classes": 2, "labels": "the photograph"}


@pytest.mark.parametrize("side", [64, 100])
def test_no_pixel_is_in_both_parts(side):
    """Crops for testing tile the lowest 128 rows without overlap; crops for training are of the 299 rows above."""
    train, test = (pixels_of(f"photos:{split}:{side}") for split in ("train", "test"))
    step = side // 4
    tops, lefts = range(0, 299 - side + 1, step), range(0, 640 - side + 1, step)
    expected = [(top, left) for top in tops for left in lefts]
    tiles = [(299 + top, left) for top in range(0, 128 - side + 1, side) for left in range(0, 640 - side + 1, side)]
    for crops, places in ((train, expected), (test, tiles)):
        photographs = [load_sample_image(f"{name}.jpg") for name in PHOTOGRAPHS]
        wanted = [photo[top : top + side, left : left + side] for photo in photographs for top, left in places]
        np.testing.assert_array_equal(crops, np.stack(wanted))
    assert max(top for top, _ in expected) + side <= 299 <= min(top for top, _ in tiles)


@pytest.mark.parametrize("spec", ["photos:train:128", "photos:test", "skimage:faces", "skimage:chelsea:test"])
def test_embedded_sets_keep_to_what_every_source_keeps_to(spec):
    """They pass the contract of sources, and have one fingerprint each time they are opened."""
    if spec.startswith("skimage"):
        pytest.importorskip("skimage", reason="scikit-image is not installed")
    check_source(spec)
    assert open_source(spec).fingerprint() == open_source(spec).fingerprint() is not None


def test_the_tasks_have_data_without_a_network():
    """Photographs can be reduced by four, holed, and drawn as edges, with held-out halves of the same size."""
    for spec in ("lowres:photos:{},4", "hole:photos:{}:32", "edges:photos:{}:32"):
        for split in ("train", "test"):
            pairs = open_pairs(spec.format(split), num_samples=5)
            assert len(images_of(pairs.inputs)[0]) == len(images_of(pairs.targets)[0]) == 5


@pytest.mark.parametrize(
    "spec",
    ["photos:", "photos:tset", "photos:32", "photos:train:", "photos:train:x", "photos:train:-8", "photos:train:32:1",
     "photos:32:train", "skimage:grass:", "skimage:grass:32:test", "skimage:faces:all"],
)  # fmt: skip
def test_a_spec_of_another_form(spec):
    """The message shows how it is written."""
    with pytest.raises(UsageError, match=rf"'{spec}' is not understood; write {spec.partition(':')[0]}:"):
        open_source(spec)


@pytest.mark.parametrize(
    ("spec", "largest"), [("photos:test:129", 128), ("photos:train:300", 299), ("photos:train:7", 299)]
)
def test_a_side_that_does_not_fit(spec, largest):
    """The message has the sides that do."""
    with pytest.raises(UsageError, match=f"'{spec}': crops have 8 to {largest} pixels a side here, not "):
        open_source(spec)


@pytest.mark.parametrize(
    ("spec", "shape"),
    [("astronaut", (64, 64, 64, 3)), ("coffee:100", (24, 100, 100, 3)), ("grass:32", (256, 32, 32, 3)),
     ("gravel:test:32", (64, 32, 32, 3)), ("brick:train:64", (551, 64, 64, 3)),
     ("rocket:train:128", (102, 128, 128, 3)),
     ("chelsea:test", (7, 64, 64, 3)), ("faces", (100, 25, 25, 3)), ("faces:train", (75, 25, 25, 3)),
     ("faces:test", (25, 25, 25, 3))],
)  # fmt: skip
def test_images_of_scikit_image(spec, shape):
    """Every image is cropped like the photographs, as a whole or in its two parts, and has no classes."""
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    assert pixels_of(f"skimage:{spec}").shape == shape
    assert open_source(f"skimage:{spec}").labels is None


def test_whole_images_are_tiled():
    """The crops of a whole image, put together, are the image; textures are greyscale, and faces fill the range."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    rows = pixels_of("skimage:astronaut").reshape(8, 8, 64, 64, 3).transpose(0, 2, 1, 3, 4)
    np.testing.assert_array_equal(rows.reshape(512, 512, 3), data.astronaut())
    grey = pixels_of("skimage:gravel:128").reshape(4, 4, 128, 128, 3).transpose(0, 2, 1, 3, 4).reshape(512, 512, 3)
    np.testing.assert_array_equal(grey, np.stack([data.gravel()] * 3, 2))
    faces = pixels_of("skimage:faces")
    np.testing.assert_array_equal(faces[..., 0], np.rint(data.lfw_subset()[:100] * 255))
    assert faces.max() > 200
    test = pixels_of("skimage:faces:test")
    np.testing.assert_array_equal(test, faces[::4])


def test_every_name_can_be_loaded():
    """All names that the message lists are shipped with scikit-image."""
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    assert all(len(open_source(f"skimage:{name}")) > 0 for name in SKIMAGE)


def test_a_name_that_is_not_there():
    """The message has the nearest name, or all."""
    with pytest.raises(
        UsageError, match="'skimage:astronuat' names no image of scikit-image; did you mean 'astronaut'"
    ):
        open_source("skimage:astronuat")
    with pytest.raises(UsageError, match=r"choose from: astronaut, chelsea, .*, faces"):
        open_source("skimage:")
    with pytest.raises(UsageError, match="the faces are whole images of 25 x 25 pixels"):
        open_source("skimage:faces:32")


def test_without_scikit_image(monkeypatch):
    """The message names the package to install and what it has."""
    for name in ("skimage", "skimage.data"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SourceError, match=r"`pip install scikit-image`\. It has: astronaut, .*, faces"):
        open_source("skimage:coffee")


def test_an_image_that_scikit_image_cannot_load(monkeypatch):
    """Its own error is in the message."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")

    def offline():
        raise ConnectionError("no route to host")

    monkeypatch.setattr(data, "coffee", offline)
    with pytest.raises(SourceError, match=r"cannot load its image coffee \(ConnectionError: no route to host\)"):
        open_source("skimage:coffee")
