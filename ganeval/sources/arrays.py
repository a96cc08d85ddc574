"""Images that are already decoded: tensors and arrays in memory, and .npy and .npz files."""

import math
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganeval.errors import GanevalError, SourceError
from ganeval.images import as_tensor, dense
from ganeval.ranges import ValueRange
from ganeval.sources.base import Fingerprint, Group, ImageBatch
from ganeval.sources.files import DIGEST_SIZE, Opened, digest_of
from ganeval.sources.items import Item, LoadedTogether
from ganeval.sources.labels import Labelling
from ganeval.sources.objects import Declared, Pixels, image_batch, meant, no_range

# Images that are hashed together for the fingerprint of an array in memory.
HASHED_AT_ONCE = 256
AnyArray = NDArray[np.generic]


class ArrayItems:
    """Images of one size in one array.

    Args:
        images: ``[N, C, H, W]`` or (arrays only) ``[N, H, W, C]``, C = 1 or 3. An ambiguous shape is read as ``[N, H,
            W, C]``, the layout of ADM's files.
        name: What results call it.
        kind: "tensor", "array", "npy", ...
        labels: One class per image, or a Labelling.
        file: What the array is mapped from, to detect changes.
        value_range: Of values that are not uint8.
        beside: A description of what else the file holds.
    """

    parallel = True

    def __init__(
        self,
        images: Tensor | AnyArray,
        *,
        name: str,
        kind: str,
        labels: Sequence[int] | Labelling | None = None,
        file: Opened | None = None,
        value_range: ValueRange | None = None,
        beside: str | None = None,
    ) -> None:
        self.kind = kind
        self._labelling = labels if isinstance(labels, Labelling) else Labelling(labels)
        self.labels = self._labelling.labels
        self.class_names = self._labelling.class_names
        self.name = name
        self._file = file
        self._beside = beside
        images = dense(images, where=name) if isinstance(images, Tensor) else images
        self._images = images
        self._range = None if images.dtype in (torch.uint8, np.uint8) else value_range
        self._channels_last = _check_array(images, value_range, where=name)
        if self.labels is not None and len(self.labels) != len(images):
            raise SourceError(f"{name}: {len(images)} images but {len(self.labels)} labels.")

    def __len__(self) -> int:
        return len(self._images)

    def item_name(self, index: int) -> str:
        """The position in the array."""
        return f"{self.name}[{index}]"

    def load(self, index: int) -> Item:
        """A copy of one image."""
        found = self._rgb(self._images[[index]], where=self.item_name(index))
        pixels = found.images[0].contiguous()
        label = None if self.labels is None else int(self.labels[index])
        return Item(pixels, digest_of_pixels(pixels), found.conversions, label, found.use)

    def bytes_to_load(self, count: int) -> int:
        """About how much memory `load_together` takes.

        Args:
            count: The number of images.

        Returns:
            Bytes, of the images as they are and as RGB; dtypes other than uint8 are copied several times on the way.
        """
        values = count * math.prod(self._images.shape[1:])
        return values * (4 if self._range is None else 3 + 4 * max(8, self._images.dtype.itemsize))

    def load_together(self, indices: Sequence[int]) -> LoadedTogether:
        """Copies of several images, in one batch.

        Args:
            indices: Their positions in the array.

        Returns:
            What `load` gives for each of them.

        Raises:
            SourceError: An image is not one of real numbers.
            GeneratorError: Values lie outside the declared range; the message names the first such image.
        """
        rows, images = list(indices), self._images
        # numpy copies with the calling thread alone: the others that torch copies with spin on cores that decode.
        if isinstance(images, Tensor) and images.dtype == torch.uint8 and images.device.type == "cpu":
            images = images.numpy()
        try:
            found = self._rgb(images[rows], where=self.name)
        except GanevalError:
            # The error is about one image, and names it.
            for index in rows:
                self.load(index)
            raise
        rgb = torch.from_numpy(np.ascontiguousarray(found.images.numpy()))
        labels = None if self.labels is None else tuple(int(self.labels[index]) for index in rows)
        batch = ImageBatch((Group(tuple(range(len(rgb))), rgb),), digests_of(rgb), labels)
        return LoadedTogether(batch, found.conversions, found.use)

    def digest(self, index: int) -> bytes:
        """Of the RGB pixels and their shape; the layout of the array does not matter."""
        return self.load(index).digest

    def fingerprint(self, indices: Sequence[int]) -> Fingerprint | None:
        """The fingerprint of the file the array is mapped from, None if it changed; without a file, of all bytes of the
        array.

        None for dtypes other than uint8, too: their use of the range must be measured again.
        """
        if self._range is not None:
            return None
        found = (self._content(), True) if self._file is None else self._file.identity()
        if found is None:
            return None
        identity, settled = found
        chosen = repr(indices) if isinstance(indices, range) else ",".join(map(str, indices))
        shape = digest_of(repr(tuple(self._images.shape)).encode(), chosen.encode())
        return Fingerprint(digest_of(identity, shape).hex(), shape.hex(), settled)

    def describe(self) -> dict[str, object]:
        """The declared range, where the classes were read, and what else the file holds."""
        described: dict[str, object] = {} if self._range is None else {"range": self._range}
        beside = {} if self._beside is None else {"beside": self._beside}
        return described | beside | self._labelling.describe()

    def _rgb(self, chosen: Tensor | AnyArray, *, where: str) -> Pixels:
        """Some images of the array, in its layout, as RGB on the CPU."""
        pixels = chosen.cpu() if isinstance(chosen, Tensor) else as_tensor(chosen, where=self.name)
        pixels = pixels.permute(0, 3, 1, 2) if self._channels_last else pixels
        return image_batch(pixels, Declared(floats=self._range), where=where)

    def _content(self) -> bytes:
        state = blake2b(digest_size=DIGEST_SIZE)
        for start in range(0, len(self), HASHED_AT_ONCE):
            some = self._images[start : start + HASHED_AT_ONCE]
            state.update(np.ascontiguousarray(some.cpu().numpy() if isinstance(some, Tensor) else some).data)
        return state.digest()


