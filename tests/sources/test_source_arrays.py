"""Arrays in memory and in .npy and .npz files: layouts, labels, what is refused, round trips through containers."""

import errno
import io
import os
import re
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from source_helpers import batches_of, images_of, random_images, write_folder

from ganeval.errors import GeneratorError, SourceError, UsageError
from ganeval.evaluation import evaluate
from ganeval.sources import ArrayItems, Reading, ReadReport, open_source
from ganeval.sources import items as items_module
from ganeval.sources.items import ItemSource


def pixels(source):
    """All images, [N, 3, H, W]."""
    return np.stack(images_of(source)[0])


any_images = arrays(
    np.uint8,
    st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(4, 6), st.sampled_from([1, 3])),
    fill=st.nothing(),
)


@given(any_images)
@settings(max_examples=25, deadline=None)
def test_layout_changes_nothing(nhwc):
    """A tensor, an NCHW array and an NHWC array of the same images have equal pixels and equal digests."""
    nchw = np.ascontiguousarray(nhwc.transpose(0, 3, 1, 2))
    expected = np.broadcast_to(nchw, (len(nchw), 3, *nchw.shape[2:]))
    sources = [open_source(torch.from_numpy(nchw)), open_source(nhwc), open_source(np.asfortranarray(nhwc))]
    for source in sources:
        np.testing.assert_array_equal(pixels(source), expected)
        assert list(source.digests()) == list(sources[0].digests())


@given(any_images)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_container_gives_the_same_pixels(tmp_path_factory, nhwc):
    """A folder, a zip, a tar, a tar.gz, an npz, a compressed npz and an npy of the same images are the same images."""
    root = tmp_path_factory.mktemp("containers")
    rgb = np.ascontiguousarray(np.broadcast_to(nhwc, (*nhwc.shape[:3], 3)))
    write_folder(root / "folder", rgb)
    with zipfile.ZipFile(root / "x.zip", "w") as file:
        for path in (root / "folder").iterdir():
            file.write(path, path.name)
    for name, mode in (("x.tar", "w"), ("x.tar.gz", "w:gz")):
        with tarfile.open(root / name, mode) as file:
            file.add(root / "folder", "folder")
    np.savez(root / "x.npz", rgb)
    np.savez_compressed(root / "c.npz", images=rgb)
    np.save(root / "x.npy", rgb)
    by_digests = []
    for names in (("folder", "x.zip", "x.tar", "x.tar.gz"), ("x.npz", "c.npz", "x.npy")):
        sources = [open_source(root / name) for name in names]
        for source in sources:
            np.testing.assert_array_equal(pixels(source), rgb.transpose(0, 3, 1, 2))
        digests = {tuple(source.digests()) for source in sources}
        assert len(digests) == 1
        by_digests += digests
    # Files are identified by their encoded bytes, arrays by their pixels.
    assert by_digests[0] != by_digests[1]


def test_the_digests_of_a_reading_are_those_of_the_source(tmp_path):
    """The digests of batches equal those that `digests` gives without decoding, for files and arrays."""
    images = random_images(7)
    for source in (open_source(write_folder(tmp_path / "a", images)), open_source(images), open_source("digits:test")):
        read = [digest for batch in batches_of(source) for digest in batch.digests]
        assert read == list(source.digests())
        assert len(read[0]) == 16


COLOURS = random_images(11, 4, 5)
ARRAYS = {
    "channels last": (COLOURS, None),
    "channels first": (np.ascontiguousarray(COLOURS.transpose(0, 3, 1, 2)), None),
    "greyscale": (COLOURS[..., :1], None),
    "every second of a tensor": (torch.from_numpy(COLOURS).permute(0, 3, 1, 2)[::2], None),
    "floats": (torch.from_numpy(COLOURS[..., :1] / np.float32(255)).permute(0, 3, 1, 2), "[0,1]"),
    "signed floats": (COLOURS.astype(">f8") / 127.5 - 1, "[-1,1]"),
    "half precision": (torch.from_numpy(COLOURS).permute(0, 3, 1, 2).half() / 255, "[0,1]"),
    "whole numbers": (COLOURS.astype(np.int64), "[0,255]"),
}


