"""Specs made of other specs: degradations (`lowres:SOURCE,4`) and pairs (`pairs:A,B`). Imports no torch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ganeval.errors import GanevalError, UsageError
from ganeval.places import redacted

# The form of each spec, for messages.
FORMS = {
    "lowres": "lowres:SOURCE,FACTOR with a whole factor of 2 or more, as in lowres:photos:train,4",
    "enlarged": "enlarged:SOURCE,FACTOR with a whole factor of 2 or more, as in enlarged:lowres:photos:train,4,4",
    "hole": "hole:SOURCE or hole:SOURCE,PIXELS with 1 pixel or more, as in hole:photos:train,16",
    "edges": "edges:SOURCE, as in edges:photos:train",
    "grey": "grey:SOURCE, as in grey:photos:train",
    "recoloured": "recoloured:SOURCE, as in recoloured:digits:train",
    "binarised": "binarised:SOURCE, as in binarised:digits:train",
    "pairs": "pairs:INPUTS,TARGETS for two sets with the same file names, or pairs:FOLDER for files with the input in "
    "the left half and the target in the right one (pairs:FOLDER,reversed: the other way round)",
    "unpaired": "unpaired:A,B, as in unpaired:horses/,zebras/",
}
# The smallest argument, for the schemes that take one.
_LEAST = {"lowres": 2, "enlarged": 2, "hole": 1}
PAIRS = ("pairs", "unpaired")
DEGRADATIONS = tuple(scheme for scheme in FORMS if scheme not in PAIRS)
REVERSED = "reversed"
# Limits the recursion: sources are opened one inside the other.
MAX_COLONS = 40
# A longer number cannot be the size of an image.
MAX_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Nested:
    """A spec in its parts. sources: the specs it is made of; argument: the text after the last comma, or None."""

    scheme: str
    sources: tuple[str, ...]
    argument: str | None = None

    def __str__(self) -> str:
        after = () if self.argument is None else (self.argument,)
        return f"{self.scheme}:{','.join((*self.sources, *after))}"


def parse_degradation(scheme: str, rest: str) -> Nested:
    """The parts of `scheme:rest`; a number after the last comma is the argument. UsageError for another form."""
    if rest.count(":") >= MAX_COLONS:
        raise UsageError(f"'{scheme}:{rest[:MAX_COLONS]}...' is nested too deep; it may have {MAX_COLONS} colons.")
    least = _LEAST.get(scheme)
    source, comma, last = rest.rpartition(",")
    if least is None or (scheme == "hole" and not _is_number(last)):
        source, comma = rest, ""
    good = source and (_is_number(last) and int(last) >= (least or 0) if comma else least is None or scheme == "hole")
    if not good:
        raise not_understood(scheme, rest)
    return Nested(scheme, (source,), last if comma else None)


def parse_pairs(scheme: str, rest: str, check: Callable[[str], None]) -> Nested:
    """The parts of `pairs:rest` or `unpaired:rest`.

    Names may have commas: of several commas, the only one with a source on both sides splits the pair. check: raises a
    GanevalError for a text that is not a source. Raises UsageError if none of several commas, or more than one, does.
    """
    source, _, last = rest.rpartition(",")
    if scheme == "pairs" and last == REVERSED:
        found = Nested(scheme, (source,), REVERSED)
    elif "," in rest:
        found = Nested(scheme, _parted(scheme, rest, check))
    else:
        found = Nested(scheme, (rest,))
    if not all(found.sources) or (scheme == "unpaired" and len(found.sources) == 1):
        raise not_understood(scheme, rest)
    return found


def not_understood(scheme: str, rest: str) -> UsageError:
    """The error for a spec that does not have its scheme's form."""
    return UsageError(f"'{scheme}:{redacted(rest)}' is not understood; write {FORMS[scheme]}.")


def _parted(scheme: str, rest: str, check: Callable[[str], None]) -> tuple[str, str]:
    """The two sides of a pair."""
    parted = [(rest[:place], rest[place + 1 :]) for place, char in enumerate(rest) if char == ","]
    if len(parted) == 1:
        return parted[0]
    problems = {sides: next(_problems(sides, check), None) for sides in parted}
    good = [sides for sides, problem in problems.items() if problem is None]
    if len(good) == 1:
        return good[0]
    if good:
        ways = redacted(" or ".join(f"'{one}' and '{other}'" for one, other in good))
        raise UsageError(f"'{scheme}:{redacted(rest)}' can be read in {len(good)} ways, {ways}; rename one of them.")
    tried = " ".join(redacted(f"As '{one}' and '{other}': {problems[one, other]}") for one, other in parted)
    raise UsageError(f"'{scheme}:{redacted(rest)}': none of its {len(parted)} commas separates two sources. {tried}")


def _problems(sides: tuple[str, str], check: Callable[[str], None]) -> Iterator[str]:
    for side in sides:
        try:
            check(side)
        except GanevalError as error:
            yield str(error)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
