"""Training sets of random images, for uses that depend only on shapes: listing layers, testing the contract."""

import torch
from torch import Tensor

from reference_models.base import Model
from reference_models.batches import Batch, SequenceData

# Images of each class for a model that learns from some labels; odd, so that an epoch's last batch is partial.
LABELLED = 65


def placeholder(model: Model, rows: int, *, seed: int = 0) -> dict[str, Tensor]:
    """Tensors that `Model.parts` takes, with random images, uint8, or sequences.

    rows: the minimum number of rows in each part. seed: of the images.
    """
    data, rng = model.data, torch.Generator().manual_seed(seed)
    if isinstance(data, SequenceData):
        return {"tokens": torch.randint(0, len(data.vocabulary), (rows, data.length), generator=rng)}
    # Enough for a model whose parts are the images of a few classes.
    count = rows if model.batch_type is Batch else rows * max(2, data.classes or 0)
    if model.learns_labels:
        count = max(count, LABELLED * (data.classes or 0))

    def images(channels: int, side: int) -> Tensor:
        return torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=rng)

    found = {"images": images(data.channels, data.resolution)}
    if data.input_channels is not None and data.input_resolution is not None:
        found["inputs"] = images(data.input_channels, data.input_resolution)
    if data.classes is not None:
        found["labels"] = torch.arange(count) % data.classes
    return found
