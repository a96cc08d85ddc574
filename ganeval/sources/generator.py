"""Live generators: images are drawn while they are measured, on the generator's device, and never written to disk.

A generator is any object with `sample(n, *, labels=None, rng) -> images`. It may have these attributes:

    value_range: "uint8", "[0,1]", "[-1,1]" or "[0,255]"; optional for a generator that returns uint8.
    num_classes: of a conditional generator; labels are then balanced, in a seeded order.
    class_names: names of classes 0, 1, ..., by which they are matched with those of the reals; numbers by default.
    device: the device of `rng`; "cpu" by default.
    num_samples: how many images to draw by default; without it, the caller must say how many.
"""

from abc import abstractmethod
from collections import abc
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Protocol, SupportsIndex, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import GeneratorError, SourceError, UsageError
from ganeval.images import as_tensor, declared_range, range_use, to_rgb, to_uint8
from ganeval.ranges import RANGES, ValueRange
from ganeval.sources.base import Fingerprint, Group, ImageBatch, Reading, ReadReport, part_of
from ganeval.sources.sandbox import Sandbox

# Images per call of `sample`. It is fixed, because the images depend on how many are drawn at once.
CHUNK = 32
# Odd, and far from small fractions of 2^32: the chunks of nearby seeds lie far apart.
SEED_STEP = 2_654_435_761


def chunk_seed(seed: int, number: int) -> int:
    """The seed of a chunk of CHUNK images, so that any process can draw it without the chunks before it.

    Generators on the CPU use 32 bits of a seed. The seeds of up to 2^32 chunks of one seed differ, and so do those of
    the first 100,000 chunks of all seeds below 1,000.

    Args:
        seed: Of all images.
        number: Of the chunk, from 0.

    Returns:
        A number below 2^32.

    >>> chunk_seed(0, 3)
    3
    """
    return (seed * SEED_STEP + number) % 2**32


@runtime_checkable
class Generator(Protocol):
    """Anything that can be sampled."""

    @abstractmethod
    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
        """Draw images: the same ones for the same `labels` and state of `rng`.

        Args:
            n: Number of images.
            labels: int64 [n], the class of each image; None for an unconditional generator.
            rng: The source of all randomness, on the generator's device.

        Returns:
            Images [n, 1 or 3, H, W].
        """
        ...


