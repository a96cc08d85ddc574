"""The folders where ganeval keeps its cache and data sets. Neither is created here.

GANEVAL_CACHE   the cache root; by default the system's cache folder of the user
GANEVAL_DATA    data sets; by default `data` in the cache root
"""

import os
from pathlib import Path

import platformdirs

from ganeval.errors import UsageError


def expanded(path: str | Path, *, by: str) -> Path:
    """A path with `~` and `~user` expanded; UsageError if there is no such user. by: the setting, for the message."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"{by} is {path}, and there is no home folder of that name; write the path in full (./{path} if the ~ is "
            "part of a name)."
        ) from error
    except TypeError as error:
        raise UsageError(f"{by} must be a path, found {path!r}.") from error


def cache_root() -> Path:
    """The folder of downloaded weights, features and statistics."""
    chosen = os.environ.get("GANEVAL_CACHE")
    return expanded(chosen, by="GANEVAL_CACHE") if chosen else platformdirs.user_cache_path("ganeval", appauthor=False)


def data_root() -> Path:
    """The folder of downloaded data sets."""
    chosen = os.environ.get("GANEVAL_DATA")
    return expanded(chosen, by="GANEVAL_DATA") if chosen else cache_root() / "data"
