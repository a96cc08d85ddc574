"""Tables of results as rows of text, and the forms that a table is shown in: plain text, Markdown, CSV.

A row is built once, by a function of this file or of `ganeval.gate.formats`, and shown on the screen, in Markdown and
in the HTML report alike. The words in it are those of `ganeval.wording`.
"""

import csv
import io
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from ganeval.printable import printable
from ganeval.results import CLASS, MetricResult
from ganeval.wording import (
    NONE,
    between_text,
    direction_text,
    four_digits,
    images_text,
    interval_text,
    method_verdict_text,
    p_value_text,
    result_text,
    verdict_text,
    with_error,
    within_text,
)

if TYPE_CHECKING:
    from ganeval.comparison import Difference
    from ganeval.runs import MethodDifference, Spread

__all__ = [
    "DIFFERENCE_HEAD",
    "FOOTNOTE",
    "METRIC_HEAD",
    "SPREAD_HEAD",
    "Table",
    "class_cells",
    "comma_separated",
    "difference_cells",
    "facts",
    "markdown_text",
    "marked_value",
    "method_difference_cells",
    "metric_cells",
    "spread_cells",
]

METRIC_HEAD = ("value", "95% interval", "better", "images")
DIFFERENCE_HEAD = ("metric", "difference", "value", "95% interval", "p corrected", "verdict")
SPREAD_HEAD = ("runs", "mean", "95% interval", "between runs", "redrawn images", "better")
# Marks a value that must not be compared with published ones; a note below the table says so.
MARK = " *"
BETWEEN = "  "
FOOTNOTE = "* not comparable with published numbers"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&])")
# The prefix of a list item.
_BULLET = re.compile(r"^(\d{0,9})([-+.)])(?= )")


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text, whatever it is shown in.

    Args:
        head: A heading per column.
        rows: A cell per column each.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self, width: int | None = None) -> str:
        """Columns, left-aligned under their heads, two spaces apart.

        Args:
            width: Characters per line that the widest cells are wrapped for; None for as many as the cells need. No
                word is broken, so that lines of long words may be longer.

        Returns:
            The lines.

        >>> print(Table(("metric", "value"), [("fid", "12.3"), ("is", "9.45")]).text())
        metric  value
        fid     12.3
        is      9.45
        >>> print(Table(("metric", "title"), [("fid", "Fréchet inception distance")]).text(width=26))
        metric  title
        fid     Fréchet inception
                distance
        """
        lines = [tuple(map(printable, line)) for line in (self.head, *self.rows)]
        columns = list(zip(*lines, strict=True))
        widths = [max(map(len, column)) for column in columns]
        if width is not None:
            words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
            widths = _narrowed(widths, words, width - len(BETWEEN) * (len(columns) - 1))
        cells = [[_broken(cell, size) for cell, size in zip(line, widths, strict=True)] for line in lines]
        return "\n".join(
            BETWEEN.join(part.ljust(size) for part, size in zip(parts, widths, strict=True)).rstrip()
            for line in cells
            for parts in zip_longest(*line, fillvalue="")
        )

    def markdown(self) -> str:
        r"""The same as a Markdown table, with everything escaped that Markdown would take for more than text.

        >>> print(Table(("metric", "value"), [("c2st_knn", "0.5")]).markdown())
        | metric | value |
        |---|---|
        | c2st\_knn | 0.5 |
        """
        head, *rows = (f"| {' | '.join(map(markdown_text, line))} |" for line in (self.head, *self.rows))
        return "\n".join([head, "|" + "---|" * len(self.head), *rows])


