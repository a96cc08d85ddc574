"""Pairs of images and of sets: how they are written, matched, parted, and what is wrong with those that do not fit."""

import json
import zipfile

import numpy as np
import pytest
import torch
from source_helpers import encode, images_of, random_images, write_folder

import ganeval
from ganeval import open_pairs, open_source
from ganeval.errors import DecodeError, SourceError, UsageError
from ganeval.sources import SCHEMES, check_spec, lasting
from ganeval.sources.chosen import images_at
from ganeval.sources.nested import PAIRS
from ganeval.sources.wrapped import Transform, TransformedSource, WatchedSource
from ganeval.testing import check_source

IMAGES = random_images(6, 8, 8)
OTHERS = random_images(6, 8, 8, seed=1)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Two folders of six images with equal names, in another order and with other suffixes, as the working folder."""
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "a", IMAGES, [f"{index}.png" for index in range(6)])
    for index, image in enumerate(OTHERS):
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / f"{index}.bmp").write_bytes(encode(image, "BMP"))
    return tmp_path


def pixels_of(source):
    """All images of a source, [N, H, W, 3]."""
    return np.stack(images_of(source)[0]).transpose(0, 2, 3, 1)


def test_folders_are_matched_by_name(here):
    """Suffixes do not matter, and each side keeps its own names and kind."""
    pairs = open_pairs("pairs:a,b")
    assert (len(pairs), pairs.aligned, pairs.name) == (6, True, "pairs:a,b")
    np.testing.assert_array_equal(pixels_of(pairs.inputs), IMAGES)
    np.testing.assert_array_equal(pixels_of(pairs.targets), OTHERS)
    assert (pairs.inputs.name, pairs.inputs.item_name(2)) == ("a", "a/2.png")
    assert (pairs.targets.name, pairs.targets.item_name(2)) == ("b", "b/2.bmp")


def test_the_order_is_that_of_the_inputs(here):
    """Targets in another order, from a list, are brought into that of the inputs."""
    (here / "b.txt").write_text("".join(f"b/{index}.bmp\n" for index in (3, 1, 5, 0, 4, 2)))
    pairs = open_pairs("pairs:a,b.txt")
    np.testing.assert_array_equal(pixels_of(pairs.targets), OTHERS)
    assert [pairs.targets.item_name(index) for index in (0, 5)] == ["b/0.bmp", "b/5.bmp"]


def test_a_folder_around_all_files_of_a_side_does_not_matter(here):
    """An archive of a folder matches the other folder; folders within are part of the name."""
    with zipfile.ZipFile("b.zip", "w") as file:
        for index, image in enumerate(OTHERS):
            file.writestr(f"b/{index // 3}/{index}.png", encode(image))
    write_folder(here / "deep", IMAGES, [f"{index // 3}/{index}.png" for index in range(6)])
    np.testing.assert_array_equal(pixels_of(open_pairs("pairs:deep,b.zip").targets), OTHERS)
    with pytest.raises(SourceError, match=r"a/0\.png has no image of the same name in b\.zip"):
        open_pairs("pairs:a,b.zip")


def test_the_same_subset_of_both_sides(here):
    """`num_samples` and `seed` take the pairs that they take of a folder, and both sides say so."""
    pairs = open_pairs("pairs:a,b", num_samples=3, seed=5)
    expected = pixels_of(open_source("a", num_samples=3, seed=5))
    np.testing.assert_array_equal(pixels_of(pairs.inputs), expected)
    places = [int(pairs.inputs.item_name(index)[2]) for index in range(3)]
    np.testing.assert_array_equal(pixels_of(pairs.targets), OTHERS[places])
    for side in (pairs.inputs, pairs.targets):
        assert side.describe()["subset"] == {"num_samples": 3, "of": 6, "seed": 5}
    halves = open_pairs("hole:a", num_samples=2, seed=1)
    assert [halves.inputs.item_name(one) for one in range(2)] == [halves.targets.item_name(one) for one in range(2)]
    with pytest.raises(SourceError, match="7 images were requested, but there are only 6"):
        open_pairs("pairs:a,b", num_samples=7)
    assert len(open_pairs("pairs:a,b", include="[0-3].*").targets) == 4


def test_sides_may_be_degraded(here):
    """A side can be a degradation of files, which keeps their names."""
    pairs = open_pairs("pairs:edges:a,lowres:b,2")
    assert pixels_of(pairs.targets).shape == (6, 4, 4, 3)
    np.testing.assert_array_equal(pixels_of(pairs.inputs), pixels_of(open_source("edges:a")))


@pytest.mark.parametrize("side", ["a", "b"])
def test_one_image_missing(here, side):
    """The first image without a partner is named, and how many there are of how many, on whichever side it is."""
    for index in (2, 4):
        next((here / side).glob(f"{index}.*")).unlink()
    alone = {"a": r"b/2\.bmp has no image of the same name in a", "b": r"a/2\.png has no image of the same name in b"}
    with pytest.raises(SourceError, match=rf"{alone[side]}, nor has another \(of 6\)"):
        open_pairs("pairs:a,b")


def test_two_files_of_one_name(here):
    """Both are named."""
    (here / "b" / "3.png").write_bytes(encode(OTHERS[0]))
    with pytest.raises(SourceError, match=r"b/3\.bmp and b/3\.png have the same name"):
        open_pairs("pairs:a,b")


def test_an_image_that_cannot_be_read(here):
    """It is named when it is read."""
    (here / "b" / "3.bmp").write_bytes(b"no image")
    with pytest.raises(DecodeError, match=r"b/3\.bmp: it is not an image"):
        images_of(open_pairs("pairs:a,b").targets)


def test_sets_without_file_names_are_not_matched(here):
    """The message says what has none, and what is there for sets without names."""
    for spec in ("pairs:digits:test,a", "pairs:a,digits:test"):
        with pytest.raises(UsageError, match=r"digits:test \(digits\) has none; .* unpaired:A,B"):
            open_pairs(spec)
    np.save("f.npy", np.zeros((6, 2)))
    for spec in ("pairs:features:f.npy,a", "unpaired:a,features:f.npy"):
        with pytest.raises(UsageError, match="holds features, and images are needed"):
            open_pairs(spec)


@pytest.mark.parametrize(("first", "other"), [("inputs", "targets"), ("targets", "inputs")])
@pytest.mark.parametrize(
    ("sizes", "wrong"), [([(4, 4), (4, 4), (8, 8)], 2), ([(3, 4), (4, 4)], 0), ([(16, 16), (8, 8)], 1), ([(5, 8)], 0)]
)
def test_sizes_differ_by_one_whole_factor(tmp_path, first, other, sizes, wrong):
    """The first pair that does not fit is named with both sizes once both sides are read, in either order."""
    write_folder(tmp_path / "a", random_images(len(sizes), 8, 8))
    for index, size in enumerate(sizes):
        write_folder(tmp_path / "b", random_images(1, *size), [f"{index}.png"])
    pairs = open_pairs(f"pairs:{tmp_path}/a,{tmp_path}/b")
    images_of(getattr(pairs, first), batch_size=2)
    height, width = sizes[wrong]
    with pytest.raises(
        SourceError,
        match=rf"/a/{wrong}\.png has 8 x 8 pixels and {tmp_path}/b/{wrong}\.png has {width} x {height} pixels",
    ):
        images_of(getattr(pairs, other), batch_size=2)


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (24, 24), (4, 4), (2, 2), (1, 1)])
def test_sizes_that_fit(tmp_path, size):
    """Equal sizes, and either side larger by a whole factor, are read as often as one likes."""
    write_folder(tmp_path / "a", random_images(3, 8, 8))
    write_folder(tmp_path / "b", random_images(3, *size))
    pairs = open_pairs(f"pairs:{tmp_path}/a,{tmp_path}/b")
    for _ in range(2):
        assert len(images_of(pairs.inputs)[0]) == len(images_of(pairs.targets)[0]) == 3


def test_side_by_side_files(here):
    """The left half is the input and the right half the target, unless reversed; the cache tells them apart."""
    both = np.concatenate([IMAGES, OTHERS], 2)
    write_folder(here / "c", both)
    for spec, inputs, targets in (("pairs:c", IMAGES, OTHERS), ("pairs:c,reversed", OTHERS, IMAGES)):
        pairs = open_pairs(spec)
        assert (len(pairs), pairs.aligned) == (6, True)
        np.testing.assert_array_equal(pixels_of(pairs.inputs), inputs)
        np.testing.assert_array_equal(pixels_of(pairs.targets), targets)
        assert pairs.inputs.item_name(1) == pairs.targets.item_name(1) == "c/1.png"
        assert pairs.inputs.fingerprint() != pairs.targets.fingerprint() != open_source("c").fingerprint()
        assert torch.equal(images_at(pairs.targets, [3])[3].permute(1, 2, 0), torch.from_numpy(targets[3]))
    assert len(open_pairs("pairs:c", num_samples=2)) == 2


def test_an_odd_width_has_no_halves(here):
    """The first such file is named with its size."""
    write_folder(here / "c", random_images(2, 8, 9))
    with pytest.raises(SourceError, match=r"c/0\.png: it has 9 x 8 pixels, and an odd width has no halves"):
        images_of(open_pairs("pairs:c").inputs)


def test_side_by_side_files_of_several_sizes(here):
    """The first file of another size than the first is named with both sizes, on both sides."""
    write_folder(here / "c", random_images(3, 8, 16))
    write_folder(here / "c", random_images(1, 8, 12), ["3.png"])
    for side in ("inputs", "targets"):
        with pytest.raises(SourceError, match=r"c/3\.png has 12 x 8 pixels, and c/0\.png has 16 x 8"):
            images_of(getattr(open_pairs("pairs:c"), side), batch_size=2)


def test_two_sets_that_are_not_aligned(here):
    """They may have different counts and kinds; the length is that of the larger, and `num_samples` is of each."""
    pairs = open_pairs("unpaired:a,recoloured:digits:test")
    assert not pairs.aligned
    assert (len(pairs.inputs), len(pairs.targets), len(pairs)) == (6, 450, 450)
    assert pairs.targets.name == "recoloured:digits:test"
    some = open_pairs("unpaired:a,digits:test", num_samples=4)
    assert (len(some.inputs), len(some.targets)) == (4, 4)
    with pytest.raises(SourceError, match="a: 7 images were requested, but there are only 6"):
        open_pairs("unpaired:a,digits:test", num_samples=7)


@pytest.mark.parametrize(
    "spec", ["lowres:a,2", "hole:a", "hole:a,3", "edges:a", "grey:a", "recoloured:a", "grey:edges:a"]
)
def test_a_degradation_is_pairs(here, spec):
    """The input is the degraded image, and the target the original of the outermost degradation."""
    pairs = open_pairs(spec)
    assert pairs.aligned
    inner = spec.partition(":")[2].partition(",")[0]
    np.testing.assert_array_equal(pixels_of(pairs.inputs), pixels_of(open_source(spec)))
    np.testing.assert_array_equal(pixels_of(pairs.targets), pixels_of(open_source(inner)))


@pytest.mark.parametrize("spec", ["pairs:a,b", "pairs:c", "unpaired:a,digits:test", "hole:a"])
def test_both_sides_are_sources(here, spec):
    """Each side of any pairs passes the contract of sources."""
    write_folder(here / "c", np.concatenate([IMAGES, OTHERS], 2))
    pairs = open_pairs(spec, num_samples=5)
    check_source(pairs.inputs)
    check_source(pairs.targets)


def test_only_images_with_indices_are_loaded_by_several_threads(here):
    """A degraded source says so of the files below it, and of halves of one file, which have no indices, that not."""
    write_folder(here / "c", np.concatenate([IMAGES, OTHERS], 2))
    half = open_pairs("pairs:c").inputs
    change = Transform("as it is", lambda images: images)
    assert TransformedSource(open_source("a"), change, name="a").parallel
    assert not TransformedSource(WatchedSource(half, lambda *_: None), change, name="c").parallel


def test_pairs_are_no_set_of_images(here):
    """`open_source` and the commands that take sets refuse them, and say what takes them."""
    for spec in ("pairs:a,b", "unpaired:a,b", "grey:pairs:a,b", "unpaired:pairs:a,b,a"):
        with pytest.raises(UsageError, match=r"one set is needed here\. .*open_pairs, `ganeval pairs` and the models"):
            open_source(spec) if not spec.startswith("unpaired:pairs") else check_spec(spec)
    with pytest.raises(UsageError, match="one set is needed here"):
        ganeval.fid("a", "pairs:a,b", extractor="pixels:2")
    assert set(PAIRS) <= set(SCHEMES)


@pytest.mark.parametrize("spec", ["a", "digits:test", 3, IMAGES])
def test_a_set_of_images_is_no_pairs(here, spec):
    """The message shows every form of pairs."""
    with pytest.raises(
        UsageError, match=r"does not name pairs of images; write pairs:INPUTS,TARGETS.*unpaired:A,B.*lowres:SOURCE"
    ):
        open_pairs(spec)


@pytest.mark.parametrize("spec", ["pairs:", "pairs:,b", "pairs:a,", "unpaired:", "unpaired:a", "pairs:,reversed"])
def test_pairs_that_are_not_understood(here, spec):
    """The message shows how they are written."""
    for refuse in (check_spec, open_pairs):
        with pytest.raises(UsageError, match=rf"'{spec}' is not understood; write {spec.partition(':')[0]}:"):
            refuse(spec)


@pytest.mark.parametrize(
    "spec", ["pairs:gone,b", "pairs:a,gone", "unpaired:lowres:gone,2,b", "pairs:gone", "pairs:gone,reversed"]
)
def test_a_missing_side_is_named_before_anything_is_opened(here, spec):
    """The folder is named in full."""
    for refuse in (check_spec, open_pairs):
        with pytest.raises((SourceError, UsageError), match=rf"{here}/gone does not exist"):
            refuse(spec)


def test_an_empty_folder(here):
    """The error is that of the folder."""
    (here / "empty").mkdir()
    for spec in ("pairs:a,empty", "unpaired:empty,a", "pairs:empty"):
        with pytest.raises(SourceError, match="empty holds no images"):
            open_pairs(spec)


def test_commas_in_names(here):
    """The sides are parted where both are sources; if that can be done in two ways, both are shown."""
    write_folder(here / "a,1", IMAGES)
    write_folder(here / "b,2", OTHERS)
    for spec, inputs, targets in (
        ("pairs:a,1,b", "a,1", "b"),
        ("pairs:a,1,b,2", "a,1", "b,2"),
        ("unpaired:hole:a,1,hole:b,2,3", "hole:a,1", "hole:b,2,3"),
        ("unpaired:lowres:a,2,lowres:b,4", "lowres:a,2", "lowres:b,4"),
    ):
        check_spec(spec)
        pairs = open_pairs(spec)
        assert (pairs.inputs.name, pairs.targets.name) == (inputs, targets)
    write_folder(here / "1,b", OTHERS)
    with pytest.raises(UsageError, match="can be read in 2 ways, 'a' and '1,b' or 'a,1' and 'b'; rename one of them"):
        open_pairs("pairs:a,1,b")
    with pytest.raises(
        UsageError, match=r"none of its 2 commas separates two sources\. As 'a' and '9,b': .* does not exist"
    ):
        open_pairs("pairs:a,9,b")


def test_a_stored_spec_of_pairs_holds_anywhere(here):
    """Both sides become absolute, and mean the same."""
    assert lasting("pairs:a,b") == f"pairs:{here}/a,{here}/b"
    assert lasting("pairs:a,reversed") == f"pairs:{here}/a,reversed"
    assert lasting("unpaired:digits:test,lowres:a,2") == f"unpaired:digits:test,lowres:{here}/a,2"
    for spec in ("pairs:a,b", "pairs:a,reversed", "unpaired:digits:test,lowres:a,2"):
        assert lasting(lasting(spec)) == lasting(spec)


def test_labels_stay_with_the_images(here):
    """Each side has the labels of its own source, in the order of the pairs."""
    labels = {f"{index}.bmp": index % 2 for index in range(6)}
    (here / "b" / "dataset.json").write_text(json.dumps({"labels": list(labels.items())}))
    pairs = open_pairs("pairs:a,b", num_samples=4, seed=2)
    assert pairs.inputs.labels is None
    names = [pairs.targets.item_name(index)[2:] for index in range(4)]
    assert list(pairs.targets.labels) == [labels[name] for name in names]
