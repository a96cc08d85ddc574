"""Sources that name their files: a list (`list.txt`, or .csv with a column of files), and a glob (`samples/*.png`)."""

import fnmatch
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

from ganeval.errors import SourceError, UsageError
from ganeval.places import Place, RemotePath, file_fingerprints
from ganeval.sources.file_filter import FileFilter, is_glob
from ganeval.sources.files import is_hidden, is_image, natural_order
from ganeval.sources.folder import FolderItems, distinct, is_file, visible, walk
from ganeval.sources.items import Items
from ganeval.sources.label_files import decode_text, parse_csv
from ganeval.sources.missing import missing
from ganeval.sources.parquet import TABLES, open_tables
from ganeval.sources.tar import open_tar

LISTS = (".txt", ".csv")
_TARS = (".tar", ".tar.gz", ".tgz")


def open_list(path: Place, select: FileFilter) -> FolderItems:
    """The images that a list names, in its order; names are relative to the folder of the list, or absolute.

    .txt: a name per line; empty lines and those that begin with # are ignored. .csv: a column of files and optionally
    one of classes. Raises SourceError for a file that does not exist, or is listed twice.
    """
    try:
        text = decode_text(str(path), path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror or error}).") from error
    labels = None
    if path.suffix.lower() == ".csv":
        table = parse_csv(str(path), text)
        names, labels = [name.strip() for name in table.files], table.labels
    else:
        lines = (line.strip() for line in text.split("\n"))
        names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise SourceError(f"{path} is empty; expected one image name per line.")
    # Unlike `relative_name`, this keeps "..": the folder before it may be a link to another place.
    names = [PurePosixPath(name.replace("\\", "/")).as_posix() for name in names]
    _check(path, names)
    return FolderItems(path.parent, names, labels=labels, where=str(path), select=select)


def _check(path: Place, names: list[str]) -> None:
    if isinstance(path, RemotePath):
        there = [seen is not None for seen in file_fingerprints([path.parent / name for name in names])]
    else:
        there = [is_file(path.parent / name) for name in names]
    gone = [name for name, found in zip(names, there, strict=True) if not found]
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise SourceError(
            f"{path} lists {gone[0]}{more}, and there is no such file in {path.parent.absolute()}: names are "
            "relative to the folder of the list. For classes, use a .csv with the columns file_name and label."
        )
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SourceError(f"{path} lists {name} twice; an image counts once.")
        seen.add(name)


def open_glob(pattern: Place, select: FileFilter) -> Items:
    """The images that match a path with wildcards, as in a shell, and those in folders that match.

    If only tar archives match, they are read as shards, and if only tables, as one. Raises UsageError for a pattern
    without a match.
    """
    root, found = matching(pattern)
    if found and all(name.lower().endswith(_TARS) for name in found):
        return open_tar([root / name for name in found], where=str(pattern), select=select)
    if found and all(name.lower().endswith(TABLES) for name in found):
        return open_tables([root / name for name in found], where=str(pattern))
    images = list(filter(is_image, found))
    if isinstance(root, Path):
        folders = [f"{name}/" if name else "" for name in found if (root / name).is_dir()]
        files = {*(name for name in found if is_file(root / name)), *walk(root, folders).files}
        images = natural_order(filter(is_image, files))
    if not images:
        shown = f" {root.absolute()} holds {_shown(root)}." if isinstance(root, Path) else ""
        raise UsageError(
            f"'{pattern}' matches {f'{len(found)} files' if found else 'nothing'}{' and no image' if found else ''}."
            f"{shown}"
        )
    return FolderItems(root, images, where=str(pattern), select=select)


def matching(pattern: Place) -> tuple[Place, list[str]]:
    """The folder above the first wildcard of a path, and what matches below it, in natural order.

    For a remote folder, matching files, and files in matching folders. Raises SourceError for a missing folder.
    """
    parts = PurePosixPath(pattern.path if isinstance(pattern, RemotePath) else pattern).parts
    first = next(place for place, part in enumerate(parts) if is_glob(part))
    if isinstance(pattern, RemotePath):
        root = pattern.at("/".join(parts[:first]))
        return root, natural_order(_remote_matches(root, parts[first:]))
    folder = Path(*parts[:first])
    if not folder.is_dir():
        raise missing(folder)
    return folder, natural_order(_matches(folder, parts[first:]))


def _remote_matches(root: RemotePath, parts: Sequence[str]) -> list[str]:
    # A pattern with a suffix is for files; others may also match folders, with everything in them.
    depth = len(parts) if "." in parts[-1] and "**" not in parts else None
    try:
        listing = root.listing(depth)
    except FileNotFoundError as error:
        raise missing(root) from error
    pattern = FileFilter.of(("/" + "/".join(parts),), ())
    return [name for name in listing if pattern.takes(name) and not any(map(is_hidden, name.split("/")))]


def _matches(root: Path, parts: Sequence[str]) -> list[str]:
    """Relative posix paths under `root` that match a pattern part by part, "" for `root` itself; hidden ones do not.

    `**` matches any number of folders, also none. A folder is entered once per part, even if several links lead to it,
    so that circular links end.
    """
    found = [""]
    for before, part in pairwise(("", *parts)):
        if part == before == "**":
            continue
        starts = distinct(root, [f"{name}/" if name else "" for name in found if (root / name).is_dir()])
        if part == "**":
            found = [name.rstrip("/") for name in walk(root, starts).folders]
        elif is_glob(part):
            matches = re.compile(fnmatch.translate(part)).match
            found = [start + name for start in starts for name in visible(root / start) if matches(name)]
        else:
            found = [start + part for start in starts if not is_hidden(part) and _is_there(root / start / part)]
    return found


def _is_there(path: Path) -> bool:
    """Whether a file or folder exists; False for a name that the file system does not allow."""
    try:
        return path.exists()
    except OSError:
        return False


def _shown(root: Path) -> str:
    names = natural_order(entry.name for entry in root.iterdir() if not is_hidden(entry.name))
    return (", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")) or "nothing"
