"""Places of files: local paths, and URLs of the file systems that fsspec knows, with the same operations.

`place_of("s3://bucket/real.zip")` is a `RemotePath`, which has the methods of `pathlib.Path` that ganeval uses, so that
what reads a local file reads a remote one, too. `file://` is a local path. fsspec is imported when a URL is used.

- Large files are read by blocks. A request that fails is repeated, for the block that is missing; a file is never read
  as a shorter one.
- A name in a message or a result is the URL without passwords and without the query of a web address, which may be a
  signature.
- A file has an identity: its checksum as the server states it (an ETag, for example), or else its size and the time of
  its last change. The cache of features is keyed by it.
"""

import errno
import io
import os
import posixpath
import re
import shutil
import tempfile
import urllib.parse
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Lock
from typing import IO, Any, BinaryIO, Literal, TypeVar

from ganeval.errors import GanevalError, ResultError, SourceError, UsageError
from ganeval.file_systems import attempt, open_file_system
from ganeval.urls import WEB, is_url, redacted

__all__ = [
    "FileFingerprint",
    "Place",
    "RemotePath",
    "check_remote_output",
    "file_fingerprints",
    "file_fingerprints_in",
    "fingerprint_of",
    "is_url",
    "place_of",
    "redacted",
    "size_of",
    "uploading",
]

T = TypeVar("T")
# Bytes per request, and the number of blocks that all open files keep in total.
BLOCK, KEPT_BLOCKS = 4 << 20, 16
# Parallel requests for the status of many files.
AT_ONCE = 16
_numbers = count()
_LOCAL = ("file", "local")
# Clients with one connection, on which a thread may receive another's answer: only one request at a time.
_IN_TURN = frozenset(("sftp", "ssh", "ftp"))
_turn = Lock()
# Stores where a file appears once it is complete; elsewhere it is uploaded under another name and renamed.
_WHOLE = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "hf", "memory"))

# The names that file systems use for checksums, and for times of the last change.
_CHECKSUMS = ("ETag", "etag", "e_tag", "content_md5", "Content-MD5", "md5Hash", "md5", "Digest", "blob_id", "CRC")
_TIMES = ("LastModified", "last_modified", "Last-Modified", "mtime", "updated", "modified", "created")


@dataclass(frozen=True, slots=True)
class FileFingerprint:
    """What is known of a file without reading it.

    Attributes:
        size: Bytes; None where the server does not say.
        identity: Changes when the file does; None where nothing is known that does.
        changed_ns: Time of the last change, in nanoseconds since 1970; 0 where a checksum makes it unnecessary.
    """

    size: int | None
    identity: bytes | None
    changed_ns: int


def place_of(spec: "str | Place") -> "Place":
    """The place that a path or a URL stands for.

    Args:
        spec: A path, or a URL; `file://` is a local path.

    Returns:
        A `Path`, or for a URL a `RemotePath`.

    Raises:
        UsageError: It is neither a path nor a text.

    >>> place_of("file:///tmp/a.npz")
    PosixPath('/tmp/a.npz')
    """
    if not isinstance(spec, str | os.PathLike | RemotePath):
        raise UsageError(f"Expected the path of a file or folder, or a URL, found {spec!r}.")
    if not isinstance(spec, str) or not is_url(spec):
        return spec if isinstance(spec, RemotePath) else Path(spec)
    scheme, slashes, rest = spec.partition("://")
    if slashes and scheme.lower() in _LOCAL and "::" not in rest:
        return Path(rest)
    return RemotePath(spec)


