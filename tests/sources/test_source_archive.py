"""Archives: order, classes, shards, and malicious members."""

import io
import tarfile
import threading
import zipfile

import numpy as np
import pytest
from source_helpers import encode, images_of, random_images

from ganeval.errors import DecodeError, SourceError
from ganeval.sources import archive as archive_module
from ganeval.sources import open_source

IMAGES = random_images(12)
FILES = {f"{index}.png": encode(image) for index, image in enumerate(IMAGES)}


def write_zip(path, files, compression=zipfile.ZIP_DEFLATED):
    """Named bytes as a zip."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def write_tar(path, files, mode="w"):
    """Named bytes as a tar."""
    with tarfile.open(path, mode) as file:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


WRITERS = {"x.zip": write_zip, "x.tar": write_tar, "x.tgz": lambda path, files: write_tar(path, files, "w:gz")}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    """Writes files as each kind of archive and returns its path."""
    return lambda files: WRITERS[request.param](tmp_path / request.param, files)


def test_members_are_read_in_natural_order(write):
    """The order is natural for any order of adding; hidden files and files that are not images are skipped."""
    mixed = {name: FILES[name] for name in reversed(FILES)}
    source = open_source(write({"README.txt": b"x", "__MACOSX/._0.png": b"x", "./.hidden.png": b"x", **mixed}))
    assert [source.item_name(index).rpartition("/")[2] for index in range(12)] == [
        f"{index}.png" for index in range(12)
    ]
    for image, expected in zip(images_of(source)[0], IMAGES, strict=True):
        np.testing.assert_array_equal(image, expected.transpose(2, 0, 1))


def test_many_threads_read_one_archive(write):
    """Reading with eight threads gives what reading with one gives, and leaves no thread."""
    before = threading.active_count()
    files = {f"{index}.png": encode(image) for index, image in enumerate(random_images(60, 20, 20))}
    source = open_source(write(files))
    alone, _ = images_of(source, workers=1, batch_size=1)
    together, _ = images_of(source, workers=8, batch_size=1)
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))
    assert threading.active_count() == before


def test_class_folders_in_archives(write):
    """First-level folders are classes, as in a folder of images."""
    source = open_source(write({"b/0.png": FILES["0.png"], "a/1.png": FILES["1.png"]}))
    assert source.labels == [0, 1]
    assert source.class_names == ("a", "b")


def test_a_repeated_member_counts_once(tmp_path):
    """The last of several members of one name is used, as in unpacking."""
    with tarfile.open(tmp_path / "x.tar", "w") as file:
        for index in (0, 1):
            data = FILES[f"{index}.png"]
            info = tarfile.TarInfo("same.png")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    images, _ = images_of(open_source(tmp_path / "x.tar"))
    assert len(images) == 1
    np.testing.assert_array_equal(images[0], IMAGES[1].transpose(2, 0, 1))


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/etc/x.png", "..\\x.png", "\\x.png", "C:\\x.png"])
def test_members_outside_the_archive_are_refused(write, name):
    """A member with a path outside the archive makes the whole archive invalid."""
    with pytest.raises(SourceError, match=r"is refused: its member .* names a place outside the archive"):
        open_source(write({"0.png": FILES["0.png"], name: b"x"}))


def test_a_password_is_named(tmp_path):
    """An encrypted member is an error that says what to do."""
    path = write_zip(tmp_path / "x.zip", {"0.png": FILES["0.png"]})
    data = bytearray(path.read_bytes())
    # The first bit of the flags, in the local header and in the directory.
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"'0\.png' is encrypted; unpack the archive with its password"):
        open_source(path)


def test_no_images_in_an_archive(write):
    """The message lists the expected and the existing kinds of files."""
    with pytest.raises(SourceError, match=r"holds no images\. Looked for .*; found 2 x \.txt"):
        open_source(write({"a.txt": b"x", "b/c.txt": b"x"}))


@pytest.mark.parametrize("data", [b"", b"not an archive" * 100])
def test_what_is_no_archive(tmp_path, data):
    """A file that is not an archive is an error that names it."""
    for name in WRITERS:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SourceError, match=f"{name} cannot be read as a (zip|tar) archive"):
            open_source(tmp_path / name)


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_truncated_archives(write, share):
    """A truncated archive is an error, not a smaller set."""
    path = write({f"{index}.png": encode(image) for index, image in enumerate(random_images(9, 40, 40))})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(SourceError, match=r"cannot be read as a (zip|tar) archive"):
        open_source(path)


def test_a_corrupt_member_is_named(tmp_path):
    """A member with a wrong checksum fails, and only that member."""
    path = write_zip(tmp_path / "x.zip", FILES, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(FILES["3.png"]) + 50] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DecodeError, match=r"x\.zip/3\.png: the archive is corrupt here"):
        images_of(open_source(path))
    images, report = images_of(open_source(path), on_error="skip", skip_limit=0.2)
    assert len(images) == 11
    assert report.skipped_indices == [3]


def test_oversized_members_are_refused_before_they_are_read(write, monkeypatch):
    """A member that declares more bytes than any image is not unpacked."""
    source = open_source(write({"0.png": FILES["0.png"]}))
    monkeypatch.setattr(archive_module, "MEMBER_LIMIT", 10)
    with pytest.raises(DecodeError, match=r"it declares .* bytes, over 10"):
        images_of(source)


def test_links_and_devices_in_a_tar_are_no_images(tmp_path):
    """Only regular members are read."""
    with tarfile.open(tmp_path / "x.tar", "w") as file:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
        data = FILES["0.png"]
        info = tarfile.TarInfo("0.png")
        info.size = len(data)
        file.addfile(info, io.BytesIO(data))
    assert len(open_source(tmp_path / "x.tar")) == 1


def test_webdataset_shards_with_classes(tmp_path):
    """`data-{000..002}.tar` is one set in the shards' order, and `x.cls` is the class of `x.png`."""
    for shard in range(3):
        files = {}
        for index in range(4):
            files[f"{index}.png"] = FILES[f"{shard * 4 + index}.png"]
            files[f"{index}.cls"] = str(shard * 10 + index).encode()
        write_tar(tmp_path / f"data-{shard:03}.tar", files)
    source = open_source(f"{tmp_path}/data-{{000..002}}.tar")
    assert len(source) == 12
    assert source.labels == list(range(12))
    assert source.class_names == ("0", "1", "2", "3", "10", "11", "12", "13", "20", "21", "22", "23")
    assert source.item_name(4).endswith("/data-001.tar/0.png")
    assert source.describe() == {"shards": 3, "classes": 12, "labels": "the .cls files"}
    for image, expected in zip(images_of(source)[0], IMAGES, strict=True):
        np.testing.assert_array_equal(image, expected.transpose(2, 0, 1))


def test_missing_shards_are_named(tmp_path):
    """Missing shards of a pattern are named."""
    write_tar(tmp_path / "d-1.tar", FILES)
    with pytest.raises(SourceError, match=r"2 of 3 shards are missing: .*d-0\.tar, .*d-2\.tar"):
        open_source(f"{tmp_path}/d-{{0..2}}.tar")


def test_a_class_that_is_no_number(tmp_path):
    """A `.cls` member must hold a class number."""
    path = write_tar(tmp_path / "x.tar", {"a.png": FILES["0.png"], "a.cls": b"cat"})
    with pytest.raises(SourceError, match=r"must hold a class number, found b'cat'"):
        assert open_source(path).labels


def test_the_fingerprint_of_an_archive_follows_the_file(write):
    """Another archive of the same name has another fingerprint."""
    before = open_source(write(FILES)).fingerprint()
    assert open_source(write({"0.png": FILES["1.png"]})).fingerprint().fast != before.fast
