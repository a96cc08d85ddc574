"""WebDataset shards that are read once, from start to end, without seeking: `webdataset:PLACE`.

PLACE is a .tar or .tar.gz, `data-{000..009}.tar`, a URL of either, a named pipe, or "-" for standard input. Consecutive
files of a shard with the same name up to the first dot are a sample: its image, and its class in `.cls` or in a field
of `.json`. Without this prefix, a path is indexed first, which reads small members twice, and then read in natural
order.
"""

import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

from ganeval.errors import SourceError, UsageError
from ganeval.places import Place, RemotePath, place_of
from ganeval.sources.base import Fingerprint
from ganeval.sources.encoded import Encoded, EncodedStream
from ganeval.sources.files import CORRUPT, ENCODED_LIMIT, Opened, digest_of, is_hidden, is_image, told
from ganeval.sources.labels import read_class_number
from ganeval.sources.missing import missing, status
from ganeval.sources.shards import expand_shards
from ganeval.sources.sidecars import SIDECARS, class_in_json, key_of

STANDARD_INPUT = "-"


def open_webdataset(rest: str) -> EncodedStream:
    """The shards that `webdataset:rest` stands for; SourceError for missing ones, UsageError for other files."""
    shards: Sequence[Place] = [place_of(rest)] if rest == STANDARD_INPUT else expand_shards(rest) or [place_of(rest)]
    if rest != STANDARD_INPUT:
        _check(shards)
    files = [shard for shard in shards if isinstance(shard, RemotePath) or shard.is_file()]
    opened = Opened(files) if len(files) == len(shards) else None
    return EncodedStream(
        [partial(_images, shard) for shard in shards],
        name=f"webdataset:{rest}",
        kind="webdataset",
        fingerprint=partial(_fingerprint, opened),
        about={"shards": len(shards)},
    )


def _check(shards: Sequence[Place]) -> None:
    for shard in shards:
        if isinstance(shard, Path) and status(shard) is None:
            raise missing(shard)
        if isinstance(shard, Path) and shard.is_dir():
            raise UsageError(
                f"webdataset:{shard} is a folder; give a .tar, or several as {shard}/data-{{000..009}}.tar."
            )


def _fingerprint(opened: Opened | None) -> Fingerprint | None:
    """The fingerprint of the shards as files; None for a pipe, and if they changed."""
    found = None if opened is None else opened.identity()
    if found is None:
        return None
    identity, settled = found
    return Fingerprint(digest_of(b"webdataset", identity).hex(), digest_of(b"webdataset", identity).hex(), settled)


def _open(shard: Place) -> IO[bytes]:
    if str(shard) == STANDARD_INPUT:
        return cast("IO[bytes]", sys.stdin.buffer)
    try:
        return shard.open("rb")
    except OSError as error:
        raise SourceError(f"{shard} cannot be read ({error.strerror or error}).") from error


def _images(shard: Place) -> Iterator[Encoded]:
    """The images of one shard, in its order."""
    try:
        with closing(_open(shard)) as file:
            with tarfile.open(fileobj=file, mode="r|*", tarinfo=_MemberHeader) as archive:
                for _, sample in groupby(_members(archive, shard), key=lambda member: key_of(member[0])):
                    yield from _sample(dict(sample), shard)
            # The writer of a pipe fails if the bytes after the end mark are not read.
            while not file.seekable() and file.read(1 << 20):
                pass
    except (tarfile.TarError, *CORRUPT) as error:
        raise SourceError(f"{shard} cannot be read as a tar archive ({told(error)}).") from error


class _MemberHeader(tarfile.TarInfo):
    """A member's header; EOFError if the archive ends without the empty blocks that mark its end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EmptyHeaderError as error:  # type: ignore[attr-defined]  # typeshed lacks it
            raise EOFError("it has no end mark, so it is truncated, or images are missing") from error


def _members(archive: tarfile.TarFile, shard: Place) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the images and of the files with their classes, each once."""
    seen = set[str]()
    for info in archive:
        path = PurePosixPath(info.name)
        name = path.as_posix()
        if any(is_hidden(part) for part in path.parts if part != ".."):
            continue
        if not is_image(name) and not name.lower().endswith(SIDECARS):
            continue
        if info.issym() or info.islnk():
            raise SourceError(
                f"{shard}/{name} is a link to {info.linkname}, which cannot be followed in a shard that is read once. "
                "Write the archive anew with the files themselves (tar --dereference --hard-dereference), or give it "
                "without 'webdataset:'."
            )
        if not info.isfile():
            continue
        if name in seen:
            raise SourceError(
                f"{shard} has {name} twice. Write the archive anew with every file once, or give it without "
                "'webdataset:', which takes the last one."
            )
        seen.add(name)
        if info.size > ENCODED_LIMIT:
            raise SourceError(f"{shard}/{name} declares {info.size:,} bytes, over {ENCODED_LIMIT:,}.")
        file = archive.extractfile(info)
        data = b"" if file is None else file.read()
        if len(data) != info.size:
            raise EOFError(f"{info.size:,} bytes of {name} expected, {len(data):,} found")
        yield name, data


def _sample(files: dict[str, bytes], shard: Place) -> Iterator[Encoded]:
    """The images of one sample, each with the sample's class."""
    label = None
    for name, data in files.items():
        if name.lower().endswith(".cls"):
            label = read_class_number(data, f"{shard}/{name}")
        elif name.lower().endswith(".json") and label is None:
            found = class_in_json(data)
            label = found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None
    for name, data in files.items():
        if is_image(name):
            yield Encoded(f"{shard}/{name}", data, label)
