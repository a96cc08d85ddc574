"""Helpers for the tests of the core: small folders of images, and an extractor that can be checked by hand."""

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ganeval import uncertainty
from ganeval.extractors.base import Precision, Weights
from ganeval.outputs import Output

# Options with which a metric that trains takes as long as others; for tests of what does not depend on its value.
SHORT_TRAINING: Mapping[str, Mapping[str, object]] = {"c2st_mlp": {"steps": 15}}


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Inside, torch makes tensors of another default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def values_alone() -> Iterator[None]:
    """Inside, error bars of random halves are those of one split: for many draws of which the values alone are used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uncertainty, "SPLITS", 1)
        yield


def random_images(count: int, height: int = 8, width: int = 8, *, seed: int = 0) -> Tensor:
    """uint8 [count, 3, height, width]."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, height, width), generator=rng, dtype=torch.uint8)


def write_image(path: Path, *, seed: int, size: int = 8) -> None:
    """A random PNG; images of one size have equally many bytes."""
    array = np.random.RandomState(seed).randint(0, 256, (size, size, 3)).astype(np.uint8)
    Image.fromarray(array).save(path, compress_level=0)


def write_folder(folder: Path, count: int, *, seed: int = 0, size: int = 8) -> Path:
    """`count` random PNGs, named by number."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        write_image(folder / f"{index}.png", seed=1000 * seed + index, size=size)
    return folder


def terminated_child() -> int:
    """The exit code of a forked process that gets SIGTERM."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        # Python forgets a signal that comes before a fork is complete.
        os.write(tell, b".")
        time.sleep(10)
        os._exit(0)
    assert os.read(ready, 1) == b"."
    os.kill(child, signal.SIGTERM)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(ready)
    os.close(tell)
    return code


def count_decodes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the image files that are decoded from here on."""
    from ganeval.sources import files

    decode, names = files.decode, []

    def counted(data: bytes, name: str) -> object:
        names.append(name)
        return decode(data, name)

    monkeypatch.setattr(files, "decode", counted)
    return names


class Images(Dataset[Tensor]):
    """Images of any sizes as a torch Dataset."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


class Means:
    """An extractor: the mean colours of an image's quarters are its 12 features, its mean colour is its 3 logits."""

    dimensions: int | None = 12
    outputs: frozenset[Output] = frozenset(("features", "logits"))
    precision: Precision = "fp32"

    def __init__(
        self, *, name: str = "means", sha256: str = "", preprocessing: str = "quarters", precision: Precision = "fp32"
    ) -> None:
        self.name, self.preprocessing, self.precision = name, preprocessing, precision
        self.device = "cpu"
        self.weights = Weights("none", sha256, published=True)

    def prepare(self, images: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(images.float(), 2)

    def forward(self, inputs: Tensor, outputs: frozenset[Output]) -> Mapping[Output, Tensor]:
        given: dict[Output, Tensor] = {"features": inputs.flatten(1), "logits": inputs.mean((2, 3)) / 64}
        return {output: given[output] for output in outputs}
