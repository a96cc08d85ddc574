"""Sources at URLs: the same images, labels and numbers as from local files, whatever the network does."""

import io
import json
import os
import tarfile
import threading
import time
import zipfile
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from remote_helpers import Web, web_server
from source_helpers import encode, images_of, random_images, write_folder

import ganeval
from ganeval import file_systems, places
from ganeval.errors import ResultError, SourceError, UsageError
from ganeval.places import RemotePath, is_url, place_of, redacted
from ganeval.sources import check_spec, lasting, open_source
from ganeval.sources.statistics import StoredGaussian, write_statistics

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
pytest.importorskip("aiohttp", reason="aiohttp is not installed")
IMAGES = random_images(7)
NAMES = [f"{'ab'[number % 2]}/{number}.png" for number in range(7)]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    """Requests are repeated at once, and the memory of one test is not seen by another."""
    monkeypatch.setattr(file_systems, "PAUSES", (0.0,) * len(file_systems.PAUSES))
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


@pytest.fixture
def web():
    """A server on this machine."""
    with web_server() as found:
        yield found


@pytest.fixture
def folder(tmp_path):
    """Seven images in two folders of classes."""
    return write_folder(tmp_path / "images", IMAGES, NAMES)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def put(url: str, files: dict[str, bytes]) -> None:
    """Write files below a URL of fsspec."""
    system, root = fsspec.url_to_fs(url)
    for name, data in files.items():
        system.pipe_file(f"{root}/{name}", data)


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def saved(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def same(one: object, other: object) -> None:
    """Two sources have the same images, in the same order, with the same classes."""
    first, second = open_source(one), open_source(other)
    left, right = images_of(first)[0], images_of(second)[0]
    assert len(left) == len(right)
    assert all((a == b).all() for a, b in zip(left, right, strict=True))
    assert (first.labels, getattr(first, "class_names", None)) == (second.labels, getattr(second, "class_names", None))
    assert list(first.digests()) == list(second.digests())


def test_a_remote_folder_is_read_as_a_local_one(folder):
    """Images, order, classes and digests are those of the folder."""
    put("memory://set", files_of(folder))
    same("memory://set", folder)
    source = open_source("memory://set")
    assert (source.name, source.kind, source.class_names) == ("memory://set", "folder", ("a", "b"))
    assert source.item_name(0) == "memory://set/a/0.png"
    assert source.file_names == open_source(folder).file_names


def test_remote_archives_are_read_as_local_ones(folder, tmp_path):
    """A zip, a tar, a compressed tar, and shards."""
    files = files_of(folder)
    halves = [dict(list(files.items())[:3]), dict(list(files.items())[3:])]
    content = {
        "set.zip": zipped(files),
        "set.tar": tarred(files),
        "set.tar.gz": tarred(files, "w:gz"),
        "s-0.tar": tarred(halves[0]),
        "s-1.tar": tarred(halves[1]),
    }
    put("memory://b", content)
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    for name in ("set.zip", "set.tar", "set.tar.gz", "s-{0..1}.tar", "s-*.tar"):
        same(f"memory://b/{name}", str(tmp_path / name))
    same("zip://::memory://b/set.zip", folder)
    same("zip://a::memory://b/set.zip", folder / "a")
    with pytest.raises(SourceError, match=r"1 of 3 shards are missing: memory://b/s-2\.tar"):
        open_source("memory://b/s-{0..2}.tar")


def test_lists_patterns_and_single_files(folder, tmp_path):
    """A list with classes, wildcards with and without folders, one image, and a selection."""
    files = files_of(folder)
    table = "file_name,label\n" + "".join(f"{name},{number % 3}\n" for number, name in enumerate(files))
    put("memory://set", {**files, "list.csv": table.encode(), ".hidden/x.png": b""})
    (folder / "list.csv").write_text(table)
    same("memory://set/list.csv", folder / "list.csv")
    for pattern in ("a/*.png", "*/[0-3].png", "a", "**/1.png", "?/*"):
        same(f"memory://set/{pattern}", str(folder / pattern))
    same("memory://set/a/0.png", folder / "a/0.png")
    assert len(open_source("memory://set", include="a/*")) == 4
    with pytest.raises(UsageError, match="matches nothing"):
        open_source("memory://set/*.jpg")


def test_arrays_features_and_statistics(tmp_path):
    """A .npz of images with labels, stored or compressed, a .npy, features, and statistics as REAL."""
    labels = np.arange(7) % 2
    packed = io.BytesIO()
    np.savez_compressed(packed, images=IMAGES, labels=labels)
    plain = io.BytesIO()
    np.save(plain, IMAGES)
    rows = np.random.RandomState(0).randn(50, 4)
    write_statistics(tmp_path / "ref.npz", StoredGaussian(rows.mean(0), np.cov(rows.T)), count=50, ddof=1, measured={})
    content = {
        "x.npz": saved(arr_0=IMAGES, arr_1=labels),
        "p.npz": packed.getvalue(),
        "x.npy": plain.getvalue(),
        "f.npz": saved(features=rows, labels=np.arange(50) % 3),
        "ref.npz": (tmp_path / "ref.npz").read_bytes(),
    }
    put("memory://n", content)
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    for name in ("x.npz", "p.npz", "x.npy"):
        same(f"memory://n/{name}", tmp_path / name)
    found = ganeval.fid("memory://n/ref.npz", "features:memory://n/f.npz")
    assert found.value == ganeval.fid(str(tmp_path / "ref.npz"), f"features:{tmp_path / 'f.npz'}").value
    options = open_source("features:memory://n/f.npz?extractor=dinov2")
    assert (options.extractor, options.name) == ("dinov2", "memory://n/f.npz")


def test_file_urls_are_local_paths(folder, monkeypatch):
    """`file://` is the path after it, also in what commands check before they read, and in what a run keeps."""
    assert place_of(f"file://{folder}") == folder
    same(f"file://{folder}", folder)
    check_spec(f"file://{folder}")
    with pytest.raises(SourceError, match=rf"^{folder}/none does not exist\. {folder} exists"):
        check_spec(f"file://{folder}/none")
    monkeypatch.chdir(folder.parent)
    assert lasting(f"file://{folder.name}") == str(folder)


def test_an_archive_of_a_chain_may_be_a_path(folder, monkeypatch):
    """`zip://INNER::FILE` takes a path, absolute or not, as well as a URL; without it, the error says how to write."""
    (folder.parent / "s.zip").write_bytes(zipped(files_of(folder)))
    monkeypatch.chdir(folder.parent)
    for archive in ("s.zip", str(folder.parent / "s.zip")):
        check_spec(f"zip://a::{archive}")
        same(f"zip://a::{archive}", folder / "a")
    with pytest.raises(UsageError, match=r"^zip://s\.zip does not say which archive it is in; write zip://INNER::FILE"):
        check_spec("zip://s.zip")


def test_outputs_go_to_urls_whole_or_not_at_all():
    """Statistics and results are written to a URL; an error in between leaves what was there."""
    written = ganeval.write_reference("digits:test", "memory://out/ref.npz", extractor="digits", cache=False)
    assert written.name == "memory://out/ref.npz"
    assert ganeval.fid("memory://out/ref.npz", "digits:train", extractor="digits", cache=False).n_real == 450
    place = place_of("memory://out/r.json")
    with ganeval.atomic.atomic_write(place) as file:
        file.write(b"first")
    with pytest.raises(TypeError), ganeval.atomic.atomic_write(place) as file:
        file.writelines([b"second", None])
    assert place.read_bytes() == b"first"
    assert sorted(fsspec.filesystem("memory").ls("/out", detail=False)) == ["/out/r.json", "/out/ref.npz"]


def test_where_a_file_grows_as_it_is_written_it_is_renamed_at_the_end(monkeypatch):
    """Nothing is written under the output's own name until it is whole, and a failure leaves the old file alone."""
    from fsspec.implementations.memory import MemoryFileSystem

    class Growing(MemoryFileSystem):
        protocol, store, pseudo_dirs, uploads = "growing", {}, [""], []

        @classmethod
        def _strip_protocol(cls, path):
            return MemoryFileSystem._strip_protocol(path.replace("growing://", "memory://"))

        def put_file(self, lpath, rpath, **options):
            self.uploads.append(rpath)
            super().put_file(lpath, rpath, **options)

    fsspec.register_implementation("growing", Growing, clobber=True)
    place = place_of("growing://out/r.json")
    place._open()[0].makedirs("/out")
    for text in (b"first", b"second"):
        with ganeval.atomic.atomic_write(place) as file:
            file.write(text)
        assert fsspec.filesystem("growing").cat_file("/out/r.json") == text
    assert all(".ganeval-" in name and name.endswith(".tmp") for name in Growing.uploads)
    assert list(Growing.store) == ["/out/r.json"]
    monkeypatch.setattr(Growing, "mv", lambda *arguments, **options: 1 / 0)
    with pytest.raises(ResultError, match=r"r\.json: the request failed"), ganeval.atomic.atomic_write(place) as file:
        file.write(b"third")
    assert fsspec.filesystem("growing").cat_file("/out/r.json") == b"second"
    assert list(Growing.store) == ["/out/r.json"]


@pytest.fixture
def sftp(monkeypatch):
    """A file system in memory under sftp://, whose client takes one request at a time, as paramiko's does."""
    from fsspec.implementations.memory import MemoryFileSystem

    class OneRequest(MemoryFileSystem):
        protocol, store, pseudo_dirs, busy, refuses = "sftp", {}, [""], threading.Lock(), None

        @classmethod
        def _strip_protocol(cls, path):
            return MemoryFileSystem._strip_protocol(path.replace("sftp://", "memory://").partition("@")[2] or path)

        def cat_file(self, path, **options):
            if self.refuses is not None:
                raise self.refuses
            assert self.busy.acquire(blocking=False), "two requests at a time"
            try:
                time.sleep(0.001)
                return super().cat_file(path, **options)
            finally:
                self.busy.release()

    monkeypatch.setitem(import_module("fsspec.registry")._registry, "sftp", OneRequest)
    OneRequest.clear_instance_cache()
    return OneRequest


def test_sftp_gets_one_request_at_a_time(sftp, folder):
    """Its clients mix up the answers to two threads, and then wait for ever."""
    put("sftp://me:secret@host/set", files_of(folder))
    same("sftp://me:secret@host/set", folder)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "AuthenticationException",
            r"refused .*Found a user in the address\. Use an address with a user and",
        ),
        ("SFTPNoSuchFile", "no such file|does not exist"),
    ],
)
def test_refusals_of_sftp_are_not_repeated(sftp, folder, monkeypatch, name, says):
    """A wrong password and a missing file, as paramiko and asyncssh name them, are final; the secret is not shown."""
    put("sftp://me:secret@host/set", files_of(folder))
    source = open_source("sftp://me:secret@host/set")
    monkeypatch.setattr(file_systems, "PAUSES", (60.0,))
    monkeypatch.setattr(sftp, "refuses", type(name, (Exception,), {})("Authentication failed."))
    with pytest.raises(SourceError, match=says) as caught:
        images_of(source)
    assert "secret" not in str(caught.value)


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_computed(web):
    """The web, archives and folders are no places for a result, and a bucket that is not there is found missing."""
    for url in (f"{web.url}/r.json", "zip://r.json::memory://a.zip"):
        with pytest.raises(UsageError, match="cannot be written; results go to a path"):
            places.check_remote_output(RemotePath(url))
    put("memory://there", {"a.png": b""})
    with pytest.raises(UsageError, match="is a folder"):
        places.check_remote_output(RemotePath("memory://there"))
    places.check_remote_output(RemotePath("memory://there/r.json"))
    assert fsspec.filesystem("memory").ls("/there", detail=False) == ["/there/a.png"]


