"""Data sets: the embedded digits, torchvision's with and without a network, torch Datasets of every kind of item."""

import gc
import io
import pickle
import socket
import tarfile
import threading
from functools import partial
from hashlib import md5
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets
from PIL import Image
from sklearn.datasets import load_digits
from source_helpers import batches_of, images_of, random_images
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    TensorDataset,
    WeightedRandomSampler,
)

from ganeval.errors import DecodeError, GeneratorError, SourceError, UsageError
from ganeval.evaluation import evaluate
from ganeval.sources import SCHEMES, datasets, fashion, open_source
from ganeval.sources.datasets import TORCHVISION


def test_the_digits_are_split_once_and_for_all():
    """1,347 train and 450 test images of ten classes are all 1,797 digits in their order."""
    train, test, whole = (images_of(open_source(f"digits:{split}"))[0] for split in ("train", "test", "all"))
    assert (len(train), len(test), len(whole)) == (1347, 450, 1797)
    for index, image in enumerate(whole):
        quarter, rest = divmod(index, 4)
        expected = test[quarter] if rest == 0 else train[quarter * 3 + rest - 1]
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("found", [True, False])
def test_the_digits_are_those_of_scikit_learn(monkeypatch, found):
    """They are read from its file, without an import of it, and by its own function where the file lies elsewhere."""
    calls = []

    def load():
        calls.append(1)
        return load_digits()

    monkeypatch.setattr("sklearn.datasets.load_digits", load)
    if not found:
        monkeypatch.setattr("ganeval.sources.datasets.find_spec", lambda name: ModuleSpec(name, None))
    images, classes = datasets._digits.__wrapped__()
    assert len(calls) == (not found)
    expected = load_digits()
    np.testing.assert_array_equal(images[:, 0], np.rint(expected.images * (255 / 16)))
    np.testing.assert_array_equal(classes, expected.target)
    assert (images.dtype, classes.dtype) == (np.uint8, np.int64)


def test_the_digits_fill_the_range():
    """Ink 0..16 becomes 0..255, rounded; images are greyscale, 8 x 8, with classes."""
    source = open_source("digits:train")
    images, report = images_of(source)
    assert set(np.unique(np.stack(images))) == {round(ink * 255 / 16 + 1e-9) for ink in range(17)}
    assert images[0].shape == (3, 8, 8)
    assert report.conversions == {"greyscale": 1347}
    assert np.bincount(source.labels).min() > 125
    assert source.describe() == {"classes": 10, "labels": "the data set's labels"}


@pytest.mark.parametrize("spec", ["digits:", "digits:tset", "cifar10:valid", "svhn:foo"])
def test_a_split_that_is_not_there(spec):
    """The message names the data set and lists its splits."""
    with pytest.raises(UsageError, match="names no split of"):
        open_source(spec)