class RemotePath:
    """A URL with the operations of `pathlib.Path` that ganeval uses. As a text, it has no passwords or signatures.

    Where a method of a `Path` raises FileNotFoundError, this does, too. Every other failure is a SourceError that says
    what failed and what to do, after TRIES attempts where another might succeed.

    Args:
        url: A URL, also a chain of them (`zip://images::s3://bucket/a.zip`).

    Raises:
        UsageError: Nothing is installed that opens it.

    >>> RemotePath("s3://bucket/images/a.png").name
    'a.png'
    """

    def __init__(self, url: str) -> None:
        links = url.split("::")
        # `simplecache::s3://bucket/a.zip`: the name is in the next link of the chain.
        named = next((place for place, link in enumerate(links) if "://" in link), 0)
        self._before = "".join(f"{link}::" for link in links[:named])
        self.scheme, _, rest = links[named].partition("://")
        cut = re.search("[?#]", rest) if self.scheme in WEB else None
        self._path = rest if cut is None else rest[: cut.start()]
        self._after = ("" if cut is None else rest[cut.start() :]) + "".join(f"::{link}" for link in links[named + 1 :])
        self._opened: tuple[Any, str] | None = None
        self._fingerprint: FileFingerprint | None = None
        self._spool: IO[bytes] | None = None
        self._reading, self._number = Lock(), next(_numbers)
        self._listed: dict[str, FileFingerprint] = {}

    @property
    def url(self) -> str:
        """The whole URL, with everything secret in it."""
        return f"{self._before}{self.scheme}://{self._path}{self._after}"

    def __str__(self) -> str:
        return redacted(self.url)

    def __repr__(self) -> str:
        return f"RemotePath('{self}')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __truediv__(self, name: str) -> "RemotePath":
        if is_url(name):
            return RemotePath(name)
        root = self._path.rstrip("/")
        inner = urllib.parse.quote(name) if self.scheme in WEB else name
        plain = not (inner.startswith("/") or ".." in inner.split("/") or "//" in inner)
        host, slash, path = root.partition("/")
        path = f"{root}/{inner}".lstrip("/" if not root else "") if plain else _normal(host, f"{slash}{path}", inner)
        child = self.at(path)
        child._fingerprint = self._listed.get(name)
        if self._opened is not None and plain and self.scheme not in WEB:
            files, here = self._opened
            child._opened = files, f"{here.rstrip('/')}/{inner}" if here.strip("/") else f"{here}{inner}"
        elif self._opened is not None and not self._after.startswith("::"):
            child._opened = self._opened[0], child.url
        return child

    def at(self, path: str) -> "RemotePath":
        """The same URL with another path.

        Args:
            path: The path, with the bucket or the host.

        Returns:
            The place.
        """
        return RemotePath(f"{self._before}{self.scheme}://{path}{self._after}")

    @property
    def path(self) -> str:
        """The path, with the bucket or the host, without the scheme, and of a web address without the query."""
        return self._path

    @property
    def name(self) -> str:
        """The last part of the path."""
        name = self._path.rstrip("/").rpartition("/")[2]
        return urllib.parse.unquote(name) if self.scheme in WEB else name

    @property
    def suffix(self) -> str:
        """The extension of the name, with its dot."""
        return Path(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return Path(self.name).stem

    @property
    def parent(self) -> "RemotePath":
        """The folder that it is in."""
        parent = self.at(self._path.rstrip("/").rpartition("/")[0])
        if self.scheme in WEB:
            parent = self.at(f"{parent._path}/")
        return parent

    def as_posix(self) -> str:
        """As a text."""
        return str(self)

    def absolute(self) -> "RemotePath":
        """Itself."""
        return self

    # Asking.

    def kind(self) -> Literal["file", "folder"] | None:
        """What is there now; None for nothing.

        Returns:
            Whether it is a file or a folder.
        """
        if self.scheme in WEB and self._path.endswith("/"):
            return "folder"
        try:
            found = self._info()
        except FileNotFoundError:
            return None
        return "folder" if found.get("type") == "directory" else "file"

    def exists(self) -> bool:
        """Whether there is a file or a folder."""
        return self.kind() is not None

    def is_file(self) -> bool:
        """Whether there is a file."""
        return self._fingerprint is not None or self.kind() == "file"

    def is_dir(self) -> bool:
        """Whether there is a folder."""
        return self.kind() == "folder"

    def fingerprint(self) -> FileFingerprint:
        """What is known of the file now, asked anew.

        Returns:
            Its size and identity.

        Raises:
            FileNotFoundError: There is no such file.
        """
        return _fingerprint_in(self._info())

    def size(self) -> int | None:
        """Bytes, as the folder listed it or when it was first asked for; None where the server does not say.

        Returns:
            The size.

        Raises:
            FileNotFoundError: There is no such file.
        """
        if self._fingerprint is None:
            self._fingerprint = self.fingerprint()
        return self._fingerprint.size

    def listing(self, depth: int | None = None) -> Mapping[str, FileFingerprint]:
        """All files in and under this folder, by their relative names; asked anew.

        Args:
            depth: Of how many levels; None for all.

        Returns:
            Their sizes and identities; sizes are None where a listing has none.

        Raises:
            FileNotFoundError: There is no such folder.
        """
        found = self._ask(lambda files, path: self._found(files, path, depth))
        here = self._open()[1]
        self._listed = {
            name: _fingerprint_in(info)
            for full, info in found.items()
            if info.get("type") != "directory" and (name := self._relative(full, here)) is not None
        }
        return self._listed

    def _found(self, files: Any, path: str, depth: int | None) -> Mapping[str, Mapping[str, Any]]:
        _refresh(files)
        place = f"{path.rstrip('/')}/" if self.scheme in WEB else path
        found: Mapping[str, Mapping[str, Any]] = files.find(place, maxdepth=depth, detail=True)
        if not found and not files.exists(path):
            raise FileNotFoundError(path)
        return found

    def _relative(self, full: str, here: str) -> str | None:
        """The name of a found file in this folder; None for the marker of an empty folder, and for a sorted index."""
        inner = full.removeprefix(re.split("[?#]", here)[0] if self.scheme in WEB else here).strip("/")
        if self.scheme in WEB:
            inner = "" if "?" in inner else urllib.parse.unquote(inner)
        return inner or None

    # Reading.

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """The file, to read and to seek in; blocks are fetched as they are read.

        Args:
            mode: "rb".

        Returns:
            The open file.

        Raises:
            FileNotFoundError: There is no such file.
        """
        if mode != "rb":
            raise ValueError(f"{self} can be opened only in mode 'rb'.")
        if self._spool is None and (self._after.startswith("::") or self._before or self.size() is None):
            # A member of an archive has no random access, nor has a file of an unknown size.
            self.fetch()
        return io.BufferedReader(_BlockReader(self), 1 << 16)

    def read_bytes(self) -> bytes:
        """The whole file.

        Returns:
            Its bytes.

        Raises:
            FileNotFoundError: There is no such file.
        """
        expected = self.size()

        def read(files: Any, path: str) -> bytes:
            data: bytes = files.cat_file(path)
            if expected is not None and len(data) != expected:
                raise ConnectionError(f"{len(data):,} of {expected:,} bytes arrived")
            return data

        return self._ask(read)

    def read_range(self, start: int, stop: int) -> bytes:
        """Some bytes of the file.

        Args:
            start: The first.
            stop: The one after the last, at most the size of the file.

        Returns:
            Exactly `stop - start` bytes.
        """
        size = self.size()

        def read(files: Any, path: str) -> bytes | None:
            data: bytes = files.cat_file(path, start=start, end=stop)
            if len(data) == size and size != stop - start:
                return None
            if len(data) != stop - start:
                raise ConnectionError(f"{len(data):,} of {stop - start:,} bytes arrived")
            return data

        data = self._ask(read) if self._spool is None else None
        if data is not None:
            return data
        # The file was fetched, or the server ignores the range and sends the whole file.
        spool = self.fetch()
        with self._reading:
            spool.seek(start)
            return spool.read(stop - start)

    def fetch(self) -> IO[bytes]:
        """Copy the whole file to an unnamed temporary one, once; it is read from there from now on.

        Returns:
            The temporary file, which is gone when this object is.
        """
        if self._spool is None:
            expected = self.size()
            spool = tempfile.TemporaryFile()  # noqa: SIM115, it lasts as long as this object
            try:
                self._ask(lambda files, path: self._copy(files, path, spool, expected))
            except BaseException:
                spool.close()
                raise
            self._fingerprint = FileFingerprint(spool.tell(), None, 0)
            self._spool = spool
            weakref.finalize(self, spool.close)
        return self._spool

    def pieces(self, start: int, length: int) -> Iterator[bytes]:
        """Bytes of the file in pieces.

        Args:
            start: The first byte.
            length: How many.

        Yields:
            Pieces of at most BLOCK bytes.
        """
        for place in range(start, start + length, BLOCK):
            yield self.read_range(place, min(place + BLOCK, start + length))

    def _copy(self, files: Any, path: str, spool: IO[bytes], expected: int | None) -> None:
        """One attempt at copying the file, which must have as many bytes as expected."""
        spool.seek(0)
        spool.truncate()
        options = {"block_size": 0} if self.scheme in WEB else {}
        with files.open(path, "rb", **options) as stream:
            shutil.copyfileobj(stream, spool, 1 << 20)
        spool.flush()
        if expected is not None and spool.tell() != expected:
            raise ConnectionError(f"{spool.tell():,} of {expected:,} bytes arrived")

    # The file system.

    def _open(self) -> tuple[Any, str]:
        """The file system of fsspec, and the path in it."""
        if self._opened is None:
            self._opened = open_file_system(self.url)
        return self._opened

    def _info(self) -> Mapping[str, Any]:
        def ask(files: Any, path: str) -> Mapping[str, Any]:
            _refresh(files)
            found: Mapping[str, Any] = files.info(path)
            return found

        return self._ask(ask)

    def _ask(self, request: Callable[[Any, str], T], failure: type[GanevalError] = SourceError) -> T:
        """The answer to a request; the request is repeated if that may help."""
        files, path = self._open()

        def once() -> T:
            with _turn if self.scheme in _IN_TURN else nullcontext():
                return request(files, path)

        return attempt(once, self.url, failure)


Place = Path | RemotePath


# Blocks of all remote files by file and block number, the most recently used last.
_kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
_keeping = Lock()


class _BlockReader(io.RawIOBase):
    """A remote file of known size, read in blocks."""

    def __init__(self, place: RemotePath) -> None:
        super().__init__()
        size = place.size()
        assert size is not None
        self._remote, self._size, self._number = place, size, place._number
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = _sought(offset, whence, self._place, self._size)
        return self._place

    def readinto(self, buffer: Any) -> int:
        if self._place >= self._size or not len(buffer):
            return 0
        number, start = divmod(self._place, BLOCK)
        data = self._block(number)[start : start + len(buffer)]
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def _block(self, number: int) -> bytes:
        key = self._number, number
        with _keeping:
            found = _kept.get(key)
            if found is not None:
                _kept.move_to_end(key)
                return found
        found = self._remote.read_range(number * BLOCK, min((number + 1) * BLOCK, self._size))
        with _keeping:
            _kept[key] = found
            while len(_kept) > KEPT_BLOCKS:
                _kept.popitem(last=False)
        return found


def _sought(offset: int, whence: int, place: int, size: int) -> int:
    wanted = offset + {os.SEEK_SET: 0, os.SEEK_CUR: place, os.SEEK_END: size}[whence]
    if wanted < 0:
        raise OSError(errno.EINVAL, "Invalid argument")
    return wanted


def size_of(place: Place) -> int:
    """Bytes of a file.

    Args:
        place: The file; a remote one whose size the server does not say is fetched.

    Returns:
        The number of bytes.

    Raises:
        OSError: There is no such file.
    """
    if isinstance(place, Path):
        return place.stat().st_size
    size = place.size()
    if size is None:
        place.fetch()
        size = place.size()
    assert size is not None
    return size


def fingerprint_of(seen: os.stat_result) -> FileFingerprint:
    """What the status of a local file says of it.

    Args:
        seen: The status.

    Returns:
        Its size, its identity (size, times and inode), and the time of its last change.
    """
    identity = repr((seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)).encode()
    return FileFingerprint(seen.st_size, identity, max(seen.st_mtime_ns, seen.st_ctime_ns))


def file_fingerprints(places: Sequence[Place]) -> list[FileFingerprint | None]:
    """What is known of files now, without reading them.

    Args:
        places: The files.

    Returns:
        A fingerprint each; None for a file that is not there.
    """
    if not any(isinstance(one, RemotePath) for one in places):
        return [_fingerprint_at(one) for one in places]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(AT_ONCE, len(places))) as pool:
        return list(pool.map(_fingerprint_at, places))


