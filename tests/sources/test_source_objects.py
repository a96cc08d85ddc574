"""Images as Python objects: PIL images in lists, floats of a declared range, and special tensors."""

import re
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from source_helpers import images_of, random_images
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from ganeval.errors import GeneratorError, SourceError
from ganeval.sources import open_source

NHWC = random_images(7)
NCHW = torch.from_numpy(NHWC.transpose(0, 3, 1, 2).copy())
PIL = [Image.fromarray(image) for image in NHWC]
FLOATS = {"[0,1]": NCHW / 255, "[-1,1]": NCHW / 127.5 - 1, "[0,255]": NCHW.float()}


def assert_the_images(source):
    """Every image is there, to the byte and in order."""
    images, report = images_of(source)
    np.testing.assert_array_equal(np.stack(images), NCHW)
    return report


@pytest.mark.parametrize(
    "images",
    [
        PIL,
        tuple(PIL),
        [(image, 3) for image in PIL],
        list(NCHW),
        list(NHWC),
        [PIL[0], *NHWC[1:4], *NCHW[4:]],
    ],
)
def test_a_list_of_images_is_a_source(images):
    """PIL images, tensors and arrays, with their classes or without, in a list that has indices and subsets."""
    source = open_source(images)
    assert source.kind == "list"
    assert_the_images(source)
    assert len(open_source(images, num_samples=3)) == 3


def test_greyscale_images_of_a_list_have_two_axes():
    """An array [H, W] is a greyscale image, as a PIL image of mode L is."""
    for images in ([NHWC[0, :, :, 0]], [Image.fromarray(NHWC[0, :, :, 0])]):
        found, report = images_of(open_source(images))
        np.testing.assert_array_equal(found[0], np.repeat(NHWC[:1, :, :, 0], 3, 0))
        assert report.conversions == {"greyscale": 1}


def test_pil_images_come_one_by_one_and_in_lists_of_a_loader():
    """An iterator of PIL images and a loader that collates by `list` give all of them."""
    assert_the_images(open_source(iter(PIL)))
    assert_the_images(open_source(DataLoader(PIL, batch_size=3, collate_fn=list)))


class Declared(Dataset):
    """Floats of a range that the data set declares."""

    def __init__(self, value_range):
        self.value_range = value_range

    def __len__(self):
        return len(NCHW)

    def __getitem__(self, index):
        return FLOATS[self.value_range][index]


@pytest.mark.parametrize("value_range", FLOATS)
def test_a_declared_range_reaches_every_reader(value_range):
    """The attribute is found on a data set, the data set of a subset or loader, and the loader."""
    dataset = Declared(value_range)
    for spec in (dataset, Subset(dataset, range(7)), DataLoader(dataset, 3), DataLoader(Subset(dataset, range(7)), 3)):
        source = open_source(spec)
        assert source.describe() == {"range": value_range}
        assert_the_images(source)
    loader = DataLoader(TensorDataset(FLOATS[value_range]), 3)
    loader.value_range = value_range
    assert_the_images(open_source(loader))


@pytest.mark.parametrize("value_range", FLOATS)
def test_a_keyword_says_the_range_of_whatever_declares_none(value_range, tmp_path):
    """Tensors, arrays, files, lists, loaders and generators accept it, and it does not affect bytes."""
    floats = FLOATS[value_range]
    np.save(tmp_path / "x.npy", floats.numpy())
    np.savez(tmp_path / "x.npz", floats.numpy().transpose(0, 2, 3, 1))
    specs = [
        floats,
        floats.clone().requires_grad_(),
        floats.double(),
        floats.numpy(),
        floats.numpy().transpose(0, 2, 3, 1),
        list(floats),
        DataLoader(TensorDataset(floats), 3),
        iter([floats]),
        tmp_path / "x.npy",
        tmp_path / "x.npz",
        NCHW,
        PIL,
    ]
    for spec in specs:
        assert_the_images(open_source(spec, value_range=value_range))


def test_whole_numbers_and_halves_have_a_range_too():
    """int64 on 0..255 is exact, and bfloat16, which has 8 bits, is within one."""
    assert_the_images(open_source(NCHW.long(), value_range="[0,255]"))
    found = np.stack(images_of(open_source(FLOATS["[0,1]"].bfloat16(), value_range="[0,1]"))[0])
    assert np.abs(found.astype(int) - NCHW.numpy().astype(int)).max() <= 1


def test_a_range_that_is_broken_names_the_image():
    """Values outside the declared range are refused, and bytes are not treated as floats."""
    with pytest.raises(GeneratorError, match=r"Tensor\[0\]: declared \[0,1\] but values go from"):
        images_of(open_source(FLOATS["[0,255]"], value_range="[0,1]"))


