"""A path => the items behind it: a folder, an archive, shards, or a file of arrays."""

from pathlib import Path

from ganeval.errors import UsageError
from ganeval.ranges import parse_range
from ganeval.sources.archive import expand_shards, open_tar, open_zip
from ganeval.sources.files import is_image, refuse_pickle
from ganeval.sources.folder import FolderItems
from ganeval.sources.items import Items
from ganeval.sources.missing import missing
from ganeval.sources.npz import open_npy, open_npz


def open_path(path: Path, *, value_range: str | None = None) -> Items:
    """The images at a path; SourceError when there is nothing there, UsageError when it is no place for images.

    value_range: of arrays of other numbers than uint8.
    """
    if path.is_dir():
        return FolderItems(path)
    if not path.exists():
        shards = expand_shards(str(path))
        if shards is None:
            raise missing(path)
        return open_tar(shards, where=str(path))
    return _open_file(path, value_range)


def _open_file(path: Path, value_range: str | None) -> Items:
    name, declared = path.name.lower(), None if value_range is None else parse_range(value_range)
    if name.endswith(".zip"):
        return open_zip(path)
    if name.endswith((".tar", ".tar.gz", ".tgz")):
        return open_tar([path], where=str(path))
    if name.endswith(".npz"):
        return open_npz(path, value_range=declared)
    if name.endswith(".npy"):
        return open_npy(path, value_range=declared)
    refuse_pickle(path)
    if is_image(name):
        return FolderItems(path.parent, [path.name])
    raise UsageError(
        f"{path} is a file of no known kind; images come from a folder, an image, .zip, .tar, .tar.gz, .npz or .npy "
        "(a trained TorchScript generator is written script:FILE, Python code py:FILE.py:NAME)."
    )
