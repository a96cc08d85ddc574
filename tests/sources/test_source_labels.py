"""The classes of images are the same in a folder, a zip and a tar of the same files."""

import io
import json
import os
import tarfile
import zipfile

import pytest
from source_helpers import batches_of, encode, random_images

from ganeval.errors import SourceError, UsageError
from ganeval.evaluation import evaluate
from ganeval.sources import open_source

IMAGES = [encode(image) for image in random_images(8)]


def put(root, container, files):
    """Files (text, or None for an image) as a folder or an archive, wrapped: in a folder of it. => What to open."""
    images = iter(IMAGES * 300)
    found = {name: next(images) if text is None else text.encode() for name, text in files.items()}
    if container == "folder":
        for name, data in found.items():
            path = root / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return root / "set"
    if container == "zip":
        with zipfile.ZipFile(root / "set.zip", "w") as file:
            for name, data in found.items():
                file.writestr(name, data)
        return root / "set.zip"
    with tarfile.open(root / "set.tar", "w") as file:
        for name, data in found.items():
            info = tarfile.TarInfo(f"set/{name}" if container == "wrapped" else name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return root / "set.tar"


def named(source):
    """The name of its class by the last part of every image's name."""
    assert [label for batch in batches_of(source) for label in batch.labels] == list(source.labels)
    words = source.class_names or [str(number) for number in range(100)]
    return {source.item_name(index).rpartition("/")[2]: words[label] for index, label in enumerate(source.labels)}


SHARDED = {"00000/img00000000.png": None, "00000/img00000999.png": None, "00001/img00001000.png": None}


def dataset_json(*labels, names=tuple(SHARDED)):
    return json.dumps({"labels": [list(pair) for pair in zip(names, labels, strict=False)]})


LABELLED = {
    "dataset.json": ({**SHARDED, "dataset.json": dataset_json(6, 9, 6)}, ["6", "9", "6"], "dataset.json"),
    "whole numbers as floats": ({**SHARDED, "dataset.json": dataset_json(6.0, 9.0, 6.0)}, ["6", "9", "6"], None),
    "one-hot": ({**SHARDED, "dataset.json": dataset_json([0, 0, 1], [0, 1.0, 0], [0, 0, 1])}, ["2", "1", "2"], None),
    "a mapping": ({**SHARDED, "dataset.json": json.dumps({"labels": dict.fromkeys(SHARDED, 3)})}, ["3"] * 3, None),
    "99999": ({**SHARDED, "dataset.json": dataset_json(0, 99999, 1)}, ["0", "99999", "1"], None),
    "labels.csv": (
        {
            "b/x.png": None, "b/y.png": None, "a/z.png": None,
            "labels.csv": "file,class\nb/x.png,dog\n./b/y.png,cat\na\\z.png,dog\n",
        },
        ["dog", "dog", "cat"],
        "labels.csv",
    ),
    "labels.csv without a head": ({"x.png": None, "y.png": None, "labels.csv": "x.png,3\ny.png,1\n"}, ["3", "1"], None),
    "metadata.jsonl": (
        {
            "x.png": None, "y.png": None,
            "metadata.jsonl": '{"file_name": "y.png", "label": 1}\n\n{"file_name": "x.png", "label": 5}\n',
        },
        ["5", "1"],
        "metadata.jsonl",
    ),
    "captions with a line separator": (
        {"x.png": None, "metadata.jsonl": '{"file_name": "x.png", "text": "a\u2028b", "label": "dog"}\r\n'},
        ["dog"],
        None,
    ),
    "metadata.csv of two splits": (
        {
            "test/x.png": None, "test/metadata.csv": "file_name,label\nx.png,a\n",
            "train/y.png": None, "train/metadata.csv": "\ufefffile_name,text,label\ny.png,\"a, b\",c\n",
        },
        ["a", "c"],
        "test/metadata.csv and 1 more such files",
    ),
    "captions beside class folders": (
        {"a/x.png": None, "b/y.png": None, "metadata.csv": "file_name,text\na/x.png,one\nb/y.png,two\n"},
        ["a", "b"],
        "class folders",
    ),
    "another dataset.json": ({"a/x.png": None, "b/y.png": None, "dataset.json": '{"name": "mine"}'}, ["a", "b"], None),
    "null and names": ({"a/x.png": None, "b/y.png": None, "dataset.json": '{"labels": null}'}, ["a", "b"], None),
    ".cls": ({"x.png": None, "x.cls": "7", "y.png": None, "y.cls": "4\n"}, ["7", "4"], "the .cls files"),
}  # fmt: skip


@pytest.mark.parametrize("container", ["folder", "zip", "tar", "wrapped"])
@pytest.mark.parametrize("case", LABELLED)
def test_labels_are_where_they_are_written(tmp_path, case, container):
    """The nearest file of labels is used, and otherwise folders; images are in natural order."""
    files, expected, origin = LABELLED[case]
    source = open_source(put(tmp_path, container, files))
    assert list(named(source).values()) == expected
    if origin is not None and container != "wrapped":
        assert source.describe()["labels"] == origin
    part = open_source(put(tmp_path, container, files), num_samples=1, seed=1)
    assert named(part).items() <= named(source).items()


HINTS = {
    "absent": (
        {**SHARDED, "dataset.json": dataset_json(6)},
        r"dataset.json has no label of 00000/img00000999.png and 1 more",
    ),
    "listed but missing": (
        {**SHARDED, "dataset.json": dataset_json(6, 9, 6, 1, names=[*SHARDED, "00001/img00001001.png"])},
        r"dataset.json lists images that are not there: 00001/img00001001.png",
    ),
    "below 0": (
        {**SHARDED, "dataset.json": dataset_json(6, -1, 6)},
        r"dataset.json: 00000/img00000999.png has the label -1; classes are counted from 0",
    ),
    "between": ({**SHARDED, "dataset.json": dataset_json(6, 0.5, 6)}, r"img00000999.png has the label 0.5; a class is"),
    "true": ({**SHARDED, "dataset.json": dataset_json(6, True, 6)}, r"img00000999.png has the label True; a class is"),
    "vectors": (
        {**SHARDED, "dataset.json": dataset_json([0.1, 0.9], [1, 0], [0, 1])},
        r"img00000000.png has a vector of 2 numbers for a label, which is not one-hot",
    ),
    "null": ({**SHARDED, "dataset.json": '{"labels": null}'}, r"its folders \(00000, 00001\) number shards"),
    "empty": ({**SHARDED, "dataset.json": '{"labels": []}'}, r"its folders \(00000, 00001\) number shards"),
    "null, and folders of numbers": (
        {"0/x.png": None, "1/y.png": None, "dataset.json": '{"labels": null}'},
        r"dataset.json says that there are no labels",
    ),
    "no file": (SHARDED, r"its folders \(00000, 00001\) number shards, and no file says the classes"),
    "--subdirs": ({"000000/000999.png": None, "001000/001000.png": None, "049000/049007.png": None}, "number shards"),
    "broken": ({**SHARDED, "dataset.json": '{"labels": ['}, r"dataset.json is not JSON: Expecting value"),
    "deep": ({**SHARDED, "dataset.json": "[" * 100_000}, r"dataset.json (is|holds|has)"),
    "digits": ({**SHARDED, "dataset.json": '{"labels": ' + "9" * 5000 + "}"}, r"dataset.json (is|holds|has)"),
    "not a list": ({**SHARDED, "dataset.json": '{"labels": 3}'}, r"must be null or a list of .*, found int"),
    "not pairs": ({**SHARDED, "dataset.json": '{"labels": [3]}'}, r"entry 0 of 'labels' is not \[file, label\]"),
    "two labels": ({"x.png": None, "labels.csv": "x.png,1\n./x.png,2\n"}, "two labels for x.png: 1 and 2"),
    "no column": ({"x.png": None, "labels.csv": "id,label\n1,2\n"}, "no column of files: found id, label"),
    "short row": ({"x.png": None, "labels.csv": "file,label\nx.png\n"}, r"labels.csv: row 2 has 1 cells"),
    "empty cell": ({"x.png": None, "labels.csv": "file,label\nx.png,\n"}, r"labels.csv: x.png has no label"),
    "a line": ({"x.png": None, "metadata.jsonl": '{"file_name": "x.png", "label": 1}\n3\n'}, "line 2 has no"),
    "stray": ({"a/x.png": None, "b/y.png": None, "z.png": None}, r"class folders \(a, b\) is an image .*: z.png"),
    "some .cls": ({"x.png": None, "x.cls": "7", "y.png": None}, r"y.png has no .cls file, but other images have one"),
}  # fmt: skip


@pytest.mark.parametrize("container", ["folder", "zip"])
@pytest.mark.parametrize("case", HINTS)
def test_what_is_no_labels_is_named(tmp_path, case, container):
    """The set has no classes and names the image or file; only metrics of classes are refused."""
    files, reason = HINTS[case]
    path = put(tmp_path, container, files)
    source = open_source(path)
    assert source.labels is None
    with pytest.raises(UsageError, match=rf"'cas' needs the class of every image.*are not known: .*{reason}"):
        evaluate(path, path, metrics=("cas",), extractor="pixels:4", cache=False)
    assert len(source) == sum(name.endswith(".png") for name in files)


def test_bytes_that_are_no_text_are_named(tmp_path):
    """A file of labels that is not UTF-8 is named, with the position."""
    path = put(tmp_path, "folder", {"x.png": None})
    (path / "labels.csv").write_bytes(b"x.png,caf\xe9\n")
    assert "labels.csv is not UTF-8 text" in open_source(path).describe()["unlabelled"]


def test_a_pipe_is_no_file_of_labels(tmp_path):
    """A pipe would block: a folder skips it, and a list that is a pipe is refused."""
    path = put(tmp_path, "folder", {"x.png": None})
    os.mkfifo(tmp_path / "pipe.txt")
    (path / "labels.csv").symlink_to(tmp_path / "pipe.txt")
    assert open_source(path).labels is None
    with pytest.raises(UsageError, match=r"pipe.txt is a pipe, a socket or a device"):
        open_source(tmp_path / "pipe.txt")


def test_a_stray_image_can_be_left_out(tmp_path):
    """Excluding the only image outside the class folders gives the set its classes."""
    path = put(tmp_path, "folder", {"a/x.png": None, "b/y.png": None, "z.png": None})
    assert list(named(open_source(path, exclude="z.png")).values()) == ["a", "b"]


def test_selected_images_keep_their_classes(tmp_path):
    """Classes without an image are dropped, and files of labels may list images that were not selected."""
    files = {"a/x.png": None, "a/y.jpg.png": None, "b/y.png": None, "c/z.png": None}
    path = put(tmp_path, "folder", files)
    assert named(open_source(path, exclude=["b/**"])) == {"x.png": "a", "y.jpg.png": "a", "z.png": "c"}
    one = open_source(path, include="c")
    assert (one.labels, one.class_names) == ([0], ("c",))
    path = put(tmp_path, "zip", {**files, "dataset.json": dataset_json(1, 2, 3, 4, names=list(files))})
    assert named(open_source(path, include="y*.png")) == {"y.jpg.png": "2", "y.png": "3"}


@pytest.mark.parametrize("classes", [{}, {"a/": "cat/", "b/": "dog/"}])
def test_archives_of_several_are_no_classes(tmp_path, classes):
    """Shards are one set: their names are not classes, and each may have its file of labels."""
    for shard in "ab":
        folder = put(tmp_path, "tar", {f"{classes.get(shard + '/', '')}{shard}.png": None})
        folder.rename(tmp_path / f"d-{'ab'.index(shard)}.tar")
    source = open_source(f"{tmp_path}/d-{{0..1}}.tar")
    assert source.class_names == (("cat", "dog") if classes else None)
    assert (source.labels is None) == (not classes)
    for shard in (0, 1):
        put(tmp_path, "tar", {"x.png": None, "metadata.csv": f"file_name,label\nx.png,k{shard}\n"}).rename(
            tmp_path / f"d-{shard}.tar"
        )
    assert open_source(f"{tmp_path}/d-{{0..1}}.tar").class_names == ("k0", "k1")
    assert len(open_source(f"{tmp_path}/d-*.tar", include="x.png")) == 2


def test_other_labels_for_the_same_images_are_not_stale(tmp_path):
    """Features are cached by the images' content, and labels are read again."""
    path = put(tmp_path, "folder", {**SHARDED, "dataset.json": dataset_json(0, 1, 0)})
    before = open_source(path)
    evaluate(path, path, metrics=("fid",), extractor="pixels:4")
    (path / "dataset.json").write_text(dataset_json(0, 1, 1))
    after = open_source(path)
    again = evaluate(path, path, metrics=("fid",), extractor="pixels:4")
    assert again.provenance["fake"]["cached"]
    assert (before.labels, after.labels) == ([0, 1, 0], [0, 1, 1])
    assert before.fingerprint() == after.fingerprint()
    assert list(before.digests()) == list(after.digests())


def test_a_class_beyond_int64_is_refused(tmp_path):
    """A `.cls` of 10^30 is an error that shows the number."""
    path = put(tmp_path, "tar", {"x.png": None, "x.cls": "1" + "0" * 30})
    with pytest.raises(SourceError, match=r"a class number below 2\^63, found b'10{30}'"):
        assert open_source(path).labels
