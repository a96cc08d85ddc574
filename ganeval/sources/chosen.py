"""Reading single images of a source again, for pictures in a report."""

from collections.abc import Collection, Mapping
from contextlib import closing

from torch import Tensor

from ganeval.errors import SourceError
from ganeval.sources.base import Reading, ReadReport, Source
from ganeval.sources.items import ItemSource
from ganeval.sources.stream import StreamSource
from ganeval.sources.wrapped import WrappedSource


def images_at(source: Source, indices: Collection[int]) -> Mapping[int, Tensor]:
    """The images at these indices of a source, uint8 [3, H, W] each.

    An indexed source reads only these images; a live generator draws again from its seed, up to the last of them.
    Raises SourceError for a stream, which can be read only once, and for an image that can no longer be read.
    """
    if isinstance(source, WrappedSource):
        return {index: source.one(image, index) for index, image in images_at(source.source, indices).items()}
    if isinstance(source, StreamSource):
        raise SourceError(f"{source.name} is a stream: its images cannot be read again after they were measured.")
    if isinstance(source, ItemSource):
        return {index: source.image_at(index) for index in sorted(indices)}
    return _read_again(source, set(indices))


def _read_again(source: Source, wanted: set[int]) -> Mapping[int, Tensor]:
    found: dict[int, Tensor] = {}
    start = 0
    with closing(source.batches(Reading(batch_size=32), ReadReport())) as batches:
        for batch in batches:
            for group in batch.groups:
                for row, image in zip(group.rows, group.images, strict=True):
                    if start + row in wanted:
                        found[start + row] = image.cpu().clone()
            start += len(batch)
            if len(found) == len(wanted):
                return found
    raise SourceError(f"{source.name} gave {start} images when it was read again, and more when it was measured.")