@pytest.mark.parametrize("num_samples", [None, 5])
@pytest.mark.parametrize("batch_size", [1, 4, 50])
@pytest.mark.parametrize(("images", "value_range"), ARRAYS.values(), ids=ARRAYS)
def test_images_loaded_together_are_those_loaded_one_by_one(monkeypatch, images, value_range, batch_size, num_samples):
    """Pixels, digests, labels, batches and the report do not depend on how an array is read."""
    items = ArrayItems(images, name="set", kind="array", labels=range(len(images)), value_range=value_range)

    def read():
        report = ReadReport()
        source = ItemSource(items, name="set", num_samples=num_samples)
        return list(source.batches(Reading(batch_size=batch_size), report)), report.to_dict()

    with monkeypatch.context() as patch:
        patch.setattr(ArrayItems, "load", None)
        together, report = read()
    with monkeypatch.context() as patch:
        patch.setattr(ArrayItems, "load_together", None)
        patch.setattr(items_module, "AHEAD_BYTES", 0)
        alone, expected = read()
    assert report == expected
    assert len(together) == len(alone)
    for found, wanted in zip(together, alone, strict=True):
        assert (found.digests, found.labels) == (wanted.digests, wanted.labels)
        assert [group.rows for group in found.groups] == [group.rows for group in wanted.groups]
        assert all(torch.equal(a.images, b.images) for a, b in zip(found.groups, wanted.groups, strict=True))
        assert all(group.images.is_contiguous() for group in found.groups)


def test_large_images_of_an_array_come_in_small_batches(monkeypatch):
    """They are loaded one by one, and a batch is limited in bytes, as it is for files."""
    monkeypatch.setattr(items_module, "BATCH_BYTES", 2 * COLOURS[0].nbytes)
    monkeypatch.setattr(ArrayItems, "load_together", None)
    sizes = [len(batch) for batch in batches_of(open_source(COLOURS[:7]), batch_size=5)]
    assert sizes == [2, 2, 1, 2]


@pytest.mark.parametrize(("dtype", "value_range"), [(torch.uint8, None), (torch.float16, "[0,1]"), (float, "[0,1]")])
def test_the_memory_of_images_loaded_together_is_foreseen(dtype, value_range):
    """At least of the images as they are, and of as many bytes in RGB; other dtypes are converted on the way."""
    images = torch.zeros(9, 1, 6, 5, dtype=dtype)
    items = ArrayItems(images, name="set", kind="tensor", value_range=value_range)
    converted = 0 if value_range is None else 4 * images[:4].numel()
    assert items.bytes_to_load(4) >= images[:4].nbytes + 3 * images[:4].numel() + converted
    assert items.bytes_to_load(8) == 2 * items.bytes_to_load(4)


@pytest.mark.parametrize("images", [COLOURS[::-1, :, ::-1], torch.from_numpy(COLOURS).permute(0, 3, 1, 2)])
def test_chosen_images_are_loaded_together_in_their_order(images):
    """Indices may be in any order, and occur more than once."""
    places = [6, 2, 2, 10, 0]
    found, whole = pixels(open_source(images).take(places)), pixels(open_source(images))
    assert np.array_equal(found, whole[places])


def test_images_loaded_together_are_copies():
    """An extractor that writes into its images changes none of the array."""
    images = torch.from_numpy(COLOURS).permute(0, 3, 1, 2).contiguous()
    for batch in batches_of(open_source(images), batch_size=1):
        batch.groups[0].images.zero_()
    assert images.any()


def test_an_error_in_images_loaded_together_names_the_image():
    """The message has the position of the first image that is at fault."""
    images = np.zeros((7, 4, 4, 3), np.float32)
    images[5:] = 3.0
    with pytest.raises(GeneratorError, match=r"\[5\]: declared \[0,1\] but values go from 3 to 3"):
        images_of(open_source(images, value_range="[0,1]"))


def test_equal_bytes_of_another_shape_are_another_image():
    """A digest covers the shape, not only the bytes."""
    flat = torch.arange(12, dtype=torch.uint8)
    digests = [next(open_source(flat.view(shape)).digests()) for shape in ((1, 3, 2, 2), (1, 3, 1, 4), (1, 3, 4, 1))]
    assert len(set(digests)) == 3


def test_where_both_layouts_fit_the_last_axis_wins():
    """[N, 3, H, 3] is NHWC, the layout of published sample files; a tensor is always NCHW."""
    ambiguous = random_images(2, 3, 8)
    np.testing.assert_array_equal(pixels(open_source(ambiguous)), ambiguous.transpose(0, 3, 1, 2))
    tensor = torch.from_numpy(random_images(2, 8, 3)).permute(0, 3, 1, 2)
    np.testing.assert_array_equal(pixels(open_source(tensor)), tensor.numpy())


