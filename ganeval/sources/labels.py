"""The class of every image of a set, and where it was read from: for folders, archives, lists and arrays.

Classes are numbered 0 to C - 1 without gaps; the data's own class names are kept. If labels are invalid
(a label of -1, an image without an entry), the set has no labels, and the reason is kept: this is an error only if
labels are needed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganeval.errors import SourceError
from ganeval.sources.files import class_numbers

# Maximum size of a file that holds one class number.
MAX_CLASS_BYTES = 32


class NoClassError(Exception):
    """Why a value is not a class; the message continues the image's name."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """What is known about the classes of a set.

    labels: one class per image, 0 to C - 1, None where unknown. class_names: of classes 0 to C - 1; None where these
    are just the numbers. origin: where labels were read from. obstacle: why existing labels cannot be used.
    """

    labels: Sequence[int] | None = None
    class_names: tuple[str, ...] | None = None
    origin: str | None = None
    obstacle: str | None = None

    def describe(self) -> dict[str, object]:
        """For the provenance: `labels`: where they were read from, or `unlabelled`: why there are none."""
        if self.labels is not None:
            return {} if self.origin is None else {"labels": self.origin}
        return {} if self.obstacle is None else {"unlabelled": self.obstacle}


def by_name(names: Sequence[str], origin: str, *, folders: bool = False) -> Labelling:
    """Labels from one class name per image.

    Classes are in numerical order where all names are whole numbers, and otherwise in the plain sorted order of
    torchvision's ImageFolder. folders: the names are those of folders, and are kept even if they are 0, 1, ...
    """
    known = sorted(set(names))
    if class_numbers(known) is not None:
        known.sort(key=int)
    plain = not folders and known == [str(number) for number in range(len(known))]
    places = {name: place for place, name in enumerate(known)}
    return Labelling([places[name] for name in names], None if plain else tuple(known), origin)


def by_value(values: Mapping[str, object] | Iterable[tuple[str, object]], origin: str) -> Labelling:
    """Labels from (image name, label) pairs in the order of the images; if one is invalid, the reason instead."""
    pairs = values.items() if isinstance(values, Mapping) else values
    names = []
    for image, value in pairs:
        try:
            names.append(class_of(value))
        except NoClassError as error:
            return Labelling(obstacle=f"{origin}: {image} {error}")
    return by_name(names, origin)


def class_of(value: object) -> str:
    """The class name of a label: a whole number from 0, a text, or a one-hot vector.

    Raises NoClassError for a vector that is not one-hot, a negative or fractional number, and an empty label.
    """
    if isinstance(value, list | tuple):
        return _hot(value)
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if text.lstrip("-").isdecimal() and len(text) < 20 else text
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, str) and not value):
        raise NoClassError("has no label")
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise NoClassError(f"has the label {_short(value)}; a class is a whole number from 0, or a name")
    if value < 0:
        raise NoClassError(f"has the label {value}; classes are counted from 0")
    return str(value)


def from_array(values: NDArray[Any], count: int, origin: str) -> Labelling:
    """Labels of `count` images in an array: whole numbers of any type, [N] or [N, 1], or one-hot vectors [N, C]."""
    if values.dtype.kind not in "iuf" or values.ndim not in (1, 2):
        return Labelling(obstacle=f"{origin} is {values.dtype} {list(values.shape)}, not one whole number per image")
    if len(values) != count:
        return Labelling(obstacle=f"{origin} has {len(values)} labels, and there are {count} images")
    if values.ndim == 2 and values.shape[1] != 1:
        hot = values == 1
        if not ((hot.sum(1) == 1) & ((values != 0).sum(1) == 1)).all():
            return Labelling(obstacle=f"{origin} has vectors of {values.shape[1]} numbers that are not one-hot")
        return _numbered(hot.argmax(1), origin)
    numbers = values.reshape(-1)
    wrong = numbers < 0
    if numbers.dtype.kind == "f":
        numbers = numbers.astype(np.float64)
        # Whole numbers up to 2^53 are exact.
        wrong = wrong | (numbers != np.rint(numbers)) | (np.abs(numbers) > 1 << 53)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        return Labelling(obstacle=f"{origin}[{first}] is {numbers[first]:.12g}; a class is a whole number from 0")
    return _numbered(numbers.astype(np.int64) if numbers.dtype.kind == "f" else numbers, origin)


def from_numbers(numbers: Sequence[int], origin: str) -> Labelling:
    """Labels from one whole number per image."""
    return from_array(np.asarray(numbers, dtype=np.int64), len(numbers), origin)


def _numbered(numbers: NDArray[Any], origin: str) -> Labelling:
    known, labels = np.unique(numbers, return_inverse=True)
    plain = bool((known == np.arange(len(known))).all())
    listed: list[int] = labels.reshape(-1).tolist()
    return Labelling(listed, None if plain else tuple(str(number) for number in known.tolist()), origin)


def with_names(labels: Labelling, names: tuple[str, ...]) -> Labelling:
    """Add names to the classes 0, 1, ..., if every class with an image has a name."""
    if not labels.labels or not names:
        return labels
    numbers = range(max(labels.labels) + 1) if labels.class_names is None else [int(one) for one in labels.class_names]
    if max(numbers) >= len(names):
        return labels
    return replace(labels, class_names=tuple(names[number] for number in numbers))


def _hot(vector: Sequence[object]) -> str:
    numbers = [value for value in vector if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) != len(vector) or sorted(numbers)[-1:] != [1] or sum(value != 0 for value in numbers) != 1:
        raise NoClassError(f"has a vector of {len(vector)} numbers for a label, which is not one-hot")
    return str(numbers.index(1))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def read_class_number(data: bytes, where: str) -> int:
    """The class in a WebDataset `.cls` file; SourceError for anything but a whole number."""
    text = data.strip()[:MAX_CLASS_BYTES]
    try:
        number = int(text)
    except ValueError as error:
        raise SourceError(f"{where}: a .cls member must hold a class number, found {text!r}.") from error
    # Labels are int64.
    if len(text) == MAX_CLASS_BYTES or not -(1 << 63) <= number < 1 << 63:
        raise SourceError(f"{where}: a .cls member must hold a class number below 2^63, found {text!r}.")
    return number
