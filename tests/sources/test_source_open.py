"""The grammar of sources, and the contract of every source."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from source_helpers import batches_of, encode, random_images, write_folder
from torch.utils.data import DataLoader, TensorDataset

from ganeval.errors import SourceError, UsageError
from ganeval.sources import SCHEMES, check_spec, open_pairs, open_source
from ganeval.sources.base import Reading, ReadReport, Source
from ganeval.testing import check_source


class Noise:
    """A live generator."""

    value_range = "[0,1]"

    def sample(self, n, *, labels=None, rng):
        return torch.rand(n, 3, 4, 4, generator=rng)


def _every_source(root):
    images = random_images(11)
    tensor = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    np.savez(root / "x.npz", images)
    np.save(root / "x.npy", images)
    return {
        "folder": open_source(write_folder(root / "folder", images)),
        "subset": open_source(root / "folder", num_samples=5),
        "npz": open_source(root / "x.npz"),
        "npy": open_source(root / "x.npy"),
        "array": open_source(images),
        "tensor": open_source(tensor),
        "digits": open_source("digits:test", num_samples=30),
        "dataset": open_source(TensorDataset(tensor)),
        "stream": open_source(DataLoader(TensorDataset(tensor), 4), num_samples=9),
        "generator": open_source(Noise(), num_samples=40),
        "degraded": open_source(f"edges:{root}/folder"),
        "inputs": open_pairs(f"pairs:{root}/folder,lowres:{root}/folder,2", num_samples=6).inputs,
    }


NAMES = (
    "folder", "subset", "npz", "npy", "array", "tensor", "digits", "dataset", "stream", "generator",
    "degraded", "inputs",
)  # fmt: skip


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """One source of each kind."""
    return _every_source(tmp_path_factory.mktemp("sources"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch_size", [3, 8])
def test_every_source_keeps_the_contract(sources, name, batch_size):
    """Any source yields uint8 RGB NCHW batches, as many images as it has, with digests where it can be cached."""
    source = sources[name]
    assert isinstance(source, Source)
    assert isinstance(source.kind, str)
    batches = batches_of(source, batch_size=batch_size)
    assert sum(map(len, batches)) == len(source)
    for batch in batches:
        assert 0 < len(batch) <= batch_size
        assert sorted(row for group in batch.groups for row in group.rows) == list(range(len(batch)))
        for group in batch.groups:
            assert group.images.dtype == torch.uint8
            assert group.images.shape[:2] == (len(group.rows), 3)
    if source.fingerprint() is not None:
        assert [digest for batch in batches for digest in batch.digests] == list(source.digests())
        assert source.fingerprint() == source.fingerprint()
    if source.labels is not None:
        assert [label for batch in batches for label in batch.labels] == list(source.labels)
    assert len({source.item_name(index) for index in range(len(source))}) == len(source)
    assert all(isinstance(key, str) for key in source.describe())


@pytest.mark.parametrize("name", NAMES)
def test_every_source_can_be_left_half_way(sources, name):
    """A reading may be closed after its first batch, and a new one starts at the beginning."""
    batches = sources[name].batches(Reading(batch_size=2), ReadReport())
    first = next(batches)
    batches.close()
    again = batches_of(sources[name], batch_size=2)[0]
    assert torch.equal(first.groups[0].images, again.groups[0].images)


def test_an_open_source_is_passed_through():
    """`open_source` returns a Source unchanged, with the number of images chosen when it was opened."""
    source = open_source("digits:test")
    assert open_source(source) is source
    with pytest.raises(UsageError, match="must be given when it is opened"):
        open_source(source, num_samples=3)


def test_a_missing_path_is_named_whole(tmp_path, monkeypatch):
    """The message has the absolute path, and a similar name if there is one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "generated").mkdir()
    with pytest.raises(SourceError, match=rf"{tmp_path}/genrated does not exist\. Did you mean {tmp_path}/generated\?"):
        open_source("genrated")
    with pytest.raises(
        SourceError, match=rf"{tmp_path}/xyz/deep does not exist\. {tmp_path} exists, but holds no 'xyz'"
    ):
        open_source("xyz/deep")


@pytest.mark.parametrize("spec", ["digit:train", "foo:bar", "cifar:test"])
def test_an_unknown_scheme_is_a_usage_error(spec):
    """The message lists what is allowed or suggests the nearest name."""
    with pytest.raises(UsageError, match=r"unknown kind of source '\w+:'; (did you mean|choose from)"):
        open_source(spec)


