"""Images in Parquet and Arrow files, data sets of the Hub that are streamed, and shards that are read once."""

import io
import json
import os
import sys
import tarfile
import threading

import numpy as np
import pytest
from remote_helpers import web_server
from source_helpers import encode, images_of, random_images, write_folder

import ganeval
from ganeval.errors import SourceError, UsageError
from ganeval.sources import open_source, parquet
from ganeval.sources.base import part_of

IMAGES = random_images(10)
FILES = [encode(image) for image in IMAGES]
LABELS = [0, 2, 1, 0, 2, 1, 0, 2, 1, 0]
CLASSES = ["cat", "dog", "eel"]


@pytest.fixture(scope="module")
def pa():
    """The package that writes tables."""
    return pytest.importorskip("pyarrow", reason="pyarrow is not installed")


def table_of(pa, files=FILES, labels=LABELS, *, hub=False, binary=False):
    """A table of images: plain bytes, or Hugging Face's struct, with or without the metadata of its features."""
    structs = [{"bytes": data, "path": f"{number}.png"} for number, data in enumerate(files)]
    images = pa.array(list(files), pa.binary()) if binary else pa.array(structs)
    table = pa.table({"image": images, "label": pa.array(labels, pa.int64()), "text": ["x"] * len(files)})
    if not hub:
        return table
    features = {
        "image": {"_type": "Image"},
        "label": {"names": CLASSES, "_type": "ClassLabel"},
        "text": {"dtype": "string", "_type": "Value"},
    }
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def write(pa, path, table, rows=4):
    """Write a table as what its name says, in parts of a few rows."""
    import pyarrow.feather
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=rows)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(table, path, chunksize=rows)
    else:
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table, max_chunksize=rows)
    return path


def pixels(source, **reading):
    return np.stack(images_of(source, **reading)[0]).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("name", ["a.parquet", "a.feather", "a.arrow"])
@pytest.mark.parametrize("binary", [False, True])
def test_a_table_is_read_as_the_files_in_it(pa, tmp_path, monkeypatch, name, binary):
    """Images, order, classes and digests are those of the same files in a folder, whatever the size of blocks."""
    path = write(pa, tmp_path / name, table_of(pa, binary=binary))
    folder = write_folder(tmp_path / "folder", IMAGES)
    for block in (1, 300, 1 << 20):
        monkeypatch.setattr(parquet, "BLOCK_BYTES", block)
        source = open_source(path)
        assert (pixels(source, workers=4) == IMAGES).all()
        assert (source.labels, source.kind) == (LABELS, "parquet" if name == "a.parquet" else "arrow")
        assert list(source.digests()) == list(open_source(folder).digests())
    assert source.item_name(5) == f"{path}[5]"
    assert source.describe()["labels"] == "the column 'label'"
    assert source.fingerprint() == open_source(path).fingerprint()


def test_the_hub_s_metadata_name_the_columns_and_the_classes(pa, tmp_path):
    """Of several columns of bytes the declared one is read, and classes have their names."""
    table = table_of(pa, hub=True).append_column("other", pa.array([b"x"] * 10))
    source = open_source(write(pa, tmp_path / "a.parquet", table))
    assert (source.class_names, source.labels) == (tuple(CLASSES), LABELS)
    assert (pixels(source) == IMAGES).all()
    named = table_of(pa).set_column(1, "label", pa.array([CLASSES[one] for one in LABELS]))
    source = open_source(write(pa, tmp_path / "b.parquet", named))
    assert (source.class_names, source.labels) == (tuple(CLASSES), LABELS)


