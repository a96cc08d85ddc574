"""A path => the items behind it: a folder, an archive, shards, or a file of arrays."""

from pathlib import Path

from ganeval.errors import UsageError
from ganeval.sources.archive import expand_shards, open_tar, open_zip
from ganeval.sources.files import is_image, refuse_pickle
from ganeval.sources.folder import FolderItems
from ganeval.sources.items import Items
from ganeval.sources.missing import missing
from ganeval.sources.npz import open_npy, open_npz
from ganeval.sources.runs import refuse_run


def open_path(path: Path) -> Items:
    """The images at a path; SourceError when there is nothing there, UsageError when it is no place for images."""
    refuse_run(path)
    if path.is_dir():
        return FolderItems(path)
    if not path.exists():
        shards = expand_shards(str(path))
        if shards is None:
            raise missing(path)
        return open_tar(shards, where=str(path))
    return _open_file(path)


def _open_file(path: Path) -> Items:
    name = path.name.lower()
    if name.endswith(".zip"):
        return open_zip(path)
    if name.endswith((".tar", ".tar.gz", ".tgz")):
        return open_tar([path], where=str(path))
    if name.endswith(".npz"):
        return open_npz(path)
    if name.endswith(".npy"):
        return open_npy(path)
    refuse_pickle(path)
    if is_image(name):
        raise UsageError(f"{path} is a single image; give the folder it is in.")
    raise UsageError(
        f"{path} is a file of no known kind; images come from a folder, .zip, .tar, .tar.gz, .npz or .npy "
        "(a trained TorchScript generator is written script:FILE, Python code py:FILE.py:NAME)."
    )
