"""Find the line of each key of a TOML text, which the standard library's parser does not report."""

from collections.abc import Iterator, Mapping
from typing import Any

from ganeval.documents import DocumentError, parse_toml

KeyPath = tuple[str, ...]


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line of every table and key of a valid TOML text, by full name.

    Each line is parsed on its own, so quoted, dotted and inline keys are found as well.

    Args:
        text: The document.

    Returns:
        Line numbers from 1; the first occurrence of a repeated name.

    >>> key_lines('[fid]\\nmax = 12\\n[kid]\\nworse_by = "5%"')
    {('fid',): 1, ('fid', 'max'): 2, ('kid',): 3, ('kid', 'worse_by'): 4}
    """
    found: dict[KeyPath, int] = {}
    header: KeyPath = ()
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        places = list(_places(_alone(line)))
        if line.lstrip().startswith("["):
            # A line that continues a multi-line value may begin with "[" too, and is not a table.
            header = places[-1] if places else header
            prefix: KeyPath = ()
        else:
            prefix = header
        for place in places:
            found.setdefault(prefix + place, number)
    return found


def _alone(line: str) -> dict[str, Any]:
    """The tables and keys of one line; only the key if its value continues on the next lines."""
    for candidate in (line, f"{line.partition('=')[0]}= 0"):
        try:
            return parse_toml(candidate)
        except DocumentError:
            continue
    return {}


def _places(table: Mapping[str, Any]) -> Iterator[KeyPath]:
    """Every key of a table, with the keys that contain it before it."""
    for key, value in table.items():
        yield (key,)
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        if isinstance(inner, dict):
            yield from ((key, *rest) for rest in _places(inner))
