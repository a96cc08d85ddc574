"""Class names: match a word, or a class of another data set, to a class of a model."""

from collections.abc import Sequence

# Labels are int64; longer numbers are treated as names.
_DIGITS = 18


def find_class(word: str, names: Sequence[str]) -> int | None:
    """The index of a class among names; None if it is not among them.

    A class is found by its name, or by its number if names are whole numbers ("01" is "1"). A number is taken as an
    index, from 0, only if no name is a number.
    """
    if word in names:
        return names.index(word)
    number = _number(word)
    if number is None:
        return None
    numbers = {_number(name): place for place, name in enumerate(names)}
    if set(numbers) == {None}:
        return number if number < len(names) else None
    return numbers.get(number)


def _number(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() and len(word) <= _DIGITS else None


def listed(names: Sequence[str], most: int = 10) -> str:
    """Names in a message: the first ones, and how many there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"
