"""Download of one file, complete or not at all.

A transfer writes `NAME.part` and continues it after an interruption, also in a later process and from another mirror.
That is why the partial file has a fixed name and is kept, and `ganeval.atomic` is not used. Only a file with the right
size and SHA-256 is renamed to `NAME`. If several processes start at the same time, one downloads and the others wait.
"""

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import filelock
from tqdm import tqdm

from ganeval.errors import WeightsError
from ganeval.network import unreachable
from ganeval.version import __version__

CHUNK = 1 << 18
# Seconds without a byte after which a request is given up. If it brought some bytes, it is repeated from there.
ANSWER = 10.0


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file identified by its bytes, the same on every mirror.

    Attributes:
        name: The name under which it is stored.
        mirrors: Addresses, tried in order.
        sha256: Hexadecimal, of all bytes.
        size: In bytes.
    """

    name: str
    mirrors: tuple[str, ...]
    sha256: str
    size: int


class _TransferError(Exception):
    """A failure of the network or the server: another attempt or another mirror may succeed."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_intact(path: Path, file: RemoteFile) -> bool:
    """Whether the file at `path` has the size and the SHA-256 of `file`."""
    return path.is_file() and path.stat().st_size == file.size and sha256_of(path) == file.sha256


def download(file: RemoteFile, folder: Path, *, progress: bool = True, timeout: float = ANSWER) -> Path:
    """The verified file in a folder, downloaded unless it is already there.

    Args:
        file: The file.
        folder: Where it is stored; created if needed.
        progress: Whether to show a progress bar on stderr, if that is a terminal.
        timeout: Seconds without a byte after which a request is given up. If no mirror can be reached, the error comes
            after 2.5 seconds; if one accepts the connection and sends nothing, after ten.

    Returns:
        The path of the file.

    Raises:
        WeightsError: No mirror provides the file (the message has the reason for each), or the folder cannot be
        written.
    """
    target = folder / file.name
    try:
        if is_intact(target, file):
            return target
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / f".{file.name}.lock"):
            if not is_intact(target, file):
                part = folder / f"{file.name}.part"
                _from_any_mirror(file, part, progress=progress, timeout=timeout)
                part.replace(target)
    except OSError as error:
        raise WeightsError(f"{file.name} cannot be written to {folder}: {error.strerror or error}.") from error
    return target


def _from_any_mirror(file: RemoteFile, part: Path, *, progress: bool, timeout: float) -> None:
    """Fill `part` with the verified bytes; WeightsError with the reason of every mirror if none has them."""
    lost = unreachable(file.mirrors)
    reasons = [f"  {url}\n    {reason}" for url, reason in lost.items()]
    for url in file.mirrors:
        if url in lost:
            continue
        try:
            _from_mirror(url, file, part, progress=progress, timeout=timeout)
        except _TransferError as error:
            reasons.append(f"  {url}\n    {error}")
        else:
            return
    raise WeightsError("\n".join([f"{file.name} could not be downloaded.", *reasons]))


def _from_mirror(url: str, file: RemoteFile, part: Path, *, progress: bool, timeout: float) -> None:
    """Fill `part` from one mirror, as long as each request brings more bytes."""
    continued = _size(part) > 0
    while (have := _size(part)) < file.size:
        broken = None
        try:
            _transfer(url, file, part, progress=progress, timeout=timeout)
        except _TransferError as error:
            broken = error
        if _size(part) <= have:
            raise broken or _TransferError(f"the transfer ended after {have} of {file.size} bytes.")
    found = sha256_of(part)
    if found == file.sha256:
        return
    part.unlink()
    if continued:
        # The bytes from an earlier transfer may have been wrong.
        _from_mirror(url, file, part, progress=progress, timeout=timeout)
    else:
        raise _TransferError(f"it sent other bytes: found SHA-256 {found}, expected {file.sha256}.")


def _transfer(url: str, file: RemoteFile, part: Path, *, progress: bool, timeout: float) -> None:
    """One request: append to `part` if the server can continue, start over if not."""
    have = _size(part)
    with _open(url, start=have, timeout=timeout) as response:
        start = _checked_start(response, file, asked=have)
        with (
            part.open("ab" if start else "wb") as out,
            tqdm(
                desc=file.name,
                total=file.size,
                initial=start,
                unit="B",
                unit_scale=True,
                disable=None if progress else True,
            ) as bar,
        ):
            while chunk := _read(response):
                out.write(chunk)
                bar.update(len(chunk))


def _open(url: str, *, start: int, timeout: float) -> http.client.HTTPResponse:
    """The response to a request for the bytes from `start` on, or for all of them if the server has no such range."""
    headers = {"User-Agent": f"ganeval/{__version__}"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the program's own addresses
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return _open(url, start=0, timeout=timeout)
        raise _TransferError(f"the server answered {error.code} {error.reason}.") from error
    except (http.client.HTTPException, OSError) as error:
        raise _TransferError(f"no connection: {getattr(error, 'reason', None) or error}.") from error
    return response


def _checked_start(response: http.client.HTTPResponse, file: RemoteFile, *, asked: int) -> int:
    """The position of the response's first byte; an error page or another file is refused before it is read."""
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    start, total = (int(span[1]), int(span[2])) if span else (0, int(response.headers.get("Content-Length", file.size)))
    if total != file.size:
        raise _TransferError(f"it offers {total} bytes, expected {file.size}.")
    if start not in (0, asked):
        raise _TransferError(f"asked for the bytes from {asked} on, it sent those from {start} on.")
    return start


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(CHUNK)
    except (http.client.HTTPException, OSError) as error:
        raise _TransferError(f"the connection broke: {error}.") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