def test_several_tables_are_one_set(pa, tmp_path):
    """A folder, a range, and a quoted glob; a folder with several splits gives a warning; images in it count first."""
    for number, split in enumerate(["test", "train", "train"]):
        some = slice(number * 4, number * 4 + 4)
        write(
            pa, tmp_path / f"d/{split}-0000{number}-of-00003.parquet", table_of(pa, FILES[some], LABELS[some]), rows=3
        )
    whole, train = open_source(tmp_path / "d"), open_source(str(tmp_path / "d/train-*.parquet"))
    assert (pixels(whole) == IMAGES).all()
    assert (pixels(train) == IMAGES[4:]).all()
    assert (pixels(open_source(str(tmp_path / "d/train-0000{1..2}-of-00003.parquet"))) == IMAGES[4:]).all()
    assert whole.item_name(4).endswith("d/train-00001-of-00003.parquet[0]")
    assert [text for text in whole.remarks if "2 splits (test, train)" in text]
    assert train.remarks == []
    chosen = np.sort(np.random.RandomState(1).permutation(10)[:4])
    assert (pixels(open_source(tmp_path / "d", num_samples=4, seed=1)) == IMAGES[chosen]).all()
    write_folder(tmp_path / "d", IMAGES[:1])
    assert len(open_source(tmp_path / "d")) == 1
    assert len(open_source(f"parquet:{tmp_path}/d/*.parquet")) == 10
    assert len(open_source(f"parquet:{tmp_path}/d/t*-0000?-of-00003.parquet")) == 10
    assert len(open_source(f"parquet:{tmp_path}/d/t*-0000?-of-00003.parquet?label=label")) == 10
    for nothing in ("none-*.parquet", "none?"):
        with pytest.raises(UsageError, match=r"/d/none.*' matches no table; they end in \.parquet, "):
            open_source(f"parquet:{tmp_path}/d/{nothing}")


def test_columns_can_be_named(pa, tmp_path):
    """`parquet:` takes the columns; what is not there, ambiguous, or no image is an error that lists what is."""
    table = pa.table({"a": FILES, "b": FILES[::-1], "kind": LABELS, "n": LABELS})
    path = write(pa, tmp_path / "a.parquet", table)
    source = open_source(f"parquet:{path}?image=b&label=kind")
    assert (pixels(source) == IMAGES[::-1]).all()
    assert source.labels == LABELS
    with pytest.raises(UsageError, match=r"several columns of bytes: a, b\. .*parquet:.*\?image=a"):
        open_source(path)
    with pytest.raises(UsageError, match="has no column 'c'; it has a, b, kind, n"):
        open_source(f"parquet:{path}?image=c")
    with pytest.raises(SourceError, match=r"must hold image files .* found int64"):
        open_source(f"parquet:{path}?image=n")
    with pytest.raises(UsageError, match="unknown option 'imag'; did you mean 'image'"):
        open_source(f"parquet:{path}?imag=a")
    with pytest.raises(SourceError, match="has no column of image files"):
        open_source(write(pa, tmp_path / "n.parquet", pa.table({"n": LABELS})))


def test_broken_tables_and_rows_are_errors_that_name_them(pa, tmp_path):
    """A file that is no table, a row without bytes, and a row that is no image, which can be skipped."""
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(SourceError, match=r"bad\.parquet cannot be read as a table"):
        open_source(bad)
    rows = [{"bytes": FILES[0], "path": None}, {"bytes": None, "path": "x.png"}, {"bytes": b"no", "path": None}]
    path = write(pa, tmp_path / "rows.parquet", pa.table({"image": rows}))
    with pytest.raises(SourceError, match=r"rows\.parquet\[1\]: the column 'image' has no bytes here"):
        images_of(open_source(path))
    _, report = images_of(open_source(path), on_error="skip", skip_limit=1)
    assert [name for name, _ in report.skipped] == [f"{path}[1]", f"{path}[2]"]


