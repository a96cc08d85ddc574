"""Expansion of shard patterns: `data-{000..009}.tar`."""

import math
import re
from collections.abc import Sequence
from itertools import product

from ganeval.errors import SourceError, UsageError
from ganeval.places import Place, file_fingerprints, is_url, place_of, redacted
from ganeval.printable import printable

# LAION-2B, the largest known data set of shards, has 231,350.
MAX_SHARDS = 300_000
_RANGE = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")
# Maximum number of digits of a shard number.
_MAX_DIGITS = 18


def expand_shards(pattern: str) -> Sequence[Place] | None:
    """The paths of a pattern such as `data-{000..009}.tar`; None if it has no range.

    Raises SourceError for missing files, UsageError for a pattern of no paths, or of more than MAX_SHARDS.
    """
    parts = _RANGE.split(pattern)
    bounds = list(zip(parts[1::3], parts[2::3], strict=True))
    if not bounds:
        return None
    ranges = [_numbers(first, last, pattern) for first, last in bounds]
    count = math.prod(map(len, ranges))
    if count > MAX_SHARDS:
        raise UsageError(f"'{pattern}' stands for {count:,} shards; at most {MAX_SHARDS:,} are read as one set.")
    widths = [len(first) for first, _ in bounds]
    paths = [place_of(_filled(parts[::3], numbers, widths)) for numbers in product(*ranges)]
    there = [seen is not None for seen in file_fingerprints(paths)] if is_url(pattern) else map(_is_file, paths)
    missing = [printable(str(path)) for path, found in zip(paths, there, strict=True) if not found]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise SourceError(
            f"{redacted(pattern)}: {len(missing)} of {len(paths)} shards are missing: {', '.join(missing[:5])}{more}."
        )
    return paths


def _numbers(first: str, last: str, pattern: str) -> range:
    if max(len(first), len(last)) > _MAX_DIGITS:
        raise UsageError(
            f"A range in '{pattern[:60]}...' has numbers of {max(len(first), len(last)):,} digits; shards have at most "
            f"{_MAX_DIGITS}."
        )
    if int(first) > int(last):
        raise UsageError(f"'{pattern}' stands for no shard: {first} is above {last}.")
    return range(int(first), int(last) + 1)


def _filled(texts: Sequence[str], numbers: Sequence[int], widths: Sequence[int]) -> str:
    shown = [str(number).zfill(width) for number, width in zip(numbers, widths, strict=True)]
    return "".join(text + number for text, number in zip(texts, [*shown, ""], strict=True))


def _is_file(path: Place) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
