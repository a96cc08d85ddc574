"""Weight normalisation whose scales and biases are set on a first batch (Salimans, Kingma 2016)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightNorm(nn.Module):
    """A linear or convolutional layer whose weights to each output have the norm `scale`, with a bias.

    layer: without a bias of its own. learns: whether the scale is a parameter; if not, it is set by `fitted` alone.
    deviation: of each output on the batch that `fitted` is given.
    """

    scale: Tensor

    def __init__(
        self, layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, *, learns: bool = False, deviation: float = 1.0
    ) -> None:
        super().__init__()
        self.layer, self.deviation = layer, deviation
        # The weights of a transposed convolution have outputs along the second axis.
        self.outputs = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        count = layer.weight.shape[self.outputs]
        self.bias = nn.Parameter(torch.zeros(count))
        if learns:
            self.scale = nn.Parameter(torch.ones(count))
        else:
            self.register_buffer("scale", torch.ones(count))
        self.fits = False

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, inputs, ...] => float32 [N, outputs, ...]"""
        weight = self.layer.weight
        others = [axis for axis in range(weight.ndim) if axis != self.outputs]
        raw = self.layer(x)
        shape = (1, -1, *[1] * (raw.ndim - 2))
        # The layer is linear, so that its output is scaled instead of its weights.
        plain = raw * (1 / torch.linalg.vector_norm(weight, dim=others)).view(shape)
        if self.fits:
            self._fit(plain)
        scaled: Tensor = plain * self.scale.view(shape) + self.bias.view(shape)
        return scaled

    @torch.no_grad()
    def _fit(self, plain: Tensor) -> None:
        """Set scale and bias so that the outputs have mean 0 and the wanted deviation; a constant keeps its scale."""
        deviation, mean = torch.std_mean(plain.transpose(0, 1).flatten(1), dim=1, correction=0)
        self.scale.copy_(torch.where(deviation > 0, self.deviation / deviation, self.scale))
        self.bias.copy_(-mean * self.scale)


@contextmanager
def fitted(network: nn.Module) -> Iterator[None]:
    """Within this context, a forward pass fits the scales and biases of every `WeightNorm` to its batch."""
    layers = [module for module in network.modules() if isinstance(module, WeightNorm)]
    for layer in layers:
        layer.fits = True
    try:
        yield
    finally:
        for layer in layers:
            layer.fits = False
