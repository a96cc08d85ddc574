"""The file systems of fsspec: how to open each, when to repeat a request, and what an error means.

fsspec is imported when a file system is opened. Each of its libraries raises errors of its own.
"""

import errno
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar

from ganeval.errors import GanevalError, SourceError, UsageError
from ganeval.printable import printable
from ganeval.urls import redacted

T = TypeVar("T")
# Attempts per request, and the seconds to wait before each repetition.
PAUSES = (0.2, 0.4, 0.8, 1.6)
TRIES = len(PAUSES) + 1
# Timeouts in seconds: for a connection, and without data on it.
CONNECT_SECONDS, SILENT_SECONDS = 5, 30
# Maximum length of another library's message within ours.
MAX_REASON = 300

# HTTP statuses of refusals; other client errors are final, and requests are repeated after server errors.
_GONE, _DENIED, _BUSY = (404, 410), (401, 403), (408, 425, 429)
_DENIALS = frozenset(
    (
        *(
            "NoCredentialsError",
            "PartialCredentialsError",
            "ProfileNotFound",
            "TokenRetrievalError",
            "SSOTokenLoadError",
        ),
        *("UnauthorizedSSOTokenError", "DefaultCredentialsError", "RefreshError", "ClientAuthenticationError"),
        *("GatedRepoError", "RepositoryNotFoundError", "LocalTokenNotFoundError"),
        *("AuthenticationException", "BadHostKeyException", "PermissionDenied", "SFTPPermissionDenied"),
    )
)
_ABSENCES = frozenset(("SFTPNoSuchFile", "SFTPNoSuchPath"))
# File systems inside a file, which follows them in a chained URL.
ARCHIVES = ("zip", "tar", "libarchive")
# Errors after which repeating the request does not help.
_FINAL = (IsADirectoryError, NotADirectoryError, NotImplementedError, TypeError, ValueError)


class _Access(NamedTuple):
    """How to use a kind of file system: its package, where credentials come from, and advice if there are none."""

    package: str
    variables: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    advice: str = ""


_S3 = _Access(
    "s3fs",
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"),
    ("~/.aws/credentials", "~/.aws/config"),
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for a public bucket FSSPEC_S3='{\"anon\": true}'",
)
_GCS = _Access(
    "gcsfs",
    ("GOOGLE_APPLICATION_CREDENTIALS",),
    ("~/.config/gcloud/application_default_credentials.json",),
    "Set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`; for a public bucket "
    'FSSPEC_GS=\'{"token": "anon"}\'',
)
_AZURE = _Access(
    "adlfs",
    ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"),
    (),
    "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_SAS_TOKEN",
)
_HF = _Access(
    "huggingface_hub",
    ("HF_TOKEN",),
    ("~/.cache/huggingface/token",),
    "Set HF_TOKEN, or run `hf auth login`, and accept the terms of the repository if it has any",
)
_HTTP = _Access(
    "aiohttp", advice="Use an address that is signed, or has a user and a password (https://USER:PASSWORD@HOST/)"
)
_SSH = _Access(
    "paramiko",
    advice="Use an address with a user and a password (sftp://USER:PASSWORD@HOST/), a key that SSH finds by itself, or "
    'FSSPEC_SFTP=\'{"key_filename": "FILE"}\'',
)
_ACCESS: Mapping[str, _Access] = MappingProxyType(
    {
        **dict.fromkeys(("s3", "s3a"), _S3),
        **dict.fromkeys(("gs", "gcs"), _GCS),
        **dict.fromkeys(("abfs", "abfss", "az", "adl"), _AZURE),
        "hf": _HF,
        **dict.fromkeys(("http", "https"), _HTTP),
        **dict.fromkeys(("sftp", "ssh"), _SSH),
    }
)
# The extra of ganeval that installs a package, where there is one.
_EXTRAS = MappingProxyType({"fsspec": "remote", "aiohttp": "remote", "s3fs": "s3", "gcsfs": "gcs"})


def attempt(request: Callable[[], T], url: str, failure: type[GanevalError] = SourceError) -> T:
    """The answer to a request about a URL; the request is repeated if that may help.

    Raises FileNotFoundError if nothing is there, and `failure` for every other error. Errors with a secret of the URL
    are not chained to them.
    """
    shown = redacted(url)
    for pause in (*PAUSES, None):
        try:
            return request()
        except Exception as error:  # noqa: BLE001, every file system raises errors of its own
            cause = _cause(error)
            verdict = _verdict(cause, _innermost(url))
            chained = error if shown == url else None
            if verdict == "gone":
                raise FileNotFoundError(errno.ENOENT, "there is no such file", shown) from chained
            if verdict != "again" or pause is None:
                raise failure(_message(url, cause, verdict)) from chained
            time.sleep(pause)
    raise AssertionError


def _message(url: str, error: BaseException, verdict: str) -> str:
    if verdict == "denied":
        return f"{redacted(url)}: access was refused ({_reason(error)}). {_credentials(url)}"
    tries = f" after {TRIES} attempts" if verdict == "again" else ""
    return f"{redacted(url)}: the request failed{tries} ({_reason(error)})."


def _innermost(url: str) -> str:
    """The scheme of the last link of a chain, which is the one that needs a network."""
    return _with_scheme(url).rsplit("::", maxsplit=1)[-1].partition("://")[0]


