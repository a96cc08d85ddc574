"""Errors of commands: a message of a few lines instead of a traceback, and an exit code.

    0        done
    1        failure: images, weights, the cache, memory, the disk
    2        usage: an option, an argument or a spec that cannot be used as written
    128 + n  interrupted by signal n: 130 by Ctrl-C (SIGINT), 143 by SIGTERM, 129 by SIGHUP
    141      the reader of the output has closed it

An unforeseen exception keeps its traceback, and exits with 1.
"""

import errno
import hashlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import click
from click.exceptions import Exit, NoArgsIsHelpError

from ganeval.errors import GanevalError, Interrupted, ProcessError
from ganeval.processes import processes
from ganeval_cli.console import complain, mute_all
from ganeval_cli.signals import described, requested

FAILED, READER_GONE = 1, 141
# A full or read-only disk, a file at the size limit, a standard stream that is not open
# for writing, a file or folder without permission, a file that a network file system has lost, and too many open files.
_OF_SYSTEM = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EBADF),
    *(errno.EACCES, errno.EPERM, errno.ESTALE, errno.EMFILE, errno.ENFILE),
}


@contextmanager
def foreseen_errors() -> Iterator[None]:
    """Within this context, an expected error is printed in a few lines and turned into an exit code."""
    try:
        with interruptions():
            yield
    except ProcessError as error:
        # The lost process has printed the reason, if it could.
        if processes().claim("error"):
            complain(f"error: {error}")
        raise Exit(error.exit_code) from error
    except GanevalError as error:
        raise _ended(f"error: {error}", error.exit_code) from error
    except NoArgsIsHelpError as error:
        raise _ended(error.format_message(), error.exit_code) from error
    except click.UsageError as error:
        raise _ended(f"error: {error.format_message()}{_see_help(error)}", error.exit_code) from error
    except BrokenPipeError as error:
        mute_all()
        raise Exit(READER_GONE) from error
    except (MemoryError, OSError, RuntimeError) as error:
        message = _resource(error)
        if message is None:
            raise
        raise _ended(f"error: {message}", FAILED) from error


@contextmanager
def interruptions() -> Iterator[None]:
    """Within this context, an interruption, and any exception after a signal, is printed and ends the command.

    An exception may follow from an interruption: a library that is being imported may interpret it as a missing
    dependency.
    """
    try:
        yield
    except BaseException as error:
        number = error.number if isinstance(error, Interrupted) else requested()
        if number is None and isinstance(error, KeyboardInterrupt):
            number = int(signal.SIGINT)
        told = isinstance(error, Exit) or (isinstance(error, SystemExit) and error.code in (0, 128 + (number or 0)))
        if number is None or told:
            raise
        raise _ended(described(number), 128 + number) from error


def _ended(message: str, code: int) -> Exit:
    """Print a message, only once if several processes end with the same one."""
    team = processes()
    team.claim("error")
    if team.claim(hashlib.sha256(message.encode()).hexdigest()):
        complain(message)
    return Exit(code)


def _see_help(error: click.UsageError) -> str:
    return f"\nTry '{error.ctx.command_path} --help'." if error.ctx is not None else ""


def _resource(error: Exception) -> str | None:
    """A message about the exhausted or unusable resource; None for other errors."""
    if isinstance(error, OSError):
        if "temporary directory" in str(error.strerror):
            # tempfile's error for a full disk, or if all of its folders are read-only.
            return f"{error.strerror}; make room in one of them, or name another folder with TMPDIR."
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}." if error.errno in _OF_SYSTEM else None
    # torch raises a RuntimeError, on a GPU and on a CPU.
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return "Out of memory; use smaller batches, fewer images, or another device."
    return None