def test_the_web_is_read_as_a_folder_where_it_lists_one(web: Web, folder):
    """An index of links is a folder, names with blanks and signs included; files are read where they are."""
    files = files_of(folder) | {"a/x y%.png": encode(IMAGES[0])}
    (folder / "a/x y%.png").write_bytes(files["a/x y%.png"])
    web.files = {f"set/{name}": data for name, data in files.items()} | {"set.zip": zipped(files)}
    same(f"{web.url}/set/", folder)
    same(f"{web.url}/set.zip", folder)


@pytest.mark.parametrize(("ranges", "sizes"), [(False, True), (True, False), (False, False)])
def test_a_server_without_ranges_or_sizes_is_enough(web: Web, folder, ranges, sizes):
    """An archive is then fetched whole before it is read."""
    web.files, web.ranges, web.sizes = {"s.zip": zipped(files_of(folder))}, ranges, sizes
    same(f"{web.url}/s.zip", folder)


@pytest.mark.parametrize("ranges", [True, False])
def test_what_a_server_compresses_is_what_it_holds(web: Web, folder, ranges, monkeypatch):
    """The length that it states is of compressed bytes, and is not taken for that of the file."""
    monkeypatch.setattr(places, "BLOCK", 100)
    image = np.zeros((16, 16, 3), np.uint8)
    web.files = {"s.zip": zipped(files_of(folder)), "a.bmp": encode(image, "bmp")}
    web.gzips, web.ranges = True, ranges
    same(f"{web.url}/s.zip", folder)
    assert (images_of(open_source(f"{web.url}/a.bmp"))[0][0] == image.transpose(2, 0, 1)).all()


