"""Normalisation of activations with statistics from a reference batch (Salimans et al. 2016)."""

import torch
from torch import Tensor, nn

EPSILON = 1e-6


class ShiftedBatchNorm(nn.Module):
    """Batch normalisation with a shift and without a gain. dimensions: 1 for [N, C], 2 for [N, C, H, W]."""

    def __init__(self, channels: int, dimensions: int) -> None:
        super().__init__()
        kind = nn.BatchNorm1d if dimensions == 1 else nn.BatchNorm2d
        self.norm = kind(channels, eps=EPSILON, affine=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, C, ...] => the same shape"""
        shifted: Tensor = self.norm(x) + self.bias.view(1, -1, *[1] * (x.ndim - 2))
        return shifted


class VirtualBatchNorm(nn.Module):
    """Each row is normalised with the statistics of a fixed reference batch and of itself (section 3.5).

    The first `reference` rows are the reference batch, which is normalised with its own statistics. A row's statistics
    are those of the reference batch with the row added to it, so they do not depend on other rows.
    """

    def __init__(self, channels: int, reference: int) -> None:
        super().__init__()
        self.reference = reference
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [reference + N, C, ...] => the same shape"""
        places = list(range(2, x.ndim))
        shape = (-1, x.shape[1], *[1] * len(places))
        means = x.mean(places) if places else x
        squares = x.square().mean(places) if places else x.square()
        mean, square = means[: self.reference].mean(0, keepdim=True), squares[: self.reference].mean(0, keepdim=True)
        share = 1 / (self.reference + 1)
        own = torch.arange(len(x), device=x.device).view(-1, 1) >= self.reference
        mean = torch.where(own, torch.lerp(mean, means, share), mean)
        square = torch.where(own, torch.lerp(square, squares, share), square)
        deviation = (square - mean.square() + EPSILON).clamp(min=EPSILON).sqrt()
        normal: Tensor = (x - mean.view(shape)) / deviation.view(shape) + self.bias.view(1, *shape[1:])
        return normal
