"""Files that commands write. They are checked before anything is computed."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from ganeval.atomic import atomic_write, temporary_path
from ganeval.errors import ResultError, UsageError
from ganeval.places import Place, RemotePath, check_remote_output, is_url, place_of, redacted
from ganeval.processes import processes
from ganeval.temporaries import temporary


class OutputFile(click.Path):
    """A parameter that is a file to write: a path, or a URL."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The place that a text names."""
        return value if isinstance(value, Place) else place_of(os.fsdecode(super().convert(value, param, ctx)))


class LocalPath(click.Path):
    """A parameter that is a path on this machine; a URL is refused, because a path would lose one of its slashes."""

    def __init__(self, *, exists: bool = False, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path that a text names."""
        check_local(os.fsdecode(value))
        return super().convert(value, param, ctx)


def check_local(text: str) -> None:
    """UsageError for a URL, if only a path can be used."""
    if is_url(text):
        raise UsageError(
            f"{redacted(text)} is a URL, but a path on this machine is needed here: download the file, or upload it "
            "afterwards."
        )


def to_json(document: Mapping[str, object]) -> str:
    """Indented JSON in ASCII, which every terminal and encoding can show; NaN and infinity raise ValueError."""
    return json.dumps(document, indent=2, allow_nan=False)


def write_text(path: Place, text: str) -> None:
    """Replace a file with a text in UTF-8; ResultError when it cannot be written."""
    with atomic_write(path) as file:
        file.write(text.encode())


def check_writable(path: Place | None) -> None:
    """UsageError for a place that cannot be a file, ResultError for one that cannot be written; None is accepted."""
    if path is None or not processes().first:
        return
    if isinstance(path, RemotePath):
        check_remote_output(path)
        return
    if str(path) == "-":
        raise UsageError(
            "'-' is not a file; results are printed to standard output anyway, as JSON with --format json."
        )
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; give the name of a file.")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is not a regular file; for standard output use --format json.")
        if not path.absolute().parent.is_dir():
            raise UsageError(f"The folder {path.absolute().parent} does not exist; create it first.")
        with temporary(temporary_path(path)) as probe:
            probe.touch(exist_ok=False)
    except OSError as error:
        raise ResultError(f"{path} cannot be written: {error.strerror or error}.") from error


# How to get other formats in which a user may expect a result.
_WRITTEN_BY = {
    ".csv": "--format csv prints the table as CSV",
    ".md": "--format markdown prints the table as Markdown",
    ".html": "`ganeval report RESULT.json -o FILE.html` writes a page",
    ".htm": "`ganeval report RESULT.json -o FILE.html` writes a page",
    ".xml": "--junit writes JUnit XML",
}


def check_json(path: Place | None) -> None:
    """UsageError for a suffix of another format than JSON; other errors as in `check_writable`; None is accepted."""
    other = None if path is None else _WRITTEN_BY.get(path.suffix.lower())
    if other is not None:
        raise UsageError(f"{path} would hold JSON, which is what --output writes: name it .json. {other}.")
    check_writable(path)


def check_page(path: Place | None) -> None:
    """UsageError for a path without .html or .htm; other errors as in `check_writable`; None is accepted."""
    check_writable(path)
    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{path} must end in .html: a report is a page.")


def check_png(path: Path | None) -> None:
    """UsageError for a path without .png; other errors as in `check_writable`; None is accepted."""
    if path is not None and path.suffix.lower() != ".png":
        raise UsageError(f"{path} must end in .png: a grid is a PNG.")
    check_writable(path)


def check_apart(writes: Iterable[Place | None], reads: Iterable[Place | None]) -> None:
    """UsageError if a file would overwrite one that is read, or another one that is written."""
    taken = {_real(path) for path in reads if path is not None}
    for path in writes:
        if path is None:
            continue
        if _real(path) in taken:
            raise UsageError(f"{path} would overwrite a file that this command uses; choose another name.")
        taken.add(_real(path))


def _real(path: Place) -> str:
    """A text that is equal for all paths to one file."""
    return path.url if isinstance(path, RemotePath) else os.path.realpath(path)


def same_file(first: Path, second: Path) -> bool:
    """Whether two paths lead to one file."""
    return os.path.realpath(first) == os.path.realpath(second)
