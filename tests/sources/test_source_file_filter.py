"""Selection of files: --include and --exclude, quoted globs, lists, and remarks about files left out."""

import os
import shutil
from pathlib import Path

import pytest
from source_helpers import encode, flat_png, images_of, random_images, write_folder

from ganeval import evaluate, noise_floor, write_reference
from ganeval.errors import SourceError, UsageError
from ganeval.sources import check_spec, open_source
from ganeval.sources.file_filter import FileFilter

NAMES = ["a/1.png", "a/b/2.png", "c/1.png", "c/10.png", "x [1].png", "y.png"]


def taken(source, root):
    return [os.path.relpath(source.item_name(index), root) for index in range(len(source))]


@pytest.fixture
def folder(tmp_path):
    """Six images at several depths."""
    return write_folder(tmp_path / "set", random_images(6), NAMES)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*.png", [0, 1, 2, 3, 4, 5]),
        ("/*.png", [4, 5]),
        ("./*.png", [4, 5]),
        ("1.png", [0, 2]),
        ("?.png", [0, 1, 2, 5]),
        ("a", [0, 1]),
        ("a/", [0, 1]),
        ("b", [1]),
        ("a/*", [0, 1]),
        ("a/*.png", [0]),
        ("*/1*.png", [0, 2, 3]),
        ("**/2.png", [1]),
        ("a/**", [0, 1]),
        ("a/**/*.png", [0, 1]),
        ("**/b/**", [1]),
        ("[ac]", [0, 1, 2, 3]),
        ("[!a]/*", [2, 3]),
        ("[b-z]/1[0-9].png", [3]),
        ("x [[]1].png", [4]),
        ("x [1.png", []),
        ("*.PNG", []),
        ("1", []),
    ],
)
def test_patterns_are_those_of_gitignore(folder, pattern, matches):
    """A slash inside anchors a pattern, a folder stands for its contents; include overrides exclude."""
    select = FileFilter.of(pattern, ())
    assert [place for place, name in enumerate(NAMES) if select.takes(name)] == matches
    if matches:
        assert len(open_source(folder, include=pattern)) == len(matches)
    if len(matches) < len(NAMES):
        assert len(open_source(folder, exclude=[pattern])) == len(NAMES) - len(matches)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_selected_files_of_any_container(folder, kind):
    """Folders and archives select alike and record it; subsets are drawn from the selected files."""
    path = folder if kind == "folder" else shutil.make_archive(str(folder), kind, folder)
    source = open_source(path, include=("a", "c"), exclude="10.png")
    assert taken(source, path) == ["a/1.png", "a/b/2.png", "c/1.png"]
    assert source.describe()["selection"] == {"include": ["a", "c"], "exclude": ["10.png"], "of": 6}
    assert len(open_source(path, include="a", num_samples=1)) == 1
    with pytest.raises(SourceError, match=r"--include 'q\*' --exclude 'y' excludes all of its 6 images: a/1.png, "):
        open_source(path, include="q*", exclude="y")


def test_a_pattern_that_is_none_is_refused(folder):
    """A reversed range, an empty pattern, and a pattern that is not text are refused."""
    with pytest.raises(UsageError, match=r"'\[z-a\]' is not a valid pattern of names"):
        open_source(folder, include="[z-a]")
    for wrong in ("", "/", 3, ["a", None]):
        with pytest.raises(UsageError, match="include must be patterns of names"):
            evaluate(folder, folder, include=wrong, extractor="pixels:2")


def test_every_measurement_selects(folder, tmp_path):
    """Every function has the keywords, the provenance records them, and other sets ignore them."""
    how = {"include": "*.png", "exclude": ["y.png"], "extractor": "pixels:2", "cache": False}
    found = evaluate(folder, "digits:test", metrics=("fid",), **how)
    assert found.provenance["real"]["selection"] == {"include": ["*.png"], "exclude": ["y.png"], "of": 6}
    assert (found["fid"].n_real, found["fid"].n_fake) == (5, 450)
    assert noise_floor(folder, metrics=("kid",), **how)["kid"].n_fake == 2
    assert write_reference(folder, tmp_path / "ref.npz", **how).count == 5
    for measure in (lambda: evaluate("digits:train", "digits:test", **how), lambda: noise_floor("digits:test", **how)):
        with pytest.raises(UsageError, match=r"select among the files of folders, .* there are none: .*digits:test"):
            measure()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.png", ["x [1].png", "y.png"]),
        ("*/1*.png", ["a/1.png", "c/1.png", "c/10.png"]),
        ("[ac]", ["a/1.png", "a/b/2.png", "c/1.png", "c/10.png"]),
        ("a/**/*.png", ["a/1.png", "a/b/2.png"]),
        ("**", NAMES),
    ],
)
def test_a_quoted_glob_is_a_source(folder, pattern, names):
    """It is expanded as by a shell, with the contents of matching folders; classes are folders below the fixed part."""
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"")
    check_spec(f"{folder}/{pattern}")
    source = open_source(f"{folder}/{pattern}")
    assert taken(source, folder) == names
    assert source.class_names == (("a", "c") if pattern in ("*/1*.png", "[ac]") else None)
    assert open_source(f"{folder}/{pattern}", exclude="y.png").name == f"{folder}/{pattern}"


