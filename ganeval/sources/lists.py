"""Sources that name their files: a list (`list.txt`, or .csv with a column of files), and a glob (`samples/*.png`)."""

import fnmatch
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

from ganeval.errors import SourceError, UsageError
from ganeval.sources.files import is_hidden, is_image, natural_order
from ganeval.sources.folder import FolderItems, distinct, is_file, visible, walk
from ganeval.sources.items import Items
from ganeval.sources.label_files import decode_text, parse_csv
from ganeval.sources.missing import missing
from ganeval.sources.selection import Selection, is_glob
from ganeval.sources.tar import open_tar

LISTS = (".txt", ".csv")
_TARS = (".tar", ".tar.gz", ".tgz")


def open_list(path: Path, select: Selection) -> FolderItems:
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


def _check(path: Path, names: list[str]) -> None:
    gone = [name for name in names if not is_file(path.parent / name)]
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


def open_glob(text: str, select: Selection) -> Items:
    """The images that match a path with wildcards, as in a shell, and those in folders that match.

    If only tar archives match, they are read as shards. Raises UsageError for a pattern without a match.
    """
    parts = PurePosixPath(text).parts
    first = next(place for place, part in enumerate(parts) if is_glob(part))
    root = Path(*parts[:first])
    if not root.is_dir():
        raise missing(root)
    found = _matches(root, parts[first:])
    if found and all(name.lower().endswith(_TARS) for name in found):
        return open_tar([root / name for name in natural_order(found)], where=text, select=select)
    folders = [f"{name}/" if name else "" for name in found if (root / name).is_dir()]
    files = {*(name for name in found if is_file(root / name)), *walk(root, folders).files}
    images = natural_order(filter(is_image, files))
    if not images:
        raise UsageError(
            f"'{text}' matches {f'{len(found)} files' if found else 'nothing'}{' and no image' if found else ''}. "
            f"{root.absolute()} holds {_shown(root)}."
        )
    return FolderItems(root, images, where=text, select=select)


def _matches(root: Path, parts: Sequence[str]) -> list[str]:
    """Relative posix paths under `root` that match a pattern part by part, "" for `root` itself; hidden ones do not.

    `**` matches any number of folders, also none. A folder is entered once per part, even if several links lead to it,
    so that circular links come to an end.
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
