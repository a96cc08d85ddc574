"""What reaches the screen: results on stdout, everything about them on stderr."""

import os
import sys
from typing import TextIO

import click

from ganeval.errors import ResultError
from ganeval.printable import printable_lines

# What the tables use beyond ASCII, for terminals that have nothing else.
_SPELLED = str.maketrans({"±": "+-", "×": "x", "é": "e", "–": "-"} | dict(zip("▁▂▃▄▅▆▇█·", "12345678?", strict=True)))


def open_streams() -> None:
    """Let a standard stream that the shell closed (`>&-`) lead to nowhere; call it before anything else is opened.

    Else Python has None in its place, and the next file that is opened gets its number, and all that is printed.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is the one that was found closed.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))


def out(text: str) -> None:
    """Print a result. When its reader has gone (`| head`) the command goes on unheard, and keeps its exit code."""
    try:
        click.echo(_printable(text, sys.stdout))
    except BrokenPipeError:
        mute(sys.stdout)
    except OSError as error:
        mute(sys.stdout)
        raise ResultError(f"Standard output cannot be written: {error.strerror or error}.") from error


def note(text: str) -> None:
    """Print something about a result, or about the lack of one; unheard where standard error cannot be written."""
    try:
        click.echo(_printable(text, sys.stderr), err=True)
    except OSError:
        mute(sys.stderr)


def mute(stream: TextIO) -> None:
    """Let a stream write to nowhere from here on, also when the interpreter flushes it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _printable(text: str, stream: TextIO) -> str:
    """The text with whatever would act on a terminal, or the stream cannot encode, escaped or spelled out."""
    encoding, text = stream.encoding or "utf-8", printable_lines(text)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_SPELLED).encode(encoding, "backslashreplace").decode(encoding)
    return text
