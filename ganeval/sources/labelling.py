"""The classes of the images of a folder or an archive, by the same rules for both.

In this order: WebDataset's `key.cls` next to every `key.png`; a label file (`label_files`); a class in WebDataset's
`key.json`; class folders. Folders that are only shard numbers are not classes.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice

from ganeval.errors import SourceError
from ganeval.sources.files import class_numbers
from ganeval.sources.label_files import LABEL_FILES, LabelFile, folders_above, parse_label_file
from ganeval.sources.labels import Labelling, by_name, by_value, from_numbers, read_class_number
from ganeval.sources.sidecars import class_in_json, key_of

Read = Callable[[str], bytes]
_NUMBER = re.compile(r"([0-9]+)\.[^.]*\Z")
# Shard numbers have at least 5 digits, and shards hold a thousand images or more.
_SHARD_DIGITS, _PER_SHARD = 5, "000"


def label_images(
    names: Sequence[str],
    files: Collection[str],
    images: Collection[str],
    read: Read,
    *,
    where: str,
    is_there: Callable[[str], bool],
    shards: bool = False,
) -> Labelling:
    """The classes of the images `names`.

    files: all files that may hold labels. images: all images among them, selected or not.
    read: gives the bytes of a file. is_there: whether a listed file exists.
    shards: whether the first folder of every name is one of several archives.
    """
    marked = _from_class_files(names, files, read, where)
    if marked is not None:
        return marked
    try:
        found = _label_files(files, read)
    except SourceError as error:
        return Labelling(obstacle=str(error).rstrip("."))
    if any(one.labels is not None for one in found.values()):
        return _from_label_files(names, found, is_there)
    beside = _from_json_files(names, files, read)
    if beside is not None:
        return beside
    return _from_folders(names, images, next(iter(found.values()), None), depth=1 if shards else 0)


def _from_class_files(names: Sequence[str], files: Collection[str], read: Read, where: str) -> Labelling | None:
    beside = [key_of(name) + ".cls" for name in names]
    there = [name in files for name in beside]
    if not any(there):
        return None
    if not all(there):
        return Labelling(obstacle=f"{names[there.index(False)]} has no .cls file, but other images have one")
    return from_numbers([read_class_number(read(name), where) for name in beside], "the .cls files")


def _from_json_files(names: Sequence[str], files: Collection[str], read: Read) -> Labelling | None:
    """Labels in a JSON file next to every image; None if the first image has no such file, or no class in it."""
    beside = [key_of(name) + ".json" for name in names]
    if beside[0] not in files or class_in_json(read(beside[0])) is None:
        return None
    lacking = next((image for image, name in zip(names, beside, strict=True) if name not in files), None)
    if lacking is not None:
        return Labelling(obstacle=f"{lacking} has no .json file, but other images have one")
    found = [(image, class_in_json(read(name))) for image, name in zip(names, beside, strict=True)]
    return by_value(found, "the .json files")


def _label_files(files: Collection[str], read: Read) -> Mapping[str, LabelFile]:
    """By folder, the first label file with labels, or else one that states that there are none."""
    found: dict[str, LabelFile] = {}
    for kind in LABEL_FILES:
        for name in files:
            if name.rpartition("/")[2] != kind:
                continue
            one = parse_label_file(name, read(name))
            if one is not None and (one.folder not in found or found[one.folder].labels is None):
                found[one.folder] = one
    return found


def _from_label_files(
    names: Sequence[str], found: Mapping[str, LabelFile], is_there: Callable[[str], bool]
) -> Labelling:
    """Label every image by the label file of the nearest folder above it."""
    pairs: list[tuple[str, object]] = []
    missing: dict[str, list[str]] = {}
    known = {folder: one.labels for folder, one in found.items() if one.labels is not None}
    for name in names:
        folder = next((folder for folder in folders_above(name) if folder in known), None)
        inner = name if folder is None else name.removeprefix(folder)
        if folder is None or inner not in known[folder]:
            missing.setdefault(next(iter(known)) if folder is None else folder, []).append(name)
        else:
            pairs.append((name, known[folder][inner]))
    for folder, images in missing.items():
        return Labelling(obstacle=f"{found[folder].name} has no label of {_first(images)}")
    for folder, labels in known.items():
        gone = [image for image in labels if not is_there(folder + image)]
        if gone:
            return Labelling(obstacle=f"{found[folder].name} lists images that are not there: {_first(gone)}")
    origin = found[next(iter(known))].name + (f" and {len(known) - 1} more such files" if len(known) > 1 else "")
    return by_value(pairs, origin)


def _first(names: Sequence[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _from_folders(
    names: Sequence[str], images: Collection[str], unlabelled: LabelFile | None, *, depth: int
) -> Labelling:
    """Classes are the folders of the first level that has several, if every image is in one of them."""
    level = shared_folders([name.split("/") for name in images], depth)
    folders = {parts[level] for parts in (name.split("/") for name in images) if len(parts) > level + 1}
    if len(folders) < 2:
        return Labelling(obstacle=None if unlabelled is None else f"{unlabelled.name} says that there are no labels")
    shown = ", ".join(islice(sorted(folders), 2)) + (", ..." if len(folders) > 2 else "")
    stray = [name for name in names if len(name.split("/")) <= level + 1]
    if stray:
        return Labelling(obstacle=f"next to the class folders ({shown}) is an image outside of them: {_first(stray)}")
    if _number_shards(level, images):
        return Labelling(obstacle=f"its folders ({shown}) number shards, and no file says the classes")
    if unlabelled is not None and class_numbers(sorted(folders)) is not None:
        return Labelling(obstacle=f"{unlabelled.name} says that there are no labels")
    return by_name([name.split("/")[level] for name in names], "class folders", folders=True)


def shared_folders(parts: Sequence[Sequence[str]], depth: int = 0) -> int:
    """The level below the folders that all images share, if any."""
    level = depth
    while parts and all(len(one) > level + 1 and one[level] == parts[0][level] for one in parts):
        level += 1
    return level


def _number_shards(level: int, images: Collection[str]) -> bool:
    """Whether folder names are only the leading digits of their images' numbers.

    `00001/img00001234.png` (dataset_tool; longer numbers alike) and `001000/001234.png` (EDM's --subdirs).
    """
    for name in images:
        folder, number = name.split("/")[level], _NUMBER.search(name)
        if not (folder.isascii() and folder.isdigit() and len(folder) >= _SHARD_DIGITS and number):
            return False
        digits = number.group(1)
        first_of = len(digits) == len(folder) and folder == digits[: -len(_PER_SHARD)] + _PER_SHARD
        begins = len(digits) > len(folder) and digits.startswith(folder)
        if not (first_of or begins):
            return False
    return True