def _with_scheme(url: str) -> str:
    """The URL, with `file://` inserted if a chain ends with a path: `zip://INNER::FILE.zip`."""
    before, chained, last = url.rpartition("::")
    return f"{before}::file://{last}" if chained and "://" not in last else url


def open_file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it; UsageError if no installed package opens it."""
    try:
        import fsspec
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UsageError(f"{redacted(url)}: URLs need fsspec; {_install('fsspec')}.") from error
    whole = _with_scheme(url)
    if "::" not in whole and whole.partition("://")[0] in ARCHIVES:
        scheme = whole.partition("://")[0]
        raise UsageError(
            f"{redacted(url)} does not say which archive it is in; write {scheme}://INNER::FILE, for a path or a URL."
        )
    schemes = [link.partition("://")[0] for link in whole.split("::")]
    for scheme in schemes:
        try:
            fsspec.get_filesystem_class(scheme)
        except ValueError as error:
            known = ", ".join(sorted(one for one in fsspec.available_protocols() if one.isalnum()))
            raise UsageError(
                f"{redacted(url)}: fsspec knows no file system '{scheme}://'; it knows {known}."
            ) from error
        except ImportError as error:
            package = _ACCESS.get(scheme, _Access(scheme)).package
            raise UsageError(
                f"{redacted(url)}: {scheme}:// needs a package that is missing ({error}); {_install(package)}."
            ) from error
    options = {scheme: found for scheme in schemes if (found := _options(scheme))}
    if len(schemes) == 1:
        options = options.get(schemes[0], {})
    elif "::" in url:
        # The index of an archive is read when it is opened, and the archive may have changed since.
        options["skip_instance_cache"] = True  # type: ignore[assignment]
    try:
        files, path = attempt(lambda: url_to_fs(whole, **options), url)
    except FileNotFoundError:
        raise SourceError(f"{redacted(url)}: a file or folder in it does not exist.") from None
    if schemes[0] in ("s3", "s3a"):
        # `attempt` repeats requests.
        files.retries = 1
    return files, str(path)


def _install(package: str) -> str:
    extra = _EXTRAS.get(package)
    return f"pip install {package}" + (f", or 'ganeval[{extra}]'" if extra else "")


def _options(scheme: str) -> dict[str, Any]:
    """Timeouts for connections, as each file system names them."""
    if scheme in ("http", "https"):
        try:
            import aiohttp
        except ImportError:
            return {}
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        return {"client_kwargs": {"timeout": limits, "trust_env": True}}
    if scheme in ("s3", "s3a"):
        # `attempt` repeats requests; s3fs need not.
        once = {"total_max_attempts": 1}
        return {"config_kwargs": {"connect_timeout": CONNECT_SECONDS, "read_timeout": SILENT_SECONDS, "retries": once}}
    return {}


def _cause(error: BaseException) -> BaseException:
    """The underlying error: fsspec raises FileNotFoundError for a web page whose size it cannot get."""
    inner = error.__cause__
    return inner if isinstance(error, FileNotFoundError) and inner is not None and _status(inner) != 404 else error


def _status(error: BaseException | None) -> int | None:
    """The HTTP status of the server's answer, wherever the library stores it."""
    for _ in range(4):
        if error is None:
            return None
        status = getattr(error, "status", None)
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        elif not isinstance(status, int):
            status = getattr(response, "status_code", None)
            if type(error).__module__.startswith("gcsfs"):
                status = getattr(error, "code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None


def _verdict(error: BaseException, scheme: str) -> Literal["gone", "denied", "final", "again"]:
    """What an error means: the file is missing, access is denied, or a repetition cannot or may help."""
    status, names = _status(error), {type(one).__name__ for one in (error, error.__cause__)}
    if names & _DENIALS or status in _DENIED or isinstance(error, PermissionError):
        return "denied"
    if isinstance(error, FileNotFoundError) or names & _ABSENCES or status in _GONE:
        return "gone"
    if status == 400 and scheme in ("s3", "s3a"):
        # Only an expired token causes this answer to a request for a file's size.
        return "denied"
    if isinstance(error, _FINAL) or (status is not None and 400 <= status < 500 and status not in _BUSY):
        return "final"
    return "again"


def _reason(error: BaseException) -> str:
    text = printable(redacted(" ".join(str(error).split()))) or type(error).__name__
    text = text if len(text) <= MAX_REASON else f"{text[:MAX_REASON]}..."
    return text.rstrip(".")


def _credentials(url: str) -> str:
    """Which credentials were found, without their values, and how to give some."""
    scheme = _innermost(url)
    access = _ACCESS.get(scheme)
    if access is None:
        return (
            f"Give credentials as fsspec takes them for {scheme}://, for example in FSSPEC_{scheme.upper()}='{{...}}'."
        )
    found = [name for name in access.variables if os.environ.get(name)]
    found += [name for name in access.files if Path(name).expanduser().is_file()]
    if "@" in url.rpartition("://")[2].partition("/")[0]:
        found.append("a user in the address")
    looked = ", ".join((*access.variables, *access.files)) or "a user in the address"
    told = f"Found {', '.join(found)}" if found else f"Found none of {looked}"
    return f"{told}. {access.advice}."
