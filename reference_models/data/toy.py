"""Mixtures of Gaussians in the plane, for counting the modes that a generator covers.

A point is an image of 1 pixel with 2 channels, so models that treat images as vectors of pixels (the perceptrons) learn
points without modification. Points lie in the unit square, the range of these models.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.metrics import Modes, modes_covered
from reference_models.base import GAN, Logs, Model, tools_for
from reference_models.batches import Batch, Data

WITHIN = 3  # standard deviations from a mode within which a sample counts


@dataclass(frozen=True, slots=True)
class Mixture:
    """Equally likely isotropic Gaussians. centres: in the unit square; deviation: standard deviation on each axis."""

    centres: tuple[tuple[float, float], ...]
    deviation: float

    @property
    def data(self) -> Data:
        """The data for a model: 1 pixel, 2 channels, one class per mode."""
        return Data(channels=2, resolution=1, classes=len(self.centres))

    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """float32 [n, 2, 1, 1], and the mode of each."""
        modes = torch.randint(len(self.centres), (n,), generator=rng)
        points = torch.tensor(self.centres)[modes] + self.deviation * torch.randn(n, 2, generator=rng)
        return Batch(points.view(n, 2, 1, 1), modes)


def ring(modes: int = 8, *, deviation: float = 0.02) -> Mixture:
    """A mixture with centres on a circle of radius 0.4."""
    angles = [2 * math.pi * mode / modes for mode in range(modes)]
    return Mixture(tuple((0.5 + 0.4 * math.cos(at), 0.5 + 0.4 * math.sin(at)) for at in angles), deviation)


def grid(side: int = 5, *, deviation: float = 0.02) -> Mixture:
    """A mixture with side x side centres, from 0.1 to 0.9 along each axis."""
    places = [0.1 + 0.8 * place / (side - 1) for place in range(side)]
    return Mixture(tuple((x, y) for x in places for y in places), deviation)


def coverage(mixture: Mixture, points: Tensor) -> Modes:
    """float [N, 2] or [N, 2, 1, 1] => the modes with a point within three standard deviations."""
    return modes_covered(points.detach().flatten(1), torch.tensor(mixture.centres), WITHIN * mixture.deviation)


def covered_by(model: GAN, mixture: Mixture, *, samples: int = 2500, seed: int = 0) -> Modes:
    """The modes that samples of a model cover; its training mode is restored."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % len(mixture.centres) if model.conditional else None
    training = model.training
    model.eval()
    with torch.no_grad():
        points = model.generate(model.latent(samples, rng=rng), labels)
    model.train(training)
    return coverage(mixture, points)


def learn(
    model: Model, mixture: Mixture, *, steps: int, seed: int = 0, watch: Callable[[int, Logs], None] | None = None
) -> None:
    """Train a model on new points at every update. watch: called with the number and the logs of every step."""
    rng = torch.Generator().manual_seed(seed)
    tools = tools_for(model, draw=lambda: mixture.sample(model.recipe.batch, rng), rng=rng)
    for step in range(steps):
        logs = model.step(step, tools)
        if watch is not None:
            watch(step, logs)
