"""`py:file.py:name`: an object of a user's Python file: a generator, a Dataset, a loader, an array, or a factory."""

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from ganeval.errors import GanevalError, SourceError, UsageError, did_you_mean


def load_python(spec: str) -> object:
    """The object of `file.py:name`; a class, or a function without required arguments, is called first.

    The file is executed: it is the user's own code. Raises UsageError for a spec without both parts or an unknown name,
    and SourceError for a missing file or one that raises, with the line that raised.
    """
    file, colon, name = spec.rpartition(":")
    path = Path(file)
    if not colon or not name or path.suffix != ".py":
        raise UsageError(
            f"'py:{spec}' is not understood; write py:FILE.py:NAME, as in py:models/gan.py:make_generator."
        )
    if not path.is_file():
        raise SourceError(f"{path.absolute()} does not exist; it was to define '{name}'.")
    with _running(path):
        found = _find(_load(path), name, path)
        if callable(found) and _is_factory(found):
            found = found()
    return found


def _load(path: Path) -> ModuleType:
    name = f"_ganeval_user_{path.stem}_{sha256(os.fsencode(path.resolve())).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses, and pickling to worker processes, look up a class's module by name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _find(module: ModuleType, name: str, path: Path) -> object:
    public = [word for word in vars(module) if not word.startswith("_")]
    if name not in vars(module):
        hint = did_you_mean(name, public) if public else "it defines nothing."
        raise UsageError(f"{path} does not define '{name}'; {hint}")
    return vars(module)[name]


def _is_factory(found: Callable[..., object]) -> bool:
    """Whether to call the object: a class, or a function without required arguments."""
    if inspect.isclass(found):
        return True
    if not (inspect.isroutine(found) or isinstance(found, partial)):
        return False
    parameters = inspect.signature(found).parameters.values()
    return all(one.default is not one.empty or one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters)


@contextmanager
def _running(path: Path) -> Iterator[None]:
    """Make the file's folder importable, and turn what its code raises into a SourceError with file and line."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    except GanevalError:
        raise
    # A user's file may raise any exception, or even exit.
    except (Exception, SystemExit) as error:
        raise SourceError(f"{_line_of(error, path)}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)


def _line_of(error: BaseException, path: Path) -> str:
    """`file:line` of the innermost frame inside the user's file, or of the syntax error."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}"
    own = path.resolve()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() == own]
    return f"{path}:{frames[-1].lineno}" if frames else str(path)
