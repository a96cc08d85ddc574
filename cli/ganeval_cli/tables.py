"""Tables as plain text, Markdown and CSV."""

import csv
import io
from collections.abc import Iterable, Sequence

from ganeval.numbers import interval, measured, number, size
from ganeval.printable import printable

__all__ = ["comma_separated", "facts", "interval", "markdown", "measured", "number", "size", "table"]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns, left-aligned under their heads, two spaces apart; as wide as they need to be.

    >>> print(table(("metric", "value"), [("fid", "12.3"), ("is", "9.45")]))
    metric  value
    fid     12.3
    is      9.45
    """
    lines = [tuple(map(printable, line)) for line in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join(padded)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same as a Markdown table.

    >>> print(markdown(("metric", "value"), [("fid", "12.3")]))
    | metric | value |
    |---|---|
    | fid | 12.3 |
    """
    lines = [head, *rows]
    escaped = ["| " + " | ".join(printable(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([escaped[0], "|" + "---|" * len(head), *escaped[1:]])


def comma_separated(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The same as CSV; None is an empty cell.

    >>> print(comma_separated(("metric", "value"), [("fid", 12.25), ("is", None)]))
    metric,value
    fid,12.25
    is,
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue().rstrip("\n")


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what belongs to them, a line each, aligned.

    >>> print(facts([("seed", "0"), ("protocol", "clean")]))
    seed      0
    protocol  clean
    """
    known = [(printable(name), printable(text)) for name, text in pairs]
    width = max(len(name) for name, _ in known)
    return "\n".join(f"{name.ljust(width)}  {text}".rstrip() for name, text in known)
