"""Perceptual path length: how abruptly a generator's images change along a path between two latents.

Published numbers are of two kinds that are not comparable, so each is a protocol:

- "stylegan3": of StyleGAN2-ADA and StyleGAN3, also written PPL2-wend. Steps are linear, in the space of the mapping
  network's outputs w; images are averaged down to 256 pixels if they are larger, and not rounded.
- "torch-fidelity": steps are linear, in the space of latents z; images are rounded to 8 bits and resized to 64 pixels.
"""

import hashlib
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ganeval.devices import find_device
from ganeval.errors import GeneratorError, UsageError, did_you_mean
from ganeval.extractors import open_lpips
from ganeval.images import declared_range, to_uint8
from ganeval.metrics.lpips import feature_distance
from ganeval.processes import processes
from ganeval.progress import Progress, silent
from ganeval.provenance import versions_and_time
from ganeval.ranges import ValueRange
from ganeval.results import Evaluation, MetricResult
from ganeval.settings import Settings
from ganeval.sources import open_source
from ganeval.sources.base import part_of
from ganeval.sources.generator import GeneratorSource, chunk_seed
from ganeval.sources.python import load_python
from ganeval.sources.sandbox import Sandbox
from ganeval.uncertainty import normal_interval

# Paths per call of the generator. It is fixed, because the latents depend on how many are drawn at once.
CHUNK = 16
NUM_SAMPLES = 50_000
# The share of the shortest and of the longest steps that published numbers leave out.
TRIMMED = 0.01
# From this step length on, the rounding of to_uint8 does not dominate the difference between both ends.
ROUNDED_EPSILON = 1e-2


