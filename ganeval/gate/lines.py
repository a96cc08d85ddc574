"""Which line of a TOML text each key stands on, which the standard library's parser does not tell."""

from collections.abc import Iterator, Mapping
from typing import Any

from ganeval.documents import DocumentError, parse_toml

Place = tuple[str, ...]


def key_lines(text: str) -> dict[Place, int]:
    """The lines, from 1, of every table and key of a valid TOML text, by their full names; of the first, if repeated.

    Every line is read on its own, by the real parser, so quoted, dotted and inline keys are found as well.

    >>> key_lines('[fid]\\nmax = 12\\n[kid]\\nworse_by = "5%"')
    {('fid',): 1, ('fid', 'max'): 2, ('kid',): 3, ('kid', 'worse_by'): 4}
    """
    found: dict[Place, int] = {}
    header: Place = ()
    for number, line in enumerate(text.split("\n"), start=1):
        places = list(_places(_alone(line)))
        if line.lstrip().startswith("["):
            # What continues a value on lines of its own may look like this, and is no table.
            header = places[-1] if places else header
            prefix: Place = ()
        else:
            prefix = header
        for place in places:
            found.setdefault(prefix + place, number)
    return found


def _alone(line: str) -> dict[str, Any]:
    """One line's tables and keys; where its value goes on in the next lines, the key alone."""
    for candidate in (line, f"{line.partition('=')[0]}= 0"):
        try:
            return parse_toml(candidate)
        except DocumentError:
            continue
    return {}


def _places(table: Mapping[str, Any]) -> Iterator[Place]:
    """Every key, with those it lies in before it."""
    for key, value in table.items():
        yield (key,)
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        if isinstance(inner, dict):
            yield from ((key, *rest) for rest in _places(inner))