def file_fingerprints_in(root: Place, names: Sequence[str]) -> list[FileFingerprint | None]:
    """The same of files in one folder, by their relative names; a remote folder is listed instead of asking for each.

    Args:
        root: The folder.
        names: The names of the files in it.

    Returns:
        A fingerprint each; None for a file that is not there.
    """
    if isinstance(root, RemotePath):
        listed = root.listing()
        known = [listed.get(name) for name in names]
        if all(one is not None and one.size is not None for one in known):
            return known
    return file_fingerprints([root / name for name in names])


def _fingerprint_at(place: Place) -> FileFingerprint | None:
    try:
        return place.fingerprint() if isinstance(place, RemotePath) else fingerprint_of(place.stat())
    except (OSError, ValueError):
        return None


def _fingerprint_in(info: Mapping[str, Any]) -> FileFingerprint:
    """The fingerprint in fsspec's description of a file."""
    size = info.get("size")
    size = int(size) if isinstance(size, int | float) else None
    checksum = next(((key, info[key]) for key in _CHECKSUMS if info.get(key)), None)
    changed = next((found for key in _TIMES if (found := _nanoseconds(info.get(key))) is not None), None)
    if checksum is None and (changed is None or size is None):
        return FileFingerprint(size, None, changed or 0)
    return FileFingerprint(size, repr((size, checksum, changed)).encode(), changed or 0)


