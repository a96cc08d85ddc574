"""Tables that other packages add rows to: rows of our own, rows registered in Python, and entry points.

An installed package declares an entry point in its pyproject.toml, in the table's group:

    [project.entry-points."ganeval.sources"]
    webdav = "my_package.webdav:open_webdav"

Reading the names of a table imports no such package; one is imported when its row is first used.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

from ganeval.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["Registry"]

RowT = TypeVar("RowT")
# Names that can be typed in a list, and before a colon or a dot.
NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")


class Registry(Mapping[str, RowT], Generic[RowT]):
    """Rows by name. A name has one row, whoever adds it.

    Args:
        kind: What a row is, for messages ("metric", "extractor", ...).
        group: The group of entry points.
        rows: Those of this package.
        accept: Makes a row of what was registered, or of what an entry point names; raises UsageError for other things.
    """

    def __init__(
        self, kind: str, *, group: str, rows: Mapping[str, RowT], accept: Callable[[str, object], RowT]
    ) -> None:
        self.kind, self.group = kind, group
        self._rows, self.accept = dict(rows), accept

    def register(self, name: str, row: object) -> None:
        """Add a row, for as long as this process runs.

        Args:
            name: The name of the row.
            row: What `accept` makes a row of.

        Raises:
            UsageError: The name is taken or cannot be typed, or this cannot be a row.
        """
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be the name of a {self.kind}; use lower-case letters, digits, '_' and '-'."
            )
        if name in self:
            by = " and ".join(_package(point) for point in self._points.get(name, ()))
            raise UsageError(
                f"There is already a {self.kind} '{name}'{f' (from {by})' if by else ''}; choose another name."
            )
        self._rows[name] = self.accept(name, row)

    def __getitem__(self, name: str) -> RowT:
        """The row of a name.

        Raises:
            KeyError: for an unknown name.
            UsageError: where the package that declares the row cannot be used; the message names the package.
        """
        if name not in self._rows:
            self._rows[name] = self._load(name)
        return self._rows[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is such a name; no package is imported."""
        return name in self._rows or name in self._points

    def __iter__(self) -> Iterator[str]:
        """The names: built-in, registered, and of other packages; no package is imported."""
        return iter({**self._rows, **self._points})

    def __len__(self) -> int:
        return len({**self._rows, **self._points})

    def usable(self) -> dict[str, RowT]:
        """All rows but those whose package cannot be used, about which `problems` speaks. Imports the packages."""
        return {name: self[name] for name in self if self._problem(name) is None}

    def problems(self) -> list[str]:
        """What is wrong with entry points of installed packages, one sentence each. Imports the packages."""
        unusable = [
            f"The package {_package(point)} declares a {self.kind} '{point.name}', which "
            f"{'is built in' if point.name in self._rows else 'is not a usable name'}: it is ignored."
            for point in self._ignored
        ]
        return unusable + [problem for name in self if (problem := self._problem(name)) is not None]

    def _problem(self, name: str) -> str | None:
        try:
            self[name]
        except UsageError as error:
            return str(error)
        return None

    def _load(self, name: str) -> RowT:
        """The row that an entry point stands for; KeyError where there is no such entry point."""
        points = self._points[name]
        packages = " and ".join(_package(point) for point in points)
        if len(points) > 1:
            raise UsageError(f"The {self.kind} '{name}' is declared by {packages}: uninstall all of them but one.")
        try:
            return self.accept(name, points[0].load())
        except Exception as error:
            # It is other people's code and may raise anything.
            raise UsageError(
                f"The {self.kind} '{name}' of the package {packages} cannot be used ({points[0].value}): "
                f"{type(error).__name__}: {error} Update or uninstall that package."
            ) from error

    @property
    def _points(self) -> "Mapping[str, list[EntryPoint]]":
        """Entry points by name: more than one if several packages declare the same name."""
        return self._declared[0]

    @property
    def _ignored(self) -> "list[EntryPoint]":
        """Entry points whose name cannot be typed, or is built in."""
        return self._declared[1]

    @cached_property
    def _declared(self) -> "tuple[dict[str, list[EntryPoint]], list[EntryPoint]]":
        """Entry points that can be used, by name, and those that are ignored."""
        # Imported here because it is slow, and most names are built in.
        from importlib.metadata import entry_points

        found: dict[str, list[EntryPoint]] = {}
        ignored: list[EntryPoint] = []
        for point in sorted(entry_points(group=self.group), key=lambda one: (one.name, one.value)):
            if NAME.fullmatch(point.name) and point.name not in self._rows:
                found.setdefault(point.name, []).append(point)
            else:
                ignored.append(point)
        return found, ignored


def _package(point: "EntryPoint") -> str:
    """The distribution that declares an entry point, with its version."""
    return "of unknown name" if point.dist is None else f"{point.dist.name} {point.dist.version}"
