"""Controlled damage to images: a function takes one draw of the data and a strength, and returns the fakes to score."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

Random = np.random.RandomState


@dataclass(frozen=True, slots=True)
class Labelled:
    """Images uint8 [N, C, H, W] with classes int64 [N]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor) -> "Labelled":
        return Labelled(self.images[rows], self.labels[rows])

    def plus(self, other: "Labelled") -> "Labelled":
        """These images, followed by the others."""
        return Labelled(torch.cat([self.images, other.images]), torch.cat([self.labels, other.labels]))


@dataclass(frozen=True, slots=True)
class Draw:
    """Three sets of different images of one kind: reals, undamaged fakes, and spare images for more fakes."""

    reals: Labelled
    fakes: Labelled
    spare: Labelled

    @classmethod
    def of(cls, everything: Labelled, *, reals: int, fakes: int, rng: Random) -> "Draw":
        """A random split; the remaining images are spare."""
        order = torch.from_numpy(rng.permutation(len(everything)))
        return cls(*(everything[part] for part in order.tensor_split([reals, reals + fakes])))


def another_draw(draw: Draw, strength: float, rng: Random) -> Labelled:  # noqa: ARG001
    """No damage: other images of the same kind, as a control."""
    return draw.spare[_some(len(draw.spare), len(draw.fakes), rng)]


def drop_classes(draw: Draw, strength: float, rng: Random) -> Labelled:
    """strength: how many classes are missing; the others fill their places."""
    everything = draw.fakes.plus(draw.spare)
    missing = torch.from_numpy(rng.permutation(np.unique(everything.labels.numpy()))[: int(strength)])
    return everything[torch.where(~torch.isin(everything.labels, missing))[0][: len(draw.fakes)]]


def unbalance(draw: Draw, strength: float, rng: Random) -> Labelled:
    """strength: ratio of the commonest class's share to the rarest's; the others are evenly spaced on a log scale."""
    everything = draw.fakes.plus(draw.spare)
    classes = rng.permutation(np.unique(everything.labels.numpy()))
    shares = strength ** -np.linspace(0, 1, len(classes))
    counts = np.round(len(draw.fakes) * shares / shares.sum()).astype(int)
    counts[0] += len(draw.fakes) - counts.sum()
    rows = [torch.where(everything.labels == k)[0][:count] for k, count in zip(classes, counts, strict=True)]
    return everything[torch.cat(rows)]


def duplicate(draw: Draw, strength: float, rng: Random) -> Labelled:
    """strength: the share of fakes that are copies of other fakes."""
    fakes = draw.fakes
    copies = _some(len(fakes), round(strength * len(fakes)), rng)
    others = torch.from_numpy(np.setdiff1d(np.arange(len(fakes)), copies.numpy()))
    return _put(fakes, copies, fakes[others[torch.from_numpy(rng.randint(len(others), size=len(copies)))]])


def memorise(draw: Draw, strength: float, rng: Random) -> Labelled:
    """strength: the share of fakes that are copies of reals."""
    rows = _some(len(draw.fakes), round(strength * len(draw.fakes)), rng)
    return _put(draw.fakes, rows, draw.reals[_some(len(draw.reals), len(rows), rng)])


def invent(draw: Draw, strength: float, rng: Random) -> Labelled:
    """strength: the share of fakes that are blends of two images of different classes."""
    fakes = draw.fakes
    rows = _some(len(fakes), round(strength * len(fakes)), rng)
    others = [int(rng.choice(torch.where(fakes.labels != fakes.labels[row])[0].numpy())) for row in rows]
    both = torch.maximum(fakes.images[rows], fakes.images[torch.tensor(others)])
    return _put(fakes, rows, Labelled(both, fakes.labels[rows]))


def mislabel(draw: Draw, strength: float, rng: Random) -> Labelled:
    """strength: the share of fakes whose class differs from the requested one."""
    fakes = draw.fakes
    rows = _some(len(fakes), round(strength * len(fakes)), rng)
    classes = torch.from_numpy(np.unique(fakes.labels.numpy()))
    place = torch.searchsorted(classes, fakes.labels[rows])
    moved = (place + torch.from_numpy(rng.randint(1, len(classes), size=len(rows)))) % len(classes)
    return _put(fakes, rows, Labelled(fakes.images[rows], classes[moved]))


def blur(draw: Draw, strength: float, rng: Random) -> Labelled:  # noqa: ARG001
    """strength: standard deviation of the Gaussian, in pixels."""
    blurred = functional.gaussian_blur(draw.fakes.images, [5, 5], [strength, strength])
    return replace(draw.fakes, images=blurred)


def add_noise(draw: Draw, strength: float, rng: Random) -> Labelled:
    """strength: standard deviation of the noise, as a share of the range."""
    images = draw.fakes.images
    noise = torch.from_numpy(rng.randn(*images.shape)) * (255 * strength)
    return replace(draw.fakes, images=(images + noise).round().clamp(0, 255).to(torch.uint8))


def compress(draw: Draw, strength: float, rng: Random) -> Labelled:  # noqa: ARG001
    """strength: JPEG's quality."""
    found = []
    for image in draw.fakes.images:
        kept = BytesIO()
        functional.to_pil_image(image).save(kept, "JPEG", quality=int(strength))
        found.append(functional.pil_to_tensor(Image.open(kept)))
    return replace(draw.fakes, images=torch.stack(found))


def shift_colour(draw: Draw, strength: float, rng: Random) -> Labelled:  # noqa: ARG001
    """strength: the amount added to red and subtracted from blue, as a share of the range."""
    shift = torch.tensor([1.0, 0.0, -1.0])[:, None, None] * (255 * strength)
    return replace(draw.fakes, images=(draw.fakes.images + shift).round().clamp(0, 255).to(torch.uint8))


@dataclass(frozen=True, slots=True)
class Damage:
    """One kind of damage, at three strengths from mild to strong, with their unit."""

    apply: Callable[[Draw, float, Random], Labelled]
    strengths: tuple[float, ...]
    unit: str


CONTROL = "another draw"
DAMAGES: Mapping[str, Damage] = MappingProxyType(
    {
        CONTROL: Damage(another_draw, (0,), "nothing is wrong"),
        "dropped classes": Damage(drop_classes, (1, 3, 5), "classes of ten"),
        "imbalance": Damage(unbalance, (2, 4, 10), "commonest class over rarest"),
        "duplicates": Damage(duplicate, (0.1, 0.3, 0.6), "share of fakes"),
        "memorised": Damage(memorise, (0.1, 0.3, 0.6), "share of fakes"),
        "blur": Damage(blur, (0.4, 0.6, 1.0), "pixels"),
        "noise": Damage(add_noise, (0.05, 0.1, 0.2), "share of the range"),
        "JPEG": Damage(compress, (60, 20, 5), "quality"),
        "invented modes": Damage(invent, (0.03, 0.1, 0.3), "share of fakes"),
        "wrong labels": Damage(mislabel, (0.03, 0.1, 0.3), "share of fakes"),
        "colour shift": Damage(shift_colour, (0.02, 0.05, 0.15), "share of the range"),
    }
)
# Applied to patches of photographs; all others are applied to digits.
IN_COLOUR = ("colour shift",)


def _some(count: int, wanted: int, rng: Random) -> Tensor:
    return torch.from_numpy(rng.permutation(count)[:wanted])


def _put(fakes: Labelled, rows: Tensor, others: Labelled) -> Labelled:
    """The fakes with some of them replaced."""
    return Labelled(fakes.images.index_copy(0, rows, others.images), fakes.labels.index_copy(0, rows, others.labels))
