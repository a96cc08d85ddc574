"""Data sets as torchvision stores them, recognised by their files; users are advised to read them by name.

Their files are pickles and binary tables, not images. torchvision loads CIFAR's pickles only if their digests are the
published ones, so they are read through torchvision: by name, from the folder in GANEVAL_DATA.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

# The spec of each data set, by a file that only it has, relative to the folder of data sets.
MARKS: Mapping[str, str] = MappingProxyType(
    {
        "cifar-10-batches-py/data_batch_1": "cifar10:train",
        "cifar-100-python/train": "cifar100:train",
        "FashionMNIST/raw/train-images-idx3-ubyte": "fashionmnist:train",
        "MNIST/raw/train-images-idx3-ubyte": "mnist:train",
        "stl10_binary/train_X.bin": "stl10:train",
        "train_32x32.mat": "svhn:train",
    }
)


def layout_hint(place: str, files: Iterable[str]) -> str:
    """Advice for a path that is, contains or lies in a torchvision data set; empty if none is recognised.

    place: the name of a folder or archive in messages. files: the files in it.
    """
    whole = Path(place.removeprefix("The folder ")).absolute()
    for name in files:
        path = (whole / name).as_posix()
        for mark, source in MARKS.items():
            if path.endswith(f"/{mark}"):
                root = Path(path.removesuffix(mark))
                # torchvision unpacks the archive within the folder of data sets.
                folder = root.parent if root.is_file() else root
                return (
                    f" This is a data set as torchvision stores it: write {source} (or :test), "
                    f"and set GANEVAL_DATA={folder}."
                )
    return ""
