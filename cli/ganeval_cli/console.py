"""What reaches the screen: results on stdout, everything about them on stderr."""

import os
import sys
from typing import TextIO

import click

from ganeval.printable import printable_lines

# What the tables use beyond ASCII, for terminals that have nothing else.
_SPELLED = str.maketrans({"±": "+-", "×": "x", "é": "e", "–": "-"} | dict(zip("▁▂▃▄▅▆▇█·", "12345678?", strict=True)))


def out(text: str) -> None:
    """Print a result. When its reader has gone (`| head`) the command goes on unheard, and keeps its exit code."""
    try:
        click.echo(_printable(text, sys.stdout))
    except BrokenPipeError:
        mute(sys.stdout)


def note(text: str) -> None:
    """Print something about a result, or about the lack of one."""
    click.echo(_printable(text, sys.stderr), err=True)


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
