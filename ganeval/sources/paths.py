"""Opening a path or a URL: a folder, an archive, shards, a file of arrays, or a table of images."""

import stat
from collections.abc import Sequence
from pathlib import Path

from ganeval.errors import SourceError, UsageError
from ganeval.places import Place, RemotePath, place_of
from ganeval.ranges import ValueRange, parse_range
from ganeval.sources.archive import open_zip
from ganeval.sources.extracted import Extracted, PartFile, is_extracted
from ganeval.sources.file_filter import EVERYTHING, FileFilter, is_glob
from ganeval.sources.files import is_image, refuse_pickle
from ganeval.sources.folder import FolderItems
from ganeval.sources.items import Items
from ganeval.sources.lists import LISTS, matching, open_glob, open_list
from ganeval.sources.missing import missing, status
from ganeval.sources.npz import open_npy, open_npz
from ganeval.sources.parquet import TABLES, TableItems, find_tables, open_tables
from ganeval.sources.queries import split_options
from ganeval.sources.runs import refuse_run
from ganeval.sources.shards import expand_shards
from ganeval.sources.tar import open_tar

# The options of `parquet:`.
_COLUMNS = ("image", "label")


def open_path(path: Path, select: FileFilter = EVERYTHING, *, value_range: str | None = None) -> Items | Extracted:
    """The images at a path, or features of them; SourceError if it does not exist, UsageError if it cannot hold images.

    select: which files of a folder, an archive or a list to take. value_range: of arrays that are not uint8.
    """
    refuse_run(path)
    seen = status(path)
    if seen is not None and stat.S_ISDIR(seen.st_mode):
        return _open_folder(path, select)
    if seen is None:
        shards = expand_shards(str(path))
        if shards is not None:
            return open_shards(shards, where=str(path), select=select)
        if is_glob(str(path)):
            return open_glob(path, select)
        raise missing(path)
    if not stat.S_ISREG(seen.st_mode):
        raise UsageError(f"{path} is a pipe, a socket or a device; write its output to a file first.")
    return _open_file(path, select, value_range)


def open_remote(
    place: RemotePath, select: FileFilter = EVERYTHING, *, value_range: str | None = None
) -> Items | Extracted:
    """The images at a URL, or features of them; errors as for a path."""
    if is_glob(place.path):
        return open_glob(place, select)
    shards = expand_shards(place.url)
    if shards is not None:
        return open_shards(shards, where=str(place), select=select)
    kind = place.kind()
    if kind is None:
        raise missing(place)
    return _open_folder(place, select) if kind == "folder" else _open_file(place, select, value_range)


def open_shards(shards: Sequence[Place], *, where: str, select: FileFilter = EVERYTHING) -> Items:
    """The images in several archives or tables; UsageError for files of both kinds."""
    tables = [path.name.lower().endswith(TABLES) for path in shards]
    if all(tables):
        return open_tables(shards, where=where)
    if any(tables):
        raise UsageError(f"{where} matches both archives and tables; give only one kind.")
    return open_tar(shards, where=where, select=select)


def _open_folder(path: Place, select: FileFilter) -> Items:
    try:
        return FolderItems(path, select=select)
    except SourceError:
        tables = find_tables(path)
        if tables is None:
            raise
    return open_tables(tables, where=f"The folder {path}")


def open_parquet(rest: str) -> TableItems:
    """The tables at `PLACE[?image=COLUMN&label=COLUMN]`; UsageError for anything else, or an unknown option."""
    before, asked = split_options("parquet", rest, _COLUMNS)
    where = place_of(before)
    return open_tables(_tables_at(where, before), where=str(where), **asked)


def _tables_at(place: Place, text: str) -> Sequence[Place]:
    shards = expand_shards(text)
    if shards is not None:
        return shards
    if is_glob(place.path if isinstance(place, RemotePath) else text) and not place.exists():
        root, names = matching(place)
        found = [root / name for name in names if name.lower().endswith(TABLES)]
        if not found:
            raise UsageError(f"'{place}' matches no table; they end in {', '.join(TABLES)}.")
        return found
    if not place.exists():
        raise missing(place)
    tables = find_tables(place) if place.is_dir() else [place] if place.name.lower().endswith(TABLES) else None
    if tables is None:
        raise UsageError(
            f"{place} is neither a table nor a folder that holds only tables; they end in {', '.join(TABLES)}."
        )
    return tables


def _open_file(path: Place, select: FileFilter, value_range: str | None) -> Items | Extracted:
    name, declared = path.name.lower(), None if value_range is None else parse_range(value_range)
    if name.endswith(".zip"):
        return open_zip(path, select)
    if name.endswith((".tar", ".tar.gz", ".tgz")):
        return open_tar([path], where=str(path), select=select)
    if name.endswith((".npz", ".npy")):
        return _open_arrays(path, declared)
    if name.endswith(TABLES):
        return open_tables([path], where=str(path))
    if name.endswith(LISTS):
        return open_list(path, select)
    if is_image(name):
        return FolderItems(path.parent, [path.name])
    refuse_pickle(path)
    raise UsageError(
        f"{path} is not a file of a known kind; images come from a folder, an image, .zip, .tar, .tar.gz, .npz, .npy, "
        ".parquet, .arrow, .feather, or a list of files in .txt or .csv "
        "(a trained TorchScript generator is written script:FILE, Python code py:FILE.py:NAME)."
    )


def _open_arrays(path: Place, declared: ValueRange | None) -> Items | Extracted:
    if path.suffix.lower() == ".npy":
        return open_npy(path, value_range=declared)
    return Extracted(PartFile(path)) if is_extracted(path) else open_npz(path, value_range=declared)
