"""Filters of files by patterns of names, as in .gitignore. Imports no torch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ganeval.errors import UsageError

MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class FileFilter:
    """Patterns of relative names: a file is taken if it matches any `include` pattern (or there are none), and no
    `exclude` pattern.

    `*`, `?` and `[a-z]` match within one part of a name, `**` any number of folders. A pattern with a slash is relative
    to the root, one without matches at any depth, and one that matches a folder takes everything in it.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(cls, include: Sequence[str] | str, exclude: Sequence[str] | str) -> "FileFilter":
        """From one pattern or several for each side; UsageError for an invalid pattern."""
        sides = ((side,) if isinstance(side, str) else tuple(side) for side in (include, exclude))
        selection = cls(*sides)
        for pattern in (*selection.include, *selection.exclude):
            try:
                re.compile(_expression(pattern))
            except re.error as error:
                raise UsageError(f"'{pattern}' is not a valid pattern of names ({error}).") from error
        return selection

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)

    def takes(self, name: str) -> bool:
        """Whether the file of this posix name is taken; a leading slash is ignored."""
        name = name.lstrip("/")
        included = not self.include or self._included.match(name) is not None
        return included and (not self.exclude or self._excluded.match(name) is None)

    def describe(self, of: int) -> dict[str, object]:
        """What the provenance records. of: the number of images to choose from."""
        sides = {"include": list(self.include), "exclude": list(self.exclude)}
        return {**{side: patterns for side, patterns in sides.items() if patterns}, "of": of}

    @cached_property
    def _included(self) -> re.Pattern[str]:
        return _any_of(self.include)

    @cached_property
    def _excluded(self) -> re.Pattern[str]:
        return _any_of(self.exclude)


EVERYTHING = FileFilter()


def is_glob(text: str) -> bool:
    """Whether a path has wildcards."""
    return MAGIC.search(text) is not None


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(_expression, patterns)), re.DOTALL)


def _expression(pattern: str) -> str:
    """A pattern as a regular expression that matches from the start of a relative name."""
    parts = [part for part in pattern.strip("/").split("/") if part not in ("", ".")]
    anchored = "/" in pattern.rstrip("/")
    found = "" if anchored else "(?:[^/]+/)*"
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            found += ".*" if last else "(?:[^/]+/)*"
        else:
            found += _part(part) + ("" if last else "/")
    return rf"(?:{found})(?:/.*)?\Z"


def _part(part: str) -> str:
    """One part of a pattern as a regular expression; an unclosed bracket is a plain character."""
    found, at = "", 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            found += "[^/]*"
        elif char == "?":
            found += "[^/]"
        elif char == "[" and (end := part.find("]", at + 1 + (part[at : at + 1] in "!^"))) > 0:
            inner = part[at:end].replace("\\", r"\\").replace("[", r"\[")
            negated = inner[:1] in ("!", "^")
            found += "[^/" + inner[1:] + "]" if negated else "[" + inner + "]"
            at = end + 1
        else:
            found += re.escape(char)
    return found
