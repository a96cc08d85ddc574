"""Hostile files and folders are read or refused by name, quickly and in little memory, with remarks."""

import io
import os
import pickle
import re
import signal
import socket
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from source_helpers import encode, images_of, png_16, random_images

from ganeval import evaluate
from ganeval.errors import DecodeError, SourceError, UsageError
from ganeval.sources import open_source
from ganeval.sources.files import STEP, class_numbers, inflated, no_images
from ganeval.sources.statistics import is_statistics, read_statistics

IMAGES = random_images(9, 8, 8)
PNGS = [encode(image) for image in IMAGES]
PNG, END = PNGS[0], b"\0" * 1024


@pytest.fixture(autouse=True)
def _soon():
    """A test that hangs fails."""

    def late(number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def link(path, target):
    """Make a symbolic link, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def put(path, data=PNG):
    """Write a file, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# Folders.


def test_a_link_to_itself_is_an_image_that_cannot_be_read(tmp_path):
    """It is named with the system's reason; as the source itself, it is a missing path."""
    put(tmp_path / "a.png")
    link(tmp_path / "self.png", "self.png")
    with pytest.raises(DecodeError, match=r"self\.png: it cannot be read \(Too many levels of symbolic links\)"):
        images_of(open_source(tmp_path))
    assert len(images_of(open_source(tmp_path), on_error="skip", skip_limit=1)[0]) == 1
    with pytest.raises(SourceError, match=r"self\.png is a broken or circular link"):
        open_source(tmp_path / "self.png")


def test_folders_may_be_nested_deep(tmp_path):
    """1,200 nested folders are searched; folders deeper than a path can be are refused."""
    put(tmp_path / "a.png")
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(tmp_path)
        for depth in range(2400):
            if depth == 1200:
                put(Path("b.png"))
                found = len(open_source(tmp_path))
            os.mkdir("d")  # noqa: PTH102
            os.chdir("d")
        assert found == 2
        with pytest.raises(SourceError, match=r"The folder \.\.\.[d/]{1000} cannot be read \(File name too long\)"):
            open_source(tmp_path)
    finally:
        # From the inside: no path reaches it.
        for _ in range(2400):
            os.chdir("..")
            Path("b.png").unlink(missing_ok=True)
            os.rmdir("d")  # noqa: PTH106
        os.fchdir(before)
        os.close(before)


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_links_to_what_would_block_are_passed_over(tmp_path, kind):
    """A link to a pipe or a socket is skipped, like the pipe itself."""
    put(tmp_path / "images" / "a.png")
    if kind == "pipe":
        os.mkfifo(tmp_path / "it")
    else:
        with socket.socket(socket.AF_UNIX) as one, pytest.MonkeyPatch.context() as patch:
            # The path of a socket is short.
            patch.chdir(tmp_path)
            one.bind("it")
    link(tmp_path / "images" / "b.png", tmp_path / "it")
    assert len(open_source(tmp_path / "images")) == 1


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.npz", "x.npy", "x.txt", "x.csv", "x.png", "x"])
def test_a_pipe_is_no_source(tmp_path, name):
    """A pipe with any name is refused without waiting for it."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match="is a pipe, a socket or a device; write its output to a file"):
        open_source(tmp_path / name)


def test_a_real_folder_is_searched_once(tmp_path):
    """Eight folders that all link to each other hold eight images, under their own names, with a remark."""
    for one in range(8):
        put(tmp_path / str(one) / "a.png")
        for other in range(8):
            link(tmp_path / str(one) / f"to{other}", tmp_path / str(other))
    source = open_source(tmp_path)
    assert len(source) == 8
    assert source.labels == list(range(8))
    assert "links to folders that are read by another name already: 56 (0/to1, 0/to2, 0/to3, ...)" in source.remarks[0]


def test_names_that_no_file_system_has(tmp_path):
    """They are reported as missing for every error of the system."""
    for name in ("x" * 5000, "a\0b", "d/" * 3000 + "x.zip"):
        with pytest.raises(SourceError, match="does not exist"):
            open_source(f"{tmp_path}/{name}")


# Archives.


def header(name, size, kind=b"0"):
    """A header of a tar; size: a number, or the bytes of its field."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:136] = b"0000644\0" + b"0000000\0" * 2 + (size if isinstance(size, bytes) else b"%011o\0" % size)
    block[136:148], block[156:157], block[257:265] = b"0" * 11 + b"\0", kind, b"ustar\x0000"
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    return bytes(block)


def member(name, data, kind=b"0"):
    """A member of a tar."""
    return header(name, len(data), kind) + data + b"\0" * (-len(data) % 512)


def pax(**records):
    """A pax header."""
    text = b""
    for key, value in records.items():
        record = f" {key}={value}\n".encode()
        length = len(record) + 1
        while len(str(length)) + len(record) != length:
            length += 1
        text += str(length).encode() + record
    return member(b"pax", text, b"x")


FIRST, SECOND = member(b"a.png", PNG), member(b"b.png", PNG)
TARS = {
    "pax size 1e30": FIRST + pax(size=10**30) + SECOND + END,
    "pax size below 0": FIRST + pax(size=-1024) + SECOND + END,
    "pax size back to its own header": FIRST + pax(size=-1536) + SECOND + END,
    "pax size of 5,000 digits": FIRST + pax(size="9" * 5000) + SECOND + END,
    "size below 0": FIRST + header(b"b.png", b"\xff" * 11 + b"\0") + END,
    "size of 2^87": FIRST + header(b"b.png", b"\x80" + b"\xff" * 11) + END,
    "a long name of a terabyte": FIRST + header(b"././@LongLink", b"\x80" + b"\0" * 5 + b"\xff" * 6, b"L") + END,
    "long names of long names": FIRST + member(b"././@LongLink", b"b.png\0", b"L") * 5000 + SECOND + END,
    "pax headers of pax headers": FIRST + pax(path="b.png") * 5000 + SECOND + END,
    "a sparse map without end": FIRST
    + pax(**{"GNU.sparse.major": 1, "GNU.sparse.minor": 0, "GNU.sparse.name": "b.png", "GNU.sparse.realsize": 9})
    + header(b"b", 512)
    + b"99999999999".ljust(512, b"\0"),
    "a sparse member of 1e30 bytes": FIRST
    + pax(**{"GNU.sparse.map": "0,1", "GNU.sparse.size": 1, "GNU.sparse.numblocks": 1, "size": 10**30})
    + SECOND
    + END,
    "no header in the middle": FIRST + b"garbage!" * 64 + SECOND + END,
}


@pytest.mark.parametrize("case", TARS)
def test_a_tar_that_lies_is_refused(tmp_path, case):
    """Impossible sizes and names end in an error that names the archive."""
    with pytest.raises(SourceError, match=r"x\.tar cannot be read as a tar archive \(.{1,200}\)\."):
        open_source(put(tmp_path / "x.tar", TARS[case]))


@pytest.mark.parametrize(
    ("data", "remark"),
    [
        (FIRST, "lacks the empty blocks that end an archive: it may be truncated"),
        (FIRST + b"\0" * (10240 - len(FIRST)) + SECOND + END, "goes on after its end, at byte 1,024"),
        (FIRST + SECOND + FIRST + END, r"there more than once: 1 \(a\.png\). The last of each counts"),
        (
            FIRST + pax(**{"GNU.sparse.map": "0,1", "GNU.sparse.size": 1, "GNU.sparse.numblocks": 1}) + SECOND + END,
            r"left out: 1 \(b\.png: a sparse file\)",
        ),
    ],
)
def test_what_a_tar_leaves_open_is_remarked(tmp_path, data, remark):
    """Truncated, concatenated and partly unreadable archives are read as tar does, with a remark."""
    source = open_source(put(tmp_path / "x.tar", data))
    (found,) = source.remarks
    assert re.search(remark, found)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_links_lead_to_members(tmp_path, kind):
    """Hard and symbolic links are followed through folders and other links; links out of the archive are named."""
    for index in range(3):
        put(tmp_path / "s" / f"{index}.png", PNGS[index])
    links = {
        "l.png": "1.png", "dir/up.png": "../2.png", "through.png": "other/up.png", "twice.png": "l.png",
        ".hidden.png": "0.png", "out.png": "/etc/hostname.png", "away.png": "../../x.png", "ring.png": "ring.png",
    }  # fmt: skip
    for name, target in links.items():
        link(tmp_path / "s" / name, target)
    link(tmp_path / "s" / "other", "dir")
    path = tmp_path / f"x.{kind}"
    if kind == "tar":
        os.link(tmp_path / "s/0.png", tmp_path / "s/hard.png")
        with tarfile.open(path, "w") as file:
            file.add(tmp_path / "s", "s")
    else:
        put(tmp_path / "s/hard.png", PNGS[0])
        with zipfile.ZipFile(path, "w") as file:
            for one in sorted((tmp_path / "s").rglob("*")):
                info = zipfile.ZipInfo(one.relative_to(tmp_path).as_posix())
                info.create_system, info.external_attr = 3, one.lstat().st_mode << 16
                if one.is_symlink():
                    file.writestr(info, str(one.readlink()))
                elif one.is_file():
                    file.writestr(info, one.read_bytes())
    source = open_source(path)
    named = {
        source.item_name(index).rpartition("/s/")[2]: source.image_at(index).numpy() for index in range(len(source))
    }
    expected = {"0": 0, "1": 1, "2": 2, "hard": 0, "l": 1, "dir/up": 2, "through": 2, "twice": 1}
    assert set(named) == {f"{name}.png" for name in expected}
    for name, index in expected.items():
        np.testing.assert_array_equal(named[f"{name}.png"], IMAGES[index].transpose(2, 0, 1))
    (remark,) = source.remarks
    assert "left out: 3" in remark
    for name in ("out.png", "away.png", "ring.png"):
        assert f"s/{name}: a link to" in remark


def test_repeated_names_in_a_zip_are_remarked(tmp_path):
    """The last member of a name counts, as in unpacking, with a remark."""
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        warnings.simplefilter("ignore")
        for index, name in enumerate(["a.png", "./a.png", "b.png"]):
            file.writestr(name, PNGS[index])
    source = open_source(tmp_path / "x.zip")
    np.testing.assert_array_equal(source.image_at(0).numpy(), IMAGES[1].transpose(2, 0, 1))
    assert "names of images that are there more than once: 1 (a.png)" in source.remarks[0]


def test_shards_of_one_name_are_told_apart(tmp_path):
    """`part{0..1}/x.tar`: both are read, though their members have the same names."""
    for index in range(2):
        put(tmp_path / f"part{index}" / "x.tar", member(b"0.png", PNGS[index]) + END)
    images, _ = images_of(open_source(f"{tmp_path}/part{{0..1}}/x.tar"))
    for image, expected in zip(images, IMAGES, strict=False):
        np.testing.assert_array_equal(image, expected.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("d-{0..99999999}.tar", "stands for 100,000,000 shards; at most 300,000 are read"),
        ("d-" + "{0..9}" * 8 + ".tar", "stands for 100,000,000 shards; at most 300,000 are read"),
        ("d-{0.." + "9" * 5000 + "}.tar", "has numbers of 5,000 digits; shards have at most 18"),
        ("d-{" + "0" * 5000 + "..9}.tar", "has numbers of 5,000 digits; shards have at most 18"),
        ("d-{9..0}.tar", "stands for no shard: 9 is above 0"),
    ],
)
def test_patterns_of_shards_are_bounded(pattern, reason):
    """The number of shards is checked before the names are made."""
    with pytest.raises(UsageError, match=reason):
        open_source(pattern)