def test_connections_that_break_are_repeated(web: Web, folder, monkeypatch):
    """A file whose connection breaks in the middle, a few times, is read whole in the end, block by block."""
    monkeypatch.setattr(places, "BLOCK", 100)
    web.files = {"s.zip": zipped(files_of(folder)), "a.png": encode(IMAGES[0])}
    web.broken.update({"s.zip": 3, "a.png": 2})
    same(f"{web.url}/s.zip", folder)
    assert (images_of(open_source(f"{web.url}/a.png"))[0][0] == IMAGES[0].transpose(2, 0, 1)).all()
    assert web.broken.total() == 0


@pytest.mark.parametrize("ranges", [True, False])
def test_half_a_file_is_never_taken_for_a_whole_one(web: Web, folder, ranges):
    """Answers that are shorter than the server said are repeated, of files read whole, by blocks, and copied."""
    web.ranges, files = ranges, files_of(folder)
    web.files = {"a.bmp": encode(IMAGES[0], "bmp"), "s.zip": zipped(files), "s.tar.gz": tarred(files, "w:gz")}
    for name in web.files:
        expected = images_of(open_source(f"{web.url}/{name}"))[0]
        web.short[name] = 2
        found = images_of(open_source(f"{web.url}/{name}"))[0]
        assert web.short[name] == 0
        assert all(map(np.array_equal, found, expected))
    web.files["f.npz"], web.short["f.npz"] = saved(features=np.ones((50, 3))), 1
    assert len(open_source(f"features:{web.url}/f.npz")) == 50
    assert web.short["f.npz"] == 0
    web.short["a.bmp"] = 1000
    with pytest.raises(SourceError, match=r"the request failed after 5 attempts \([\d,]+ of [\d,]+ bytes arrived"):
        images_of(open_source(f"{web.url}/a.bmp"), on_error="skip")


