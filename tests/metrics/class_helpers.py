"""Labelled features for the tests of metrics by class: one Gaussian per class."""

import torch
from torch import Tensor


def gaussians(
    count: int, seed: int, *, classes: int = 3, width: int = 5, apart: float = 2.0, wrong: float = 0.0
) -> tuple[Tensor, Tensor]:
    """float64 [count, width] of unit covariance, class k around `apart` on axis k; and the requested classes, int64.

    wrong: the share drawn from a random class instead of the requested one. Classes are as balanced as possible.
    """
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    drawn = torch.where(
        torch.rand(count, generator=rng) < wrong, torch.randint(classes, (count,), generator=rng), labels
    )
    noise = torch.randn(count, width, generator=rng, dtype=torch.float64)
    return noise + apart * torch.eye(classes, width, dtype=torch.float64)[drawn], labels
