"""Progress bars on standard error, if it is a terminal: images done, images per second, time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ganeval.printable import printable
from ganeval.processes import processes

if TYPE_CHECKING:
    from ganeval.progress import Progress

# The end of a long path is more informative than its beginning.
NAME_WIDTH = 32


def bars(*, quiet: bool) -> "Progress":
    """One bar per source, erased at its end."""

    @contextmanager
    def bar(name: str, total: int | None) -> Iterator[Callable[[int], object]]:
        from tqdm import tqdm

        # None: shown only on a terminal.
        hidden = True if quiet or not processes().first else None
        with tqdm(
            total=total, desc=_short(name), unit=" images", leave=False, disable=hidden, dynamic_ncols=True
        ) as one:
            yield one.update

    return bar


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= NAME_WIDTH else "..." + name[3 - NAME_WIDTH :]
