"""Tolerances from a TOML file or pyproject.toml, with one table per metric; errors name the line.

    [fid]
    max = 12.0            # upper bound of the value; min: lower bound
    worse_by = "5%"       # of the baseline's value; a number without % is in the metric's own unit
    significance = 0.01   # how often noise alone may fail a check
    may_be_missing = true # a result without the metric passes

Values have no sign: the metric says which direction is worse.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganeval.documents import MAX_TOML_BYTES, DocumentError, finite, parse_toml, read_text
from ganeval.errors import UsageError, did_you_mean
from ganeval.gate.lines import KeyPath, key_lines

FILE = "gan-thresholds.toml"
# The table of pyproject.toml that holds them.
SECTION = ("tool", "ganeval", "thresholds")
KEYS = ("max", "min", "worse_by", "significance", "may_be_missing")
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much worse a value may be than the baseline's.

    Attributes:
        amount: In the metric's own unit, or if `relative` as a fraction of the baseline's value.
        relative: Which of the two.
    """

    amount: float
    relative: bool = False

    def of(self, baseline: float) -> float:
        """The amount in the metric's own unit.

        Args:
            baseline: The baseline's value.

        Returns:
            The amount, 0 or more.
        """
        return self.amount * abs(baseline) if self.relative else self.amount

    def __str__(self) -> str:
        return f"{100 * self.amount:g}%" if self.relative else f"{self.amount:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What one metric is held to; None for a criterion that does not apply.

    Attributes:
        maximum: The largest value that passes.
        minimum: The smallest value that passes.
        worse_by: How much worse than the baseline a value may be.
        significance: The rate at which noise alone may fail the check, above 0 and below 0.5.
        may_be_missing: Whether a result without the metric passes.
    """

    maximum: float | None = None
    minimum: float | None = None
    worse_by: Allowance | None = None
    significance: float | None = None
    may_be_missing: bool = False

    @property
    def asks(self) -> bool:
        """Whether it constrains the metric's value."""
        return self.compares or self.maximum is not None or self.minimum is not None

    @property
    def compares(self) -> bool:
        """Whether it needs a baseline."""
        return self.worse_by is not None or self.significance is not None

    def __str__(self) -> str:
        asked = (self.maximum, self.minimum, self.worse_by, self.significance)
        words = [
            f"{key} {value}" if isinstance(value, Allowance) else f"{key} {value:g}"
            for key, value in zip(KEYS[:4], asked, strict=True)
            if value is not None
        ]
        return ", ".join([*words, "may_be_missing"] if self.may_be_missing else words)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Tolerances by metric.

    Attributes:
        tolerances: By metric.
        name: The file they were read from, for messages.
        places: The line where each metric's table begins.
    """

    tolerances: Mapping[str, Tolerance]
    name: str
    places: Mapping[str, int]

    @property
    def asked(self) -> tuple[str, ...]:
        """The metrics whose value is constrained; if there are none, the usual thresholds apply."""
        return tuple(metric for metric, one in self.tolerances.items() if one.asks)

    @property
    def compares(self) -> bool:
        """Whether a baseline is needed."""
        return not self.asked or any(one.compares for one in self.tolerances.values())

    def where(self, metric: str) -> str:
        """File, line and table of a metric, for messages.

        Args:
            metric: The metric.

        Returns:
            The file, the line where it is known, and the table.
        """
        line = self.places.get(metric)
        return f"{self.name}, [{metric}]" if line is None else f"{self.name}, line {line}, [{metric}]"


def find_thresholds(folder: Path) -> Thresholds | None:
    """Find the nearest gan-thresholds.toml, or pyproject.toml with a ganeval table, in a folder or its parents.

    Args:
        folder: Where the search begins.

    Returns:
        The thresholds; None if there are none.

    Raises:
        UsageError: The nearest file cannot be read, or has a mistake. It is not skipped, as its limits would not apply.
    """
    for one in (folder, *folder.resolve().parents):
        if os.path.lexists(one / FILE):
            return read_thresholds(one / FILE)
        project = one / "pyproject.toml"
        if os.path.lexists(project):
            tools = _parsed(_text(project), str(project)).get("tool")
            if isinstance(tools, dict) and "ganeval" in tools:
                return read_thresholds(project)
    return None


def read_thresholds(path: Path) -> Thresholds:
    """Read and check thresholds from a TOML file.

    Args:
        path: The file.

    Returns:
        Tolerances by metric.

    Raises:
        UsageError: The file cannot be read, or has a mistake; with the line, what is wrong, and what is allowed.
    """
    return parse_thresholds(_text(path), name=str(path), section=SECTION if path.name == "pyproject.toml" else ())


def parse_thresholds(text: str, *, name: str, section: KeyPath = ()) -> Thresholds:
    """Read and check thresholds from a TOML text.

    Args:
        text: The document.
        name: Its name, for messages.
        section: The table that holds them.

    Raises:
        UsageError: The text has a mistake.
    """
    document, lines = _parsed(text, name), key_lines(text)
    for depth, key in enumerate(section):
        if depth > 1:
            _check_known(document, section[depth : depth + 1], lines, section[:depth], name)
        document = document.get(key, {})
        if not isinstance(document, dict):
            raise _mistake(name, lines, section[: depth + 1], f"{key} must be a table.")
    if not document:
        table = f" [{'.'.join(section)}.fid]" if section else " [fid]"
        raise UsageError(f"{name} holds no thresholds; write one table per metric, such as{table} with max = 12.0.")
    read = _Reader(name, lines)
    tolerances = {metric: read.tolerance((*section, metric), table) for metric, table in document.items()}
    return Thresholds(tolerances, name, {m: lines[*section, m] for m in document if (*section, m) in lines})


def parse_tolerance(table: Mapping[str, object], *, name: str) -> Tolerance:
    """Check the tolerance of one metric given in Python, with the same keys and errors as in a file.

    Args:
        table: As in {"worse_by": "5%"}.
        name: What messages call the metric.

    Returns:
        The tolerance.

    Raises:
        UsageError: A key or a value is not allowed.
    """
    return _Reader("thresholds", {}).tolerance((name,), table)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Converts tables to tolerances. name: the file; lines: where each key is."""

    name: str
    lines: Mapping[KeyPath, int]

    def tolerance(self, place: KeyPath, table: object) -> Tolerance:
        """The tolerance of one table."""
        metric = place[-1]
        if not isinstance(table, Mapping):
            hint = f"{metric} is outside a metric's table" if metric in KEYS else f"{metric} must be a table"
            raise _mistake(self.name, self.lines, place, f"{hint}; write [fid] above it, with the metric's name.")
        nested = next((key for key, value in table.items() if isinstance(value, Mapping) and key not in KEYS), None)
        if nested is not None:
            own = ".".join((*place[:-1], nested))
            inside = ".".join((*place, nested))
            hint = f"[{inside}] is a table inside another; the table of a metric is [{own}]."
            raise _mistake(self.name, self.lines, (*place, nested), hint)
        _check_known(table, KEYS, self.lines, place, self.name)
        if not any(table.get(key, False) is not False for key in KEYS):
            raise _mistake(self.name, self.lines, place, f"it sets nothing; give any of {', '.join(KEYS)}.")
        given = {key: self._number((*place, key), table[key]) for key in ("max", "min") if key in table}
        if "max" in given and "min" in given and given["min"] > given["max"]:
            raise _mistake(self.name, self.lines, (*place, "min"), "min is above max, so nothing could pass.")
        return Tolerance(
            maximum=given.get("max"),
            minimum=given.get("min"),
            worse_by=self._allowance((*place, "worse_by"), table["worse_by"]) if "worse_by" in table else None,
            significance=self._rate((*place, "significance"), table["significance"])
            if "significance" in table
            else None,
            may_be_missing=self._switch((*place, "may_be_missing"), table.get("may_be_missing", False)),
        )

    def _number(self, place: KeyPath, value: object, wanted: str = "a number") -> float:
        """A finite number."""
        try:
            return finite(value)
        except ValueError as error:
            found = f"the text '{value[:40]}'" if isinstance(value, str) else str(value)[:40]
            raise _mistake(self.name, self.lines, place, f"{place[-1]} must be {wanted}, found {found}.") from error

    def _switch(self, place: KeyPath, value: object) -> bool:
        """True or false."""
        if not isinstance(value, bool):
            raise _mistake(self.name, self.lines, place, f"{place[-1]} must be true or false, found {str(value)[:40]}.")
        return value

    def _allowance(self, place: KeyPath, value: object) -> Allowance:
        """A number of 0 or more, or a percentage."""
        if isinstance(value, str) and (percent := _PERCENT.fullmatch(value)):
            return Allowance(self._number(place, float(percent[1])) / 100, relative=True)
        amount = self._number(place, value, 'a number, or a share of the baseline such as "5%"')
        if amount < 0:
            raise _mistake(
                self.name,
                self.lines,
                place,
                f"worse_by has no sign, found {amount:g}; which way is worse comes from the metric.",
            )
        return Allowance(amount)

    def _rate(self, place: KeyPath, value: object) -> float:
        """A significance."""
        wanted = "a number above 0 and below 0.5, such as 0.01"
        rate = self._number(place, value, wanted)
        if not 0 < rate < 0.5:
            raise _mistake(self.name, self.lines, place, f"significance must be {wanted}, found {rate:g}.")
        return rate