class GeneratorSource:
    """A fixed number of images of a generator; reading it again draws the same ones.

    Images are drawn CHUNK at a time, each chunk from a seed of its own, so that a part of them can be drawn alone.

    Args:
        generator: What is sampled.
        name: What results call it.
        num_samples: How many images to draw; None for the generator's own `num_samples`.
        seed: Seed of the draws and of the order of classes.
        classes: The classes to draw in turn, for a conditional generator; None for all, balanced.
        value_range: The range of the images, if the generator does not declare one.
    """

    kind = "generator"

    def __init__(
        self,
        generator: Generator,
        *,
        name: str,
        num_samples: int | None,
        seed: int,
        classes: Sequence[int] | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        if num_samples is None:
            num_samples = getattr(generator, "num_samples", None)
        if num_samples is None:
            raise UsageError(
                f"{name} is a generator, which has no end; say how many images to draw with num_samples "
                "(--num-samples on the command line)."
            )
        if not isinstance(num_samples, SupportsIndex) or num_samples < 1:
            raise UsageError(f"num_samples of {name} is {num_samples!r}; it must be a whole number of 1 or more.")
        self.name = name
        self.generator = generator
        self._num_samples = int(num_samples)
        self._places = range(self._num_samples)
        self._seed = seed
        self._range = declared_range(generator) or value_range
        count = getattr(generator, "num_classes", None)
        self._classes = count if isinstance(count, int) and count > 0 else None
        self._names = self._checked_names(getattr(generator, "class_names", None))
        self._wanted = None if classes is None else self._checked_classes(classes)
        self._device = torch.device(getattr(generator, "device", "cpu"))

    def __len__(self) -> int:
        return len(self._places)

    @property
    def labels(self) -> Sequence[int] | None:
        """The classes to draw: the chosen ones in turn, or all, balanced to within one, in a seeded order."""
        labels = self._labels()
        return None if labels is None else labels[self._places.start : self._places.stop]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of classes 0, 1, ..., where the generator declares them."""
        return self._names

    def item_name(self, index: int) -> str:
        """The position among the draws."""
        return f"{self.name}[{self._places[index]}]"

    def part(self, number: int, of: int, batch_size: int) -> "GeneratorSource":
        """One of several parts of the draws."""
        taken = copy(self)
        places = part_of(len(self), number, of, batch_size)
        taken._places = self._places[places.start : places.stop]
        return taken

    def batches(self, reading: Reading, report: ReadReport) -> abc.Generator[ImageBatch]:
        """Every image once, in order; between batches, global random state and training modes are restored."""
        labels = self._labels()
        waiting: Tensor | None = None
        start, stop = self._places.start, self._places.stop
        for chunk in self._chunks(labels, report):
            if waiting is not None and waiting.shape[1:] != chunk.shape[1:]:
                raise self._error(f"images changed from {list(waiting.shape[1:])} to {list(chunk.shape[1:])}.")
            waiting = chunk if waiting is None else torch.cat([waiting, chunk])
            drawn = start + len(waiting)
            while len(waiting) >= reading.batch_size or (drawn == stop and len(waiting)):
                images, waiting = waiting[: reading.batch_size], waiting[reading.batch_size :]
                named = None if labels is None else tuple(labels[start : start + len(images)])
                start += len(images)
                yield ImageBatch((Group(tuple(range(len(images))), images),), labels=named)

    def fingerprint(self) -> Fingerprint | None:
        """None: the images of a generator are not known before they are drawn."""
        return None

    def digests(self) -> Iterator[bytes]:
        """Empty: a live generator is not cached."""
        return iter(())

    def describe(self) -> dict[str, object]:
        """The seed, the declared range, the classes."""
        described: dict[str, object] = {"seed": self._seed, "range": self._range or "uint8"}
        if self._classes is not None:
            described["classes"] = self._classes
        return described

    def _checked_names(self, names: object) -> tuple[str, ...] | None:
        if names is None or self._classes is None:
            return None
        found = tuple(names) if isinstance(names, Sequence) and not isinstance(names, str) else ()
        if len(found) != self._classes or not all(isinstance(name, str) for name in found):
            raise self._error(f"class_names must be {self._classes} names, one for each class; found {names!r}.")
        return found

    def _checked_classes(self, classes: Sequence[int]) -> Sequence[int]:
        if self._classes is None:
            raise UsageError(f"{self.name} has no classes, so none can be requested; leave the classes out.")
        wrong = [one for one in classes if not 0 <= one < self._classes]
        if wrong or not classes:
            found = f"found {wrong[0]}" if wrong else "found none"
            raise UsageError(f"{self.name} has the classes 0 to {self._classes - 1}, {found}.")
        return classes

    def _labels(self) -> Sequence[int] | None:
        """The class of every draw of the whole; None without classes."""
        if self._classes is None:
            return None
        if self._wanted is not None:
            return [self._wanted[index % len(self._wanted)] for index in range(self._num_samples)]
        balanced = np.arange(self._num_samples) % self._classes
        labels: list[int] = np.random.RandomState(self._seed).permutation(balanced).tolist()
        return labels

    def _chunks(self, labels: Sequence[int] | None, report: ReadReport) -> Iterator[Tensor]:
        """The images of this part: whole chunks are drawn, then cut at the part's ends."""
        first, stop = self._places.start, self._places.stop
        for start in range(first // CHUNK * CHUNK, stop, CHUNK):
            count = min(CHUNK, self._num_samples - start)
            wanted = None if labels is None else torch.tensor(labels[start : start + count], device=self._device)
            seed = chunk_seed(self._seed, start // CHUNK)
            rng = torch.Generator(self._device).manual_seed(seed)
            try:
                with Sandbox(self.generator, seed), torch.no_grad():
                    drawn: object = self.generator.sample(count, labels=wanted, rng=rng)
            # A user's generator may raise any exception, or even exit.
            except (Exception, SystemExit) as error:
                raise self._error(f"sample({count}) raised {type(error).__name__}: {error}") from error
            yield self._checked(drawn, count, slice(max(first - start, 0), stop - start), report)

    def _checked(self, drawn: object, count: int, taken: slice, report: ReadReport) -> Tensor:
        """The taken part of what `sample` returned, as uint8 [n, 3, H, W] on its device; GeneratorError otherwise."""
        if not isinstance(drawn, Tensor | np.ndarray):
            raise self._error(f"sample({count}) returned {type(drawn).__name__}, not a tensor of images.")
        images = as_tensor(drawn, where=f"{self.name}: sample({count})")
        if images.ndim != 4 or len(images) != count or images.shape[1] not in (1, 3) or 0 in images.shape:
            raise self._error(
                f"sample({count}) returned {list(images.shape)}; expected [{count}, 1 or 3, height, width]."
            )
        if self._range is None and images.dtype != torch.uint8:
            raise self._error(
                f"sample({count}) returned {str(images.dtype).removeprefix('torch.')} and declares no range; give the "
                f"generator an attribute value_range, one of {', '.join(RANGES)}."
            )
        # Copied, because images wait while more are drawn, and a generator may reuse their memory.
        images = images[taken].clone() if images.dtype == torch.uint8 else images[taken]
        if images.shape[1] == 1:
            report.conversions["greyscale"] += len(images)
        declared = self._range or "uint8"
        converted = to_uint8(images, declared, where=self.name)
        report.range_use.update(range_use(images, declared))
        return to_rgb(converted, where=self.name)

    def _error(self, reason: str) -> SourceError:
        return GeneratorError(f"{self.name}: {reason}")
