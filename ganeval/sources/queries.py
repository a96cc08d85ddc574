"""Options after a question mark: `features:FILE?extractor=NAME`. Imports no torch."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from ganeval.errors import UsageError, did_you_mean
from ganeval.places import is_url, redacted


def split_options(scheme: str, rest: str, known: tuple[str, ...]) -> tuple[str, Mapping[str, str]]:
    """The text before the last question mark of `scheme:rest`, and the options after it.

    The query of a web address, and a wildcard, belong to the text before it. UsageError for an unknown option.
    """
    before, _, query = rest.rpartition("?")
    asked = dict(parse_qsl(query, keep_blank_values=True)) if before else {}
    unknown = [key for key in asked if key not in known]
    if not asked or (unknown and (is_url(rest) or "=" not in query)):
        return rest, {}
    if unknown:
        raise UsageError(f"{scheme}:{redacted(rest)}: unknown option '{unknown[0]}'; {did_you_mean(unknown[0], known)}")
    return before, asked
