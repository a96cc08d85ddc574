"""Escape characters of names that a terminal, log or page would interpret rather than display.

A file name may contain escape sequences that move the cursor or set a window's title, line breaks (a line that begins
with `::error::` is a command to GitHub Actions), and marks that change the direction of writing.
"""

import re

__all__ = ["printable", "printable_html", "printable_lines"]

# C0 and C1 controls and DEL; marks, embeddings, overrides and isolates of direction; Unicode's own line breaks; lone
# surrogates, which stand for bytes that are no text.
_ACTS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_ACTS_IN_A_LINE = re.compile(_ACTS.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    r"""A name on one line, with control characters escaped.

    Args:
        text: The name.

    Returns:
        The text to print.

    >>> printable("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'
    """
    return _ACTS.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """A text of several lines, with control characters escaped; its line breaks and tabs stay.

    Args:
        text: The text.

    Returns:
        The text to print.
    """
    return _ACTS_IN_A_LINE.sub(_escaped, text)


def printable_html(text: str) -> str:
    """A text in a page, where a name's direction of writing is isolated by `<bdi>`.

    Args:
        text: The text.

    Returns:
        The text, as it was written but for control characters.
    """
    return _CONTROLS.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    """The escape sequence of a character."""
    return found[0].encode("unicode_escape").decode("ascii")