def test_floats_in_memory_are_not_cached():
    """Their use of the range is checked in every reading."""
    source = open_source(FLOATS["[0,1]"], value_range="[0,1]")
    assert source.fingerprint() is None
    assert assert_the_images(source).range_use["seen"] == NCHW.numel()
    assert open_source(NCHW, value_range="[0,1]").fingerprint() is not None


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    NESTED = torch.nested.nested_tensor([torch.rand(3, 4, 4)] * 2)
UNREADABLE = {
    "sparse": (FLOATS["[0,1]"].to_sparse(), "layout sparse_coo; make it dense"),
    "sparse bytes": (NCHW.to_sparse(), "layout sparse_coo; make it dense"),
    "meta": (torch.empty(2, 3, 4, 4, device="meta"), "device 'meta', which has a shape but no values"),
    "meta bytes": (torch.empty(2, 3, 4, 4, device="meta", dtype=torch.uint8), "device 'meta'"),
    "nested": (NESTED, "nested tensor; give a list of images"),
    "0-d": (torch.tensor(0.5), r"\[\]. A single number is not an image"),
    "0-d bytes": (torch.tensor(1, dtype=torch.uint8), r"\[\]. A single number is not an image"),
    "0-d array": (np.array(0.5), r"\[\]. A single number is not an image"),
    "grad": (FLOATS["[0,1]"].clone().requires_grad_(), "found float32 .*value_range"),
    "bfloat16": (FLOATS["[0,1]"].bfloat16(), "found bfloat16 .*value_range"),
    "whole numbers": (NCHW.long(), "found int64 .*value_range"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_tensors_without_plain_values_are_named(name):
    """They are a GanevalError that says what to do, alone or from a stream."""
    images, message = UNREADABLE[name]
    with pytest.raises(SourceError, match=message):
        open_source(images)
    with pytest.raises(SourceError, match=message):
        images_of(open_source(iter([images])))


@pytest.mark.parametrize(
    ("array", "hint"),
    [
        (torch.rand(9, 4), r"Features \[N, D\] are given as features:FILE, in Python as ganeval.Features\(array\)"),
        (torch.rand(4), r"A mean \[D\] is compared, with its covariance, by ganeval.frechet_distance"),
        (np.eye(4), r"numpy.savez\('ref.npz', mu=mean, sigma=covariance\)"),
        (np.zeros((9, 4, 4)), r"images\[:, None\]"),
        (np.zeros((2, 3, 4, 4), np.complex64), "these are not pixel values"),
    ],
)
def test_conversion_is_recommended_for_images_alone(array, hint):
    """Messages for features, means, covariances and complex numbers say where they belong."""
    for spec in (array, iter([array])):
        with pytest.raises(SourceError) as raised:
            images_of(open_source(spec))
        assert re.search(hint, str(raised.value))
        assert "to_uint8" not in str(raised.value)


@pytest.mark.parametrize(
    ("labels", "known", "names"),
    [
        (torch.tensor([0, 1, 2, 1, 0, 2, 0]), [0, 1, 2, 1, 0, 2, 0], None),
        (torch.tensor([[5], [3], [5], [3], [3], [3], [5]], dtype=torch.uint8), [1, 0, 1, 0, 0, 0, 1], ("3", "5")),
        (torch.eye(2, dtype=torch.int64)[[0, 1, 1, 0, 0, 1, 0]], [0, 1, 1, 0, 0, 1, 0], None),
    ],
)
def test_the_second_tensor_is_the_classes(labels, known, names):
    """Whole numbers [N] or [N, 1], or one-hot vectors, are known before an image is read, in subsets too."""
    pixels = torch.as_tensor(NCHW[[0, 1, 2, 3, 4, 4, 4]])
    source = open_source(TensorDataset(pixels, labels))
    assert (list(source.labels), source.class_names) == (known, names)
    assert source.describe()["labels"] == "the second tensor"
    some = open_source(TensorDataset(pixels, labels), num_samples=3)
    assert len(some.labels) == 3


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (torch.rand(4), "the second tensor is float32 [4], and classes are whole numbers"),
        (
            torch.zeros(4, 3, 2, dtype=torch.int64),
            "the second tensor is int64 [4, 3, 2], not one whole number per image",
        ),
        (torch.zeros(4, 3, dtype=torch.int64), "the second tensor has vectors of 3 numbers that are not one-hot"),
        (torch.tensor([0, -1, 1, 0]), "the second tensor[1] is -1; a class is a whole number from 0"),
    ],
)
def test_another_second_tensor_is_no_classes(labels, reason):
    """The images are read all the same, and the reason is kept."""
    source = open_source(TensorDataset(torch.as_tensor(NCHW[:4]), labels))
    assert source.labels is None
    assert source.describe()["unlabelled"] == reason
    assert len(images_of(source)[0]) == 4


@pytest.mark.parametrize(
    ("labels", "known"),
    [
        ([3, 1, 3], [1, 0, 1]),
        ([torch.tensor([7]), torch.tensor([0]), np.int64(7)], [1, 0, 1]),
        ([torch.tensor(1), np.array(0), np.int64(1)], [1, 0, 1]),
        (["dog", "cat", "dog"], [1, 0, 1]),
        ([None, None, None], None),
        ([0, None, 1], None),
        ([0.5, 1.0, 0.0], None),
        (list(NCHW[:3]), None),
        (list(NHWC[:3]), None),
    ],
)
def test_the_labels_of_a_list_are_its_classes(labels, known):
    """Numbers, tensors of one number and names; not where an image has none."""
    source = open_source(list(zip(PIL[:3], labels, strict=True)))
    assert source.labels == known
    assert ("unlabelled" in source.describe()) == (known is None and labels[0] is not None)
