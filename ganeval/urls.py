"""Recognise URLs, and remove secrets from them for messages. Imports nothing heavy."""

import re

WEB = frozenset(("http", "https"))
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?:://|::.*://)", re.DOTALL)
# Schemes in which the name before "@" is not a user, but a repository or a container.
_NO_USER = frozenset(("github", "gitlab", "git"))
_IN_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s'\"<>]*)")


def is_url(text: str) -> bool:
    """Whether a spec is a URL (`s3://...`, `zip://a::s3://...`).

    Args:
        text: A path or a URL.

    Returns:
        Whether it is a URL.

    >>> is_url("s3://bucket/a.zip"), is_url("a.zip"), is_url("digits:train")
    (True, False, False)
    """
    return _URL.match(text) is not None


def redacted(text: str) -> str:
    """A text in which URLs have no password, and web addresses no query, which may be a signature.

    Args:
        text: A URL, or a message with URLs in it.

    Returns:
        The text without secrets.

    >>> redacted("https://me:secret@host/a.zip?X-Amz-Signature=12")
    'https://***@host/a.zip'
    """
    return "::".join(_IN_TEXT.sub(_without_secrets, part) for part in text.split("::"))


def _without_secrets(found: re.Match[str]) -> str:
    scheme, rest = found[1], found[2]
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    if at and scheme not in _NO_USER and (":" in user or scheme in WEB):
        place = f"***@{host}"
    whole = place + slash + path
    return f"{scheme}://{re.split('[?#]', whole, maxsplit=1)[0] if scheme in WEB else whole}"