@pytest.mark.parametrize("name", TORCHVISION)
def test_without_a_network_there_is_a_way_out(name, tmp_path, monkeypatch):
    """The message of a failed download says what to download, where to put it, and which sets need none."""

    def offline(self, *args, **options):
        assert not options["download"]
        raise RuntimeError("Dataset not found or corrupted.")

    def no_server(*args, **options):
        raise OSError("[Errno -2] Name or service not known")

    known = TORCHVISION[name]
    monkeypatch.setattr(fashion, "FOLDER", tmp_path / "packaged")
    monkeypatch.setenv("GANEVAL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(getattr(torchvision.datasets, known.name), "__init__", offline)
    monkeypatch.setattr(socket, "create_connection", no_server)
    with pytest.raises(SourceError) as caught:
        open_source(f"{name}:{next(iter(known.splits))}")
    message = str(caught.value)
    for part in (name, str(tmp_path / "data"), "Name or service not known", known.name, "GANEVAL_DATA", "digits:train"):
        assert part in message
    assert len(message.splitlines()) <= 4
    told = [str(tmp_path / "packaged") in message, "apt install dataset-fashion-mnist" in message]
    assert told == [name == "fashionmnist"] * 2


@pytest.fixture
def server(tmp_path):
    """The address of a server of the test's folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def cifar(tmp_path, monkeypatch, server):
    """A small CIFAR-10 as torchvision stores it, behind an address of this machine, and its images."""
    images = random_images(12, 32, 32).transpose(0, 3, 1, 2)
    labels = [index % 10 for index in range(12)]
    archive = tmp_path / "cifar.tar.gz"
    sums = {}
    with tarfile.open(archive, "w:gz") as file:
        for name, content in (
            ("data_batch_1", {"data": images[:8].reshape(8, -1), "labels": labels[:8]}),
            ("test_batch", {"data": images[8:].reshape(4, -1), "labels": labels[8:]}),
            ("batches.meta", {"label_names": [f"class {index}" for index in range(10)]}),
        ):
            data = pickle.dumps(content)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
            sums[name] = md5(data).hexdigest()
    kind = torchvision.datasets.CIFAR10
    monkeypatch.setattr(kind, "url", f"{server}/cifar.tar.gz")
    monkeypatch.setattr(kind, "filename", "cifar.tar.gz")
    monkeypatch.setattr(kind, "tgz_md5", md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(kind, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(kind, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums["batches.meta"]})
    monkeypatch.setenv("GANEVAL_DATA", str(tmp_path / "data"))
    return images, labels, archive


def test_a_torchvision_set_is_downloaded_once(cifar, capsys):
    """The first use downloads, later ones do not, and standard output stays clean."""
    images, labels, archive = cifar
    test = open_source("cifar10:test")
    archive.unlink()
    train = open_source("cifar10:train")
    np.testing.assert_array_equal(np.stack(images_of(train)[0]), images[:8])
    np.testing.assert_array_equal(np.stack(images_of(test)[0]), images[8:])
    assert train.labels == labels[:8]
    assert open_source("cifar10:train").fingerprint() == train.fingerprint() != test.fingerprint()
    assert capsys.readouterr().out == ""


def stand_in(monkeypatch, name, **attributes):
    """Put a small object in the place of a torchvision class."""

    class Loaded:
        def __init__(self, root, *, download, **options):
            self.root = root
            assert not download
            vars(self).update(attributes)

    monkeypatch.setattr(torchvision.datasets, name, Loaded)


def test_every_layout_of_torchvision(monkeypatch):
    """Greyscale tensors, NCHW and NHWC arrays and unlabelled splits become the same contract."""
    stand_in(monkeypatch, "MNIST", data=torch.zeros(4, 28, 28, dtype=torch.uint8), targets=torch.arange(4))
    stand_in(monkeypatch, "SVHN", data=np.zeros((4, 3, 32, 32), np.uint8), labels=np.arange(4))
    stand_in(monkeypatch, "STL10", data=np.zeros((4, 3, 96, 96), np.uint8), labels=np.full(4, -1))
    assert images_of(open_source("mnist:train"))[0][0].shape == (3, 28, 28)
    assert open_source("svhn:extra").labels == [0, 1, 2, 3]
    assert open_source("stl10:unlabeled").labels is None


def test_celeba_is_read_as_a_folder(tmp_path, monkeypatch):
    """Its images are files, decoded in parallel like any others."""
    stand_in(monkeypatch, "CelebA", base_folder="celeba", filename=["000001.jpg", "000002.jpg"])
    monkeypatch.setenv("GANEVAL_DATA", str(tmp_path))
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    for name in ("000001.jpg", "000002.jpg", "000003.jpg"):
        Image.fromarray(random_images(1)[0]).save(folder / name)
    source = open_source("celeba:valid")
    assert len(images_of(source)[0]) == 2
    assert source.item_name(1).endswith("img_align_celeba/000002.jpg")


class Given(Dataset):
    """A data set of the items it is given."""

    def __init__(self, *items, **attributes):
        self.items = items
        vars(self).update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        if isinstance(self.items[index], Exception):
            raise self.items[index]
        return self.items[index]


RGB = random_images(1)[0]
CHW = torch.from_numpy(RGB.transpose(2, 0, 1).copy())


@pytest.mark.parametrize(
    "item",
    [
        Image.fromarray(RGB), CHW, RGB, RGB.transpose(2, 0, 1), (CHW, 3), [RGB, torch.tensor(3)],
        (Image.fromarray(RGB), np.int64(3), "more"),
    ],
)  # fmt: skip
def test_items_of_every_kind(item):
    """PIL images, tensors and arrays, alone or with a label, are the same image."""
    source = open_source(Given(item, item))
    images, _ = images_of(source)
    np.testing.assert_array_equal(images[1], RGB.transpose(2, 0, 1))
    (batch,) = batches_of(source)
    assert batch.labels == ((3, 3) if isinstance(item, tuple | list) else None)
    assert source.fingerprint() is None


def test_items_are_converted_and_counted():
    """Greyscale and transparent items are converted as files are."""
    grey = RGB[..., 0]
    items = Image.fromarray(grey), torch.from_numpy(grey), grey[..., None], Image.fromarray(RGB).convert("RGBA")
    images, report = images_of(open_source(Given(*items)))
    assert report.conversions == {"greyscale": 3, "alpha on white": 1}
    assert all((image == grey).all() for image in images[:3])


def test_targets_are_labels_where_they_are_classes():
    """A data set's `targets` serve as labels before it is read; other targets do not."""
    source = open_source(Given((CHW, 4), (CHW, 2), targets=[4, 2]))
    assert (source.labels, source.class_names) == ([1, 0], ("2", "4"))
    assert [batch.labels for batch in batches_of(source)] == [(1, 0)]
    assert open_source(Given(CHW, CHW, targets=[0, 1])).class_names is None
    wrong = open_source(Given(CHW, CHW, targets=torch.tensor([0, -1])))
    assert wrong.describe() == {"unlabelled": "targets[1] is -1; a class is a whole number from 0"}
    assert open_source(Given(CHW, CHW, targets=[[1, 2], [3]])).labels is None
    assert open_source(Given(CHW, CHW, targets=["cat", "dog"])).labels is None
    assert open_source(Given(CHW)).labels is None


def test_floats_need_a_declared_range():
    """A float item is refused unless the data set declares its range, and is then rounded and checked."""
    item = CHW.float() / 255
    with pytest.raises(SourceError, match="say their range with value_range"):
        images_of(open_source(Given(item)))
    source = open_source(Given(item, value_range="[0,1]"))
    np.testing.assert_array_equal(images_of(source)[0][0], CHW)
    assert source.describe() == {"range": "[0,1]"}
    with pytest.raises(GeneratorError, match="values go from"):
        images_of(open_source(Given(item * 255, value_range="[0,1]")))


def test_an_item_that_raises_can_be_skipped():
    """An exception of a data set makes one image unreadable, not the set."""
    dataset = Given(CHW, OSError("bad block"), CHW)
    with pytest.raises(DecodeError, match=r"Given\[1\]: the data set raised OSError: bad block"):
        images_of(open_source(dataset))
    images, report = images_of(open_source(dataset), on_error="skip")
    assert len(images) == 2
    assert report.skipped_indices == [1]


@pytest.fixture
def _workers_end_soon(monkeypatch):
    """torch waits 5 seconds for each worker of a DataLoader that raised, when the loader is collected."""
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.1)
    yield
    gc.collect()