def test_a_class_number_of_30_digits(tmp_path):
    """A `.cls` beyond int64, or longer than any number, is an error."""
    for text in (b"1" + b"0" * 30, b"0" * 32 + b"17"):
        path = put(tmp_path / "x.tar", FIRST + member(b"a.cls", text) + END)
        with pytest.raises(SourceError, match=r"a \.cls member must hold a class number below 2\^63"):
            assert open_source(path).labels


def test_class_folders_of_5000_digits_are_names(tmp_path):
    """They exceed Python's limit for numbers, but are classes."""
    for long in ("9" * 5000, "0" * 5000 + "2"):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
            for folder in ("1", long):
                file.writestr(f"{folder}/a.png", PNG)
        assert sorted(open_source(tmp_path / "x.zip").labels) == [0, 1]
        assert class_numbers(["1", long]) is None


def write_zip(path, name, data, method=zipfile.ZIP_STORED, *, patch=lambda data: None):
    """One member; patch: changes the archive's bytes."""
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr(name, data)
    changed = bytearray(path.read_bytes())
    patch(changed)
    path.write_bytes(changed)
    return path


def method_99(data):
    """Another method of compression, in the local header and in the directory."""
    struct.pack_into("<H", data, 8, 99)
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 10, 99)


def half(data):
    """Remove the middle of the member."""
    end = data.index(b"PK\1\2")
    data[end // 2 : end - 10] = b"\xff" * (end - 10 - end // 2)


METHODS = {"lzma": zipfile.ZIP_LZMA, "bzip2": zipfile.ZIP_BZIP2, "deflated": zipfile.ZIP_DEFLATED}


@pytest.mark.parametrize("method", METHODS)
def test_a_member_that_lost_its_end_is_named(tmp_path, method):
    """A truncated member is named for every compression, in a zip and in an npz."""
    path = write_zip(tmp_path / "x.zip", "a.png", random_images(1, 60, 60).tobytes(), METHODS[method], patch=half)
    with pytest.raises(DecodeError, match=r"x\.zip/a\.png: the archive is corrupt here \(.+\)"):
        images_of(open_source(path))
    path = write_zip(tmp_path / "x.npz", "arr_0.npy", npy(random_images(9, 20, 20)), METHODS[method], patch=half)
    with pytest.raises(SourceError, match=r"x\.npz cannot be read as an \.npz file; it may be truncated \(.+\)"):
        images_of(open_source(path))


def test_an_unknown_method_of_compression_is_named(tmp_path):
    """In a zip, in an npz of images, and in one of statistics."""
    with pytest.raises(DecodeError, match="That compression method is not supported"):
        images_of(open_source(write_zip(tmp_path / "x.zip", "a.png", PNG, patch=method_99)))
    path = write_zip(tmp_path / "x.npz", "arr_0.npy", npy(IMAGES), patch=method_99)
    with pytest.raises(SourceError, match=r"compressed by an unsupported method .* write it by numpy\.savez"):
        open_source(path)
    assert not is_statistics(path)
    with pytest.raises(SourceError, match=r"x\.npz"):
        read_statistics(path)


def test_a_bomb_that_lies_of_its_size_is_inflated_in_steps(tmp_path):
    """bzip2 packs 45 MB into 40 bytes: a member is inflated no further than its declared size."""
    path = write_zip(tmp_path / "x.zip", "a.png", bytes(46 << 20), zipfile.ZIP_BZIP2)
    with zipfile.ZipFile(path) as archive:
        (info,) = archive.infolist()
        info.file_size = 1000
        with archive.open(info) as stream:
            compressed_at_a_time = []
            read = stream._fileobj.read
            stream._fileobj.read = lambda count: compressed_at_a_time.append(count) or read(count)
            with pytest.raises(zipfile.BadZipFile):
                list(inflated(stream, info))
    assert max(compressed_at_a_time) <= STEP


# Arrays.


def npy(array):
    """An array as the bytes of a .npy file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy_of(shape, descr="'|u1'", *, declared=None):
    """A .npy file whose header says this, and some bytes."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", declared or len(text)) + text + b"x" * 2000


