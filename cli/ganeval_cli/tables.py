"""Plain text tables."""

from collections.abc import Iterable, Sequence

from ganeval.numbers import interval, measured, number, size

__all__ = ["facts", "interval", "measured", "number", "size", "table"]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns, left-aligned under their heads, two spaces apart; as wide as they need to be.

    >>> print(table(("metric", "value"), [("fid", "12.3"), ("is", "9.45")]))
    metric  value
    fid     12.3
    is      9.45
    """
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join(padded)


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what belongs to them, a line each, aligned.

    >>> print(facts([("seed", "0"), ("protocol", "clean")]))
    seed      0
    protocol  clean
    """
    known = list(pairs)
    width = max(len(name) for name, _ in known)
    return "\n".join(f"{name.ljust(width)}  {text}".rstrip() for name, text in known)
