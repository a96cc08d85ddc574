"""Images that can be read only once: a DataLoader, an IterableDataset, any iterable of batches."""

from collections.abc import Generator, Iterable, Iterator, Sequence, Sized
from itertools import islice
from pathlib import PurePath
from typing import TypeGuard

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import BatchSampler

from ganeval.errors import GanevalError, SourceError, UsageError
from ganeval.images import declared_range
from ganeval.ranges import ValueRange
from ganeval.sources.base import Fingerprint, ImageBatch, Reading, ReadReport, batch_of
from ganeval.sources.objects import Declared, Pixels, image_batch, one_image

_LabelledImage = tuple[Tensor, int | None]


class StreamSource:
    """An iterable of batches [N, C, H, W], (images, labels) or PIL images, regrouped to the requested batch size.

    Values are uint8, or of a range that the iterable, its data set, or value_range declares. UsageError for a loader
    that gives this process only a share of the images.
    """

    kind = "stream"
    labels: Sequence[int] | None = None

    def __init__(
        self,
        batches: Iterable[object],
        *,
        name: str,
        num_samples: int | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        if num_samples is not None and num_samples < 1:
            raise UsageError(f"num_samples is {num_samples}; it must be 1 or more.")
        self.name = name
        self.remarks = _loader_remarks(batches, name, whole=num_samples is None)
        self._batches = batches
        self._num_samples = num_samples
        self._declared = Declared(declared_range(batches), value_range)
        self._consumed = False

    def __len__(self) -> int:
        if self._num_samples is None:
            raise TypeError(f"{self.name} is a stream, whose length is known only at its end.")
        return self._num_samples

    def item_name(self, index: int) -> str:
        """The position in the stream."""
        return f"{self.name}[{index}]"

    def batches(self, reading: Reading, report: ReadReport) -> Generator[ImageBatch]:
        """All images of the stream, or its first `num_samples`; SourceError when it has fewer, or is empty."""
        if self._consumed and iter(self._batches) is self._batches:
            raise SourceError(f"{self.name} has been read to its end, and an iterator cannot be read twice.")
        self._consumed = True
        images = islice(self._images(report), self._num_samples)
        count = 0
        while taken := list(islice(images, reading.batch_size)):
            count += len(taken)
            labels = [label for _, label in taken if label is not None]
            # Copied, because a single image is not copied into its batch, and an iterable may reuse the memory of its
            # images.
            own = [image.clone() if len(taken) == 1 else image for image, _ in taken]
            yield batch_of(own, labels=labels if len(labels) == len(taken) else None)
        if count == 0 or count < (self._num_samples or 0):
            raise SourceError(f"{self.name} ended after {count} images; {self._num_samples or 'some'} were expected.")

    def part(self, number: int, of: int, batch_size: int) -> None:
        """None: an iterable is read from its beginning, and processes may have different iterables."""

    def fingerprint(self) -> Fingerprint | None:
        """None: a stream cannot be recognised before it is read."""
        return None

    def digests(self) -> Iterator[bytes]:
        """Empty: a stream is not cached."""
        return iter(())

    def describe(self) -> dict[str, object]:
        """The declared range, and the number of images taken from the start, if limited."""
        return self._declared.told | ({} if self._num_samples is None else {"first": self._num_samples})

    def _images(self, report: ReadReport) -> Iterator[_LabelledImage]:
        for number, batch in enumerate(self._given()):
            where = f"{self.name}, batch {number}"
            if _are_pil(batch):
                # A loader with collate_fn=list.
                for image in batch:
                    yield from self._taken(one_image(image, self._declared, where=where), None, report)
                continue
            images, labels = split_labels(batch)
            yield from self._taken(self._batch(images, where), labels, report)

    def _given(self) -> Iterator[object]:
        """The items of the iterable; SourceError if it raises."""
        number = 0
        try:
            for batch in self._batches:
                yield batch
                number += 1
        except GanevalError:
            raise
        except Exception as error:
            # Third-party code may raise any exception.
            raise SourceError(f"{self.name}, batch {number}: the iterable raised {_raised(error)}") from error

    def _taken(self, found: Pixels, labels: object, report: ReadReport) -> Iterator[_LabelledImage]:
        """Images with their labels, counted in the report."""
        report.conversions.update(dict.fromkeys(found.conversions, len(found.images)))
        report.range_use.update(found.use)
        return zip(found.images, _numbers(labels, len(found.images)), strict=True)

    def _batch(self, images: object, where: str) -> Pixels:
        """A batch, or a single PIL image."""
        if isinstance(images, Image.Image):
            return one_image(images, self._declared, where=where)
        if isinstance(images, str | PurePath):
            raise SourceError(
                f"{where}: expected images, found {str(images)!r}; give names of files as the path of a .txt with a "
                "name per line, or a folder."
            )
        if not isinstance(images, Tensor | np.ndarray):
            raise SourceError(f"{where}: expected uint8 [N, C, H, W] images, found {type(images).__name__}.")
        return image_batch(images, self._declared, where=where)


def _raised(error: Exception) -> str:
    """An error as text. A DataLoader worker's error contains its whole traceback, which ends with the error."""
    name, text = type(error).__name__, str(error).strip()
    if "Original Traceback" not in text:
        return f"{name}: {text}"
    lines = text.splitlines()
    starts = [at for at, line in enumerate(lines) if line.partition(":")[0].rpartition(".")[2] == name]
    return "\n".join(lines[starts[-1] if starts else -1 :])


def _loader_remarks(loader: object, name: str, *, whole: bool) -> tuple[str, ...]:
    """Remarks on a loader that changes the set; UsageError for one that reads only one rank's share.

    The names of attributes are those of a DataLoader, which wrappers of other packages have as well. num_replicas is of
    torch's DistributedSampler, num_processes of accelerate's batch samplers.
    """
    batches = getattr(loader, "batch_sampler", None)
    # A DataLoader with its own batch sampler also has a sampler, but does not use it.
    sampler = getattr(loader, "sampler", None) if batches is None else getattr(batches, "sampler", None)
    shares = (getattr(sampler, "num_replicas", 1), getattr(batches, "num_processes", 1))
    if (of := max((share for share in shares if isinstance(share, int)), default=1)) > 1:
        raise UsageError(
            f"{name}: its sampler gives each of {of} processes a share of the images, and some images twice if {of} "
            "does not divide them. Give the data set itself, or a DataLoader without that sampler: under "
            "ganeval.distributed_work() the processes share the images of a data set."
        )
    remarks = []
    if getattr(sampler, "replacement", False) is True:
        remarks.append(
            f"{name} draws images with replacement: some count several times, others not at all, and error bars take "
            "every one for a new image."
        )
    if whole and isinstance(batches, BatchSampler) and batches.drop_last:
        images = _count(sampler)
        left = 0 if images is None else images % batches.batch_size
        if left:
            remarks.append(f"{name} has drop_last=True, which leaves out {left} of its {images} images.")
    return tuple(remarks)


def _count(sampler: object) -> int | None:
    """The number of images that a sampler gives, if it knows it."""
    if not isinstance(sampler, Sized):
        return None
    try:
        return len(sampler)
    except (TypeError, NotImplementedError, OverflowError):
        # It inherits a length that is not implemented, or is infinite.
        return None


def _are_pil(batch: object) -> TypeGuard[list[Image.Image]]:
    return isinstance(batch, list) and bool(batch) and all(isinstance(one, Image.Image) for one in batch)


def split_labels(value: object) -> tuple[object, object]:
    """Split the items of data sets and loaders, (images, labels, ...) or images; labels are None if missing."""
    if isinstance(value, tuple | list) and value:
        return value[0], value[1] if len(value) > 1 else None
    return value, None


def _numbers(labels: object, count: int) -> list[int] | list[None]:
    """A batch's labels as integers; all None where they are not class numbers."""
    numbers = torch.as_tensor(labels) if isinstance(labels, Tensor | np.ndarray) else None
    if numbers is None or numbers.shape != (count,) or numbers.is_floating_point():
        return [None] * count
    listed: list[int] = numbers.tolist()
    return listed
