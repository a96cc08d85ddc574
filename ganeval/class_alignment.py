"""Match the classes of two labelled sets, by name or by number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ganeval.sources.files import class_numbers


@dataclass(frozen=True, slots=True)
class AlignedClasses:
    """The labels of two sets with the same numbering of classes.

    Attributes:
        real: int64 [N], the class of every real image.
        fake: int64 [M], the class of every fake image.
        names: The names of classes, by number; only of those that have a name.
        caveat: What was assumed; None if nothing was.
    """

    real: Tensor
    fake: Tensor
    names: Mapping[int, str] = field(default_factory=dict)
    caveat: str | None = None


def align_classes(
    real: Tensor,
    fake: Tensor,
    *,
    real_names: Sequence[str] | None = None,
    fake_names: Sequence[str] | None = None,
) -> AlignedClasses:
    """Align by name where both sets have names; by number where the names are numbers, or one set has no names.

    Numbers that can only be positions in the other set's list of names are treated as positions, with a caveat.

    Args:
        real: int64 [N], the class of every real image.
        fake: int64 [M], the class of every fake image.
        real_names: Names of classes 0, 1, ... of the reals; None without names.
        fake_names: The same for the fakes.

    >>> align_classes(torch.tensor([0, 1]), torch.tensor([0]), real_names=["cat", "dog"], fake_names=["dog"]).fake
    tensor([1])
    """
    if real_names is not None and fake_names is not None:
        return _by_name(real, real_names, fake, fake_names)
    labels, known, caveat = {"reals": real, "fakes": fake}, dict[int, str](), None
    for which, names, other in (("reals", real_names, "fakes"), ("fakes", fake_names, "reals")):
        if names is None:
            continue
        numbers = class_numbers(names)
        if numbers is not None and _are_numbers(labels[other], numbers):
            labels[which] = torch.tensor(numbers)[labels[which]]
        else:
            known, caveat = dict(enumerate(names)), _caveat(which, names, other)
    return AlignedClasses(labels["reals"], labels["fakes"], known, caveat)


def _by_name(real: Tensor, real_names: Sequence[str], fake: Tensor, fake_names: Sequence[str]) -> AlignedClasses:
    """Match classes by name; those that only the fakes have come after those of the reals."""
    real_numbers, fake_numbers = class_numbers(real_names), class_numbers(fake_names)
    if real_numbers is not None and fake_numbers is not None:
        return AlignedClasses(torch.tensor(real_numbers)[real], torch.tensor(fake_numbers)[fake])
    places = {name: place for place, name in enumerate(dict.fromkeys((*real_names, *fake_names)))}
    renumbered = torch.tensor([places[name] for name in fake_names])[fake]
    return AlignedClasses(real, renumbered, {place: name for name, place in places.items()})


def _are_numbers(labels: Tensor, numbers: Sequence[int]) -> bool:
    """Whether labels are these numbers, not positions: if all are among them, or not all could be positions."""
    found = set(labels.tolist())
    return found <= set(numbers) or not found <= set(range(len(numbers)))


def _caveat(which: str, names: Sequence[str], other: str) -> str:
    """The warning about numbers that were treated as positions in the list of names."""
    shown = ", ".join(f"{place} for '{name}'" for place, name in enumerate(names[:2]))
    return (
        f"The classes of the {which} have names and those of the {other} only numbers: number {shown} and so on "
        "was taken, in the order of the names. Where they mean something else, name the class folders by their numbers."
    )