@runtime_checkable
class LatentGenerator(Protocol):
    """A generator that can draw latents and make images from given latents.

    It may also have `num_classes`, `value_range` and `device`, as every generator, and a mapping network::

        mapping(z, labels) -> w [n, ...]        synthesis(w) -> images
    """

    @abstractmethod
    def latent(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw latents.

        Args:
            n: Number of latents.
            rng: The source of all randomness, on the generator's device.

        Returns:
            Floats ``[n, ...]``.
        """
        ...

    @abstractmethod
    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images of latents.

        Args:
            z: Latents ``[n, ...]``.
            labels: Classes, int64 ``[n]``; None for an unconditional generator.

        Returns:
            Images ``[n, 1 or 3, H, W]``.
        """
        ...


@dataclass(frozen=True, slots=True)
class PathProtocol:
    """How one family of published numbers is measured.

    Attributes:
        name: The name that selects it.
        reproduces: The tools.
        space: Where a step is taken: "w", the outputs of the mapping network, or "z", the latents.
        size: Images are compared at this size.
        enlarges: Whether smaller images are enlarged to it.
        rounded: Whether images are rounded to 8 bits before they are compared.
    """

    name: str
    reproduces: str
    space: str
    size: int
    enlarges: bool
    rounded: bool

    @property
    def preprocessing(self) -> str:
        """A description that changes when the preprocessing changes."""
        sizes = f"area or bilinear to {self.size}" if self.enlarges else f"means of blocks down to {self.size}"
        return f"steps in {self.space}; {'rounded; ' if self.rounded else ''}{sizes}"

    def prepared(self, images: Tensor) -> Tensor:
        """float32 [n, 1 or 3, H, W] on -1..1 at the size at which they are compared."""
        height, width = images.shape[2:]
        if self.enlarges:
            smaller = min(height, width) > self.size
            size = (self.size, self.size)
            if smaller:
                return F.interpolate(images, size, mode="area")
            return F.interpolate(images, size, mode="bilinear", align_corners=False)
        factor = height // self.size
        if factor <= 1:
            return images
        if height % factor or width % factor:
            raise UsageError(
                f"The protocol {self.name} averages blocks of {factor} x {factor} pixels, which do not fit into images "
                f"of {width} x {height}."
            )
        return F.avg_pool2d(images, factor)


PATH_PROTOCOLS: Mapping[str, PathProtocol] = MappingProxyType(
    {
        one.name: one
        for one in (
            PathProtocol(
                "stylegan3",
                "StyleGAN2-ADA and StyleGAN3: ppl2_wend",
                space="w",
                size=256,
                enlarges=False,
                rounded=False,
            ),
            PathProtocol("torch-fidelity", "torch-fidelity's ppl", space="z", size=64, enlarges=True, rounded=True),
        )
    }
)


def perceptual_path_length(
    generator: object,
    *,
    protocol: str = "torch-fidelity",
    network: str = "vgg",
    num_samples: int = NUM_SAMPLES,
    epsilon: float = 1e-4,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> Evaluation:
    """Perceptual path length of a generator with latents: the mean LPIPS of a small step, over its squared length.

    With a and b two latents, or the outputs of the mapping network for them, and d = LPIPS::

        PPL = mean of d(G(a), G(a + epsilon (b - a))) / epsilon^2,  of the steps from the 1st to the 99th percentile

    Numbers of different protocols, epsilons, networks or image sizes are not comparable, and comparisons of them are
    refused.

    Args:
        generator: A live generator with `latent` and `generate` (`LatentGenerator`), or a spec of one: "ckpt:RUN",
            "py:FILE.py:NAME".
        protocol: "stylegan3", which needs a mapping network, or "torch-fidelity".
        network: The network of LPIPS, as `ganeval.extractors.open_lpips` opens it; published numbers are of "vgg".
        num_samples: Steps; published numbers are of 50,000.
        epsilon: Length of a step, as a share of the way to the other latent.
        seed: Of latents, classes and the generator's own noise.
        device: Where LPIPS runs: "auto", or torch's name of a device.
        progress: Shows the drawing.

    Returns:
        An Evaluation with the metric "ppl", lower is better, its standard error, and "z" or "w" in its options.

    Raises:
        UsageError: The generator has no latents or no mapping network, or an argument is not allowed.
        GeneratorError: The generator raises, or does not return images.
        WeightsError: The weights of LPIPS are missing.

    References:
        Karras, Laine and Aila 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks";
        Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN" (steps in w).

    >>> import torch
    >>> class Shades:
    ...     value_range = "[-1,1]"
    ...     def latent(self, n, rng):
    ...         return torch.rand(n, 1, generator=rng) * 2 - 1
    ...     def sample(self, n, *, labels=None, rng):
    ...         return self.generate(self.latent(n, rng))
    ...     def generate(self, z, labels=None):
    ...         return z.reshape(-1, 1, 1, 1).expand(-1, 3, 16, 16)
    >>> found = ganeval.perceptual_path_length(Shades(), network="alex:untrained", num_samples=20, epsilon=0.1)
    >>> found["ppl"].n_fake, found["ppl"].options["space"], found.comparable
    (20, 'z', False)
    """
    if protocol not in PATH_PROTOCOLS:
        raise UsageError(
            f"Unknown protocol '{protocol}' of path lengths; {did_you_mean(protocol, list(PATH_PROTOCOLS))}"
        )
    if not 0 < epsilon < 1:
        raise UsageError(f"epsilon is {epsilon:g}; it must be above 0 and below 1, and 1e-4 is usual.")
    chosen, settings = PATH_PROTOCOLS[protocol], Settings(seed=seed, num_samples=num_samples, device=device)
    assert settings.num_samples is not None
    walker = _Walker.of(generator, chosen)
    found_device = find_device(settings.device)
    trunk = open_lpips(network, device=found_device)
    team = processes()
    places = part_of(settings.num_samples, team.rank, team.size, CHUNK)

    distances = [torch.empty(0, dtype=torch.float64, device="cpu")]
    with team.together(), progress(walker.name, len(places)) as advance:
        for start, end in walker.steps(places, epsilon, settings.seed):
            one, other = (chosen.prepared(side.to(found_device)) for side in (start, end))
            distances.append(feature_distance(one, other, trunk).cpu() / epsilon**2)
            advance(len(start))
            team.check()
    found = team.gather(torch.cat(distances)).numpy()
    value, error, kept = trimmed_mean(found)
    notes = (
        (
            f"Images are rounded to 8 bits, as torch-fidelity rounds them, and a step of {epsilon:g} changes most of "
            "their values by less than that: rounding decides much of this value. A larger epsilon depends on it less.",
        )
        if chosen.rounded and epsilon < ROUNDED_EPSILON
        else ()
    )
    result = MetricResult(
        value=value,
        standard_error=error,
        interval=None if error is None else normal_interval(value, error, minimum=0.0),
        direction="lower",
        n_real=None,
        n_fake=len(found),
        method="trimmed mean" if error is not None else "no error bar for fewer than 2 steps",
        options={"space": chosen.space, "epsilon": epsilon, "network": network},
        details={"median": float(np.median(found)), "standard_deviation": float(found.std()), "kept": float(kept)},
        notes=notes,
    )
    return Evaluation(
        metrics={"ppl": result},
        provenance={
            "extractor": f"lpips:{network.partition(':')[0]}",
            "weights": network,
            "weights_sha256": _digest(trunk),
            "published_weights": trunk.caveat is None,
            "preprocessing": chosen.preprocessing,
            "protocol": f"ppl-{chosen.name}",
            "precision": "fp32",
            "dimensions": None,
            "device": found_device,
            "seed": settings.seed,
            "real": None,
            "fake": {"name": walker.name, "kind": GeneratorSource.kind, "count": len(found), "digest": None},
            **versions_and_time(),
        },
        comparable=trunk.caveat is None,
        warnings=() if trunk.caveat is None else (trunk.caveat,),
    )


def trimmed_mean(values: NDArray[np.float64]) -> tuple[float, float | None, int]:
    """The mean of values from the 1st to the 99th percentile, its standard error, and the number of these values.

    The lower percentile is the value below it, the upper one the value above it, as in the published code. The error is
    that of a trimmed mean: from the winsorised values (Tukey, McLaughlin 1963).
    """
    low = np.percentile(values, 100 * TRIMMED, method="lower")
    high = np.percentile(values, 100 * (1 - TRIMMED), method="higher")
    kept = values[(low <= values) & (values <= high)]
    if len(values) < 2:
        return float(kept.mean()), None, len(kept)
    spread = float(np.clip(values, low, high).std(ddof=1))
    return float(kept.mean()), spread / math.sqrt(len(values)) * len(values) / len(kept), len(kept)


def _digest(module: nn.Module) -> str:
    """SHA-256 of a module's parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Walker:
    """A generator with latents, and the steps between them."""

    generator: LatentGenerator
    name: str
    protocol: PathProtocol

    @classmethod
    def of(cls, generator: object, protocol: PathProtocol) -> "_Walker":
        """From a spec or an object; UsageError if it cannot take the protocol's steps."""
        opened, name = generator, type(generator).__name__
        if isinstance(generator, str) and generator.startswith("py:"):
            # Opened as a source of images, it would need the method sample.
            opened, name = load_python(generator.removeprefix("py:")), generator
        elif isinstance(generator, str):
            source, name = open_source(generator, num_samples=1), generator
            if not isinstance(source, GeneratorSource):
                raise UsageError(
                    f"{generator} holds images; path lengths are of generators: ckpt:RUN, or py:FILE.py:NAME."
                )
            opened = source.generator
        if not isinstance(opened, LatentGenerator):
            raise UsageError(
                f"{name} has no latents to move: a generator needs the methods latent(n, rng) and generate(z, labels)."
            )
        if protocol.space == "w" and not (hasattr(opened, "mapping") and hasattr(opened, "synthesis")):
            raise UsageError(
                f"{name} has no mapping network, in whose outputs the protocol {protocol.name} takes its steps: a "
                "generator needs the methods mapping(z, labels) and synthesis(w). torch-fidelity's protocol steps in z."
            )
        return cls(opened, name, protocol)

    def steps(self, places: range, epsilon: float, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images at both ends of steps, float32 [n, 1 or 3, H, W] on -1..1; places: begin at a multiple of CHUNK."""
        device = torch.device(getattr(self.generator, "device", "cpu"))
        classes = getattr(self.generator, "num_classes", None)
        for start in range(places.start, places.stop, CHUNK):
            size = min(CHUNK, places.stop - start)
            one = chunk_seed(seed, start // CHUNK)
            rng, sandbox = torch.Generator(device).manual_seed(one), Sandbox(self.generator, one)
            labels = None if classes is None else torch.randint(classes, (size,), generator=rng, device=device)
            try:
                with sandbox, torch.no_grad():
                    z = torch.cat([self.generator.latent(size, rng), self.generator.latent(size, rng)])
                    images = self._images(z, labels, epsilon)
            except Exception as error:
                # A user's generator may raise anything.
                raise GeneratorError(f"{self.name} raised {type(error).__name__}: {error}") from error
            first, second = self._checked(images, 2 * size).chunk(2)
            yield first, second

    def _images(self, z: Tensor, labels: Tensor | None, epsilon: float) -> Tensor:
        """The images at the start and at the end of each step, alternating."""
        twice = None if labels is None else torch.cat([labels, labels])
        if self.protocol.space == "z":
            start, end = z.chunk(2)
            return self.generator.generate(torch.cat([start, torch.lerp(start, end, epsilon)]), twice)
        mapping, synthesis = (getattr(self.generator, name) for name in ("mapping", "synthesis"))
        start, end = mapping(z, twice).chunk(2)
        # Both ends of a step have the same noise: the generator's, drawn once for each chunk.
        for module in Sandbox(self.generator, 0).modules:
            for name, buffer in module.named_buffers():
                if name.endswith("noise_const"):
                    buffer.copy_(torch.randn_like(buffer))
        images: Tensor = synthesis(torch.cat([start, torch.lerp(start, end, epsilon)]))
        return images

    def _checked(self, images: object, count: int) -> Tensor:
        """Images on -1..1, rounded if the protocol rounds; GeneratorError for anything else."""
        if not isinstance(images, Tensor) or images.ndim != 4 or len(images) != count or images.shape[1] not in (1, 3):
            found = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise GeneratorError(f"{self.name} returned {found}; expected [{count}, 1 or 3, height, width].")
        declared: ValueRange = declared_range(self.generator) or "uint8"
        if self.protocol.rounded or declared == "uint8":
            return to_uint8(images, declared, where=self.name).float() / 127.5 - 1
        if not images.isfinite().all():
            raise GeneratorError(f"{self.name} returned NaN or infinity.")
        scale, shift = _TO_ONE[declared]
        return images.float() * scale + shift


# Factor and offset that map a declared range to -1..1.
_TO_ONE: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"[-1,1]": (1.0, 0.0), "[0,1]": (2.0, -1.0), "[0,255]": (1 / 127.5, -1.0)}
)
