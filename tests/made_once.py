"""Folders that one process of a run of tests fills, and all of them use."""

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

Once = Callable[[str, Callable[[Path], object]], Path]


def once_in(shared: Path) -> Once:
    """once(name, make): a folder in `shared` with what make(folder) wrote, by whichever process came first."""

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, made = shared / name, shared / f"{name}.made"
        with FileLock(shared / f"{name}.lock"):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return once