def test_a_glob_without_a_match_says_what_is_there(folder):
    """The message lists the nearest folder, or names a missing one."""
    (folder / "notes.txt").write_text("no image")
    with pytest.raises(
        UsageError, match=r"/\*\.jpg' matches nothing\. .*/set holds a, c, notes\.txt, x \[1\]\.png, y\.png"
    ):
        open_source(f"{folder}/*.jpg")
    with pytest.raises(UsageError, match="matches 1 files and no image"):
        open_source(f"{folder}/*.txt")
    with pytest.raises(SourceError, match=r"/st does not exist. Did you mean .*set"):
        open_source(f"{folder.parent}/st/*.png")


def test_a_path_with_a_bracket_in_it_is_that_path(tmp_path):
    """An existing path takes precedence over a pattern."""
    assert len(open_source(write_folder(tmp_path / "run [1]*", random_images(2)))) == 2


def test_a_list_of_files_is_a_source(folder, monkeypatch):
    """Files are in the order of the list, relative to its folder or absolute."""
    path = folder / "list.txt"
    path.write_text(f"\ufeff# chosen\n\ny.png\n./c\\10.png\r\n  a/1.png  \n{folder / 'c' / '1.png'}\n")
    monkeypatch.chdir("/")
    source = open_source(path)
    assert taken(source, folder) == ["y.png", "c/10.png", "a/1.png", "c/1.png"]
    assert len(images_of(source)[0]) == 4
    assert taken(open_source(path, exclude="c"), folder) == ["y.png", "a/1.png"]
    path.write_text("c/1.png\na/1.png\n")
    assert (open_source(path).labels, open_source(path).class_names) == ([1, 0], ("a", "c"))
    (folder / "dataset.json").write_text('{"labels": [["c/1.png", 4], ["a/1.png", 4], ["y.png", 2]]}')
    assert open_source(path).class_names == ("4",)
    assert open_source(path).describe() == {"labels": "dataset.json", "classes": 1}


@pytest.mark.parametrize(
    ("text", "names", "classes"),
    [
        ("file_name\ny.png\na/1.png\n", ["y.png", "a/1.png"], None),
        ("id,Path,label\n7,y.png,dog\n8,a/1.png,cat\n", ["y.png", "a/1.png"], ["dog", "cat"]),
        ("y.png\na/1.png\n", ["y.png", "a/1.png"], None),
        ("y.png,3\na/1.png,1\n", ["y.png", "a/1.png"], ["3", "1"]),
    ],
)
def test_a_table_of_files_is_a_source(folder, text, names, classes):
    """One column has the files, and another may have their classes."""
    path = folder / "table.csv"
    path.write_text(text)
    source = open_source(path)
    assert taken(source, folder) == names
    assert (source.labels is None) == (classes is None)
    if classes is not None:
        assert [source.class_names[label] for label in source.labels] == classes
        assert source.describe()["labels"] == str(path)
        assert open_source(path, include="a").class_names == (classes[1],)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "l.txt",
            "y.png\ngone.png\nz.png\n",
            r"l.txt lists gone.png and 1 more, and there is no such file in .*set: names",
        ),
        ("l.txt", "y.png 3\n", r"lists y.png 3, and .* a \.csv with the columns file_name and label"),
        ("l.txt", "y.png\n./y.png\n", r"l.txt lists y.png twice"),
        ("l.txt", "a\n", r"lists a, and there is no such file"),
        ("l.txt", "# nothing\n", r"l.txt is empty"),
        ("l.csv", "id,score\n1,2\n", r"l.csv has no column of files: found id, score; call it file_name or filename"),
        ("l.txt", "x" * 5000, r"lists x+, and there is no such file"),
        ("l.txt", "a\0b", r"lists a\0b, and there is no such file"),
        ("l.csv", "file\n" + "x" * 200_000, r"l.csv cannot be read \(field larger than field limit"),
        ("l.csv", "", r"l.csv has no column of files: found nothing"),
    ],
)
def test_a_list_with_a_mistake_is_refused(folder, name, text, message):
    """The message has the first wrong name."""
    (folder / name).write_text(text)
    with pytest.raises(SourceError, match=message):
        open_source(folder / name)


