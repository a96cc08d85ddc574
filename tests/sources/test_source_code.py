"""Sources from code and from files of code: `py:file.py:name` and `script:gen.pt`."""

import os
import sys
import warnings

import numpy as np
import pytest
import torch
from source_helpers import images_of

from ganeval.errors import GeneratorError, SourceError, UsageError
from ganeval.sources import open_source
from ganeval.sources.generator import chunk_seed
from ganeval.sources.python import load_python

CODE = """
from dataclasses import dataclass
from functools import partial
import helper
import numpy as np, torch
from torch.utils.data import DataLoader, Dataset

@dataclass
class Gan:
    value_range: str = "[0,1]"
    def sample(self, n, *, labels=None, rng):
        return torch.full((n, 3, 2, 2), helper.VALUE / 255)

class Three(Dataset):
    def __len__(self): return 3
    def __getitem__(self, index): return np.full((2, 2, 3), 9, np.uint8), index

array = np.full((3, 2, 2, 3), 9, np.uint8)
tensor = torch.full((3, 3, 2, 2), 9, dtype=torch.uint8)
instance = Gan()
dataset = Three()
loader = DataLoader(dataset, collate_fn=lambda rows: torch.stack([torch.tensor(r[0]).permute(2, 0, 1) for r in rows]))
batches = (tensor[:1] for _ in range(3))
def stream():
    yield from (tensor[:2], tensor[:1])
def make(value=0): return Gan()
made = partial(make, value=2)
def needy(argument): return Gan()
def broken(): raise KeyError("no such run")
number = 3
_hidden = 1
"""


@pytest.fixture
def file(tmp_path):
    """A user's file, which imports another one in its folder."""
    (tmp_path / "helper.py").write_text("VALUE = 9\n")
    (tmp_path / "my_gan.py").write_text(CODE)
    return tmp_path / "my_gan.py"


@pytest.mark.parametrize(
    "name",
    ["Gan", "instance", "make", "made", "array", "tensor", "dataset", "Three", "loader", "batches", "stream"],
)
def test_everything_a_file_may_define(file, name):
    """A class, an object, a factory, an array, a data set, a loader and an iterator are all sources of images."""
    wanted = 3 if name in ("Gan", "instance", "make", "made") else None
    images, _ = images_of(open_source(f"py:{file}:{name}", num_samples=wanted))
    assert len(images) == 3
    assert all((image == 9).all() for image in images)


def test_loading_leaves_the_import_path_alone(file):
    """The file's folder is importable while it loads, and not after."""
    before = list(sys.path)
    load_python(f"{file}:make")
    assert sys.path == before


def test_two_files_of_one_name_are_two(tmp_path):
    """Files are distinguished by their whole path."""
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "gan.py").write_text(f"value = {value}\n")
    assert [load_python(f"{tmp_path / folder / 'gan.py'}:value") for folder in "ab"] == [1, 2]


@pytest.mark.parametrize("spec", ["gan", "gan.py", "gan.py:", "gan.txt:name", ":name"])
def test_what_is_no_file_and_name(spec):
    """The message shows the form of such a spec."""
    with pytest.raises(UsageError, match=r"write py:FILE\.py:NAME"):
        open_source(f"py:{spec}")


def test_a_missing_file_and_a_missing_name(file):
    """A missing file or name is named, and the nearest public name is suggested."""
    with pytest.raises(SourceError, match=r"nowhere\.py does not exist"):
        open_source("py:nowhere.py:make")
    with pytest.raises(UsageError, match="does not define 'maek'; did you mean 'make'"):
        open_source(f"py:{file}:maek")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = a / 0\n", r"bad\.py:2: ZeroDivisionError: division by zero"),
        ("a = (\n", r"bad\.py:1: SyntaxError"),
        ("import not_a_module_of_mine\n", r"bad\.py:1: ModuleNotFoundError"),
        ("raise SystemExit('usage: bad.py RUN')\n", r"bad\.py:1: SystemExit: usage"),
    ],
)
def test_a_file_that_fails_says_where(tmp_path, text, message):
    """The error has the user's file and line, without a traceback through ganeval."""
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(SourceError, match=message):
        open_source(f"py:{tmp_path / 'bad.py'}:name")


def test_a_factory_that_fails_says_where(file):
    """The error of a factory has the file and line, too."""
    with pytest.raises(SourceError, match=r"my_gan\.py:\d+: KeyError: 'no such run'"):
        open_source(f"py:{file}:broken")


def test_a_function_that_needs_arguments_is_no_factory(file):
    """Its arguments are unknown, so it is refused as a source."""
    with pytest.raises(UsageError, match="cannot be read from an object of type function"):
        open_source(f"py:{file}:needy")