class Failing(IterableDataset):
    """One batch, and then an error."""

    def __iter__(self):
        yield CHW[None]
        raise KeyError("no more")


@pytest.mark.usefixtures("_workers_end_soon")
@pytest.mark.parametrize("loader", [iter(Failing()), Failing(), DataLoader(Failing(), batch_size=None, num_workers=1)])
def test_an_iterable_that_raises_is_named(loader):
    """With the place, and what it raised, by a worker of a DataLoader too."""
    with pytest.raises(SourceError, match=r", batch 1: the iterable raised KeyError: 'no more'$"):
        images_of(open_source(loader))


class Unreadable(Dataset):
    """Images, of which the first is broken."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        raise ValueError("image 0\nis broken")


@pytest.mark.usefixtures("_workers_end_soon")
@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_several_lines_is_told_as_it_is(workers):
    """A worker of a DataLoader tells it within its traceback."""
    with pytest.raises(SourceError) as raised:
        images_of(open_source(DataLoader(Unreadable(), 2, num_workers=workers)))
    assert str(raised.value).endswith("batch 0: the iterable raised ValueError: image 0\nis broken")


def test_a_list_of_images_in_a_list_is_not_an_image_with_its_class():
    """All but the first were left out; an image and a mask in a tuple are an image and what is not its class."""
    for nested in ([[CHW, CHW], [CHW, CHW]], [[Image.fromarray(RGB), Image.fromarray(RGB)]]):
        with pytest.raises(SourceError, match=r"list\[0\]: expected an image.* found a list of 2 images"):
            images_of(open_source(nested))
    assert len(images_of(open_source([(CHW, CHW[0]), [CHW, 3]]))[0]) == 2


def test_a_data_set_without_a_length_is_refused():
    """It is read by position, and torch asks nobody for the method."""

    class Endless(Dataset):
        def __getitem__(self, index):
            return CHW

    with pytest.raises(UsageError, match="Endless does not say how many images it has: define its __len__"):
        open_source(Endless())


@pytest.mark.parametrize("item", ["a path", {"image": CHW}, None])
def test_items_of_other_kinds(item):
    """An item that is not an image is refused with its type."""
    with pytest.raises(SourceError, match=f"found {type(item).__name__}"):
        images_of(open_source(Given(item)))


class Endless(IterableDataset):
    """Batches without end."""

    def __iter__(self):
        while True:
            yield CHW[None]


def test_streams_are_taken_from_the_front():
    """A loader, an iterable data set and an iterator give their first images, in order, rebatched."""
    loader = DataLoader(Given(*((torch.full((3, 2, 2), index, dtype=torch.uint8), index) for index in range(10))), 3)
    batches = batches_of(open_source(loader), batch_size=4)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert [label for batch in batches for label in batch.labels] == list(range(10))
    images, _ = images_of(open_source(loader, num_samples=4))
    assert [image[0, 0, 0] for image in images] == [0, 1, 2, 3]
    assert len(images_of(open_source(Endless(), num_samples=7))[0]) == 7
    grey = [torch.zeros(2, 1, 2, 2, dtype=torch.uint8).numpy()]
    assert images_of(open_source(iter(grey)))[1].conversions == {"greyscale": 2}


@pytest.mark.parametrize(("count", "left"), [(10, 1), (9, 0)])
def test_a_loader_that_drops_images_is_remarked(count, left):
    """A warning counts what drop_last leaves out, where it leaves out something of what was asked for."""
    loader = DataLoader(TensorDataset(CHW.expand(count, -1, -1, -1)), 3, drop_last=True)
    found = evaluate(None, loader, metrics=["vendi"], extractor="pixels:2", cache=False)
    assert found.provenance["fake"]["count"] == 9
    remarks = [f"DataLoader has drop_last=True, which leaves out {left} of its {count} images."] if left else []
    assert [text for text in found.warnings if "drop_last" in text] == remarks
    assert not open_source(loader, num_samples=4).remarks


def test_a_loader_that_draws_with_replacement_is_remarked():
    """A bootstrapped set is not the set."""
    images = TensorDataset(CHW.expand(9, -1, -1, -1))
    for sampler in (RandomSampler(images, replacement=True), WeightedRandomSampler([1.0] * 9, 9)):
        (remark,) = open_source(DataLoader(images, 3, sampler=sampler)).remarks
        assert "with replacement: some count several times" in remark
    assert not open_source(DataLoader(images, 3, shuffle=True)).remarks


def test_a_batch_sampler_is_asked_for_its_sampler():
    """Beside it a DataLoader has a sampler that it does not use."""
    images = TensorDataset(CHW.expand(9, -1, -1, -1))

    def opened(sampler, *, drop_last=False):
        return open_source(DataLoader(images, batch_sampler=BatchSampler(sampler, 4, drop_last)))

    assert opened(RandomSampler(images, num_samples=6), drop_last=True).remarks == (
        "DataLoader has drop_last=True, which leaves out 2 of its 6 images.",
    )
    assert "with replacement" in opened(WeightedRandomSampler([1.0] * 9, 8)).remarks[0]
    with pytest.raises(UsageError, match="gives each of 2 processes a share"):
        opened(DistributedSampler(images, 2, 0))


class Uncounted(Sampler):
    """The first six images, without a length."""

    def __init__(self, raised):
        self._raised = raised

    def __iter__(self):
        return iter(range(6))

    def __len__(self):
        raise self._raised


class Own:
    """A batch sampler of a user's own, whose attributes mean what they like."""

    drop_last, batch_size, num_processes, sampler = True, 0, None, type("Mine", (), {"num_replicas": "all"})()

    def __iter__(self):
        yield from ([0, 1, 2], [3, 4, 5])