def test_files_that_are_left_out_are_counted(folder):
    """Unread kinds of pictures have a warning; notes and files of labels have none."""
    for name in ("p.heic", "q.HEIC", "r.psd", "notes.txt", "LICENSE", "a/labels.csv"):
        (folder / name).write_bytes(b"x")
    found = evaluate(folder, folder, extractor="pixels:2", cache=False)
    assert found.provenance["real"]["left_out"] == {".heic": 2, ".psd": 1, ".txt": 1, "no extension": 1}
    (warning,) = found.warnings
    assert f"The folder {folder}: 2 x .heic, 1 x .psd left out: pictures of kinds that are not read" in warning


def test_twins_are_remarked(folder):
    """One picture in two formats counts twice, and the warning says how to take one."""
    image = random_images(1)[0]
    for name in ("y.webp", "c/1.bmp"):
        (folder / name).write_bytes(encode(image, name.rpartition(".")[2].upper()))
    found = evaluate(folder, folder, extractor="pixels:2", cache=False)
    (warning,) = found.warnings
    assert "2 images are there more than once, by their names (c/1.bmp and c/1.png)" in warning
    assert "--exclude '*.png'" in warning
    assert evaluate(folder, folder, extractor="pixels:2", cache=False, exclude=["*.bmp", "*.webp"]).warnings == ()


@pytest.mark.parametrize("cached", [False, True])
def test_a_mixture_of_sizes_is_remarked(tmp_path, cached):
    """Low and high resolutions in one folder, or a grid among samples, have a warning, also with cached features."""
    root = write_folder(tmp_path / "mixed", random_images(8, 40, 40))
    for index, image in enumerate(random_images(8, 10, 10)):
        (root / f"low-{index}.png").write_bytes(encode(image))
    for _ in range(2 if cached else 1):
        found = evaluate(root, root, extractor="pixels:2", cache=cached)
        (warning,) = found.warnings
        assert "mixed: images of several sizes: 8 of 40 x 40, 8 of 10 x 10. If some do not" in warning
    assert found.provenance["real"]["cached"] == cached
    assert evaluate(root, root, extractor="pixels:2", cache=cached, exclude="low-*").warnings == ()


def test_photographs_as_they_come_are_not_remarked(tmp_path):
    """Portraits among landscapes, and sets of many sizes, are not a mixture."""
    root = write_folder(tmp_path / "both", [*random_images(8, 6, 8), *random_images(8, 8, 6)])
    assert evaluate(root, root, extractor="pixels:2", cache=False).warnings == ()
    many = write_folder(tmp_path / "many", [random_images(1, 4 + index, 9)[0] for index in range(6)])
    assert evaluate(many, many, extractor="pixels:2", cache=False).warnings == ()


def test_a_data_set_of_torchvision_is_named(tmp_path, monkeypatch):
    """A folder that holds one, is one, or is inside one has a message with the spec and the data's place."""
    monkeypatch.chdir(tmp_path)
    for mark, spec in (("cifar-10-batches-py/data_batch_1", "cifar10"), ("cifar-100-python/train", "cifar100")):
        path = tmp_path / spec / mark
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        for place in (path.parent, tmp_path / spec, Path(spec)):
            with pytest.raises(
                SourceError, match=rf"write {spec}:train \(or :test\), and set GANEVAL_DATA={tmp_path}/{spec}\.$"
            ):
                open_source(place)
    archive = shutil.make_archive(str(tmp_path / "cifar-10-python"), "gztar", tmp_path / "cifar10")
    with pytest.raises(SourceError, match=rf"write cifar10:train \(or :test\), and set GANEVAL_DATA={tmp_path}\.$"):
        open_source(archive)


@pytest.mark.parametrize("pattern", ["**/" * 300 + "*.png", "**/*/**/*/**/*.png", "*/" * 2 + "*.png", "**"])
def test_a_glob_over_folders_that_link_to_each_other_ends(tmp_path, pattern):
    """Every real folder is entered once per part, for any number of links; pathlib's glob did not end here."""
    for here in range(8):
        folder = tmp_path / "set" / str(here)
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(flat_png(4, 4))
        for there in range(8):
            (folder / f"to{there}").symlink_to(f"../{there}")
    assert len(open_source(f"{tmp_path}/{pattern}")) == 8


def test_a_glob_with_more_parts_than_folders_ends(tmp_path):
    """Names through links are not multiplied; there would be 8^40."""
    for here in range(8):
        (tmp_path / str(here)).mkdir()
        for there in range(8):
            (tmp_path / str(here) / f"to{there}").symlink_to(f"../{there}")
    with pytest.raises(UsageError, match="matches nothing"):
        open_source(f"{tmp_path}/{'*/' * 40}x.png")