SHAPES = {
    "negative": "(-1, 8, 8, 3)", "two negative": "(-2, -8, 8, 3)", "boolean": "(True, 8, 8, 3)",
    "2^70": f"({2**70}, 8, 8, 3)", "2^70 and 0": f"(0, {2**70}, 8, 3)", "4,000 digits": f"({'9' * 4000}, 8, 8, 3)",
    "40 axes": f"({'1, ' * 40})",
}  # fmt: skip
HEADERS = {
    "nested 9,000 deep": "(" * 4500 + ")" * 4500, "minus 9,000 times": f"({'-' * 9000}1, 8, 8, 3)",
    "text": "('a', 8, 8, 3)", "an expression": "(10**30, 8, 8, 3)", "nothing": "None",
    "9,000 digits": f"({'9' * 9000},)",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize("case", [*SHAPES, *HEADERS])
def test_shapes_that_no_array_has(tmp_path, kind, case):
    """The header is refused with one line, before memory of its size is allocated."""
    data = npy_of({**SHAPES, **HEADERS}[case])
    path = put(tmp_path / "x.npy", data) if kind == "npy" else write_zip(tmp_path / "x.npz", "arr_0.npy", data)
    reason = "declares the shape .*, which no array has" if case in SHAPES else "is not an .npy array, or is truncated"
    with pytest.raises(SourceError, match=reason) as told:
        open_source(path)
    assert len(str(told.value)) < 500


def test_a_header_that_declares_gigabytes_is_not_read(tmp_path):
    """The length of the header is checked first."""
    data = b"\x93NUMPY\x02\x00" + struct.pack("<I", 4_000_000_000) + b" " * 100
    with pytest.raises(SourceError, match="declares a header of 4,000,000,000 bytes; at most 10,000 are read"):
        open_source(put(tmp_path / "x.npy", data))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_directory_that_lies_about_a_size(tmp_path, method):
    """An npz whose directory declares 3 GB is refused, with the expected and the actual size."""

    def lie(data):
        start = data.index(b"PK\1\2")
        struct.pack_into("<I", data, start + 24, 3_072_000_200)

    path = write_zip(tmp_path / "x.npz", "arr_0.npy", npy_of("(1000000, 32, 32, 3)"), method, patch=lie)
    with pytest.raises(SourceError, match=r"may be truncated \(3,072,000,000 bytes expected, 2,\d+ found\)"):
        open_source(path)


def test_an_array_that_does_not_fit_on_the_disk(tmp_path, monkeypatch):
    """A compressed array is unpacked to a temporary file only if the disk has room."""
    path = write_zip(tmp_path / "x.npz", "arr_0.npy", npy(IMAGES), zipfile.ZIP_DEFLATED)
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 10}))
    with pytest.raises(SourceError, match=r"takes 1,728 bytes of .*, which has 10; set TMPDIR"):
        open_source(path)


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "x.pkl", "x.dat"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_is_called_a_pickle(tmp_path, name, protocol):
    """The message names the pickle and the remedy, for any file name."""
    path = put(tmp_path / name, pickle.dumps({"mu": [1.0]}, protocol=protocol))
    with pytest.raises(SourceError, match=r"is a pickle, and pickles of images are never loaded.*savez\('images\.npz'"):
        open_source(path)
    with pytest.raises(SourceError, match="holds no statistics" if name == "x.pkl" else "is a pickle"):
        read_statistics(path)