def _nanoseconds(value: object) -> int | None:
    """A time from a file system, in nanoseconds since 1970; None if there is none."""
    if isinstance(value, str):
        from email.utils import parsedate_to_datetime

        try:
            value = parsedate_to_datetime(value) if "," in value else datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return int(value * 1e9) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _normal(host: str, path: str, name: str) -> str:
    """A path joined with a relative or absolute name, kept within the bucket or host."""
    whole = name if name.startswith("/") else f"{path}/{name}"
    return host + posixpath.normpath(f"/{whole}".replace("//", "/"))


def _refresh(files: Any) -> None:
    """Clear a file system's cached listings, which may be outdated."""
    files.invalidate_cache()


# Writing.


@contextmanager
def uploading(place: RemotePath) -> Iterator[BinaryIO]:
    """A binary file that appears at a remote place, whole, when the block ends without an error.

    Args:
        place: Where to.

    Yields:
        A temporary local file, open for writing.

    Raises:
        ResultError: It cannot be written. What was there before is still there.
    """
    with tempfile.NamedTemporaryFile() as file:
        yield file  # type: ignore[misc]  # it is a wrapper of one
        file.flush()
        _upload(place, file.name)


def _upload(place: RemotePath, local: str) -> None:
    try:
        if place.scheme in _WHOLE:
            place._ask(lambda files, path: files.put_file(local, path), ResultError)
            return
        hidden = place.parent / f".ganeval-{os.getpid()}-{os.urandom(4).hex()}.tmp"
        try:
            hidden._ask(lambda files, path: files.put_file(local, path), ResultError)
            place._ask(lambda files, path: files.mv(hidden._open()[1], path), ResultError)
        except BaseException:
            with suppress(GanevalError, OSError):
                hidden._ask(lambda files, path: files.rm_file(path), ResultError)
            raise
    except FileNotFoundError as error:
        raise ResultError(f"{place} cannot be written: there is no such folder or bucket.") from error


def check_remote_output(place: RemotePath) -> None:
    """Try whether a file can be written to a place, by writing one next to it that is removed again.

    Args:
        place: Where the file will be written.

    Raises:
        UsageError: No file can have this name, or nothing is installed that opens it.
        ResultError: It cannot be written to.
    """
    if place.scheme in ("http", "https") or "::" in place.url:
        raise UsageError(f"{place} cannot be written; results go to a path, or to a URL of a store such as s3://.")
    if not place.name or place.kind() == "folder":
        raise UsageError(f"{place} is a folder; give the name of a file.")
    probe = place.parent / f".ganeval-{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        probe._ask(lambda files, path: files.pipe_file(path, b""), ResultError)
        probe._ask(lambda files, path: files.rm_file(path), ResultError)
    except FileNotFoundError as error:
        raise ResultError(f"{place} cannot be written: there is no such folder or bucket.") from error
