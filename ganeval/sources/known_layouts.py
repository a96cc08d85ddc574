"""Data sets as torchvision keeps them on disk: told by their files, and read by name.

Their files are pickles and tables of bytes, not images. torchvision loads the pickles of CIFAR only where their digests
are the published ones, which is how they are read here, too: by name, from the folder that GANEVAL_DATA says.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

# A file that only this data set has, by its path from the folder of data sets => the source to write.
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
    """What to write for a data set that lies in or around a place, or is it; empty where none is told.

    place: a folder or archive, as messages name it. files: below it.
    """
    whole = Path(place.removeprefix("The folder ")).absolute()
    for name in files:
        path = (whole / name).as_posix()
        for mark, source in MARKS.items():
            if path.endswith(f"/{mark}"):
                root = Path(path.removesuffix(mark))
                # torchvision unpacks an archive that lies in the folder of data sets.
                folder = root.parent if root.is_file() else root
                return (
                    f" This is a data set as torchvision keeps it: write {source} (or :test), "
                    f"and set GANEVAL_DATA={folder}."
                )
    return ""
