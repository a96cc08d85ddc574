"""Opening a path: a folder, an archive, shards, or a file of arrays."""

import stat
from pathlib import Path

from ganeval.errors import UsageError
from ganeval.ranges import parse_range
from ganeval.sources.archive import open_zip
from ganeval.sources.extracted import Extracted, PartFile, is_extracted
from ganeval.sources.files import is_image, refuse_pickle
from ganeval.sources.folder import FolderItems
from ganeval.sources.items import Items
from ganeval.sources.lists import LISTS, open_glob, open_list
from ganeval.sources.missing import missing, status
from ganeval.sources.npz import open_npy, open_npz
from ganeval.sources.runs import refuse_run
from ganeval.sources.selection import EVERYTHING, Selection, is_glob
from ganeval.sources.shards import expand_shards
from ganeval.sources.tar import open_tar


def open_path(path: Path, select: Selection = EVERYTHING, *, value_range: str | None = None) -> Items | Extracted:
    """The images at a path, or features of them; SourceError if it does not exist, UsageError if it cannot hold images.

    select: which files of a folder, an archive or a list. value_range: of arrays that are not uint8.
    """
    refuse_run(path)
    seen = status(path)
    if seen is not None and stat.S_ISDIR(seen.st_mode):
        return FolderItems(path, select=select)
    if seen is None:
        shards = expand_shards(str(path))
        if shards is not None:
            return open_tar(shards, where=str(path), select=select)
        if is_glob(str(path)):
            return open_glob(str(path), select)
        raise missing(path)
    if not stat.S_ISREG(seen.st_mode):
        raise UsageError(f"{path} is a pipe, a socket or a device; write what comes out of it to a file first.")
    return _open_file(path, select, value_range)


def _open_file(path: Path, select: Selection, value_range: str | None) -> Items | Extracted:
    name, declared = path.name.lower(), None if value_range is None else parse_range(value_range)
    if name.endswith(".zip"):
        return open_zip(path, select)
    if name.endswith((".tar", ".tar.gz", ".tgz")):
        return open_tar([path], where=str(path), select=select)
    if name.endswith(".npz"):
        return Extracted(PartFile(path)) if is_extracted(path) else open_npz(path, value_range=declared)
    if name.endswith(".npy"):
        return open_npy(path, value_range=declared)
    if name.endswith(LISTS):
        return open_list(path, select)
    refuse_pickle(path)
    if is_image(name):
        return FolderItems(path.parent, [path.name])
    raise UsageError(
        f"{path} is a file of no known kind; images come from a folder, an image, .zip, .tar, .tar.gz, .npz, .npy, or "
        "a list of files in .txt or .csv "
        "(a trained TorchScript generator is written script:FILE, Python code py:FILE.py:NAME)."
    )
