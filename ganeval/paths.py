"""Where ganeval keeps things: one folder for what it can make or fetch again, one for data sets.

    GANEVAL_CACHE   the cache root; otherwise the user's cache folder of this system
    GANEVAL_DATA    data sets; otherwise `data` in the cache root

Nothing is created here: whoever writes makes the folder, and reports when it cannot.
"""

import os
from pathlib import Path

import platformdirs

from ganeval.errors import UsageError


def expanded(path: str | Path, *, by: str) -> Path:
    """A path with `~` and `~user` spelled out; UsageError where there is no such folder. by: what named the path."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"{by} is {path}, and there is no home folder of that name; write the path in full (./{path} if the ~ is "
            "part of a name)."
        ) from error


def cache_root() -> Path:
    """The folder of downloaded weights, features and statistics."""
    chosen = os.environ.get("GANEVAL_CACHE")
    return expanded(chosen, by="GANEVAL_CACHE") if chosen else platformdirs.user_cache_path("ganeval", appauthor=False)


def data_root() -> Path:
    """The folder of downloaded data sets."""
    chosen = os.environ.get("GANEVAL_DATA")
    return expanded(chosen, by="GANEVAL_DATA") if chosen else cache_root() / "data"