def digest_of_pixels(pixels: Tensor) -> bytes:
    """Digest of uint8 [3, H, W] on the CPU: its shape, then its bytes in C order; strides do not matter."""
    return digests_of(pixels.contiguous()[None])[0]


def digests_of(images: Tensor) -> tuple[bytes, ...]:
    """`digest_of_pixels` of every image of uint8 [N, 3, H, W] on the CPU, dense in this order."""
    shape = repr(tuple(images.shape[1:])).encode()
    return tuple(digest_of(shape, pixels.data) for pixels in images.numpy())


def _check_array(images: Tensor | AnyArray, value_range: ValueRange | None, *, where: str) -> bool:
    """Whether the channels are the last axis; SourceError for anything that is not images."""
    shape = tuple(images.shape)
    dtype = str(images.dtype).removeprefix("torch.")
    is_bytes = dtype == "uint8"
    if len(shape) != 4 or 0 in shape[1:]:
        raise SourceError(
            f"{where}: images must be [N, channels, height, width], found {dtype} {list(shape)}. {meant(shape, dtype)}"
        )
    if not is_bytes and value_range is None:
        raise no_range(images, _range(images), where=where)
    if not isinstance(images, Tensor) and shape[3] in (1, 3):
        return True
    if shape[1] in (1, 3):
        return False
    hint = " Move the channels to the front with images.permute(0, 3, 1, 2)." if shape[3] in (1, 3) else ""
    raise SourceError(f"{where}: images must have 1 or 3 channels, found {list(shape)}.{hint}")


def _range(images: Tensor | AnyArray) -> str:
    """A phrase with the range of values in the first image; empty if there is no image."""
    if images.ndim == 0:
        return ""
    first = images[:1].cpu() if isinstance(images, Tensor) else images[:1]
    if 0 in first.shape or (isinstance(first, np.ndarray) and first.dtype.kind not in "biuf"):
        return ""
    values = as_tensor(first, where="the first image")
    if values.is_complex():
        return ""
    low, high = torch.aminmax(values.double())
    return f", the first with values from {low:.4g} to {high:.4g}"
