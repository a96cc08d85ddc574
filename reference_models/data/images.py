"""Training images: any source that ganeval reads, read once and kept as one tensor."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import SourceError, UsageError
from ganeval.preprocess import resample
from ganeval.sources import Group, Reading, ReadReport, Source, open_source
from reference_models.batches import Data

# The share of a GPU's free memory that images may use; the rest is for training.
SHARE_OF_DEVICE = 0.5


@dataclass(frozen=True, slots=True)
class Images:
    """A whole training set.

    pixels: uint8 [N, C, H, W], or float32 in the model's range. labels: int64 [N] from 0 to K - 1 with at least one
    image of each class; None where unknown. digest: hash of pixels, labels and inputs, in order. about: provenance, as
    plain data. class_names: names of classes 0 to K - 1. unlabelled: why there are no labels, where a reason is known.
    caveat: an assumption that was made about the classes. inputs: the images that a translator translates, uint8
    [M, C', H', W']; None for other models. aligned: whether input i belongs to image i.
    """

    pixels: Tensor
    labels: Tensor | None
    digest: str
    about: Mapping[str, object]
    class_names: tuple[str, ...] | None = None
    unlabelled: str | None = None
    caveat: str | None = None
    inputs: Tensor | None = None
    aligned: bool = True

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def data(self) -> Data:
        """The properties of the images that a model is built for."""
        names, inputs = self.class_names, self.inputs
        channels, resolution = self.pixels.shape[1:3]
        known = Data(channels, resolution, None if names is None else len(names), names, self.unlabelled)
        if inputs is None:
            return known
        return replace(known, input_channels=inputs.shape[1], input_resolution=inputs.shape[2])

    @property
    def what(self) -> str:
        """The word for these rows after a number."""
        side = self.data.resolution
        return f"images of {side} x {side}"

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What `Model.parts` takes."""
        named = {"images": self.pixels, "labels": self.labels, "inputs": self.inputs}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def to(self, device: str) -> "Images":
        """The same images on the device if they leave enough memory for training, else in pinned CPU memory."""
        if torch.device(device).type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if sum(tensor.nbytes for tensor in self.tensors.values()) > free * SHARE_OF_DEVICE:
                inputs = None if self.inputs is None else self.inputs.pin_memory()
                return replace(self, pixels=self.pixels.pin_memory(), inputs=inputs)
        labels, inputs = (None if one is None else one.to(device) for one in (self.labels, self.inputs))
        return replace(self, pixels=self.pixels.to(device), labels=labels, inputs=inputs)


def images_of(
    pixels: Tensor,
    labels: Tensor | None = None,
    *,
    class_names: Sequence[str] | None = None,
    about: Mapping[str, object] | None = None,
    unlabelled: str | None = None,
    inputs: Tensor | None = None,
    aligned: bool = True,
) -> Images:
    """Tensors => Images. pixels: uint8 or float32 [N, C, H, W]; labels: int64 [N], 0 or more.

    class_names: names of labels 0, 1, ...; otherwise a class is named by its label. Only labels that occur become
    classes: labels 1, 2 and 5 are classes 0, 1 and 2, named "1", "2" and "5". inputs and aligned: as in `Images`.
    """
    if labels is not None and (len(labels) != len(pixels) or int(labels.min()) < 0):
        raise SourceError(
            f"{len(labels)} labels do not fit {len(pixels)} images; give one label per image, each 0 or more."
        )
    names: tuple[str, ...] | None = None
    if labels is not None:
        present, places = np.unique(labels.cpu().numpy(), return_inverse=True)
        labels = torch.from_numpy(places)
        names = tuple(_called(label, class_names) for label in present.tolist())
    digest = hashlib.blake2b(digest_size=16)
    for tensor in (pixels, labels, inputs):
        if tensor is not None:
            digest.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
            digest.update(tensor.contiguous().cpu().numpy().data)
    return Images(
        pixels.contiguous(),
        labels,
        digest.hexdigest(),
        dict(about or {}),
        names,
        unlabelled,
        inputs=None if inputs is None else inputs.contiguous(),
        aligned=aligned,
    )


def _called(label: int, class_names: Sequence[str] | None) -> str:
    return str(label) if class_names is None or label >= len(class_names) else class_names[label]


def load_images(
    spec: object,
    *,
    resolution: int,
    channels: int | None = None,
    resize: bool = False,
    num_samples: int | None = None,
    seed: int = 0,
) -> Images:
    """Read every image of a source: the central square, resized to `resolution` pixels if it differs.

    channels: 1 or 3; None for 1 if every image is grey, else 3.
    resize: whether images of different sizes, or not square, are cropped and resized; if not, they are refused.
    Raises UsageError for impossible arguments, SourceError for images that cannot be read.
    """
    if resolution < 1 or channels not in (None, 1, 3):
        raise UsageError(
            f"Images can be read with 1 or 3 channels and 1 pixel or more, not {channels} and {resolution}."
        )
    source = open_source(spec, num_samples=num_samples, seed=seed)
    report = ReadReport()
    parts: list[Tensor] = []
    labels: list[int] = []
    size: tuple[int, int] | None = None
    for batch in source.batches(Reading(batch_size=64), report):
        for group in batch.groups:
            size = size or (group.images.shape[2], group.images.shape[3])
            if not resize:
                _check_size(source, group, size, first=sum(len(part) for part in parts))
        parts.append(_fitted(batch.groups, len(batch), resolution))
        labels += [] if batch.labels is None else list(batch.labels)
    pixels = torch.cat(parts)
    is_grey = bool((pixels == pixels[:, :1]).all()) if channels is None else channels == 1
    about = {"name": source.name, "kind": source.kind, "count": len(pixels), "sizes": size, **source.describe()}
    unlabelled = _unlabelled(source, labels, len(pixels))
    return images_of(
        grey(pixels) if is_grey else pixels,
        torch.tensor(labels) if labels and unlabelled is None else None,
        class_names=getattr(source, "class_names", None),
        about=about,
        unlabelled=unlabelled,
    )


def _unlabelled(source: Source, labels: Sequence[int], count: int) -> str | None:
    """Why the labels are not used as classes; None if they are used, or if there are none and no reason is known."""
    if not labels:
        reason = source.describe().get("unlabelled")
        return None if reason is None else str(reason)
    if len(labels) < count:
        return f"only {len(labels)} of {count} images of {source.name} have one"
    wrong = next((index for index, label in enumerate(labels) if label < 0), None)
    return None if wrong is None else f"that of {source.item_name(wrong)} is {labels[wrong]}, and classes are 0 or more"


def _check_size(source: Source, group: Group, size: tuple[int, int], first: int) -> None:
    """SourceError for an image that is not square, or not of the size of the first."""
    height, width = group.images.shape[2:]
    if (height, width) != size or height != width:
        other = "" if (height, width) == size else f", and {source.item_name(0)} has {size[1]} x {size[0]}"
        raise SourceError(
            f"{source.item_name(first + group.rows[0])} has {width} x {height} pixels{other}; a model learns square "
            "images of one size. Choose it with --resolution: the central square of each is then resized to it."
        )


def _fitted(groups: tuple[Group, ...], count: int, resolution: int) -> Tensor:
    """A batch's groups => uint8 [count, 3, resolution, resolution], in the batch's order."""
    fitted = torch.empty(count, 3, resolution, resolution, dtype=torch.uint8)
    for group in groups:
        height, width = group.images.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = group.images[:, :, top : top + side, left : left + side]
        resized = resample(square, resolution, resolution, "pytorch-antialias")
        fitted[list(group.rows)] = resized.round().clamp(0, 255).to(torch.uint8).cpu()
    return fitted


def grey(pixels: Tensor) -> Tensor:
    """uint8 [N, 3, H, W] => uint8 [N, 1, H, W], with the weights of ITU-R 601; grey images keep their values."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    parts = (pixels[start : start + 4096] for start in range(0, len(pixels), 4096))
    return torch.cat([(part * weights).sum(1, keepdim=True).round().to(torch.uint8) for part in parts])
