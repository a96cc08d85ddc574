"""The image contract: what passes the edge, what is refused, and how floats become bytes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganeval.errors import GeneratorError, SourceError, UsageError
from ganeval.images import check_images, to_rgb, to_uint8
from ganeval.ranges import parse_range


@pytest.mark.parametrize(
    ("text", "value_range"),
    [
        ("uint8", "uint8"),
        ("[0,1]", "[0,1]"),
        ("[0, 1]", "[0,1]"),
        ("0..1", "[0,1]"),
        ("-1..1", "[-1,1]"),
        ("-1,1", "[-1,1]"),
    ],
)
def test_ranges_are_understood_as_people_write_them(text, value_range):
    """Every spelling of a range means one of three."""
    assert parse_range(text) == value_range


def test_unknown_range_names_the_known_ones():
    """A range that does not exist is a usage error with a hint."""
    with pytest.raises(UsageError, match=r"'\[0,2\]' is not a range of pixel values"):
        parse_range("[0,2]")


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4, dtype=torch.int64)])
def test_only_bytes_pass_the_edge(images):
    """Any other dtype is refused, with its name."""
    with pytest.raises(SourceError, match=r"here: images must be uint8, found (float32|int64)"):
        check_images(images, where="here")


@pytest.mark.parametrize("shape", [(3, 4, 4), (2, 1, 4, 4), (2, 4, 4, 3), (2, 3, 0, 4)])
def test_only_nchw_rgb_passes_the_edge(shape):
    """Any other shape is refused, with the shape."""
    with pytest.raises(SourceError, match=r"found \["):
        check_images(torch.zeros(shape, dtype=torch.uint8), where="here")


def test_greyscale_is_repeated():
    """One channel becomes three equal ones."""
    grey = torch.arange(8, dtype=torch.uint8).view(2, 1, 2, 2)
    rgb = to_rgb(grey, where="here")
    assert rgb.shape == (2, 3, 2, 2)
    assert (rgb == grey).all()


@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (2, 4, 4, 4), (3, 4, 4), (2, 3, 4, 0)])
def test_other_channel_counts_are_refused(shape):
    """Two or four channels have no agreed meaning."""
    with pytest.raises(SourceError, match="found"):
        to_rgb(torch.zeros(shape, dtype=torch.uint8), where="here")


@given(st.lists(st.integers(0, 255), min_size=1, max_size=40), st.sampled_from(["[0,1]", "[-1,1]"]))
@settings(max_examples=40, deadline=None)
def test_bytes_survive_the_way_through_floats(values, value_range):
    """byte -> float -> byte is the identity in both float ranges."""
    bytes_ = torch.tensor(values, dtype=torch.uint8).view(1, 1, 1, -1)
    floats = bytes_.float() / 255
    floats = floats if value_range == "[0,1]" else floats * 2 - 1
    assert torch.equal(to_uint8(floats, value_range, where="here"), bytes_)


@given(st.floats(0, 1, width=32))
@settings(max_examples=60, deadline=None)
def test_floats_are_rounded_to_nearest(value):
    """The byte is never further than half a step from the float (truncation would be a whole step)."""
    byte = int(to_uint8(torch.full((1, 1, 1, 1), value), "[0,1]", where="here"))
    assert abs(byte - np.float64(np.float32(value)) * 255) <= 0.5 + 1e-4


def test_rounding_overshoot_is_clamped():
    """A tanh that overshoots by rounding is not another range."""
    images = torch.tensor([-1.0005, 1.0005]).view(1, 1, 1, 2)
    assert to_uint8(images, "[-1,1]", where="here").flatten().tolist() == [0, 255]


@pytest.mark.parametrize(
    ("value_range", "value"), [("[0,1]", -0.5), ("[0,1]", 1.01), ("[-1,1]", 1.01), ("[-1,1]", 255.0)]
)
def test_another_range_than_declared_is_refused(value_range, value):
    """Values outside the declared range are an error that shows them."""
    with pytest.raises(GeneratorError, match="values go from"):
        to_uint8(torch.full((1, 3, 2, 2), value), value_range, where="here")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_not_finite_images_are_counted(value):
    """NaN and infinity are an error that says how many images have them."""
    images = torch.zeros(5, 3, 2, 2)
    images[1, 0, 0, 0] = images[4, 1, 1, 1] = value
    with pytest.raises(GeneratorError, match="2 of 5 images contain NaN or infinity"):
        to_uint8(images, "[0,1]", where="here")


def test_the_declared_dtype_is_checked():
    """Declared uint8 must be uint8; declared floats must be floats."""
    with pytest.raises(GeneratorError, match="declared uint8 but returned float32"):
        to_uint8(torch.zeros(1, 3, 2, 2), "uint8", where="here")
    with pytest.raises(GeneratorError, match="declared \\[0,1\\] but returned uint8"):
        to_uint8(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), "[0,1]", where="here")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_floating_type_is_accepted(dtype):
    """Half, bfloat16 and double images are images."""
    assert to_uint8(torch.ones(1, 3, 2, 2, dtype=dtype), "[0,1]", where="here").eq(255).all()


def test_no_images_are_no_error():
    """An empty batch converts to an empty batch."""
    assert to_uint8(torch.zeros(0, 3, 2, 2), "[0,1]", where="here").shape == (0, 3, 2, 2)
