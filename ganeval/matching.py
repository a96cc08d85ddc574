"""Which classes of two labelled sets are the same: those of one name, or of one number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ganeval.sources.files import class_numbers


@dataclass(frozen=True, slots=True)
class Labelled:
    """The class of every image, int64 [N]; names: of classes 0, 1, ..., where they have any."""

    labels: Tensor
    names: Sequence[str] | None = None

    @property
    def numbers(self) -> Sequence[int] | None:
        """What the classes are numbered by where their names are whole numbers, else None."""
        return None if self.names is None else class_numbers(self.names)

    def renumbered(self, numbers: Sequence[int]) -> Tensor:
        """The labels with a number of its own for each of the names."""
        return torch.tensor(numbers)[self.labels]


@dataclass(frozen=True, slots=True)
class Matched:
    """The classes of both sets under the same numbers.

    real, fake: int64 [N] and [M]. names: of those numbers that stand for one. caveat: what was taken for granted.
    """

    real: Tensor
    fake: Tensor
    names: Mapping[int, str] = field(default_factory=dict)
    caveat: str | None = None


def matched(real: Labelled, fake: Labelled) -> Matched:
    """By name where both sets have names, and by number where these are numbers or a set has no names.

    Numbers that can only be places among the other set's names are taken for that, with a caveat.
    """
    if real.names is not None and fake.names is not None:
        return _by_name(real, real.names, fake, fake.names)
    sides, caveat = {"reals": real, "fakes": fake}, None
    labels, names = {which: side.labels for which, side in sides.items()}, {}
    for which, side in sides.items():
        if side.names is None:
            continue
        other, bare = next(item for item in sides.items() if item[0] != which)
        if side.numbers is not None and _are_numbers(bare.labels, side.numbers):
            labels[which] = side.renumbered(side.numbers)
        else:
            names, caveat = dict(enumerate(side.names)), _caveat(which, side.names, other)
    return Matched(labels["reals"], labels["fakes"], names, caveat)


def _by_name(real: Labelled, real_names: Sequence[str], fake: Labelled, fake_names: Sequence[str]) -> Matched:
    """Classes of the fakes alone come after those of the reals."""
    if real.numbers is not None and fake.numbers is not None:
        return Matched(real.renumbered(real.numbers), fake.renumbered(fake.numbers))
    places = {name: place for place, name in enumerate(dict.fromkeys((*real_names, *fake_names)))}
    renumbered = fake.renumbered([places[name] for name in fake_names])
    return Matched(real.labels, renumbered, {place: name for name, place in places.items()})


def _are_numbers(labels: Tensor, numbers: Sequence[int]) -> bool:
    """Whether labels mean these numbers; places among them are 0, 1, ..., and some not among the numbers themselves."""
    found = set(labels.tolist())
    return found <= set(numbers) or not found <= set(range(len(numbers)))


def _caveat(which: str, names: Sequence[str], other: str) -> str:
    shown = ", ".join(f"{place} for '{name}'" for place, name in enumerate(names[:2]))
    return (
        f"The classes of the {which} have names and those of the {other} have numbers alone: number {shown} and so on "
        "was taken, in the order of the names. Where they mean something else, name the class folders by their numbers."
    )
