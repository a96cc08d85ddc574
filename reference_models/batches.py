"""Descriptions of the data that models are built for, and the batches they are trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

from ganeval.errors import UsageError

# The word that pads shorter sequences.
END = "<end>"


@dataclass(frozen=True, slots=True)
class Data:
    """The images that a model is built for.

    Attributes:
        channels: 1 or 3.
        resolution: Height and width in pixels.
        classes: The number of classes; None if images have no labels.
        class_names: Of classes 0, 1, ...; None where unknown.
        unlabelled: Why the images have no classes, if a reason is known.
        input_channels: Channels of the images that a `Translator` takes, 1 or 3; None for other models.
        input_resolution: Their height and width in pixels; None for other models.
    """

    channels: int
    resolution: int
    classes: int | None = None
    class_names: tuple[str, ...] | None = None
    unlabelled: str | None = None
    input_channels: int | None = None
    input_resolution: int | None = None


@dataclass(frozen=True, slots=True)
class SequenceData:
    """The token sequences that a model is built for.

    Attributes:
        length: Tokens per sequence.
        vocabulary: The words of tokens 0, 1, ...
        separator: The separator of words in text.
        classes: None; sequences have no labels.
        class_names: None.
        unlabelled: None.
    """

    length: int
    vocabulary: tuple[str, ...]
    separator: str = " "
    classes: None = None
    class_names: None = None
    unlabelled: None = None

    def text(self, tokens: Tensor) -> list[str]:
        """Sequences as text, each up to its end.

        Args:
            tokens: int64 ``[N, T]``.

        Returns:
            A line per sequence.

        >>> SequenceData(3, ("<end>", "a", "b")).text(torch.tensor([[1, 2, 2], [2, 0, 0]]))
        ['a b b', 'b']
        """
        words = ([self.vocabulary[token] for token in row] for row in tokens.tolist())
        return [self.separator.join(row[: row.index(END)] if END in row else row) for row in words]


@dataclass(frozen=True, slots=True)
class Tensors:
    """A batch: tensors by name, each a field of a subclass, None for one that is missing.

    Row i of each tensor belongs to row i of the others, unless they come from different parts of the data (`Part`).
    """

    def __len__(self) -> int:
        """Rows of the first tensor."""
        return len(next(iter(self._present().values())))

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return next(iter(self._present().values())).device

    def split(self, parts: int) -> list[Self]:
        """The same rows in this many smaller batches, of equal size except the last.

        Raises:
            UsageError: The tensors have different numbers of rows, and some have too few.
        """
        if parts == 1:
            return [self]
        chunks = {name: tensor.chunk(parts) for name, tensor in self._present().items()}
        counts = {len(pieces) for pieces in chunks.values()}
        if len(counts) > 1:
            rows = ", ".join(f"{name} {len(tensor)}" for name, tensor in self._present().items())
            raise UsageError(f"A batch with these rows ({rows}) cannot be processed in {parts} parts; choose fewer.")
        return [
            replace(self, **dict(zip(chunks, pieces, strict=True))) for pieces in zip(*chunks.values(), strict=True)
        ]

    def rows(self, start: int, stop: int) -> Self:
        """Some of the rows of every tensor.

        Args:
            start: The first row.
            stop: The row after the last one.

        Returns:
            Views of the tensors.
        """
        return replace(self, **{name: tensor[start:stop] for name, tensor in self._present().items()})

    def _present(self) -> dict[str, Tensor]:
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: tensor for name, tensor in named if tensor is not None}


@dataclass(frozen=True, slots=True)
class Batch(Tensors):
    """Training images and their classes.

    Attributes:
        images: float32 ``[N, C, H, W]`` in the model's range.
        labels: int64 ``[N]``; None where there are none.
    """

    images: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Sequences(Tensors):
    """Token sequences.

    Attributes:
        tokens: int64 ``[N, T]``.
    """

    tokens: Tensor


@dataclass(frozen=True, slots=True)
class PairBatch(Tensors):
    """Images to translate, and their targets.

    Row i of one belongs to row i of the other, unless the model draws them as two parts (`Part`).

    Attributes:
        inputs: float32 ``[N, C', H', W']`` in the model's range.
        images: float32 ``[N, C, H, W]`` in the model's range.
    """

    inputs: Tensor
    images: Tensor


@dataclass(frozen=True, slots=True)
class Part:
    """Training data that are drawn together: row i of each tensor belongs to row i of the others.

    A model with one part sees aligned rows (image and label, image and its pair). A model with several parts sees the
    rows of each part in a separate order (two sets of images; labelled and unlabelled images).

    Attributes:
        tensors: By field of the model's batch, [N, ...] each. uint8 [N, C, H, W] are images, and are converted to the
            model's range; other tensors are passed on unchanged.
        batch: Rows per batch.
    """

    tensors: Mapping[str, Tensor]
    batch: int

    def __len__(self) -> int:
        """Rows."""
        return len(next(iter(self.tensors.values())))
