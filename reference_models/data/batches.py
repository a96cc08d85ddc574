"""An endless stream of batches, in an order determined only by the seed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganeval.errors import SourceError
from ganeval.ranges import ValueRange
from reference_models.batches import Part, Tensors

# Distance between the seeds of two parts. A CPU's generator uses only the low 32 bits of a seed, so these must differ.
_APART = 0x9E3779B9


class BatchStream:
    """Batches of a model's type: every row of a part once per epoch, in an order given by seed, part and epoch.

    The last batch of an epoch is filled up from the next one.

    Args:
        parts: The data to draw from.
        batch_type: The type of a batch; its fields are the names of the parts' tensors.
        seed: Seed of the orders.
        device: Device of the batches.
        to: Range of the images.
        flips: Whether images are mirrored at random; all images of a row are mirrored together.
        name: Name of the data in messages.

    Raises:
        SourceError: A part has fewer rows than its batch.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        batch_type: type[Tensors],
        *,
        seed: int,
        device: str,
        to: ValueRange,
        flips: bool,
        name: object = "The training set",
    ) -> None:
        for part in parts:
            count, kind = len(part), "sequence" if "tokens" in part.tensors else "image"
            if count < part.batch:
                found, less = (f"1 {kind}", "") if count == 1 else (f"{count} {kind}s", " or less")
                raise SourceError(
                    f"{name} has {found}, too few for a batch of {part.batch}; choose --batch {count}{less}, or give "
                    f"more {kind}s."
                )
        self._orders = [_Order(part, seed + number * _APART) for number, part in enumerate(parts)]
        self._type, self._device, self._flips = batch_type, device, flips
        self._scale = (2 / 255, -1.0) if to == "[-1,1]" else (1 / 255, 0.0)
        # Rows of each part in the next batches; None for each part's own batch. Set by the training before each step.
        self.rows: int | None = None

    @property
    def seen(self) -> list[int]:
        """Rows drawn so far from each part: the whole state of the stream."""
        return [order.seen for order in self._orders]

    @seen.setter
    def seen(self, counts: Sequence[int]) -> None:
        for order, count in zip(self._orders, counts, strict=True):
            order.seen = count

    def __call__(self) -> Tensors:
        """The next batch, on its device, with images as float32 in the model's range."""
        found: dict[str, Tensor] = {}
        for order in self._orders:
            rows, mirrored = order.next(self.rows or order.part.batch)
            for name, tensor in order.part.tensors.items():
                found[name] = self._prepared(tensor[rows].to(self._device, non_blocking=True), mirrored)
        return self._type(**found)

    def _prepared(self, rows: Tensor, mirrored: Tensor) -> Tensor:
        """Images in the model's range, mirrored; other tensors unchanged."""
        if rows.ndim != 4:
            return rows
        if rows.dtype == torch.uint8:
            scale, shift = self._scale
            rows = rows.to(torch.float32).mul_(scale).add_(shift)
        if self._flips:
            rows = torch.where(mirrored.to(self._device)[:, None, None, None], rows.flip(3), rows)
        return rows


class _Order:
    """The rows of one part, epoch by epoch."""

    def __init__(self, part: Part, seed: int) -> None:
        self.part, self.seen = part, 0
        self._seed, self._epoch = seed, -1

    def next(self, missing: int) -> tuple[Tensor, Tensor]:
        """The next rows, and which of them to mirror."""
        taken: list[tuple[Tensor, Tensor]] = []
        while missing:
            epoch, start = divmod(self.seen, len(self.part))
            self._turn_to(epoch)
            span = slice(start, start + missing)
            taken.append((self._rows[span], self._mirrored[span]))
            self.seen += len(taken[-1][0])
            missing -= len(taken[-1][0])
        if len(taken) == 1:
            return taken[0]
        return torch.cat([rows for rows, _ in taken]), torch.cat([mirrored for _, mirrored in taken])

    def _turn_to(self, epoch: int) -> None:
        """The order of an epoch, drawn on the CPU so that it is the same on every device."""
        if epoch == self._epoch:
            return
        rng = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        device, count = next(iter(self.part.tensors.values())).device, len(self.part)
        self._rows = torch.randperm(count, generator=rng).to(device)
        self._mirrored = (torch.rand(count, generator=rng) < 0.5).to(device)
        self._epoch = epoch