def test_a_relative_path_gives_the_line_too(tmp_path, monkeypatch):
    """A file given by a relative path is found in the traceback, too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text("\n\n1 / 0\n")
    with pytest.raises(SourceError, match=r"bad\.py:3: ZeroDivisionError"):
        open_source("py:bad.py:name")


def test_what_is_no_source_of_images(file):
    """An object of another kind is refused with the accepted kinds."""
    with pytest.raises(UsageError, match="cannot be read from an object of type int"):
        open_source(f"py:{file}:number")


class Linear(torch.nn.Module):
    """z [n, 4] => images [n, 1, 2, 2]."""

    def forward(self, z):
        return torch.tanh(z).view(-1, 1, 2, 2)


class Conditional(torch.nn.Module):
    """Images that are their class; what it needs to be run is in its attributes."""

    z_dim: int
    value_range: str
    num_classes: int

    def __init__(self):
        super().__init__()
        self.z_dim, self.value_range, self.num_classes = 5, "[0,1]", 4

    def forward(self, z, labels):
        return labels.view(-1, 1, 1, 1).float().expand(-1, 3, 2, 2) / 10 + 0 * z.sum()


class Spatial(torch.nn.Module):
    """z [n, 1, 3, 3] on U(-1, 1) => itself."""

    def forward(self, z):
        return z


def save(module, path):
    """A module as TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(str(path))
    return path


def test_a_torchscript_generator(tmp_path):
    """`script:` draws normal z of the given size, seeded, and maps the declared range."""
    spec = f"script:{save(Linear(), tmp_path / 'gen.pt')}?z=4&range=[-1,1]"
    images, _ = images_of(open_source(spec, num_samples=5, seed=3))
    z = torch.empty(5, 4).normal_(generator=torch.Generator().manual_seed(chunk_seed(3, 0)))
    expected = ((torch.tanh(z) + 1) / 2 * 255).round().view(5, 1, 2, 2).expand(-1, 3, -1, -1)
    np.testing.assert_array_equal(np.stack(images), expected.numpy().astype(np.uint8))
    assert open_source(spec, num_samples=5).describe()["range"] == "[-1,1]"


def test_a_modules_own_attributes_serve(tmp_path):
    """Options missing in the spec are read from the module; classes are drawn and passed."""
    source = open_source(f"script:{save(Conditional(), tmp_path / 'gen.pt')}", num_samples=8)
    images, _ = images_of(source)
    assert [image[0, 0, 0] for image in images] == [round(label * 25.5) for label in source.labels]


def test_the_law_and_shape_of_z(tmp_path):
    """z may be uniform, and may have several axes."""
    spec = f"script:{save(Spatial(), tmp_path / 'gen.pt')}?z=1x3x3&law=uniform&range=-1..1"
    images = np.stack(images_of(open_source(spec, num_samples=300))[0])
    assert images.shape == (300, 3, 3, 3)
    assert abs(images.mean() - 127.5) < 5
    assert images.min() < 5
    assert images.max() > 250


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", r"the size of z and the range of the images must be given, as in script:gen\.pt\?z=128"),
        ("?z=4", "the range of the images must be given"),
        ("?z=four&range=[0,1]", "must be whole numbers"),
        ("?z=4&range=[0,9]", "not a range"),
        ("?zz=4", "unknown option 'zz'; did you mean 'z'"),
        ("?z=4&range=[0,1]&law=normla", "unknown law 'normla' of z; did you mean 'normal'"),
    ],
)
def test_script_options_that_make_no_sense(tmp_path, query, message):
    """Each invalid option is a usage error that says what is allowed."""
    with pytest.raises(UsageError, match=message):
        open_source(f"script:{save(Linear(), tmp_path / 'gen.pt')}{query}", num_samples=1)


def test_a_script_of_another_z_fails_as_a_generator(tmp_path):
    """An exception inside the module is the generator's error."""
    spec = f"script:{save(Linear(), tmp_path / 'gen.pt')}?z=3&range=[-1,1]"
    with pytest.raises(GeneratorError, match=r"sample\(1\) raised RuntimeError"):
        images_of(open_source(spec, num_samples=1))


class Bomb:
    """Unpickling it has a visible effect."""

    def __reduce__(self):
        return (os.mkdir, ("unpickled",))


@pytest.mark.parametrize("content", ["pickle", "state_dict", "text", "empty"])
def test_nothing_but_torchscript_is_loaded(tmp_path, monkeypatch, content):
    """A checkpoint or a pickle of that name is refused, and no code in it runs."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "gen.pt"
    if content in ("text", "empty"):
        path.write_text("not a network" if content == "text" else "")
    else:
        torch.save({"a": Bomb()} if content == "pickle" else {"a": torch.zeros(2)}, path)
    with pytest.raises(SourceError, match=r"gen\.pt is not a TorchScript file"):
        open_source("script:gen.pt?z=4&range=[0,1]", num_samples=1)
    assert not (tmp_path / "unpickled").exists()


def test_a_missing_script():
    """The message shows the form of a script spec."""
    with pytest.raises(SourceError, match=r"gen\.pt does not exist; expected a TorchScript file"):
        open_source("script:gen.pt", num_samples=1)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
@pytest.mark.parametrize("name", [b"g\xc3\xa9.py", b"g\xff.py"])
def test_a_file_whose_name_python_cannot_decode_is_run(tmp_path, name):
    """`gé.py` is found under LC_ALL=C, where its name has surrogates."""
    path = tmp_path / name.decode("ascii", "surrogateescape")
    path.write_text("ANSWER = 42")
    assert load_python(f"{path}:ANSWER") == 42