def test_a_connection_that_always_breaks_is_an_error_that_says_so(web: Web):
    """After five attempts, the error names the file, and is not taken for a damaged image that may be skipped."""
    web.files, web.broken["a.png"] = {"a.png": encode(IMAGES[0])}, 1000
    source = open_source(f"{web.url}/a.png")
    with pytest.raises(SourceError, match=r"/a\.png: the request failed after 5 attempts \(") as caught:
        images_of(source, on_error="skip")
    assert type(caught.value) is SourceError
    assert web.broken["a.png"] == 1000 - file_systems.TRIES
    with pytest.raises(SourceError, match="the request failed after 5 attempts"):
        open_source("http://127.0.0.1:9/a.zip")


def test_a_failed_reading_leaves_nothing_in_the_cache(web: Web, folder, tmp_path):
    """Features of a set whose reading broke are not kept, and those of the whole set are right afterwards."""
    web.files = {"s.zip": zipped(files_of(folder))}
    settings = {"metrics": ["kid"], "extractor": "pixels:6", "cache_dir": tmp_path / "cache"}
    source = f"{web.url}/s.zip"
    web.broken["s.zip"] = 1000
    with pytest.raises(SourceError, match="failed after"):
        ganeval.evaluate(folder, source, **settings)
    web.broken["s.zip"] = 0
    found, local = (ganeval.evaluate(folder, one, **settings)["kid"].value for one in (source, folder))
    assert found == local


def test_features_of_remote_images_are_kept_until_these_change(web: Web, folder, tmp_path):
    """The ETag is what the cache goes by: the archive is not read again, until another one is there."""
    settings = {"metrics": ["kid"], "extractor": "pixels:6", "cache_dir": tmp_path / "cache"}
    web.files = {"s.zip": zipped(files_of(folder))}
    first = ganeval.evaluate(folder, f"{web.url}/s.zip", **settings)
    second = ganeval.evaluate(folder, f"{web.url}/s.zip", **settings)
    assert (first.fake.cached, second.fake.cached) == (False, True)
    other = write_folder(tmp_path / "other", random_images(7, seed=1), NAMES)
    web.files = {"s.zip": zipped(files_of(other))}
    third = ganeval.evaluate(folder, f"{web.url}/s.zip", **settings)
    assert not third.fake.cached
    assert third["kid"].value == ganeval.evaluate(folder, other, **settings)["kid"].value != first["kid"].value


