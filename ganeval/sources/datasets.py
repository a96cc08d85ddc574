"""Data sets: the embedded digits, torchvision's by name and split (downloaded on first use), and torch Datasets."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganeval.errors import DecodeError, SourceError, UsageError, did_you_mean
from ganeval.images import parse_range, to_rgb, to_uint8
from ganeval.network import downloading
from ganeval.paths import data_root
from ganeval.sources.arrays import ArrayItems, digest_of_pixels
from ganeval.sources.base import Stamp
from ganeval.sources.folder import FolderItems
from ganeval.sources.items import Item, Items
from ganeval.sources.pixels import Unreadable, loaded_to_rgb8
from ganeval.sources.stream import split_labels


def digits(split: str) -> ArrayItems:
    """Scikit-learn's 1,797 handwritten digits, 8 x 8, greyscale, ten classes.

    Every fourth image, from the first on, is "test" (450); the rest is "train" (1,347). Ink 0..16 becomes 0..255.
    """
    _check_split("digits", split, ("train", "test", "all"))
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    test = np.arange(len(images)) % 4 == 0
    chosen = {"train": ~test, "test": test, "all": np.ones_like(test)}[split]
    labels: list[int] = bunch.target[chosen].tolist()
    return ArrayItems(images[chosen], name=f"digits:{split}", kind="digits", labels=labels)


@dataclass(frozen=True, slots=True)
class _Known:
    """A class of torchvision.datasets, its splits, and how each is asked for."""

    name: str
    splits: Mapping[str, Mapping[str, Any]]


def _train_flag(name: str) -> _Known:
    return _Known(name, {"train": {"train": True}, "test": {"train": False}})


def _split_word(name: str, *splits: str) -> _Known:
    return _Known(name, {split: {"split": split} for split in splits})


TORCHVISION: Mapping[str, _Known] = MappingProxyType(
    {
        "cifar10": _train_flag("CIFAR10"),
        "mnist": _train_flag("MNIST"),
        "fashionmnist": _train_flag("FashionMNIST"),
        "svhn": _split_word("SVHN", "train", "test", "extra"),
        "stl10": _split_word("STL10", "train", "test", "unlabeled"),
        "celeba": _split_word("CelebA", "train", "valid", "test", "all"),
    }
)


def torchvision_set(name: str, split: str) -> Items:
    """One split of a torchvision data set, downloaded if it is not there; SourceError when it cannot be had."""
    known = TORCHVISION[name]
    _check_split(name, split, tuple(known.splits))
    loaded = _load_or_download(name, known, known.splits[split])
    if name == "celeba":
        # Its images lie in one folder, and are decoded in parallel like any folder's.
        return FolderItems(Path(loaded.root) / loaded.base_folder / "img_align_celeba", loaded.filename)
    images = loaded.data[:, None] if loaded.data.ndim == 3 else loaded.data
    classes = loaded.labels if name in ("svhn", "stl10") else loaded.targets
    labels: list[int] = np.asarray(classes).tolist()
    return ArrayItems(images, name=f"{name}:{split}", kind=name, labels=labels if min(labels) >= 0 else None)


def _load_or_download(name: str, known: _Known, options: Mapping[str, Any]) -> Any:
    import torchvision.datasets

    load = getattr(torchvision.datasets, known.name)
    folder = data_root()
    try:
        # torchvision prints; standard output belongs to results.
        with redirect_stdout(sys.stderr):
            try:
                return load(folder, download=False, **options)
            except RuntimeError:
                folder.mkdir(parents=True, exist_ok=True)
                with downloading(_servers(load)):
                    return load(folder, download=True, **options)
    except (OSError, RuntimeError, ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(
            f"The data set {name} is not in {folder} and could not be downloaded ({reason}).\n"
            f"On a machine with a network: torchvision.datasets.{known.name}('{folder}', download=True); then copy "
            "that folder here, or point GANEVAL_DATA at it.\nWithout any download there is digits:train."
        ) from error


def _servers(load: Any) -> list[str]:
    """Where a class of torchvision.datasets downloads from; CelebA's files lie on Google Drive."""
    named = [*getattr(load, "mirrors", ()), getattr(load, "url", None)]
    named += [row[0] for row in getattr(load, "split_list", {}).values()]
    return [url for url in named if url] or ["https://drive.google.com/"]