def test_loaders_of_other_kinds_are_read():
    """Samplers without a length and batch samplers of a user's own have no remarks, and are no errors."""
    images = TensorDataset(CHW.expand(9, -1, -1, -1))
    for raised in (NotImplementedError(), OverflowError()):
        source = open_source(DataLoader(images, 3, sampler=Uncounted(raised), drop_last=True))
        assert (len(images_of(source)[0]), source.remarks) == (6, ())
    source = open_source(DataLoader(images, batch_sampler=Own()))
    assert (len(images_of(source)[0]), source.remarks) == (6, ())


class Sharded:
    """A batch sampler with what accelerate's has."""

    drop_last, batch_size = False, 3

    def __init__(self, num_processes):
        self.num_processes = num_processes

    def __iter__(self):
        yield from ([0, 1, 2], [3, 4, 5])


class Wrapper:
    """What a training library makes of a DataLoader: another class with its attributes."""

    def __init__(self, loader):
        self.__dict__.update(loader.__dict__)
        self._loader = loader

    def __iter__(self):
        return iter(self._loader)


def test_a_loader_of_one_rank_is_refused():
    """It would give a share of the images, some of them twice; one that has all images is taken."""
    images = TensorDataset(CHW.expand(9, -1, -1, -1))
    loaders = [
        lambda of: DataLoader(images, 3, sampler=DistributedSampler(images, of, 0)),
        lambda of: DataLoader(images, batch_sampler=Sharded(of)),
        lambda of: Wrapper(DataLoader(images, 3, sampler=DistributedSampler(images, of, 0))),
    ]
    for loader in loaders:
        assert images_of(open_source(loader(1)))
        with pytest.raises(UsageError, match="gives each of 4 processes a share of the images, and some images twice"):
            open_source(loader(4))


