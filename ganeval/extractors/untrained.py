"""Seeded random weights in the published layout, for tests, benchmarks and trials without a network connection.

The features have no meaning, but are well behaved: none is constant, activations keep their scale from the first layer
to the last, and different images are far apart. Three choices achieve this (a plain He initialisation has none of
them):

- every filter is uniform at He's scale, minus its own mean, so that the common part of a layer's inputs does not
  dominate the differences between images;
- the BatchNorm variances are near 0.68, the output variance of such a filter for a unit-variance ReLU input:
  2 (1/2 - 1/(2 pi));
- the BatchNorm shifts are mostly positive, so that contrast, in which images differ most, does not drive all features
  alike.

Only uniform draws, exact sums and single roundings are used: a seed gives the same bits on every machine.

Source: He et al. 2015, "Delving deep into rectifiers"; Huang et al. 2017, "Centered weight normalization".
"""

import math
from pathlib import Path

import torch
from torch import Generator, Tensor

from ganeval.extractors.statefile import save_state

BATCH_NORM_RANGES = {
    "bn.weight": (0.8, 1.2),
    "bn.bias": (0.05, 0.45),
    "bn.running_mean": (-0.1, 0.1),
    "bn.running_var": (0.5, 0.86),
}
# Small enough that class probabilities stay soft, so the inception score lies between 1 and its maximum.
CLASSIFIER_SCALE = 0.05


def untrained_weights(path: Path, *, seed: int = 0) -> Path:
    """Write seeded random weights in the published layout, for trying things out without a download.

    Args:
        path: The file; every tool that reads the published weights can read it.
        seed: Seed of the weights.

    Returns:
        The path.

    Raises:
        WeightsError: The file cannot be written.
    """
    save_state(untrained_state(torch.Generator().manual_seed(seed)), path)
    return path


def untrained_state(rng: Generator) -> dict[str, Tensor]:
    """Random parameters in the published layout, float32; the counters are zero."""
    from ganeval.extractors.inception import layout

    return {name: _entry(name, shape, rng) for name, shape in layout().items()}


def _entry(name: str, shape: tuple[int, ...], rng: Generator) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    if name.endswith("conv.weight"):
        return _centred(shape, math.sqrt(2 / math.prod(shape[1:])), rng)
    if name == "fc.weight":
        return _centred(shape, CLASSIFIER_SCALE, rng)
    if name == "fc.bias":
        return _uniform(shape, -0.5, 0.5, rng)
    low, high = BATCH_NORM_RANGES[name.split(".", name.count(".") - 1)[-1]]
    return _uniform(shape, low, high, rng)


def _uniform(shape: tuple[int, ...], low: float, high: float, rng: Generator) -> Tensor:
    return (torch.rand(shape, generator=rng, dtype=torch.float32).double() * (high - low) + low).float()


def _centred(shape: tuple[int, ...], std: float, rng: Generator) -> Tensor:
    """Uniform numbers with this standard deviation; each row sums to zero."""
    # Multiples of 2^-24 below one: their sums in float64 are exact, in any order of addition.
    units = torch.rand(shape, generator=rng, dtype=torch.float32).double().flatten(1)
    return ((units - units.mean(1, keepdim=True)) * (std * math.sqrt(12))).float().reshape(shape)
