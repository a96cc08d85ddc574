"""The files of an archive as they would be after unpacking: repeated names and links are resolved."""

import posixpath
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ganeval.errors import SourceError
from ganeval.places import Place
from ganeval.printable import printable
from ganeval.sources.files import is_hidden, is_image

# Maximum length of a chain of links.
MAX_HOPS = 40
# Number of names shown in a remark.
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside an archive. size: the declared size in bytes; read: gives its bytes."""

    size: int
    read: Callable[[], bytes]


class Members:
    """Members in the order of the archive; the last one of a name counts, as when the archive is unpacked.

    Links are followed to other members; nothing outside the archive is opened.
    """

    def __init__(self, archive: Place) -> None:
        self._archive = archive
        self._files: dict[str, Member] = {}
        self._links: dict[str, str] = {}
        self._repeated: dict[str, None] = {}
        self._unread: dict[str, str] = {}

    def add(self, name: str, member: Member) -> None:
        """Add a file; SourceError for a name that leads out of the archive."""
        self._files[self._new(name)] = member

    def add_symbolic(self, name: str, target: str) -> None:
        """Add a link to a path relative to its folder."""
        name = self._new(name)
        self._links[name] = target if target.startswith("/") else posixpath.join(posixpath.dirname(name), target)

    def add_hard(self, name: str, target: str) -> None:
        """Add another name of an earlier member."""
        name, target = self._new(name), posixpath.normpath(target)
        if target in self._files:
            self._files[name] = self._files[target]
        else:
            self._links[name] = target

    def leave_out(self, name: str, reason: str) -> None:
        """Record a file that cannot be read from this archive."""
        name = self._new(name)
        if _is_seen(name):
            self._unread[name] = reason

    def files(self) -> Mapping[str, Member]:
        """Every file that is not hidden, by its name, including links."""
        found, names = dict(self._files), sorted((*self._files, *self._links))
        for link, target in self._links.items():
            end = self._end(target)
            if end in self._files:
                found[link] = self._files[end]
            # A folder's images are read under its own name.
            elif not _has_folder(names, end) and _is_seen(link):
                self._unread[link] = f"a link to {target}, which leads to no file in the archive"
        return {name: member for name, member in found.items() if _is_seen(name)}

    def remarks(self) -> Iterator[str]:
        """Repeated names, which unpacking would overwrite silently, and members that cannot be read."""
        repeated = [name for name in self._repeated if is_image(name) and _is_seen(name)]
        if repeated:
            yield (
                f"{self._archive}: names of images that are there more than once: {len(repeated)} "
                f"({_first(repeated)}). The last of each counts, as when the archive is unpacked; if all should, give "
                "them names of their own."
            )
        if self._unread:
            why = [f"{name}: {reason}" for name, reason in self._unread.items()]
            yield (
                f"{self._archive}: members that cannot be read and were left out: {len(why)} ({_first(why)}). Write "
                "the archive anew with the files themselves (tar --dereference, without --sparse)."
            )

    def _new(self, name: str) -> str:
        """A member's normalised name; an earlier member of that name is dropped."""
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
            raise SourceError(
                f"{self._archive} is refused: its member '{printable(name)}' names a place outside the archive."
            )
        name = path.as_posix()
        for known in (self._files, self._links, self._unread):
            if name in known:
                self._repeated[name] = None
                del known[name]
        return name

    def _end(self, path: str) -> str:
        """The target of a path after following all links; the path itself after too many links."""
        end = posixpath.normpath(path)
        for _ in range(MAX_HOPS):
            link = next((part for part in (end, *_above(end)) if part in self._links), None)
            if link is None:
                return end
            end = posixpath.normpath(self._links[link] + end[len(link) :])
        return path


def _has_folder(names: Sequence[str], folder: str) -> bool:
    """Whether any name is in a folder. names: sorted."""
    place = bisect_left(names, f"{folder}/")
    return place < len(names) and names[place].startswith(f"{folder}/")


def _above(name: str) -> Iterator[str]:
    """The folders above a name, the nearest first."""
    while "/" in name.strip("/"):
        name = name.rpartition("/")[0]
        yield name


def _is_seen(name: str) -> bool:
    return not any(map(is_hidden, name.split("/")))


def _first(names: Sequence[str]) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(printable, names[:SHOWN])) + more
