"""Everything that can go wrong, as one tree::

    GanevalError                 exit code 1
    ├── UsageError               exit code 2: an option, a spec or an argument that cannot be used as written
    ├── SourceError              images that cannot be had
    │   ├── DecodeError          one image that cannot be read; carries its name
    │   └── GeneratorError       a live generator that broke its declared contract
    ├── WeightsError             network weights that are missing, corrupt, or of another layout
    ├── ExtractorError           features that cannot be computed
    ├── MetricError              a metric that is undefined for these inputs
    ├── CacheError               the cache cannot be read or written
    ├── ProcessError         another of the processes that work together has ended
    ├── ResultError              a saved result that cannot be read
    └── TrainingError            a training that cannot go on
        └── CheckpointError      a checkpoint that cannot be written or read, or that belongs to something else

Messages are whole sentences: what was found, what is allowed, what to do next.
The library raises these; only the command line knows exit codes' meaning and how to print them.

`Interrupted` is not an error: a signal, such as SIGTERM, requests the end, as Ctrl-C does.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from ganeval.printable import printable

__all__ = [
    "CacheError",
    "CheckpointError",
    "DecodeError",
    "ExtractorError",
    "GanevalError",
    "GeneratorError",
    "Interrupted",
    "MetricError",
    "ProcessError",
    "ResultError",
    "SourceError",
    "TrainingError",
    "UsageError",
    "WeightsError",
    "did_you_mean",
]


class GanevalError(Exception):
    """The root of the tree: catch this to catch everything ganeval raises on purpose."""

    exit_code = 1


class UsageError(GanevalError):
    """An option, a spec or an argument that cannot be used as written."""

    exit_code = 2


class SourceError(GanevalError):
    """Images that cannot be had: a missing path, an empty folder, a corrupt archive."""


class DecodeError(SourceError):
    """One image that cannot be read.

    Args:
        name: The image as a person would look for it (a path, or "archive.zip/member.png").
        reason: What is wrong with it, without the name.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(printable(f"{name}: {reason}"))
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type["DecodeError"], tuple[str, str]]:
        """How to pickle it, to send it to another process."""
        return type(self), (self.name, self.reason)


class GeneratorError(SourceError):
    """A live generator that broke its declared contract: NaN, another range, shape or count, or an exception."""


class WeightsError(GanevalError):
    """Network weights that are missing, corrupt, or of another layout."""


class ExtractorError(GanevalError):
    """Features that cannot be computed: an unknown extractor, or one that returned something else."""


class MetricError(GanevalError):
    """A metric that is undefined for these inputs; the message gives the reason."""


class CacheError(GanevalError):
    """The cache cannot be read or written."""


class ProcessError(GanevalError):
    """Another of the processes that work together has ended."""


class ResultError(GanevalError):
    """A saved result that cannot be read, or is of a newer schema."""


class TrainingError(GanevalError):
    """A training that cannot go on: a loss that is not finite, an alarm that was to stop it."""


class CheckpointError(TrainingError):
    """A checkpoint that cannot be written or read, or that belongs to something else."""


class Interrupted(KeyboardInterrupt):
    """A signal has asked the process to end; the command raises it for SIGTERM and SIGHUP as for Ctrl-C.

    Args:
        message: How to go on, or nothing.
        number: The signal's number.
    """

    def __init__(self, message: str = "", number: int = signal.SIGINT) -> None:
        super().__init__(*[message] * bool(message))
        self.number = number


@contextmanager
def raised_as(kind: type[GanevalError], who: str) -> Iterator[None]:
    """Inside runs other people's code: it may raise anything, which becomes an error of this kind.

    who: what raises, at the beginning of the message. Errors of ganeval stay as they are.
    """
    try:
        yield
    except GanevalError:
        raise
    except Exception as error:
        raise kind(f"{who} raised {type(error).__name__}: {error}") from error


# A longer list of words does not help in an error.
LISTED = 80


def did_you_mean(word: object, known: "list[str] | tuple[str, ...]") -> str:
    """A short hint for an unknown word: the nearest known one, or the list, or of a long list the nearest few.

    Args:
        word: The unknown word, or what was given in place of one.
        known: All known words.

    Returns:
        "did you mean ...?" with the nearest known word; without one, the list of all, or the nearest few of many.
    """
    import difflib

    word = str(word)
    near = difflib.get_close_matches(word, known, n=len(known) or 1)
    if near:
        scores = {one: difflib.SequenceMatcher(None, one, word).ratio() for one in near}
        # Of equally near names, prefer one with the same letters in another order, else the first in the list.
        best = max(near, key=lambda one: (scores[one], sorted(one) == sorted(word), -known.index(one)))
        return f"did you mean '{best}'?"
    if len(known) <= LISTED:
        return f"choose from: {', '.join(known)}."
    nearest = difflib.get_close_matches(word, known, n=8, cutoff=0)
    return f"the nearest of {len(known)} names are: {', '.join(nearest)}."