def test_a_folder_is_known_by_its_listing(folder, tmp_path):
    """Sizes and times of a listing are its identity; a server that says neither is not cached."""
    put("memory://set", files_of(folder))
    source = open_source("memory://set")
    before = source.fingerprint()
    assert before == open_source("memory://set").fingerprint()
    put("memory://set", {"a/0.png": encode(IMAGES[1])})
    assert source.fingerprint().fast != before.fast
    assert places._fingerprint_in({"size": 3}).identity is None
    assert places._fingerprint_in({"size": 3, "ETag": "x"}) == places._fingerprint_in({"size": 3, "ETag": "x"})
    assert (
        places._fingerprint_in({"size": 3, "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}).changed_ns
        == 1445412480 * 10**9
    )


def test_secrets_are_in_no_message_and_no_provenance(web: Web, folder):
    """A signature and a password are used, and never shown."""
    web.files, web.secret = {"s.zip": zipped(files_of(folder)), "f/1.png": encode(IMAGES[1])}, "hush"
    url = f"{web.url}/s.zip?sig=hush"
    source = open_source(url)
    assert source.name == f"{web.url}/s.zip"
    assert open_source(f"grey:{url}").name == f"grey:{web.url}/s.zip"
    found = ganeval.evaluate(folder, url, metrics=["kid"], extractor="pixels:6", cache=False)
    assert "hush" not in json.dumps(found.to_dict())
    assert "hush" not in repr(place_of(url)) + source.item_name(0)
    with pytest.raises(SourceError, match="access was refused") as caught:
        open_source(f"{web.url}/s.zip?sig=wrong")
    assert "wrong" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(UsageError, match="written into the files of the run"):
        lasting(url)
    assert lasting("s3://bucket/a") == "s3://bucket/a"
    web.files["f.npz"] = saved(features=np.random.RandomState(0).randn(5, 3))
    assert open_source(f"features:{web.url}/f.npz?sig=hush").name == f"{web.url}/f.npz"
    assert open_source(f"features:{web.url}/f.npz?sig=hush?extractor=dinov2").extractor == "dinov2"
    with pytest.raises(UsageError, match="is not understood") as caught:
        check_spec(f"lowres:{url}")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@host/a.zip?X-Amz-Signature=1#x", "https://***@host/a.zip"),
        ("zip://a.png::https://token@host/x.zip?sig=1", "zip://a.png::https://***@host/x.zip"),
        ("sftp://me:pw@host/a", "sftp://***@host/a"),
        ("sftp://me@host/a", "sftp://me@host/a"),
        ("s3://bucket/what?.png", "s3://bucket/what?.png"),
        ("hf://datasets/a/b@main/c.parquet", "hf://datasets/a/b@main/c.parquet"),
        ("github://owner:repository@main/a.png", "github://owner:repository@main/a.png"),
        ("lowres:https://h/a?sig=1", "lowres:https://h/a"),
    ],
)
def test_what_is_shown_of_a_url(url, shown):
    """Users with a password, users of the web, and queries of the web are left out."""
    assert redacted(url) == shown


def test_what_is_a_url():
    """Paths, specs with one colon, and Python's files are none."""
    assert all(map(is_url, ("s3://b", "zip://a::s3://b/c.zip", "simplecache::https://h/a")))
    assert not any(map(is_url, ("a/b.zip", "digits:train", "py::name", "py:a.py:b", "C:/x", "features:s3://b/a.npz")))


def test_parts_of_a_remote_path():
    """Names, suffixes, parents and children, of chains and addresses with a query."""
    assert (RemotePath("s3://b/x/a.tar.gz").suffix, RemotePath("s3://b/x/a.npz").stem) == (".gz", "a")
    assert (RemotePath("s3://b/x/y").parent / "z/1.png").url == "s3://b/x/z/1.png"
    assert (RemotePath("https://h/d?s=1") / "a b.png").url == "https://h/d/a%20b.png?s=1"
    assert (RemotePath("zip://::s3://b/a.zip") / "x.png").url == "zip://x.png::s3://b/a.zip"
    assert RemotePath("simplecache::s3://b/a.zip").name == "a.zip"
    assert (RemotePath("s3://b/x") / "../../../y.png").url == "s3://b/y.png"
    assert (RemotePath("s3://b/x") / "gs://c/y.png").url == "gs://c/y.png"


