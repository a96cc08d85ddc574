"""Printing: results go to standard output, messages about them to standard error."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from functools import partial
from typing import TextIO

import click

from ganeval.errors import ResultError
from ganeval.printable import printable_lines
from ganeval.processes import processes

# ASCII replacements of other characters in tables, for terminals that cannot show them.
_SPELLED = str.maketrans({"±": "+-", "×": "x", "é": "e", "–": "-"} | dict(zip("▁▂▃▄▅▆▇█·", "12345678?", strict=True)))


# Where results go while the standard output of all other code is redirected; None if it is not.
_RESULTS: ContextVar[TextIO | None] = ContextVar("results", default=None)


@contextmanager
def results_alone() -> Iterator[None]:
    """Within this context, standard output is for results; other prints go to standard error."""
    token = _RESULTS.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _RESULTS.reset(token)


def _results() -> TextIO:
    return _RESULTS.get() or sys.stdout


def open_streams() -> None:
    """Open /dev/null for a standard stream that the shell closed (`>&-`); call it before any file is opened.

    Otherwise the next file that is opened gets the number of the closed stream, and receives the output.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is that of the closed stream.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))


def out(text: str) -> None:
    """Print a result. After its reader has closed the pipe (`| head`), the command continues without output.

    With several processes, only the first prints.
    """
    if not processes().first:
        return
    stream = _results()
    try:
        click.echo(_printable(text, stream), file=stream)
    except BrokenPipeError:
        mute(stream)
    except OSError as error:
        mute(stream)
        raise ResultError(f"Standard output cannot be written: {error.strerror or error}.") from error


def note(text: str) -> None:
    """Print a message to standard error; no effect if that cannot be written, and in all processes except one."""
    if processes().first:
        complain(text)


def complain(text: str) -> None:
    """Print a message to standard error, in any process."""
    try:
        click.echo(_printable(text, sys.stderr), err=True)
    except OSError:
        mute(sys.stderr)


def columns() -> int:
    """Characters per line of the terminal; 80 if standard output is not a terminal, and COLUMNS if that is set."""
    return shutil.get_terminal_size().columns


def wrapped_entry(lines: Iterable[str]) -> str:
    """An entry of a list, wrapped for the terminal, with lines after the first indented."""
    broken = partial(textwrap.wrap, width=columns(), break_long_words=False, break_on_hyphens=False)
    head, *others = lines
    below = (broken(line, initial_indent=" " * 4, subsequent_indent=" " * 6) for line in others)
    return "\n".join(line for part in (broken(head, subsequent_indent=" " * 4), *below) for line in part)


def mute(stream: TextIO) -> None:
    """Redirect a stream to /dev/null, so that the interpreter's last flush does not fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def mute_all() -> None:
    """Redirect both standard streams to /dev/null, even if standard output is already redirected."""
    for stream in (_results(), sys.stdout, sys.stderr):
        mute(stream)


def _printable(text: str, stream: TextIO) -> str:
    """The text with control characters, and characters that the stream cannot encode, escaped or replaced."""
    encoding, text = stream.encoding or "utf-8", printable_lines(text)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_SPELLED).encode(encoding, "backslashreplace").decode(encoding)
    return text