def test_a_spec_is_checked_without_opening_it(tmp_path, monkeypatch):
    """Specs that `open_source` refuses at once are refused, without trying the others."""
    monkeypatch.chdir(tmp_path)
    for spec in ("digits:train", "cifar10:test", "py:gone.py:name", str(tmp_path), "d-{0..9}.tar"):
        check_spec(spec)
    with pytest.raises(SourceError, match="does not exist"):
        check_spec("gone")
    with pytest.raises(UsageError, match="unknown kind of source 'chkpt:'; did you mean 'ckpt'"):
        check_spec("chkpt:run.pt")
    check_spec("ckpt:run.pt")


def test_a_registered_source_joins_the_grammar(monkeypatch):
    """Its opener gets the text after the colon, and may return anything that `open_source` accepts."""
    monkeypatch.setattr(SCHEMES, "_rows", dict(SCHEMES._rows))
    seen = []

    def opener(rest):
        seen.append(rest)
        return Noise()

    with pytest.raises(UsageError, match="unknown kind of source 'noise:'"):
        open_source("noise:run/model.pt")
    SCHEMES.register("noise", opener)
    assert len(open_source("noise:run/model.pt", num_samples=4)) == 4
    assert seen == ["run/model.pt"]
    with pytest.raises(UsageError, match="must be a function of what stands after 'mine:', found int"):
        SCHEMES.register("mine", 3)


def test_a_path_with_a_colon_is_a_path(tmp_path, monkeypatch):
    """An existing folder is used, for any form of its name."""
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "run:3", random_images(2))
    write_folder(tmp_path / "a:b" / "c", random_images(3))
    assert len(open_source("run:3")) == 2
    assert len(open_source("./a:b/c")) == 3
    assert len(open_source(Path("a:b"))) == 3


def test_a_single_image_is_a_source_of_one(tmp_path):
    """Only the file is read, not its folder."""
    images = random_images(2)
    for name, image in zip(("x.png", "y.png"), images, strict=True):
        (tmp_path / name).write_bytes(encode(image))
    source = open_source(tmp_path / "x.png")
    assert [source.item_name(index) for index in range(len(source))] == [str(tmp_path / "x.png")]
    assert np.array_equal(source.image_at(0).permute(1, 2, 0), images[0])


def test_other_files_are_refused(tmp_path):
    """Files that are not sets of images are usage errors that list the accepted ones."""
    (tmp_path / "x.pt").write_bytes(b"x")
    (tmp_path / "x.pkl").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"not a file of a known kind.*script:FILE"):
        open_source(tmp_path / "x.pt")
    with pytest.raises(SourceError, match="pickles of images are never loaded"):
        open_source(tmp_path / "x.pkl")


@pytest.mark.parametrize("spec", [3, None, object()])
def test_objects_of_other_kinds(spec):
    """Other objects are refused with the accepted kinds."""
    with pytest.raises(UsageError, match="images cannot be read from an object of type"):
        open_source(spec)


def test_the_grammar_is_known_without_torch():
    """Importing the table of schemes, for help and completion, does not import torch."""
    code = (
        "import sys; from ganeval.sources import SCHEMES; assert 'digits' in SCHEMES; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0


def test_whole_leaves_what_has_indices_alone() -> None:
    """`whole` passes num_samples to live generators only; folders and arrays keep all their images."""
    images = torch.zeros(7, 3, 4, 4, dtype=torch.uint8)
    assert len(open_source(images, num_samples=3)) == 3
    assert len(open_source(images, num_samples=3, whole=True)) == 7


@pytest.mark.parametrize("kind", ["tensor", "folder", "digits", "generator"])
def test_sources_keep_to_what_is_checked_of_others(kind, tmp_path):
    """Files, arrays, data sets and live generators pass `ganeval.testing.check_source`."""
    made = {"tensor": torch.from_numpy(random_images(5).transpose(0, 3, 1, 2).copy()), "digits": "digits:test"}
    made |= {"folder": write_folder(tmp_path / "images", random_images(5)), "generator": Noise()}
    check_source(made[kind], num_samples=5)


def test_a_source_that_gives_other_images_each_time_is_found():
    """Here a generator that counts its calls."""

    class Counting(Noise):
        calls = 0

        def sample(self, n, *, labels=None, rng):
            self.calls += 1
            return torch.full((n, 3, 4, 4), self.calls / 50)

    with pytest.raises(AssertionError, match="Counting gives other images when it is read again"):
        check_source(Counting(), num_samples=5)
