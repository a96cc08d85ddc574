"""Fashion-MNIST from Debian's package: four gzipped files in the idx format of MNIST."""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganeval.errors import SourceError

FOLDER = Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
# The first bytes of an idx file: two zeros, the type (8 for uint8), and the number of axes.
_UINT8 = 8


@dataclass(frozen=True, slots=True)
class Packaged:
    """A split, as torchvision's class has it. data: uint8 [N, 28, 28]; targets: uint8 [N]."""

    data: NDArray[np.uint8]
    targets: NDArray[np.uint8]


def packaged(*, train: bool) -> Packaged | None:
    """The training or the test split; None if the package is not installed. SourceError for a damaged file."""
    part = "train" if train else "t10k"
    images, labels = FOLDER / f"{part}-images-idx3-ubyte.gz", FOLDER / f"{part}-labels-idx1-ubyte.gz"
    if not images.exists():
        return None
    found = Packaged(_read_idx(images, 3), _read_idx(labels, 1))
    if len(found.data) != len(found.targets):
        raise _damaged(labels, f"it has {len(found.targets)} labels of {len(found.data)} images")
    return found


def _read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """A gzipped idx file of uint8 with this number of axes."""
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    start = 4 + 4 * axes
    shape = [int.from_bytes(data[place : place + 4], "big") for place in range(4, start, 4)]
    if data[:4] != bytes((0, 0, _UINT8, axes)) or len(data) != start + math.prod(shape):
        raise _damaged(path, f"it is not an idx file of {axes} axes, or is cut off")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _damaged(path: Path, reason: str) -> SourceError:
    return SourceError(f"{path} cannot be read ({reason}); install it anew: apt install --reinstall {PACKAGE}.")
