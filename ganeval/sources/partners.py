"""Match the images of two sets by file name."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from ganeval.errors import SourceError
from ganeval.sources.base import Source
from ganeval.sources.labelling import shared_folders

# A set that knows the name of each of its files, relative to the set.
NamedSet = tuple[Source, Sequence[str]]


def partners_by_name(first: NamedSet, second: NamedSet) -> list[int]:
    """For each image of the first set, the index of its partner in the second.

    Names are compared without their endings, and without the folders that all files of a set are in.
    Raises SourceError for an image without a partner, naming the first and how many there are, and for a name that
    occurs twice.
    """
    keys = [_keys(names) for _, names in (first, second)]
    for (source, _), side in zip((first, second), keys, strict=True):
        twice = next((key for key, count in Counter(side).items() if count > 1), None)
        if twice is not None:
            both = " and ".join(source.item_name(index) for index, key in enumerate(side) if key == twice)
            raise SourceError(f"{both} have the same name except for the ending; leave one out (exclude, --exclude).")
    _check_complete(first[0], second[0], *keys)
    places = {key: place for place, key in enumerate(keys[1])}
    return [places[key] for key in keys[0]]


def _keys(names: Sequence[str]) -> list[str]:
    parts = [name.split("/") for name in names]
    level = shared_folders(parts)
    return [str(PurePosixPath(*one[level:]).with_suffix("")) for one in parts]


def _check_complete(first: Source, second: Source, firsts: Sequence[str], seconds: Sequence[str]) -> None:
    """SourceError for images without a partner, on either side."""
    for source, other, keys, known in (
        (first, second, firsts, set(seconds)),
        (second, first, seconds, set(firsts)),
    ):
        alone = [index for index, key in enumerate(keys) if key not in known]
        if alone:
            others = len(alone) - 1
            more = "" if not others else f", nor has {'another' if others == 1 else f'any of {others} others'}"
            raise SourceError(
                f"{source.item_name(alone[0])} has no image of the same name in {other.name}{more} (of {len(keys)}). "
                "Images belong together by file name without the ending: rename them, or choose those that both have "
                "with include and exclude (--include, --exclude)."
            )
