"""Folders: which files are found, in which order, with which classes, and the errors for empty ones."""

import os
from pathlib import Path

import pytest
from source_helpers import encode, images_of, random_images, write_folder

from ganeval.errors import DecodeError, SourceError
from ganeval.sources import open_source
from ganeval.sources.folder import find_images

IMAGE = encode(random_images(1)[0])


def touch(root, *names):
    """Image files with one content."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(IMAGE)


def test_order_is_natural_and_total(tmp_path):
    """2 comes before 10, and names that differ in leading zeros only have a fixed order too."""
    touch(tmp_path, "10.png", "2.png", "1.png", "01.png", "001.png", "b/1.png", "a10/1.png", "a9/1.png")
    assert find_images(tmp_path) == [
        "001.png", "01.png", "1.png", "2.png", "10.png", "a9/1.png", "a10/1.png", "b/1.png",
    ]  # fmt: skip


def test_order_does_not_depend_on_the_file_system(tmp_path, monkeypatch):
    """The order of images does not depend on the order in which the system lists them."""
    touch(tmp_path, *(f"{prefix}{number}.png" for prefix in ("", "0", "00", "d/") for number in range(6)))
    expected = find_images(tmp_path)
    listed = os.scandir

    class Reversed:
        def __init__(self, path):
            with listed(path) as scan:
                self.entries = sorted(scan, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *error):
            return None

    monkeypatch.setattr(os, "scandir", Reversed)
    assert find_images(tmp_path) == expected


def test_every_extension_in_any_case(tmp_path):
    """All supported extensions count in any case, and no others."""
    names = [
        "a.png",
        "b.PNG",
        "c.jpg",
        "d.JPEG",
        "e.webp",
        "f.bmp",
        "g.tif",
        "h.TIFF",
        "i.gif",
        "j.ppm",
        "k.Pgm",
        "l.pbm",
        "m.jfif",
        "n.JPE",
        "o.pnm",
        "p.dib",
        "q.apng",
        "r.avif",
    ]
    touch(tmp_path, *names, "notes.txt", "png", "x.png.part")
    assert find_images(tmp_path) == names


def test_hidden_files_are_left_out(tmp_path):
    """Hidden files of operating systems are not images."""
    touch(tmp_path, "a.png", ".hidden.png", "._a.png", "__MACOSX/a.png", ".git/b.png")
    assert find_images(tmp_path) == ["a.png"]


def test_symlinks_are_followed_without_looping(tmp_path):
    """Links to files and folders are followed, and a link to a parent does not recurse."""
    touch(tmp_path, "real/a.png", "elsewhere/b.png")
    root = tmp_path / "real"
    (root / "file.png").symlink_to(tmp_path / "elsewhere" / "b.png")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path)
    assert find_images(root) == ["a.png", "file.png", "folder/b.png"]


def test_a_broken_link_is_an_image_that_cannot_be_read(tmp_path):
    """A broken link is named as unreadable."""
    touch(tmp_path, "a.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DecodeError, match=r"gone\.png: it cannot be read \(No such file"):
        images_of(open_source(tmp_path))


def test_a_pipe_is_not_opened(tmp_path):
    """A named pipe with an image's name is skipped, as it would block."""
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert find_images(tmp_path) == ["a.png"]


def test_an_empty_folder_says_so(tmp_path):
    """An empty folder is an error that lists the extensions that count."""
    with pytest.raises(SourceError, match=r"holds no images. Looked for \.png .*\.jpg .*; found nothing at all"):
        open_source(tmp_path)


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    """Other files are counted by extension."""
    for name in ("a.txt", "b.txt", "c.heic", "README"):
        (tmp_path / name).write_text("x")
    with pytest.raises(SourceError, match=r"found 2 x \.txt, 1 x no extension, 1 x \.heic"):
        open_source(tmp_path)


def test_an_unreadable_folder_is_named(tmp_path, monkeypatch):
    """A folder without permission is an error, not an empty folder."""
    touch(tmp_path, "a.png", "secret/b.png")
    listed = os.scandir

    def scandir(path):
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(SourceError, match=r"secret cannot be read \(Permission denied\)"):
        open_source(tmp_path)


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    """A file without permission fails with its path and the reason."""
    touch(tmp_path, "a.png")

    def read_bytes(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(DecodeError, match=r"a\.png: it cannot be read \(Permission denied\)"):
        images_of(open_source(tmp_path))


def test_class_folders_are_labels(tmp_path):
    """If every image is in a first-level folder, the folders in plain order are the classes."""
    write_folder(tmp_path, random_images(4), ["b/1.png", "a/deep/1.png", "B/1.png", "a/0.png"])
    source = open_source(tmp_path)
    assert source.class_names == ("B", "a", "b")
    assert [(Path(source.item_name(i)).parent.name, label) for i, label in enumerate(source.labels)] == [
        ("B", 0), ("a", 1), ("deep", 1), ("b", 2),
    ]  # fmt: skip
    assert source.describe() == {"classes": 3, "labels": "class folders"}


@pytest.mark.parametrize(
    ("folders", "ordered"),
    [
        (["10", "9", "0"], ("0", "9", "10")),
        (["010", "9"], ("9", "010")),
        (["1", "01"], ("01", "1")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["²", "1"], ("1", "²")),
        (["10", "-9"], ("-9", "10")),
    ],
)
def test_class_folders_that_are_numbers_are_in_their_order(tmp_path, folders, ordered):
    """Folders that are distinct whole numbers are in numerical order, others in plain order."""
    write_folder(tmp_path, random_images(len(folders)), [f"{name}/1.png" for name in folders])
    assert open_source(tmp_path).class_names == ordered


@pytest.mark.parametrize("names", [["a/1.png", "2.png"], ["a/1.png", "a/2.png"], ["1.png", "2.png"]])
def test_no_classes_where_there_are_none(tmp_path, names):
    """An image outside, or a single folder, means no labels."""
    source = open_source(write_folder(tmp_path, random_images(2), names))
    assert source.labels is None
    assert source.class_names is None


def test_the_fingerprint_notices_what_changed(tmp_path):
    """A touched, changed, added, removed or renamed file changes the fingerprint; nothing else does."""
    write_folder(tmp_path, random_images(3))
    seen = [open_source(tmp_path).fingerprint()]
    assert open_source(tmp_path).fingerprint() == seen[0]

    os.utime(tmp_path / "0.png", ns=(1, 1))
    seen.append(open_source(tmp_path).fingerprint())
    assert seen[1].sizes == seen[0].sizes
    (tmp_path / "1.png").write_bytes(encode(random_images(1, 9, 9)[0]))
    seen.append(open_source(tmp_path).fingerprint())
    (tmp_path / "3.png").write_bytes(IMAGE)
    seen.append(open_source(tmp_path).fingerprint())
    (tmp_path / "3.png").rename(tmp_path / "4.png")
    seen.append(open_source(tmp_path).fingerprint())
    (tmp_path / "4.png").unlink()
    seen.append(open_source(tmp_path).fingerprint())
    # The last folder is the third again, file by file.
    assert len({fingerprint.fast for fingerprint in seen[:5]}) == 5
    assert seen[5] == seen[2]


def test_a_subset_has_a_fingerprint_of_its_own(tmp_path):
    """A subset's fingerprint differs from the whole folder's and from another subset's."""
    write_folder(tmp_path, random_images(9))
    fingerprints = [
        open_source(tmp_path, num_samples=n, seed=s).fingerprint() for n, s in ((None, 0), (3, 0), (3, 1), (4, 0))
    ]
    assert len({fingerprint.fast for fingerprint in fingerprints}) == 4