def test_missing_places_and_unknown_systems_are_errors_that_say_what_to_do(web: Web, monkeypatch):
    """A missing file, a scheme that nobody knows, a package that is not installed, and no fsspec at all."""
    for spec in ("memory://no/such.zip", f"{web.url}/no.zip"):
        for call in (check_spec, open_source):
            with pytest.raises(SourceError, match=r"does not exist\. Check the address"):
                call(spec)
    check_spec("memory://no/{0..9}.tar")
    with pytest.raises(UsageError, match=r"'nonesuch://a/b': unknown kind of source|no file system 'nonesuch://'"):
        open_source("nonesuch://a/b")
    with pytest.raises(UsageError, match=r"sftp:// needs a package that is missing .*pip install paramiko"):
        open_source("sftp://host/a")
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(UsageError, match=r"URLs need fsspec; pip install fsspec, or 'ganeval\[remote\]'"):
        open_source("memory://a")


def test_an_archive_may_be_larger_than_what_is_kept_of_it(folder, monkeypatch):
    """Blocks that no longer fit into memory are asked for again."""
    monkeypatch.setattr(places, "BLOCK", 64)
    monkeypatch.setattr(places, "KEPT_BLOCKS", 2)
    put("memory://b", {"s.zip": zipped(files_of(folder)), "s.tar": tarred(files_of(folder))})
    same("memory://b/s.zip", folder)
    same("memory://b/s.tar", folder)


# A store of S3, which a server on this machine stands for.


@pytest.fixture(scope="module")
def server():
    """The address of a server of S3."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(server, monkeypatch, tmp_path):
    """A bucket, and credentials for it."""
    from s3fs import S3FileSystem

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    S3FileSystem.clear_instance_cache()
    system = fsspec.filesystem("s3")
    system.mkdir("bucket")
    yield "s3://bucket"
    system.rm("bucket", recursive=True)
    S3FileSystem.clear_instance_cache()


def test_images_in_s3_are_those_of_the_same_folder_bit_for_bit(s3, folder, tmp_path):
    """A folder, a zip, shards and an array, and the numbers that are made of them."""
    files = files_of(folder)
    halves = [dict(list(files.items())[:3]), dict(list(files.items())[3:])]
    put(f"{s3}/set", files)
    put(s3, {"set.zip": zipped(files), "d-00.tar": tarred(halves[0]), "d-01.tar": tarred(halves[1])})
    same(f"{s3}/set", folder)
    same(f"{s3}/set.zip", folder)
    same(f"zip://::{s3}/set.zip", folder)
    assert images_of(open_source(f"{s3}/d-{{00..01}}.tar"))[0][3].shape == (3, 6, 7)
    settings = {"metrics": ["kid"], "extractor": "pixels:6", "cache_dir": tmp_path / "cache"}
    local = ganeval.evaluate(folder, folder, **settings)["kid"]
    found = ganeval.evaluate(folder, f"{s3}/set", **settings)
    assert (found["kid"].value, found["kid"].standard_error) == (local.value, local.standard_error)
    assert ganeval.evaluate(folder, f"{s3}/set", **settings).fake.cached


def test_results_are_written_to_s3(s3):
    """The file is there, and the one that tried the place is not; a bucket that is not there is refused."""
    ganeval.write_reference("digits:test", f"{s3}/refs/digits.npz", extractor="digits", cache=False)
    assert ganeval.fid(f"{s3}/refs/digits.npz", "digits:train", extractor="digits", cache=False).n_real == 450
    places.check_remote_output(RemotePath(f"{s3}/refs/r.json"))
    assert fsspec.filesystem("s3").ls("bucket/refs", detail=False) == ["bucket/refs/digits.npz"]
    with pytest.raises(ResultError, match="there is no such folder or bucket"):
        places.check_remote_output(RemotePath("s3://nonesuch/r.json"))


def test_missing_credentials_are_named_and_never_shown(s3, monkeypatch):
    """What was looked for and found, and what to set."""
    from s3fs import S3FileSystem

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    S3FileSystem.clear_instance_cache()
    with pytest.raises(SourceError, match=r"access was refused .*Found AWS_ENDPOINT_URL\. Set AWS_ACCESS_KEY_ID and"):
        open_source(f"{s3}/set.zip")