def test_greyscale_arrays_are_counted():
    """One channel is repeated, and the report says for how many."""
    images, report = images_of(open_source(random_images(4)[..., :1]))
    assert report.conversions == {"greyscale": 4}
    assert all((image == image[:1]).all() for image in images)


def test_adm_layout_with_labels(tmp_path):
    """`arr_0` holds the images and `arr_1` the classes, as in published samples, with numbers as names."""
    images, labels = random_images(5), np.array([3, 1, 4, 1, 5])
    np.savez(tmp_path / "samples.npz", images, labels)
    source = open_source(tmp_path / "samples.npz")
    assert source.labels == [1, 0, 2, 0, 3]
    assert source.class_names == ("1", "3", "4", "5")
    assert source.describe() == {"classes": 4, "labels": "'arr_1'"}
    assert source.item_name(2) == f"{tmp_path / 'samples.npz'}[2]"
    assert pixels(source).shape == (5, 3, 6, 7)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[3], [1], [4]]),
        np.array([3.0, 1.0, 4.0], np.float16),
        np.array([3, 1, 4], np.uint8),
        np.array([3, 1, 2**64 - 1], np.uint64),
        np.array([3, 1, 99999]),
        np.eye(6)[[3, 1, 4]],
    ],
)
def test_labels_are_one_whole_number_per_image(tmp_path, labels):
    """A column, floats and one-hot vectors are accepted, and there are as many classes as occur."""
    np.savez(tmp_path / "x.npz", random_images(3), labels=labels)
    source = open_source(tmp_path / "x.npz")
    assert source.labels == [1, 0, 2]
    assert source.class_names[:2] == ("1", "3")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.array([3.0, 1.5, 4.0]), r"'labels'\[1\] is 1.5; a class is a whole number from 0"),
        (np.array([3.0, np.nan, np.inf]), r"'labels'\[1\] is nan; a class"),
        (np.array([3.0, 1.0, 2.0**60]), r"'labels'\[2\] is 1.15\d+e\+18; a class"),
        (np.array([0, 1, -1]), r"'labels'\[2\] is -1; a class is a whole number from 0"),
        (np.array([0, 1]), r"'labels' has 2 labels, and there are 3 images"),
        (np.ones((3, 4)), r"'labels' has vectors of 4 numbers that are not one-hot"),
        (np.array(["a", "b", "c"]), r"'labels' is <U1 \[3\], not one whole number per image"),
    ],
)
def test_an_array_that_is_no_labels_is_named(tmp_path, labels, reason):
    """Images are read; a metric of classes is refused with the first invalid label."""
    path = tmp_path / "x.npz"
    np.savez(path, random_images(3), labels=labels)
    source = open_source(path)
    assert source.labels is None
    assert re.match(reason, source.describe()["unlabelled"])
    evaluate(path, path, metrics=("fid",), extractor="pixels:4", cache=False)
    with pytest.raises(UsageError, match=f"'cas' needs the class of every image.*x.npz are not known: {reason}"):
        evaluate(path, path, metrics=("cas",), extractor="pixels:4", cache=False)


def test_the_only_array_of_four_axes_is_the_images(tmp_path):
    """A name is needed only if several arrays are possible."""
    np.savez(tmp_path / "one.npz", shots=random_images(2), note=np.array("x"))
    assert len(open_source(tmp_path / "one.npz")) == 2
    np.savez(tmp_path / "two.npz", a=random_images(2), b=random_images(2))
    with pytest.raises(SourceError, match=r"no array that is clearly the images.*a \[2, 6, 7, 3\], b"):
        open_source(tmp_path / "two.npz")


def test_stored_arrays_are_mapped_not_loaded(tmp_path):
    """A large array file costs only the memory of the part that is read."""
    np.savez(tmp_path / "x.npz", random_images(3))
    np.save(tmp_path / "x.npy", random_images(3))
    for name in ("x.npz", "x.npy"):
        assert isinstance(open_source(tmp_path / name)._items._images, np.memmap)


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 4, 4, 3), np.float32), np.full((2, 4, 4, 3), -1.0), np.zeros((2, 4, 4, 3), np.int64)],
)
def test_other_dtypes_are_refused_with_their_range(tmp_path, images):
    """Floats and wide integers are not guessed; the message shows their range and how to convert them."""
    np.savez(tmp_path / "x.npz", images)
    for spec in (images, torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), tmp_path / "x.npz"):
        with pytest.raises(
            SourceError, match=rf"must be uint8, found {images.dtype}.*values from.*value_range.*to_uint8"
        ):
            open_source(spec)


