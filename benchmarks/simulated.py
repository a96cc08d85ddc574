"""Two simulated distributions of features, and every metric over many draws of both.

Like those of a network, the features are rectified and correlated, have a decaying spectrum, and belong to several
classes. Logits are linear in the features, spatial features are every second feature, and images are sums of smooth
patterns whose amplitudes are the first few features. Three cases: the same distribution twice, a slightly different
one, and a clearly different one.
"""

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from ganeval.errors import MetricError
from ganeval.metrics import METRICS
from ganeval.testing import PixelNetwork
from ganeval.uncertainty import Estimate

CASES = ("alike", "near", "far")
CLASSES = 8
# The spread of logits: confident, but not always correct.
CONFIDENCE = 3
# Pixels along a side, and how many patterns images are made of.
PIXELS, PATTERNS = 12, 8
# Cheaper options (training, permutations, directions, frequencies, pairs). Error bars are for values at these options.
OPTIONS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "c2st_1nn": {"permutations": 199},
        "c2st_mlp": {"steps": 50},
        "fkea": {"features": 50},
        "ken": {"features": 50},
        "rrke": {"features": 50},
        "mind": {"projections": 200},
        "ms_ssim_diversity": {"pairs": 100},
        "lpips_diversity": {"pairs": 100},
    }
)


@dataclass(frozen=True, slots=True)
class Setting:
    """Images in each set, dimensions, and draws per run of the benchmark."""

    count: int
    dimensions: int
    draws: int

    def __str__(self) -> str:
        return f"2 x {self.count} x {self.dimensions}"


@dataclass(frozen=True, slots=True)
class Sample:
    """features: float32 [N, D]. labels: int64 [N]."""

    features: Tensor
    labels: Tensor

    def first(self, count: int) -> "Sample":
        """The first `count` images."""
        return Sample(self.features[:count], self.labels[:count])


class Simulated:
    """The reals' and the fakes' distribution in a case; equal ones give equal draws."""

    def __init__(self, dimensions: int, case: str) -> None:
        self.rng = torch.Generator().manual_seed(0)
        mix = self._normal(dimensions, dimensions) / torch.arange(1, dimensions + 1) ** 0.7
        noise = mix.std() * self._normal(dimensions, dimensions)
        other = {"alike": mix, "near": mix + 0.15 * noise, "far": 1.3 * mix + 0.5 * noise}[case]
        self.mixes, self.centres = (mix, other), self._normal(CLASSES, dimensions)
        known = self._sample(mix, 10_000)
        self.centre = known.features.mean(0)
        means = torch.stack([known.features[known.labels == label].mean(0) for label in range(CLASSES)])
        self.head = (means - self.centre).T
        self.head *= CONFIDENCE / ((known.features - self.centre) @ self.head).std()
        waves = math.pi * torch.linspace(0, 1, PIXELS)[:, None] * torch.arange(PATTERNS)
        self.patterns = torch.einsum("yp,xp->pyx", waves.cos(), waves.sin()).repeat(1, 3, 1).flatten(1)

    def draw(self, count: int) -> list[Sample]:
        """Draw `count` reals and `count` fakes."""
        return [self._sample(mix, count) for mix in self.mixes]

    def measure(self, name: str, sides: list[Sample]) -> Mapping[str, Estimate]:
        """Estimates of a metric and of the rest of its family, by name."""
        row = METRICS[name]
        needed = [(side, output) for side, output in zip(sides, (row.real, row.fake), strict=True) if output]
        options: dict[str, object] = dict(OPTIONS.get(name, {}))
        if "real_labels" in inspect.signature(row.compute).parameters:
            options |= {"real_labels": sides[0].labels, "fake_labels": sides[1].labels}
        if "network" in inspect.signature(row.compute).parameters:
            options["network"] = PixelNetwork()
        found = row.compute(*(self._output(side.features, output) for side, output in needed), **options)
        return {name: found} if isinstance(found, Estimate) else found

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.rng)

    def _sample(self, mix: Tensor, count: int) -> Sample:
        labels = torch.randint(CLASSES, (count,), generator=self.rng)
        return Sample(((self._normal(count, len(mix)) + self.centres[labels]) @ mix.T + 0.2).relu(), labels)

    def _output(self, features: Tensor, output: str) -> Tensor:
        if output == "logits":
            return (features - self.centre) @ self.head
        if output == "images":
            return ((features - self.centre)[:, :PATTERNS] @ self.patterns).sigmoid()
        return features[:, ::2] if output == "spatial" else features


def drawn(setting: Setting, case: str, runs: int, names: Sequence[str] = tuple(METRICS)) -> dict[str, list[Estimate]]:
    """Estimates of metrics, one per draw; empty for a metric that refuses sets of this size.

    Which metrics are measured does not change the draws.
    """
    simulated = Simulated(setting.dimensions, case)
    found: dict[str, list[Estimate]] = {name: [] for name in names}
    for _ in range(setting.draws * runs):
        sides = simulated.draw(setting.count)
        for family in _families(names):
            for name, estimate in _measured(simulated, family, sides).items():
                if name in found:
                    found[name].append(estimate)
    return found


def _measured(simulated: Simulated, name: str, sides: list[Sample]) -> Mapping[str, Estimate]:
    try:
        return simulated.measure(name, sides)
    except MetricError:
        return {}


def _families(names: Sequence[str]) -> Iterator[str]:
    """One name for each family of these metrics, and each metric without a family."""
    yield from {METRICS[name].family or name: name for name in names}.values()
