"""The image contract: accepted inputs, refusals, and the conversion of floats to bytes."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganeval import Features, frechet_distance
from ganeval.errors import GeneratorError, MetricError, SourceError, UsageError
from ganeval.images import check_images, range_doubt, range_use, to_rgb, to_uint8
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
    """Any other dtype is refused by name."""
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


def test_bytes_are_those_of_stylegan_and_edm():
    """x * 127.5 + 128, cut off, is the nearest byte, and differs where a float lies halfway between two alone."""
    floats = torch.rand(1 << 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    theirs = (floats * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    scaled = floats.double() * 127.5
    is_halfway = (scaled - scaled.round()).abs() < 1e-4
    assert torch.equal(to_uint8(floats, "[-1,1]")[~is_halfway], theirs[~is_halfway])
    assert float(is_halfway.double().mean()) < 1e-3


def test_rounding_overshoot_is_clamped():
    """Values of a tanh that exceed the range by rounding are accepted."""
    images = torch.tensor([-1.0005, 1.0005]).view(1, 1, 1, 2)
    assert to_uint8(images, "[-1,1]", where="here").flatten().tolist() == [0, 255]


@pytest.mark.parametrize(
    ("value_range", "value"), [("[0,1]", -0.5), ("[0,1]", 1.01), ("[-1,1]", 1.01), ("[-1,1]", 255.0)]
)
def test_another_range_than_declared_is_refused(value_range, value):
    """Values outside the declared range are shown in the error."""
    with pytest.raises(GeneratorError, match="values go from"):
        to_uint8(torch.full((1, 3, 2, 2), value), value_range, where="here")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_not_finite_images_are_counted(value):
    """The error has the number of images with NaN or infinity."""
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


BYTES = np.arange(256, dtype=np.uint8).reshape(2, 1, 8, 16)


@pytest.mark.parametrize("kind", ["torch", "numpy"])
@pytest.mark.parametrize(
    ("images", "value_range"),
    [
        (BYTES, "uint8"),
        (BYTES, "[0,255]"),
        (BYTES.astype(np.int64), "[0,255]"),
        (BYTES.astype(np.int16), "0..255"),
        (BYTES.astype(np.float64), "[0,255]"),
        (BYTES.astype(np.float32) / 255, "[0,1]"),
        (BYTES.astype(np.float64) / 255, "0..1"),
        (BYTES.astype(np.float32) / 127.5 - 1, "[-1,1]"),
    ],
)
def test_to_uint8_takes_what_messages_recommend_it_for(kind, images, value_range):
    """Tensors and arrays of bytes, whole numbers and floats become bytes with the same type and layout."""
    for moved in (lambda array: array, lambda array: array[0, 0], lambda array: array.transpose(0, 2, 3, 1)):
        given = torch.from_numpy(moved(images).copy()) if kind == "torch" else moved(images)
        found = to_uint8(given, value_range)
        assert isinstance(found, type(given))
        np.testing.assert_array_equal(found, moved(BYTES))


@pytest.mark.parametrize(
    ("images", "value_range", "message"),
    [
        (np.array([-1, 256]), "[0,255]", r"images: declared \[0,255\] but values go from -1 to 256"),
        (np.array([0.0, 256.0]), "[0,255]", "values go from 0 to 256"),
        (np.array([0, 1]), "[0,1]", r"returned int64; expected floats. Whole numbers are on \[0,255\]"),
        (np.array([1 + 2j]), "[0,1]", "complex128; expected real numbers"),
        (np.array(["a"]), "[0,1]", "expected an array of numbers, found one of <U1"),
        (np.array([{}], dtype=object), "[0,1]", "expected an array of numbers, found one of object"),
        ([0.5], "[0,1]", "expected a tensor or an array of numbers, found list"),
        (torch.zeros(2, 3, device="meta"), "[0,1]", "device 'meta', which has a shape but no values"),
        (torch.eye(3).to_sparse(), "[0,1]", r"layout sparse_coo; make it dense with images.to_dense\(\)"),
    ],
)
def test_to_uint8_refuses_what_is_no_image(images, value_range, message):
    """Values outside the declared range, and invalid types, are errors with what was found."""
    with pytest.raises(SourceError, match=message):
        to_uint8(images, value_range)


def test_to_uint8_detaches_and_keeps_every_shape():
    """Tensors with a graph, scalars, and big-endian, reversed and read-only arrays are accepted."""
    assert not to_uint8(torch.ones(2, 3, requires_grad=True), "[0,1]").requires_grad
    assert to_uint8(torch.tensor(1.0), "[0,1]").shape == to_uint8(np.array(1.0), "[0,1]").shape == ()
    ramp = np.linspace(0, 1, 6)
    frozen = ramp.copy()
    frozen.flags.writeable = False
    for images in (ramp[::-1].astype(">f4"), ramp[::-1], frozen[::-1], ramp[::-1].astype(np.longdouble)):
        assert to_uint8(images, "[0,1]").tolist() == [255, 204, 153, 102, 51, 0]
    assert to_uint8(np.array([True, False]), "[0,1]").tolist() == [255, 0]


@pytest.mark.parametrize(
    ("images", "value_range", "doubt"),
    [
        (
            torch.rand(4, 3, 8, 8),
            "[-1,1]",
            r"0.00% of its 768 values lie in its lower half: images on \[0,1\]",
        ),
        (torch.rand(4, 3, 8, 8) / 2 + 0.5, "[0,1]", r"in its lower half: images that were shifted from \[-1,1\] twice"),
        (torch.rand(4, 3, 8, 8) / 255, "[0,1]", "above its lowest 255th: images that were divided by 255 twice"),
        (torch.rand(4, 3, 8, 8), "[0,255]", r"above its lowest 255th: images on \[0,1\]"),
        (torch.randint(0, 2, (4, 3, 8, 8), dtype=torch.uint8), "uint8", r"above its lowest 255th: images on \[0,1\]"),
        (torch.rand(4, 3, 8, 8) * 2 - 1, "[-1,1]", None),
        (torch.rand(4, 3, 8, 8), "[0,1]", None),
        (torch.rand(4, 3, 8, 8) * 255, "[0,255]", None),
        (torch.zeros(0, 3, 8, 8), "[0,1]", None),
    ],
)
def test_a_range_that_is_not_used_is_doubted(images, value_range, doubt):
    """Values of another range than declared are reported with their share; those that fill the range are not."""
    found = range_doubt(range_use(images, value_range), value_range)
    assert (found is None) if doubt is None else re.search(doubt, found)


@pytest.mark.parametrize(
    ("dtype", "value_range"),
    [(torch.float8_e4m3fn, "[0,1]"), (torch.bfloat16, "[0,1]"), (torch.uint16, "[0,255]"), (torch.uint64, "[0,255]")],
)
def test_the_use_of_a_range_is_counted_for_every_type(dtype, value_range):
    """Types that torch cannot compare are counted by value."""
    highest = 1.0 if value_range == "[0,1]" else 255.0
    images = torch.tensor([[0.0, highest, highest, 0.0]]).to(dtype)
    assert range_use(images, value_range) == {"seen": 4, "low": 2, "lit": 2}


@pytest.mark.filterwarnings("ignore")
def test_a_quantized_tensor_is_refused_with_the_remedy():
    """Quantized tensors are refused as images, features and moments."""
    quantized = torch.quantize_per_tensor(torch.rand(4, 4), 0.01, 0, torch.quint8)
    with pytest.raises(SourceError, match=r"a quantized tensor; give its numbers, images\.dequantize\(\)"):
        to_uint8(quantized, "[0,1]")
    with pytest.raises(SourceError, match="a quantized tensor"):
        Features(quantized)
    with pytest.raises(MetricError, match="dense array or tensor of real numbers"):
        frechet_distance(quantized[0], torch.eye(4), torch.zeros(4), torch.eye(4))