def test_what_an_npz_may_be_instead(tmp_path):
    """A single array is named as such, two arrays of one name are refused, and a folder is ignored."""
    with pytest.raises(SourceError, match=r"is a single array, as numpy\.save writes it; name it \.npy"):
        open_source(put(tmp_path / "x.npz", npy(IMAGES)))
    for names in (("arr_0.npy", "arr_0.npy"), ("arr_0", "arr_0.npy")):
        with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
            warnings.simplefilter("ignore")
            for name in names:
                file.writestr(name, npy(IMAGES))
        with pytest.raises(SourceError, match="holds several arrays named 'arr_0'"):
            open_source(tmp_path / "x.npz")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("folder/", b"")
        file.writestr("arr_0.npy", npy(IMAGES))
    assert len(open_source(tmp_path / "x.npz")) == 9


@pytest.mark.parametrize("array", [np.array(5.0), np.array(5, np.uint8)])
def test_an_array_without_axes_is_no_set_of_images(tmp_path, array):
    """It is refused like any other shape."""
    with pytest.raises(SourceError, match="images must"):
        open_source(put(tmp_path / "x.npy", npy(array)))


# What is printed.


def test_names_that_act_on_a_terminal_are_escaped_in_messages(tmp_path):
    """Names of unreadable images, members of archives and kinds of files are escaped."""
    put(tmp_path / "a\x1b[2J\n::error::.png", b"x")
    with pytest.raises(DecodeError, match=r"a\\x1b\[2J\\n::error::\.png: it is not an image"):
        images_of(open_source(tmp_path))
    with pytest.raises(SourceError, match=r"its member '\.\./\\x1b\[2J\\n\.png' names a place outside"):
        open_source(write_zip(tmp_path / "x.zip", "../\x1b[2J\n.png", PNG))
    assert "\x1b" not in str(no_images("x", ["a.\x1b[2J"]))


