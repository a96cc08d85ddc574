"""Escape characters of names that a terminal, log or page would interpret rather than display.

A file name may contain escape sequences that move the cursor or set a window's title, line breaks (a line that begins
with `::error::` is a command to GitHub Actions), and marks that change the direction of writing.
"""

import re

__all__ = ["printable", "printable_html", "printable_lines"]

# C0 and C1 controls and DEL; direction marks, embeddings, overrides and isolates; Unicode line breaks; lone surrogates,
# which represent bytes that are not UTF-8.
_ACTS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_ACTS_IN_A_LINE = re.compile(_ACTS.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Escape a name for display on one line.

    Args:
        text: The text.

    Returns:
        One line, with control characters escaped.

    >>> printable("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'
    """
    return _ACTS.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """Escape a text of several lines, except for its line breaks and tabs.

    Args:
        text: The text.

    Returns:
        The lines, with other control characters escaped.
    """
    return _ACTS_IN_A_LINE.sub(_escaped, text)


def printable_html(text: str) -> str:
    """Escape the control characters of a text in a page; direction marks stay, because `<bdi>` isolates them.

    Args:
        text: The text.

    Returns:
        The text, to be escaped for HTML like any other.
    """
    return _CONTROLS.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    """The escape sequence of a character."""
    return found[0].encode("unicode_escape").decode("ascii")