def test_the_length_of_a_stream():
    """It is known only if it was given; a stream is not cached."""
    source = open_source(Endless(), num_samples=5)
    assert len(source) == 5
    assert source.fingerprint() is None
    assert source.describe() == {"first": 5}
    with pytest.raises(TypeError, match="known only at its end"):
        len(open_source(Endless()))


@pytest.mark.parametrize(
    ("batches", "wanted", "message"),
    [
        ([], None, "ended after 0 images"),
        ([CHW[None]], 2, "ended after 1 images; 2 were expected"),
        ([CHW[None].float()], None, "batch 0: images must be uint8, found float32"),
        ([CHW], None, r"batch 0: images must be \[N, 1"),
        (["x.png"], None, "expected images, found 'x.png'; give names of files as the path of a .txt"),
        ([Path("x.png")], None, "expected images, found 'x.png'; give names of files as the path of a .txt"),
        ([3], None, "expected uint8 .* images, found int"),
    ],
)
def test_streams_that_break_the_contract(batches, wanted, message):
    """Too few images, other dtypes, shapes and types are errors that name the batch."""
    with pytest.raises(SourceError, match=message):
        images_of(open_source(iter(batches), num_samples=wanted))


def test_an_iterator_is_read_once():
    """Reading a used-up iterator again is an error, reading a loader again is not."""
    source = open_source(iter([CHW[None]]))
    images_of(source)
    with pytest.raises(SourceError, match="cannot be read twice"):
        images_of(source)
    loader = open_source([CHW[None]])
    assert len(images_of(loader)[0]) == len(images_of(loader)[0]) == 1


def test_every_data_set_is_a_scheme():
    """Every supported data set of torchvision has its scheme."""
    assert set(TORCHVISION) <= set(SCHEMES)