# 12-bit data.


def write_16_bit(folder, tops):
    """Six 16-bit images each, with values up to each of these."""
    for number, top in enumerate(tops):
        for index in range(6):
            samples = np.random.RandomState(index).randint(0, top + 1, (9, 8, 3))
            samples[0, 0, 0] = top
            put(folder / f"{number}-{index}.png", png_16(samples))
    return folder


def remarks_of(folder, real):
    """The warnings about bits of a result."""
    found = evaluate(real, folder, metrics=["fid"], extractor="pixels:4", cache=False)
    return [text for text in found.warnings if "16-bit" in text]


def test_12_bit_data_in_16_bit_files_are_remarked_once(tmp_path):
    """A set whose 16-bit images use 12 bits is nearly black, and its result says so once, with the remedy."""
    real = write_16_bit(tmp_path / "real", [65535])
    (remark,) = remarks_of(write_16_bit(tmp_path / "fake", [4095, 3000, 900]), real)
    assert "100% of the values of its 18 16-bit images are below 4,096, of 65,535" in remark
    assert "at most 16 of 255" in remark
    assert "If they are 12-bit data, scale them to 16 bits once (value * 65535 / 4095)" in remark


@pytest.mark.parametrize("tops", [[65535], [65535, 4095], [20000], [0]])
def test_a_set_that_uses_its_bits_is_not_remarked(tmp_path, tops):
    """One image that uses 16 bits is enough, and black images are ignored."""
    real = write_16_bit(tmp_path / "real", [65535])
    assert remarks_of(write_16_bit(tmp_path / "fake", tops), real) == []
