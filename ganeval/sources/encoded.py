"""Encoded images that are read once and in order, from shards: a streamed tar, a data set of the Hub."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from copy import copy
from functools import partial
from itertools import groupby, islice, repeat
from operator import itemgetter
from threading import Event
from typing import NamedTuple, TypeVar

from ganeval.errors import SourceError, UsageError
from ganeval.sources.ahead import in_order
from ganeval.sources.base import Fingerprint, ImageBatch, Reading, ReadReport, check_skips
from ganeval.sources.files import digest_of, load_encoded
from ganeval.sources.items import Item, load_batches, nothing_read

T = TypeVar("T")


class Encoded(NamedTuple):
    """An image file in a shard. name: for messages; label: its class, where it has a number."""

    name: str
    data: bytes
    label: int | None = None


class EncodedStream:
    """A source of shards, each of which is read from start to end: one thread reads, others decode.

    The number of images is known only at the end. A process takes whole shards as its part.
    """

    labels: Sequence[int] | None = None

    def __init__(
        self,
        shards: Sequence[Callable[[], Iterator[Encoded]]],
        *,
        name: str,
        kind: str,
        fingerprint: Callable[[], Fingerprint | None],
        class_names: tuple[str, ...] | None = None,
        about: dict[str, object] | None = None,
    ) -> None:
        """shards: each gives its images. fingerprint: of all of them. about: for the provenance."""
        self.name, self.kind, self.class_names = name, kind, class_names
        self._shards, self._fingerprint, self._about = shards, fingerprint, about or {}
        self._num_samples: int | None = None
        self._is_part = False

    def __len__(self) -> int:
        if self._num_samples is None:
            raise TypeError(f"{self.name} is a stream, whose length is known only at its end.")
        return self._num_samples

    def first(self, num_samples: int | None, *, name: str) -> "EncodedStream":
        """The first images of the stream (None: all), under the name that the user wrote."""
        if num_samples is not None and num_samples < 1:
            raise UsageError(f"num_samples is {num_samples}; it must be 1 or more.")
        taken = copy(self)
        taken.name, taken._num_samples = name, num_samples
        return taken

    def part(self, number: int, of: int, batch_size: int) -> "EncodedStream | None":  # noqa: ARG002, whole shards
        """The shards of part `number` of `of`, contiguous and in order; None where there are fewer shards than parts.

        How many images a shard has is known only when it is read, so parts do not start at multiples of `batch_size`;
        but batches end with shards, so they are those of the whole source.
        """
        if of == 1:
            return self
        if len(self._shards) < of or self._num_samples is not None:
            return None
        taken = copy(self)
        start, stop = (len(self._shards) * place // of for place in (number, number + 1))
        taken._shards, taken._is_part = self._shards[start:stop], True
        return taken

    def item_name(self, index: int) -> str:
        """The position in the stream."""
        return f"{self.name}[{index}]"

    def batches(self, reading: Reading, report: ReadReport) -> Generator[ImageBatch]:
        """All images of the stream, or its first `num_samples`; SourceError when it has fewer, or is empty."""
        rows, total = 0, self._num_samples
        with closing(_ahead(self._numbered(), reading.batch_size)) as images:
            # Batches end at the end of a shard, so that they do not depend on the number of processes.
            for _, shard in groupby(islice(images, total), key=itemgetter(0)):
                loads = (partial(_decoded, image) for _, image in shard)
                first = rows + len(report.skipped)
                for batch in load_batches(loads, reading, report, total=total, first=first):
                    rows += len(batch)
                    yield batch
        if self._is_part:
            return
        found = rows + len(report.skipped)
        if found < (total or 1):
            raise SourceError(f"{self.name} ended after {found} images; {total or 'some'} were expected.")
        check_skips(report, found, reading)
        if not rows:
            raise nothing_read(self.name, report)

    def fingerprint(self) -> Fingerprint | None:
        """The fingerprint of the shards; None if nothing is known of them before they are read."""
        found = self._fingerprint()
        if found is None or found.fast is None or (self._num_samples is None and not self._is_part):
            return found
        chosen = repr((self._num_samples, len(self._shards))).encode()
        return Fingerprint(digest_of(found.fast.encode(), chosen).hex(), found.sizes, found.settled)

    def digests(self) -> Iterator[bytes]:
        """Every image's digest, in order, without decoding."""
        return (digest_of(image.data) for _, image in islice(self._numbered(), self._num_samples))

    def describe(self) -> dict[str, object]:
        """What the shards are, and the number of images taken from the start, if it was given."""
        return self._about | ({} if self._num_samples is None else {"first": self._num_samples})

    def _numbered(self) -> Iterator[tuple[int, Encoded]]:
        """The images with the numbers of their shards."""
        return ((number, image) for number, shard in enumerate(self._shards) for image in shard())


def _decoded(image: Encoded) -> Item:
    return load_encoded(image.data, image.name, image.label)


def _ahead(values: Iterator[T], count: int) -> Generator[T]:
    """The values of an iterator; a thread reads up to about three times `count` ahead."""
    taking = in_order(repeat(partial(next, values, None)), workers=1, stop=Event(), tasks_per_batch=count)
    with closing(taking):
        for value in taking:
            if value is None:
                return
            yield value
