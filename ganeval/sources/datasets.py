"""Data sets: the embedded digits, torchvision's data sets by name and split, and torch Datasets."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import DecodeError, SourceError, UsageError, did_you_mean
from ganeval.images import declared_range
from ganeval.network import downloading
from ganeval.paths import data_root
from ganeval.ranges import ValueRange
from ganeval.sources import fashion
from ganeval.sources.arrays import ArrayItems, digest_of_pixels
from ganeval.sources.base import Fingerprint
from ganeval.sources.folder import FolderItems
from ganeval.sources.items import Item, Items
from ganeval.sources.labels import Labelling, by_value, from_array
from ganeval.sources.objects import Declared, is_single, one_image
from ganeval.sources.stream import split_labels


def digits(split: str) -> ArrayItems:
    """Scikit-learn's 1,797 handwritten digits, 8 x 8, greyscale, ten classes.

    Every fourth image, from the first on, is "test" (450); the rest is "train" (1,347). Ink 0..16 becomes 0..255.
    """
    _check_split("digits", split, ("train", "test", "all"))
    images, classes = _digits()
    test = np.arange(len(images)) % 4 == 0
    chosen = {"train": ~test, "test": test, "all": np.ones_like(test)}[split]
    labels = Labelling(classes[chosen].tolist(), origin="the data set's labels")
    return ArrayItems(images[chosen], name=f"digits:{split}", kind="digits", labels=labels)


@cache
def _digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All images [1797, 1, 8, 8] and their classes; scikit-learn has them as text, which takes milliseconds to read."""
    ink, classes = _digits_as_text()
    return np.rint(ink * (255 / 16)).astype(np.uint8)[:, None], classes