def test_without_pyarrow_the_error_names_it(tmp_path, monkeypatch):
    """And the extra that installs it."""
    (tmp_path / "a.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"tables need pyarrow; pip install pyarrow, or 'ganeval\[parquet\]'"):
        open_source(tmp_path / "a.parquet")


def test_a_remote_table_is_read_by_ranges(pa, tmp_path, monkeypatch):
    """Parquet and Arrow at a URL are those of the local file, and the parts that are not needed are not fetched."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    with web_server() as web:
        for name in ("a.parquet", "a.arrow", "a.feather"):
            web.files[name] = write(pa, tmp_path / name, table_of(pa, hub=True)).read_bytes()
            source = open_source(f"{web.url}/{name}")
            assert (pixels(source) == IMAGES).all()
            assert (source.labels, source.class_names) == (LABELS, tuple(CLASSES))


def test_a_large_row_group_is_not_held_as_a_whole(pa, tmp_path, monkeypatch):
    """Memory follows blocks of rows and pages, not the row group, here of 4 MB."""
    import pyarrow.parquet

    table = pa.table({"image": [FILES[0] + bytes(8000)] * 500})
    options = {"compression": "none", "use_dictionary": False, "data_page_size": 1 << 16, "write_batch_size": 8}
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", **options)
    assert pyarrow.parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 1
    monkeypatch.setattr(parquet, "BLOCK_BYTES", 1 << 17)
    monkeypatch.setattr(parquet, "PAGES", 1 << 16)
    before, watched = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(watched)
    try:
        source = open_source(tmp_path / "a.parquet")
        assert len(list(source.digests())) == 500
        # What was allocated from the pool must be gone before it is.
        del source
    finally:
        pa.set_memory_pool(before)
    assert 0 < watched.max_memory() < 2_000_000


def test_parts_of_a_table_are_read_exactly_once(pa, tmp_path):
    """Every image is in one of the parts, in order."""
    source = open_source(write(pa, tmp_path / "a.parquet", table_of(pa)))
    parts = [source.part(number, 3, 2) for number in range(3)]
    assert [len(part) for part in parts] == [len(part_of(10, number, 3, 2)) for number in range(3)]
    assert (np.concatenate([pixels(part) for part in parts]) == IMAGES).all()


# Shards that are read once.


def shard(files) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def samples(start, stop, *, kind="cls"):
    """Images with their classes in .cls or .json, and another file."""
    files = {}
    for number in range(start, stop):
        files[f"{number:05}.png"] = FILES[number]
        label = str(LABELS[number]) if kind == "cls" else json.dumps({"label": LABELS[number], "caption": "x"})
        files[f"{number:05}.{kind}"] = label.encode()
        files[f"{number:05}.txt"] = b"x"
    return files


def labels_of(source):
    from ganeval.sources.base import Reading, ReadReport

    return [label for batch in source.batches(Reading(batch_size=3), ReadReport()) for label in batch.labels]


@pytest.mark.parametrize("kind", ["cls", "json"])
def test_streamed_shards_have_the_images_labels_and_keys_of_indexed_ones(tmp_path, kind):
    """`webdataset:` reads the same, in one pass, and its features are found in the cache."""
    for number in range(2):
        (tmp_path / f"s-{number}.tar").write_bytes(shard(samples(5 * number, 5 * number + 5, kind=kind)))
    indexed, streamed = (open_source(f"{scheme}{tmp_path}/s-{{0..1}}.tar") for scheme in ("", "webdataset:"))
    assert (pixels(streamed) == IMAGES).all()
    assert (pixels(indexed) == IMAGES).all()
    assert labels_of(streamed) == indexed.labels == LABELS
    assert list(streamed.digests()) == list(indexed.digests())
    settings = {"metrics": ["kid"], "extractor": "pixels:6", "cache_dir": tmp_path / "cache"}
    found = [ganeval.evaluate(IMAGES, f"webdataset:{tmp_path}/s-{{0..1}}.tar", **settings) for _ in range(2)]
    assert [one.fake.cached for one in found] == [False, True]
    assert found[0]["kid"].value == ganeval.evaluate(IMAGES, IMAGES, **settings)["kid"].value
    first = open_source(f"webdataset:{tmp_path}/s-{{0..1}}.tar", num_samples=7)
    assert (pixels(first) == IMAGES[:7]).all()
    with pytest.raises(SourceError, match="ended after 10 images; 11 were expected"):
        images_of(open_source(f"webdataset:{tmp_path}/s-{{0..1}}.tar", num_samples=11))


def test_shards_are_read_from_a_pipe(tmp_path):
    """A named pipe cannot seek, and is read to its end; it is not cached."""
    os.mkfifo(tmp_path / "pipe")
    data = shard(samples(0, 10))
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    source = open_source(f"webdataset:{tmp_path / 'pipe'}")
    assert source.fingerprint() is None
    assert (pixels(source) == IMAGES).all()
    writer.join()


def test_shards_at_a_url_survive_broken_connections(tmp_path, monkeypatch):
    """A stream goes on from the block at which the connection broke."""
    from ganeval import file_systems, places

    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    monkeypatch.setattr(file_systems, "PAUSES", (0.0,) * 4)
    monkeypatch.setattr(places, "BLOCK", 1000)
    with web_server() as web:
        web.files["s.tar"] = shard(samples(0, 10))
        web.broken["s.tar"] = 3
        assert (pixels(open_source(f"webdataset:{web.url}/s.tar")) == IMAGES).all()
        web.broken["s.tar"] = 1000
        with pytest.raises(SourceError, match="failed after 5 attempts"):
            images_of(open_source(f"webdataset:{web.url}/s.tar"))


def test_shards_are_shared_out_whole(tmp_path):
    """Each part has whole shards, in order; fewer shards than parts cannot be shared out."""
    for number in range(5):
        (tmp_path / f"s-{number}.tar").write_bytes(shard(samples(2 * number, 2 * number + 2)))
    source = open_source(f"webdataset:{tmp_path}/s-{{0..4}}.tar")
    parts = [source.part(number, 3, 8) for number in range(3)]
    assert (np.concatenate([pixels(part) for part in parts]) == IMAGES).all()
    assert source.part(0, 6, 8) is None
    with pytest.raises(
        UsageError, match=r"can only be read from its beginning, so it has no shards\. Archives are indexed"
    ):
        ganeval.extract_features(
            f"webdataset:{tmp_path}/s-{{0..4}}.tar", tmp_path / "f.npz", shard=(1, 2), extractor="pixels:6"
        )
    assert source.part(0, 1, 8) is source


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_a_link_in_a_stream_is_an_error(tmp_path, kind):
    """An image that is a link, which an indexed archive follows, is never left out in silence."""
    files, stream = samples(0, 3), io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"././a/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name in ("link.txt", "link.png"):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a/00001.png"
            archive.addfile(info)
            (tmp_path / "s.tar").write_bytes(stream.getvalue() + b"\0" * 1024)
            if name == "link.txt":
                assert (pixels(open_source(f"webdataset:{tmp_path}/s.tar")) == IMAGES[:3]).all()
    assert len(open_source(f"{tmp_path}/s.tar")) == 4
    with pytest.raises(SourceError, match=r"s\.tar/link\.png is a link to a/00001\.png, which cannot be followed"):
        images_of(open_source(f"webdataset:{tmp_path}/s.tar"))


@pytest.mark.parametrize("again", ["00000.png", "00002.png"])
def test_a_name_that_occurs_twice_in_a_stream_is_an_error(tmp_path, again):
    """Of a name that occurs twice, at once or later, an indexed archive takes the last file; a stream cannot know."""
    files, stream = samples(0, 3), io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in (*files.items(), (again, files["00001.png"])):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    (tmp_path / "s.tar").write_bytes(stream.getvalue())
    assert len(open_source(f"{tmp_path}/s.tar")) == 3
    with pytest.raises(
        SourceError, match=rf"s\.tar has {again} twice\. .* without 'webdataset:', which takes the last"
    ):
        images_of(open_source(f"webdataset:{tmp_path}/s.tar"))


@pytest.mark.parametrize(
    "data",
    [shard(samples(0, 10))[:3000], shard(samples(0, 2))[: 6 * 1024], b"not a tar" * 200, shard({"a.txt": b"x"}), b""],
)
def test_a_damaged_or_empty_stream_is_an_error(tmp_path, data):
    """A truncated shard is never taken for a shorter one."""
    (tmp_path / "s.tar").write_bytes(data)
    with pytest.raises(SourceError, match=r"cannot be read as a tar archive|ended after 0 images"):
        images_of(open_source(f"webdataset:{tmp_path}/s.tar"))


def test_an_image_of_a_stream_may_be_skipped(tmp_path):
    """The limit counts at the end, when the number of images is known."""
    (tmp_path / "s.tar").write_bytes(shard({**samples(0, 10), "bad.png": b"no"}))
    images, report = images_of(open_source(f"webdataset:{tmp_path}/s.tar"), on_error="skip", skip_limit=0.1)
    assert (len(images), report.skipped[0][0], report.skipped_indices) == (10, f"{tmp_path}/s.tar/bad.png", [10])
    (tmp_path / "s.tar").write_bytes(shard({**samples(0, 10), **{f"bad{n}.png": b"no" for n in range(3)}}))
    with pytest.raises(SourceError, match="3 of 13 images could not be read"):
        images_of(open_source(f"webdataset:{tmp_path}/s.tar"), on_error="skip", skip_limit=0.1)


def test_classes_in_json_files_are_read_where_every_image_has_one(tmp_path):
    """In a folder as in an archive; a file that lacks one is named, and files without a class are ignored."""
    write_folder(tmp_path, IMAGES[:3])
    for number in range(3):
        (tmp_path / f"{number}.json").write_text(json.dumps({"label": CLASSES[number]}))
    assert open_source(tmp_path).class_names == tuple(CLASSES)
    (tmp_path / "1.json").unlink()
    assert "1.png has no .json file" in open_source(tmp_path).describe()["unlabelled"]
    (tmp_path / "0.json").write_text('{"caption": "x"}')
    assert open_source(tmp_path).labels is None


# Data sets of the Hub.


@pytest.fixture
def hub(pa, tmp_path, monkeypatch):
    """A data set as the Hub has them, in a local folder: two splits, the first in two files."""
    pytest.importorskip("datasets", reason="datasets is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")
    for number in range(2):
        some = slice(4 * number, 4 * number + 4)
        write(
            pa,
            tmp_path / f"set/data/train-0000{number}-of-00002.parquet",
            table_of(pa, FILES[some], LABELS[some], hub=True),
        )
    write(pa, tmp_path / "set/data/test-00000-of-00001.parquet", table_of(pa, FILES[8:], LABELS[8:], hub=True))
    return tmp_path / "set"


def test_a_data_set_of_the_hub_is_streamed(hub, tmp_path):
    """Images and classes of one split, bit for bit, each once; features are found in the cache until a file changes."""
    source = open_source(f"hfds:{hub}:train")
    assert (source.kind, source.class_names) == ("hfds", tuple(CLASSES))
    assert (pixels(source) == IMAGES[:8]).all()
    assert labels_of(source) == LABELS[:8]
    assert (pixels(open_source(f"hfds:{hub}?split=test")) == IMAGES[8:]).all()
    parts = [open_source(f"hfds:{hub}:train").part(number, 2, 8) for number in range(2)]
    assert (np.concatenate([pixels(part) for part in parts]) == IMAGES[:8]).all()
    settings = {"metrics": ["kid"], "extractor": "pixels:6", "cache_dir": tmp_path / "cache"}
    assert [ganeval.evaluate(IMAGES, f"hfds:{hub}:train", **settings).fake.cached for _ in range(2)] == [False, True]


def test_what_is_not_in_a_data_set_is_an_error_that_lists_what_is(hub, tmp_path):
    """Splits, columns, options, and a data set that is not there."""
    with pytest.raises(UsageError, match=r"has several splits; write one of hfds:.*:train, hfds:.*:test"):
        open_source(f"hfds:{hub}")
    with pytest.raises(UsageError, match="has no split 'tain'"):
        open_source(f"hfds:{hub}:tain")
    with pytest.raises(UsageError, match="has no column 'x'; it has image, label, text"):
        open_source(f"hfds:{hub}:train?image=x")
    with pytest.raises(UsageError, match="unknown option 'conf'"):
        open_source(f"hfds:{hub}:train?conf=x")
    with pytest.raises(SourceError, match="cannot be opened"):
        open_source(f"hfds:{tmp_path / 'none'}:train")


def test_without_datasets_the_error_names_it(monkeypatch):
    """And the extra that installs it."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"needs the package datasets; pip install 'ganeval\[datasets\]'"):
        open_source("hfds:a/b:train")
