"""Fashion-MNIST from Debian's package: where it is looked for, and what is wrong with damaged files."""

import gzip
import struct

import numpy as np
import pytest
import torchvision.datasets
from source_helpers import images_of

from ganeval.errors import SourceError
from ganeval.sources import fashion, open_source


def idx(array):
    """A uint8 array in the idx format, gzipped."""
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes())


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """Seven training and three test images where the package would put them, and no data of torchvision's."""
    folder = tmp_path / "packaged"
    folder.mkdir()
    found = {}
    for part, count in (("train", 7), ("t10k", 3)):
        images = np.random.RandomState(count).randint(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = np.arange(count, dtype=np.uint8)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(labels))
        found[part] = images
    monkeypatch.setattr(fashion, "FOLDER", folder)
    monkeypatch.setenv("GANEVAL_DATA", str(tmp_path / "data"))
    return found


def test_both_splits_are_read(packaged, tmp_path):
    """Images, order and classes are those of the files, nothing is downloaded, and no folder of data sets is made."""
    for split, part in (("train", "train"), ("test", "t10k")):
        source = open_source(f"fashionmnist:{split}")
        images, report = images_of(source)
        np.testing.assert_array_equal(np.stack(images)[:, 0], packaged[part])
        assert report.conversions == {"greyscale": len(images)}
        assert list(source.labels) == list(range(len(images)))
        assert (source.kind, source.describe()["labels"]) == ("fashionmnist", "the data set's labels")
    assert not (tmp_path / "data").exists()


def test_torchvisions_own_come_first(packaged, tmp_path, monkeypatch):
    """Where torchvision's files are in the folder of data sets, they are read, and are the same set to the cache."""
    raw = tmp_path / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    expected = open_source("fashionmnist:test").fingerprint()
    for file in fashion.FOLDER.iterdir():
        (raw / file.name.removesuffix(".gz")).write_bytes(gzip.decompress(file.read_bytes()))
    for file in fashion.FOLDER.glob("*images*"):
        file.write_bytes(b"damaged")
    assert len(images_of(open_source("fashionmnist:train"))[0]) == 7
    assert open_source("fashionmnist:test").fingerprint() == expected


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("images-idx3", b"no gzip", "Not a gzipped file"),
        ("images-idx3", idx(np.zeros((3, 28, 28), np.uint8))[:-20], "Compressed file ended before"),
        ("images-idx3", gzip.compress(b"\0\0\x08\x03\0\0"), "not an idx file of 3 axes, or is cut off"),
        ("images-idx3", idx(np.zeros((3, 28), np.uint8)), "not an idx file of 3 axes, or is cut off"),
        ("images-idx3", gzip.compress(b""), "not an idx file of 3 axes, or is cut off"),
        ("labels-idx1", idx(np.zeros(4, np.uint8)), "it has 4 labels of 3 images"),
        ("labels-idx1", None, "No such file"),
    ],
    ids=["no gzip", "cut off", "cut header", "two axes", "empty", "labels", "missing"],
)
def test_a_damaged_file_is_named(packaged, name, content, reason):
    """With what is wrong, and how to install it anew."""
    path = fashion.FOLDER / f"t10k-{name}-ubyte.gz"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"{path} cannot be read \(.*{reason}.*--reinstall dataset-fashion-mnist"):
        open_source("fashionmnist:test")


def test_the_real_ones_are_read_where_they_are_installed(tmp_path, monkeypatch):
    """The package has 60,000 and 10,000 images of ten classes in equal shares."""
    if not fashion.FOLDER.exists():
        pytest.skip(f"Debian's package {fashion.PACKAGE} is not installed")
    monkeypatch.setenv("GANEVAL_DATA", str(tmp_path))
    for split, count in (("train", 60_000), ("test", 10_000)):
        source = open_source(f"fashionmnist:{split}")
        assert np.bincount(source.labels).tolist() == [count // 10] * 10
        assert source.image_at(count - 1).shape == (3, 28, 28)
    # The first image of the training set is an ankle boot.
    assert open_source("fashionmnist:train").labels[0] == 9
    assert torchvision.datasets.FashionMNIST.classes[9] == "Ankle boot"