def comma_separated(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Values as CSV, numbers in full precision; None is an empty cell, and truth is written as in JSON.

    Args:
        head: Names of the columns.
        rows: Values, one per column.

    Returns:
        The lines, with CSV's quotes where they are needed.

    >>> print(comma_separated(("metric", "value", "paired"), [("fid", 12.25, True), ("is", None, False)]))
    metric,value,paired
    fid,12.25,true
    is,,false
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([head, *([_csv_cell(cell) for cell in row] for row in rows)])
    return text.getvalue().rstrip("\n")


def facts(pairs: Iterable[tuple[str, str]], width: int | None = None) -> str:
    """Names and what belongs to them, a line each, aligned.

    Args:
        pairs: Names and values.
        width: Characters per line that values are wrapped for, as in `Table.text`.

    Returns:
        The lines.

    >>> print(facts([("seed", "0"), ("protocol", "clean")]))
    seed      0
    protocol  clean
    """
    head, *rows = pairs
    return Table(head, rows).text(width)


def markdown_text(text: str) -> str:
    r"""Text on one line, that no Markdown takes for more than text.

    Args:
        text: The text.

    Returns:
        Markdown that shows it.

    >>> print(markdown_text("a|b *c*"))
    a\|b \*c\*
    >>> print(markdown_text("- no list"))
    \- no list
    """
    return _BULLET.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\1", printable(" ".join(text.split()))))


def marked_value(result: MetricResult | None, *, comparable: bool) -> str:
    """A value with its error, and the mark that FOOTNOTE explains where it is not comparable with published ones.

    Args:
        result: The result; None where there is none.
        comparable: Whether it is comparable with published values.

    Returns:
        The text of a cell.
    """
    return result_text(result) + ("" if comparable or result is None else MARK)


def metric_cells(result: MetricResult, *, comparable: bool) -> tuple[str, str, str, str]:
    """The cells of a metric under METRIC_HEAD: value and error, 95% interval, which values are better, images.

    Args:
        result: The result.
        comparable: Whether it is comparable with published values.

    Returns:
        One text per column.
    """
    return (
        marked_value(result, comparable=comparable),
        interval_text(result.interval, result.value, result.standard_error),
        direction_text(result.direction, result.ideal),
        images_text(result),
    )


def difference_cells(difference: "Difference", first: str, second: str) -> tuple[str, ...]:
    """The cells of a difference under DIFFERENCE_HEAD.

    Args:
        difference: Of generator `second` minus `first`.
        first: What the first generator is called here.
        second: What the second one is called here.

    Returns:
        One text per column.
    """
    return (
        difference.metric,
        f"{second} - {first}",
        with_error(difference.value, difference.standard_error),
        interval_text(difference.interval, difference.value, difference.standard_error),
        p_value_text(difference.p_corrected),
        verdict_text(difference, first, second),
    )


def spread_cells(spread: "Spread", result: MetricResult, *, comparable: bool) -> tuple[str, ...]:
    """The cells of a metric of a method under SPREAD_HEAD.

    Those are the number of runs, their mean with its standard error, its 95% interval, the standard deviation between
    runs and that of redrawing the images of one, and which values are better.

    Args:
        spread: Of the metric over the method's runs.
        result: Of one of the runs.
        comparable: Whether the values are comparable with published ones.

    Returns:
        One text per column.
    """
    return (
        str(len(spread.values)),
        with_error(spread.mean, spread.standard_error) + ("" if comparable else MARK),
        interval_text(spread.interval, spread.mean, spread.standard_error),
        between_text(spread),
        within_text(spread),
        direction_text(result.direction, result.ideal),
    )


def method_difference_cells(difference: "MethodDifference", first: str, second: str) -> tuple[str, ...]:
    """The cells of a difference of methods under DIFFERENCE_HEAD.

    Args:
        difference: Of method `second` minus `first`.
        first: What the first method is called here.
        second: What the second one is called here.

    Returns:
        One text per column.
    """
    interval = interval_text(difference.interval, difference.value, difference.standard_error)
    of_models = difference.scope == "models" and difference.interval is not None
    return (
        difference.metric,
        f"{second} - {first}",
        with_error(difference.value, difference.standard_error),
        f"{interval}, of these models" if of_models else interval,
        p_value_text(difference.p_corrected),
        method_verdict_text(difference, first, second),
    )


def class_cells(details: Sequence[Mapping[str, float]]) -> list[tuple[str, ...]]:
    """A row per class: its name, and its value by each of several metrics.

    Args:
        details: Of each metric, `MetricResult.details`; other keys than those of classes are not looked at.

    Returns:
        Rows in the order in which the classes first occur, with "-" where a metric has no value for a class.
    """
    classes = dict.fromkeys(key for one in details for key in one if key.startswith(CLASS))
    return [
        (key.removeprefix(CLASS), *(four_digits(one[key]) if key in one else NONE for one in details))
        for key in classes
    ]


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Column widths with the widest reduced equally, so that all fit, but none below its minimum."""
    for limit in range(max(widths), 0, -1):
        cut = [max(low, min(width, limit)) for width, low in zip(widths, least, strict=True)]
        if sum(cut) <= room:
            return cut
    return list(least)


def _broken(text: str, width: int) -> list[str]:
    """A text as lines of at most a width, broken at spaces."""
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _csv_cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