def _digits_as_text() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The ink 0..16 [1797, 8, 8] and the classes, from the file that `load_digits` reads.

    Importing scikit-learn for one file would take longer than all other imports but torch's.
    """
    package = find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder, "datasets/data/digits.csv.gz")
        if path.is_file():
            rows = np.loadtxt(path, delimiter=",")
            return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images, bunch.target


@dataclass(frozen=True, slots=True)
class _Known:
    """A class of torchvision.datasets, and its arguments for each split."""

    name: str
    splits: Mapping[str, Mapping[str, Any]]


def _train_flag(name: str) -> _Known:
    return _Known(name, {"train": {"train": True}, "test": {"train": False}})


def _split_word(name: str, *splits: str) -> _Known:
    return _Known(name, {split: {"split": split} for split in splits})


TORCHVISION: Mapping[str, _Known] = MappingProxyType(
    {
        "cifar10": _train_flag("CIFAR10"),
        "cifar100": _train_flag("CIFAR100"),
        "mnist": _train_flag("MNIST"),
        "fashionmnist": _train_flag("FashionMNIST"),
        "svhn": _split_word("SVHN", "train", "test", "extra"),
        "stl10": _split_word("STL10", "train", "test", "unlabeled"),
        "celeba": _split_word("CelebA", "train", "valid", "test", "all"),
    }
)


def torchvision_set(name: str, split: str) -> Items:
    """One split of a torchvision data set, downloaded on first use; SourceError where that fails."""
    known = TORCHVISION[name]
    _check_split(name, split, tuple(known.splits))
    loaded = _load_or_download(name, known, known.splits[split])
    if name == "celeba":
        # Its images are files in one folder, decoded in parallel like those of any folder.
        folder = Path(loaded.root) / loaded.base_folder / "img_align_celeba"
        return FolderItems(folder, loaded.filename)
    images = loaded.data[:, None] if loaded.data.ndim == 3 else loaded.data
    classes = loaded.labels if name in ("svhn", "stl10") else loaded.targets
    labels = from_array(np.asarray(classes), len(images), "the data set's labels")
    return ArrayItems(images, name=f"{name}:{split}", kind=name, labels=labels)


def _load_or_download(name: str, known: _Known, options: Mapping[str, Any]) -> Any:
    import torchvision.datasets

    load = getattr(torchvision.datasets, known.name)
    folder = data_root()
    try:
        # torchvision prints, but standard output is for results.
        with redirect_stdout(sys.stderr):
            try:
                return load(folder, download=False, **options)
            except RuntimeError:
                packaged = fashion.packaged(**options) if name == "fashionmnist" else None
                if packaged is not None:
                    return packaged
                folder.mkdir(parents=True, exist_ok=True)
                with downloading(_servers(load)):
                    return load(folder, download=True, **options)
    except (OSError, RuntimeError, ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        package = (
            f"\nNor is it in {fashion.FOLDER}, where Debian's package puts it: apt install {fashion.PACKAGE}"
            if name == "fashionmnist"
            else ""
        )
        raise SourceError(
            f"The data set {name} is not in {folder} and could not be downloaded ({reason}).{package}\n"
            f"On a machine with a network: torchvision.datasets.{known.name}('{folder}', download=True); then copy "
            "that folder here, or point GANEVAL_DATA at it.\nWithout any download there is digits:train."
        ) from error


def _servers(load: Any) -> list[str]:
    """Where a class of torchvision.datasets downloads from; CelebA comes from Google Drive."""
    named = [*getattr(load, "mirrors", ()), getattr(load, "url", None)]
    named += [row[0] for row in getattr(load, "split_list", {}).values()]
    return [url for url in named if url] or ["https://drive.google.com/"]


def _check_split(name: str, split: str, splits: tuple[str, ...]) -> None:
    """Raise UsageError for an unknown split of a data set."""
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
    """A map-style torch Dataset, or a list, of PIL images, tensors [C, H, W] or arrays, alone or as (image, label).

    Values that are not uint8 need an attribute `value_range` on the data set, or `value_range` here ("[0,1]", "[-1,1]"
    or "[0,255]"). One thread reads it, because it may not be thread-safe, and it is not cached, because its content
    cannot be identified without reading it.
    """

    parallel = False

    def __init__(
        self, dataset: Indexable, *, name: str, value_range: ValueRange | None = None, kind: str = "dataset"
    ) -> None:
        if not hasattr(dataset, "__len__"):
            raise UsageError(f"{name} does not say how many images it has: define its __len__.")
        self.kind = kind
        self._dataset = dataset
        self._name = name
        self._declared = Declared(declared_range(dataset), value_range)
        self._labelling = _targets(dataset)
        self.labels, self.class_names = self._labelling.labels, self._labelling.class_names

    def __len__(self) -> int:
        return len(self._dataset)

    def item_name(self, index: int) -> str:
        """The position in the data set."""
        return f"{self._name}[{index}]"

    def load(self, index: int) -> Item:
        """Get one image; any exception of the data set becomes a DecodeError of this image."""
        name = self.item_name(index)
        try:
            value = self._dataset[index]
        except Exception as error:
            raise DecodeError(name, f"the data set raised {type(error).__name__}: {error}") from error
        image, label = split_labels(value)
        if isinstance(value, list) and is_single(label):
            raise SourceError(
                f"{name}: expected an image, or an image and its class, found a list of {len(value)} images; give all "
                "images in one list, or batches [N, C, H, W]."
            )
        found = one_image(image, self._declared, where=name)
        pixels = found.images[0].cpu().contiguous()
        known = _class_of(label) if self.labels is None else self.labels[index]
        return Item(pixels, digest_of_pixels(pixels), found.conversions, known, found.use)

    def digest(self, index: int) -> bytes:
        """Of the pixels."""
        return self.load(index).digest

    def fingerprint(self, indices: Sequence[int]) -> Fingerprint | None:  # noqa: ARG002
        """None: see the class."""
        return None

    def describe(self) -> dict[str, object]:
        """The declared range, if any, and where the classes were read from."""
        return {**self._declared.told, **self._labelling.describe()}


def _targets(dataset: Indexable) -> Labelling:
    """The classes that are known before an image is read."""
    from torch.utils.data import TensorDataset
    from torchvision.datasets import DatasetFolder

    if isinstance(dataset, DatasetFolder):
        return Labelling(list(dataset.targets), tuple(dataset.classes), "class folders")
    targets = getattr(dataset, "targets", None)
    if targets is None and isinstance(dataset, TensorDataset) and len(dataset.tensors) > 1:
        return _second(dataset.tensors[1])
    if isinstance(dataset, list | tuple):
        return _of_pairs(dataset)
    try:
        array = np.asarray(targets.cpu() if isinstance(targets, Tensor) else targets)
    except ValueError:
        # Lists of several lengths, for example boxes: not one class per image.
        return Labelling()
    return from_array(array, len(dataset), "targets") if array.dtype.kind in "iu" else Labelling()


def _second(labels: Tensor) -> Labelling:
    """The classes from the second tensor of a TensorDataset; floats are not taken for classes."""
    origin = "the second tensor"
    if labels.is_floating_point() or labels.is_complex():
        dtype = str(labels.dtype).removeprefix("torch.")
        return Labelling(obstacle=f"{origin} is {dtype} {list(labels.shape)}, and classes are whole numbers")
    return from_array(labels.cpu().numpy(), len(labels), origin)


def _of_pairs(items: Sequence[object]) -> Labelling:
    """The classes from the (image, label) pairs of a list; none if no image has a label."""
    labels = [split_labels(item)[1] for item in items]
    if all(label is None for label in labels):
        return Labelling()
    named = ((f"image {number}", _plain(label)) for number, label in enumerate(labels))
    return by_value(named, "the pairs of the list")


def _plain(label: object) -> object:
    """A tensor or array of one number, or of a vector, as plain Python; anything else as it is."""
    if not isinstance(label, Tensor | np.ndarray | np.generic) or label.ndim > 1:
        return label
    value = label.tolist()
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _class_of(label: object) -> int | None:
    if isinstance(label, int | np.integer):
        return int(label)
    if isinstance(label, Tensor) and label.ndim == 0 and not label.is_floating_point():
        return int(label)
    return None