def _text(path: Path) -> str:
    """The text of a file; UsageError if it cannot be read."""
    try:
        return read_text(path, most=MAX_TOML_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except DocumentError as error:
        raise UsageError(f"{path} {error}") from error


def _parsed(text: str, name: str) -> dict[str, Any]:
    """The table of a TOML text; UsageError if it cannot be parsed."""
    try:
        return parse_toml(text)
    except DocumentError as error:
        raise UsageError(f"{name} {error}") from error


def _check_known(
    table: Mapping[str, object], known: tuple[str, ...], lines: Mapping[KeyPath, int], place: KeyPath, name: str
) -> None:
    """UsageError for an unknown key."""
    for key in table:
        if key not in known:
            hint = did_you_mean(key, known)
            raise _mistake(name, lines, (*place, key), f"unknown key '{key}' in [{'.'.join(place)}]; {hint}")


def _mistake(name: str, lines: Mapping[KeyPath, int], place: KeyPath, text: str) -> UsageError:
    """A UsageError that names the line of a key, or of the table that contains it."""
    for depth in range(len(place), 0, -1):
        if place[:depth] in lines:
            return UsageError(f"{name}, line {lines[place[:depth]]}: {text}")
    return UsageError(f"{name}, [{'.'.join(place)}]: {text}")