@pytest.mark.parametrize("shape", [(4, 4, 3), (2, 4, 4, 4), (2, 5, 4, 2), (2, 3, 0, 4), (6,), (2, 2, 2, 2, 3)])
def test_other_shapes_are_refused(tmp_path, shape):
    """An array that is not N images of 1 or 3 channels is refused with its shape."""
    images = np.zeros(shape, np.uint8)
    np.save(tmp_path / "x.npy", images)
    for spec in (images, tmp_path / "x.npy"):
        with pytest.raises(SourceError, match=r"found (uint8 )?\["):
            open_source(spec)


def test_a_channels_last_tensor_gets_a_hint():
    """A channels-last tensor is refused with the line of code that fixes it."""
    with pytest.raises(SourceError, match=r"images\.permute\(0, 3, 1, 2\)"):
        open_source(torch.zeros(2, 8, 8, 3, dtype=torch.uint8))


def test_no_images_at_all():
    """An array of zero images is an error."""
    with pytest.raises(SourceError, match="holds no images"):
        open_source(np.zeros((0, 4, 4, 3), np.uint8))


class Bomb:
    """Unpickling it has a visible effect."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


@pytest.mark.parametrize("name", ["x.npz", "x.npy"])
def test_pickled_objects_are_never_loaded(tmp_path, name):
    """An array of objects is refused by its header, and no code in it runs."""
    objects = np.array([Bomb()], dtype=object)
    (np.savez if name == "x.npz" else np.save)(tmp_path / name, objects, allow_pickle=True)
    with pytest.raises(SourceError, match="pickled Python objects, which are never loaded"):
        open_source(tmp_path / name)


@pytest.mark.parametrize("name", ["x.npz", "c.npz", "x.npy"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path, name, share):
    """A truncated file is an error when it is opened."""
    path = tmp_path / name
    {"x.npz": np.savez, "c.npz": np.savez_compressed, "x.npy": np.save}[name](path, random_images(8))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(SourceError, match=name):
        open_source(path)


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "features:x.npz", "features:x.npy"])
def test_a_file_without_permission_to_read_is_named(tmp_path, monkeypatch, name):
    """The error says that the file cannot be read, and why."""
    scheme, _, file = name.rpartition(":")
    path = tmp_path / file
    path.write_bytes(b"")
    opened = io.open

    def refuse(file, *arguments, **options):
        if str(file) == str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
        return opened(file, *arguments, **options)

    # A test may run as a user who may read everything.
    monkeypatch.setattr(io, "open", refuse)
    with pytest.raises(SourceError, match=rf"{path} cannot be read \(.*Permission denied"):
        open_source(f"{scheme}:{path}" if scheme else path)


def test_statistics_are_not_images(tmp_path):
    """Statistics in place of images are named as statistics."""
    np.savez(tmp_path / "ref.npz", mu=np.zeros(3), sigma=np.eye(3))
    with pytest.raises(SourceError, match=r"holds statistics .* not images; use it as the real reference only"):
        open_source(tmp_path / "ref.npz")


def test_the_fingerprint_of_an_array_in_memory_is_its_content():
    """Equal arrays share a fingerprint; one changed byte changes it; a subset has its own."""
    images = random_images(300, 2, 2)
    changed = images.copy()
    changed[299, 1, 1, 2] ^= 1
    fingerprint = open_source(images).fingerprint()
    assert open_source(images.copy()).fingerprint() == fingerprint
    assert open_source(changed).fingerprint().fast != fingerprint.fast
    assert (
        open_source(images, num_samples=300).fingerprint().fast
        != open_source(images, num_samples=299).fingerprint().fast
    )


def test_the_fingerprint_of_an_array_file_follows_the_file(tmp_path):
    """Rewriting a file changes its fingerprint even when the size stays."""
    np.save(tmp_path / "x.npy", random_images(3))
    before = open_source(tmp_path / "x.npy").fingerprint()
    assert open_source(tmp_path / "x.npy").fingerprint() == before
    np.save(tmp_path / "x.npy", random_images(3, seed=1))
    after = open_source(tmp_path / "x.npy").fingerprint()
    assert after.fast != before.fast
    assert after.sizes == before.sizes
