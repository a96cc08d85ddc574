"""Where ganeval keeps things: one folder for what it can make or fetch again, one for data sets.

    GANEVAL_CACHE   the cache root; otherwise the user's cache folder of this system
    GANEVAL_DATA    data sets; otherwise `data` in the cache root

Nothing is created here: whoever writes makes the folder, and reports when it cannot.
"""

import os
from pathlib import Path

import platformdirs


def cache_root() -> Path:
    """The folder of downloaded weights, features and statistics."""
    chosen = os.environ.get("GANEVAL_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("ganeval", appauthor=False)


def data_root() -> Path:
    """The folder of downloaded data sets."""
    chosen = os.environ.get("GANEVAL_DATA")
    return Path(chosen).expanduser() if chosen else cache_root() / "data"