def _check_split(name: str, split: str, splits: tuple[str, ...]) -> None:
    """UsageError for a split that a data set does not have."""
    if split not in splits:
        raise UsageError(f"'{name}:{split}' names no split of {name}; {did_you_mean(split, splits)}")


class Indexable(Protocol):
    """A map-style data set."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> object: ...


def is_indexable(value: object) -> TypeGuard[Indexable]:
    """Whether a value is a map-style torch Dataset; loaders and iterable data sets are streams."""
    from torch.utils.data import Dataset, IterableDataset

    return isinstance(value, Dataset) and not isinstance(value, IterableDataset)


class DatasetItems:
    """A map-style torch Dataset of PIL images, uint8 tensors [C, H, W] or uint8 arrays, alone or as (image, label).

    Floats need an attribute `value_range` on the data set ("[0,1]" or "[-1,1]"). It is read by one thread, because
    nothing says that it may be read by more, and is not cached, because nothing says what it will return.
    """

    kind = "dataset"
    parallel = False

    def __init__(self, dataset: Indexable, *, name: str) -> None:
        self._dataset = dataset
        self._name = name
        declared = getattr(dataset, "value_range", None)
        self._range = None if declared is None else parse_range(str(declared))

    def __len__(self) -> int:
        return len(self._dataset)

    @property
    def labels(self) -> Sequence[int] | None:
        """The data set's `targets`, where it has them and they are class numbers."""
        targets = np.asarray(getattr(self._dataset, "targets", None))
        if targets.shape != (len(self),) or not np.issubdtype(targets.dtype, np.integer):
            return None
        labels: list[int] = targets.tolist()
        return labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The class folders of torchvision's ImageFolder; other data sets' names of classes are for people."""
        from torchvision.datasets import DatasetFolder

        return tuple(self._dataset.classes) if isinstance(self._dataset, DatasetFolder) else None

    def item_name(self, index: int) -> str:
        """The position in the data set."""
        return f"{self._name}[{index}]"

    def load(self, index: int) -> Item:
        """Ask the data set; whatever it raises makes this one image unreadable."""
        name = self.item_name(index)
        try:
            value = self._dataset[index]
        except Exception as error:
            raise DecodeError(name, f"the data set raised {type(error).__name__}: {error}") from error
        image, label = split_labels(value)
        pixels, conversions = self._pixels(image, name)
        return Item(pixels, digest_of_pixels(pixels), conversions, _class_of(label))

    def digest(self, index: int) -> bytes:
        """Of the pixels."""
        return self.load(index).digest

    def stamp(self, indices: Sequence[int]) -> Stamp | None:  # noqa: ARG002
        """None: see the class."""
        return None

    def describe(self) -> dict[str, object]:
        """The declared range, where there is one."""
        return {} if self._range is None else {"range": self._range}

    def _pixels(self, image: object, name: str) -> tuple[Tensor, tuple[str, ...]]:
        if isinstance(image, Image.Image):
            try:
                array, conversions = loaded_to_rgb8(image)
            except (Unreadable, OSError) as error:
                raise DecodeError(name, str(error)) from error
            return torch.from_numpy(array).permute(2, 0, 1), conversions
        if isinstance(image, np.ndarray):
            last = image.ndim == 3 and image.shape[2] in (1, 3)
            image = torch.from_numpy(np.array(image.transpose(2, 0, 1) if last else image))
        if not isinstance(image, Tensor):
            raise SourceError(f"{name}: expected a PIL image, a tensor or an array, found {type(image).__name__}.")
        if image.is_floating_point() and self._range is None:
            raise SourceError(
                f"{name}: float images need a declared range; give the data set an attribute value_range "
                "('[0,1]' or '[-1,1]'), or return uint8."
            )
        batch = image[None, None] if image.ndim == 2 else image[None]
        pixels = to_rgb(to_uint8(batch, self._range or "uint8", where=name), where=name)[0].contiguous()
        return pixels.cpu(), ("greyscale",) if batch.shape[1] == 1 else ()


def _class_of(label: object) -> int | None:
    if isinstance(label, int | np.integer):
        return int(label)
    if isinstance(label, Tensor) and label.ndim == 0 and not label.is_floating_point():
        return int(label)
    return None
