"""Training images: conversion of every kind of source, refusals, and the order of batches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_helpers import some_images
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganeval.errors import SourceError, UsageError
from reference_models.base import GAN
from reference_models.batches import Batch
from reference_models.data.batches import BatchStream
from reference_models.data.images import Images, images_of, load_images
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_images
from reference_models.models.gan_recipes import QUICK


def save(folder: Path, name: str, width: int, height: int, colour: bool = True) -> None:
    """A picture of noise."""
    shape = (height, width, 3) if colour else (height, width)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.RandomState(0).randint(0, 256, shape, np.uint8)).save(folder / name)


def draws(images: Images, batch: int, **given: object) -> BatchStream:
    """Batches of images and labels with nothing special about them but what is given."""
    parts = GAN.parts(images.tensors, replace(QUICK, batch=batch), 0)
    options = {"seed": 0, "device": "cpu", "to": "[0,1]", "flips": False, "name": images.about.get("name"), **given}
    return BatchStream(parts, Batch, **options)  # type: ignore[arg-type]


def test_digits_become_one_tensor_with_labels() -> None:
    """Every digit is loaded in grey at the requested size with its class."""
    images = load_images("digits:train", resolution=16, resize=True)
    assert images.pixels.shape == (1347, 1, 16, 16)
    assert images.pixels.dtype == torch.uint8
    assert images.labels is not None
    assert images.labels.shape == (1347,)
    assert (images.data.channels, images.data.resolution, images.data.classes) == (1, 16, 10)


def test_an_image_of_the_right_size_keeps_its_pixels(tmp_path: Path) -> None:
    """An image of the right size is not resampled."""
    save(tmp_path, "a.png", 8, 8)
    with Image.open(tmp_path / "a.png") as picture:
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    assert torch.equal(load_images(str(tmp_path), resolution=8).pixels[0], pixels)


def test_the_middle_square_is_what_remains(tmp_path: Path) -> None:
    """A wide image is cropped at the sides, a tall one at top and bottom."""
    for width, height in ((12, 8), (8, 12)):
        folder = tmp_path / f"{width}"
        save(folder, "a.png", width, height)
        with Image.open(folder / "a.png") as picture:
            middle = np.array(picture)[(height - 8) // 2 :, (width - 8) // 2 :][:8, :8]
        loaded = load_images(str(folder), resolution=8, resize=True).pixels[0].permute(1, 2, 0)
        assert torch.equal(loaded, torch.from_numpy(middle))


def test_colour_is_kept_where_there_is_any(tmp_path: Path) -> None:
    """Grey images have one channel, one colour image makes all have three, and an explicit choice is respected."""
    save(tmp_path, "grey.png", 8, 8, colour=False)
    assert load_images(str(tmp_path), resolution=8).data.channels == 1
    assert load_images(str(tmp_path), resolution=8, channels=3).data.channels == 3
    save(tmp_path, "red.png", 8, 8)
    assert load_images(str(tmp_path), resolution=8).data.channels == 3
    grey = load_images(str(tmp_path), resolution=8, channels=1)
    coloured = load_images(str(tmp_path), resolution=8).pixels[1].double()
    weights = torch.tensor([0.299, 0.587, 0.114]).double().view(3, 1, 1)
    assert float((grey.pixels[1, 0] - (coloured * weights).sum(0)).abs().max()) <= 0.51


def test_a_plan_keeps_the_colours_of_images_that_its_recipe_does_not_name(tmp_path: Path) -> None:
    """The recipe's one channel is for the recipe's own digits, or for those who ask for it."""
    for number in range(3):
        save(tmp_path, f"{number}.png", 16, 16)
    chosen = [make_plan("gan", data=str(tmp_path), chosen=some) for some in ({}, {"channels": 1})]
    assert [read_images(plan).data.channels for plan in chosen] == [3, 1]


def test_labels_come_from_the_folders_of_classes(tmp_path: Path) -> None:
    """Classes are numbered in the order of their names."""
    for name in ("cat", "dog", "emu"):
        save(tmp_path / name, "1.png", 8, 8)
    images = load_images(str(tmp_path), resolution=8)
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 2]


def test_mixed_sizes_need_a_resolution(tmp_path: Path) -> None:
    """The message names both images and the option; with it they fit."""
    save(tmp_path, "a.png", 8, 8)
    save(tmp_path, "b.png", 10, 10)
    with pytest.raises(SourceError, match=r"b\.png has 10 x 10 pixels, and .*a\.png has 8 x 8.*--resolution"):
        load_images(str(tmp_path), resolution=8)
    assert load_images(str(tmp_path), resolution=8, resize=True).pixels.shape == (2, 3, 8, 8)


def test_images_that_are_not_square_need_a_resolution(tmp_path: Path) -> None:
    """Non-square images are not squeezed unless requested."""
    save(tmp_path, "wide.png", 16, 8)
    with pytest.raises(SourceError, match=r"wide\.png has 16 x 8 pixels; a model .*--resolution"):
        load_images(str(tmp_path), resolution=8)


def test_no_images_are_refused(tmp_path: Path) -> None:
    """An empty folder is an error, not an empty training."""
    with pytest.raises(SourceError):
        load_images(str(tmp_path), resolution=8)


@pytest.mark.parametrize(("resolution", "channels"), [(0, None), (-8, 1), (8, 2), (8, 4)])
def test_impossible_images_are_refused(resolution: int, channels: int | None) -> None:
    """A source has colour or none, and at least a pixel."""
    with pytest.raises(UsageError, match="1 or 3 channels"):
        load_images("digits:test", resolution=resolution, channels=channels)


def test_labels_must_fit_the_images() -> None:
    """Labels must be one per image, and begin at 0."""
    pixels = some_images(4).pixels
    for labels in (torch.zeros(3, dtype=torch.long), torch.tensor([0, 1, 2, -1])):
        with pytest.raises(SourceError, match="labels do not fit"):
            images_of(pixels, labels)


def test_the_digest_knows_every_pixel_and_label() -> None:
    """The digest changes with one bit of a pixel or a label."""
    pixels, labels = some_images(6).pixels, torch.arange(6)
    other_pixels, other_labels = pixels.clone(), labels.clone()
    other_pixels[5, 0, 7, 7] ^= 1
    other_labels[0] = 1
    digests = [images_of(*pair).digest for pair in ((pixels, labels), (other_pixels, labels), (pixels, other_labels))]
    digests += [images_of(pixels).digest, images_of(pixels.view(6, 4, 4, 4), labels).digest]
    assert len(set(digests)) == 5
    assert digests[0] == images_of(pixels.clone(), labels.clone()).digest


def test_too_few_for_a_batch_are_refused() -> None:
    """The message says how many there are."""
    with pytest.raises(SourceError, match="some images has 5 images, too few for a batch of 6; choose --batch 5"):
        draws(some_images(5), 6)


@settings(max_examples=40)
@given(count=st.integers(1, 30), batch=st.integers(1, 30), epochs=st.integers(1, 4))
def test_every_image_is_drawn_once_an_epoch(count: int, batch: int, epochs: int) -> None:
    """Every image is drawn once per epoch for any batch size, across epoch ends, and every batch is full."""
    batch = min(batch, count)
    images = images_of(torch.arange(count, dtype=torch.float32).view(-1, 1, 1, 1))
    draw = draws(images, batch)
    drawn = [draw().images.flatten() for _ in range(-(-count * epochs // batch))]
    assert {len(part) for part in drawn} == {batch}
    flat = torch.cat(drawn).long().tolist()
    for epoch in range(epochs):
        assert sorted(flat[epoch * count : (epoch + 1) * count]) == list(range(count))


@settings(max_examples=20)
@given(before=st.integers(0, 12), flips=st.booleans(), seed=st.integers(0, 5))
def test_the_position_is_all_there_is_to_remember(before: int, flips: bool, seed: int) -> None:
    """Draws restored from a position continue identically."""
    images = some_images(10, classes=3)
    first, second = (draws(images, 4, seed=seed, flips=flips) for _ in range(2))
    for _ in range(before):
        first()
    second.seen = first.seen
    for _ in range(4):
        one, other = first(), second()
        assert torch.equal(one.images, other.images)
        assert one.labels is not None
        assert other.labels is not None
        assert torch.equal(one.labels, other.labels)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    """The second epoch has another order than the first, and so has another seed."""
    images = images_of(torch.arange(50, dtype=torch.float32).view(-1, 1, 1, 1))
    one, other = draws(images, 50), draws(images, 50, seed=1)
    orders = [one().images.flatten(), one().images.flatten(), other().images.flatten()]
    assert not any(torch.equal(orders[left], orders[right]) for left, right in ((0, 1), (0, 2), (1, 2)))


def test_labels_go_with_their_images() -> None:
    """Drawn images come with their own labels."""
    pixels = torch.arange(12, dtype=torch.float32).view(-1, 1, 1, 1)
    batch = draws(images_of(pixels, torch.arange(12) % 5), 7)()
    assert batch.labels is not None
    assert torch.equal(batch.labels, batch.images.flatten().long() % 5)


def test_pixels_fill_the_models_range() -> None:
    """0 and 255 are the ends of [0, 1] and of [-1, 1]; floats are left as they are."""
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    unit, signed = draws(images_of(pixels), 3)().images, draws(images_of(pixels), 3, to="[-1,1]")().images
    assert torch.allclose(unit.flatten().sort().values, torch.tensor([0.0, 0.2, 1.0]))
    assert torch.allclose(signed.flatten().sort().values, torch.tensor([-1.0, -0.6, 1.0]))
    floats = torch.tensor([-3.0, 7.0]).view(2, 1, 1, 1)
    assert sorted(draws(images_of(floats), 2)().images.flatten().tolist()) == [-3.0, 7.0]


def test_images_are_mirrored_only_when_asked() -> None:
    """With flips about half of them, from left to right; without, none."""
    images = some_images(64)

    def rows(pixels: torch.Tensor) -> list[tuple[int, ...]]:
        return [tuple(image.flatten().tolist()) for image in (pixels * 255).round().int()]

    as_they_are, mirrored = set(rows(images.pixels / 255)), set(rows(images.pixels.flip(3) / 255))
    plain, flipped = rows(draws(images, 64)().images), rows(draws(images, 64, flips=True)().images)
    assert set(plain) == as_they_are
    assert set(flipped) <= as_they_are | mirrored
    assert 16 < sum(image in mirrored for image in flipped) < 48
